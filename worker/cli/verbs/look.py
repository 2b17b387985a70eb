"""`stats`, `watch`, `sample`, `feedback`, `report`, `schema` and `health`."""

from pathlib import Path
from typing import Any

import click

from worker.cli import HEALTH_HELP, options
from worker.cli.help import LOOK, Verb
from worker.cli.numbers import LONGEST_S, Decimal, Whole

_LARGEST_SEED = 2**63 - 1


@click.command(cls=Verb, panel=LOOK, example="sampling-worker stats --watch")
@click.option("--session", metavar="SESSION", help="One training session alone, since it began.")
@click.option("--clear", is_flag=True, help="Print, and start counting anew in the same step.")
@click.option("--watch", is_flag=True, help="Print again on every change, until interrupted.")
@options.with_checks
@options.as_json
def stats(**wanted: Any) -> None:
    """Show what all workers have drawn so far, how it fits the weights, and how often chunks were heard."""
    from worker.cli.stats import Wanted, show_stats

    show_stats(Wanted(**wanted))


@click.command(cls=Verb, panel=LOOK, example="sampling-worker watch --dataset news")
@options.dataset
@click.option(
    "--every",
    type=Decimal(1, 3600),
    metavar="SECONDS",
    default=1.0,
    show_default=True,
    help="Time between two looks, in seconds.",
)
@click.option("--once", is_flag=True, help="Look twice, that long apart, print what was seen, and end.")
@options.as_json
def watch(**wanted: Any) -> None:
    """Show weights, what is drawn, workers, changes and events live, until interrupted.

    Into a pipe, only what is new is printed, a line each.
    """
    from worker.cli.watch.run import Wanted, watch

    watch(Wanted(**wanted))


@click.command(cls=Verb, panel=LOOK, example="sampling-worker sample --size 8 --method stratified")
@click.option("--size", type=Whole(0, 10**12), show_default="1", help="Chunk ids per request.")
@click.option("--budget-s", metavar="SECONDS", help="Instead of --size: as many ids as last so long.")
@click.option("--budget", metavar="BUDGET", help="padded (count x longest, the default) or sum (needs --budget-s).")
@click.option("--buckets", metavar="K", help="Ids of one length bucket, of so many (needs --budget-s).")
@click.option("--count", type=Whole(1, 100_000), default=1, show_default=True, help="How many requests.")
@click.option("--category", metavar="CATEGORY", help="Draw from this category alone, whatever the weights.")
@click.option("--split", metavar="SPLIT", help="Chunks of this split alone, such as val.")
@click.option("--exclude", metavar="LIST", help="No chunk of this exclusion list.")
@click.option("--columns", metavar="COLUMNS", help="category,duration_s,start_s,path: have these of each chunk.")
@click.option("--method", metavar="METHOD", help="random, stratified, or epoch (needs --session).")
@click.option("--dataset", metavar="NAME", help="A dataset's own weights, not the global ones.")
@click.option("--preset", metavar="NAME", help="balanced, voice-heavy, music-heavy, or one of your own.")
@click.option("--session", metavar="SESSION", help="The training session that asks.")
@click.option("--pin", is_flag=True, default=None, help="Keep to the session's first weights (needs --session).")
@click.option("--replace/--no-replace", default=None, help="Whether a request may get a chunk twice.")
@click.option(
    "--seed",
    type=Whole(0, _LARGEST_SEED),
    help="The same seed gives the same ids; with --count, each request has its own, made from it.",
)
@click.option("--encoding", metavar="ENCODING", help="How ids come: json, or packed (binary).")
@click.option("--probabilities", is_flag=True, default=None, help="Let results carry the weights and the READY counts.")
@click.option("--request-id", metavar="ID", help="The request's own id, echoed.")
@click.option("--traceparent", metavar="TRACE", help="W3C trace context, echoed in results and logs.")
@click.option("--field", "further", metavar="NAME=VALUE", multiple=True, help="Any other field; can be repeated.")
@click.option(
    "--timeout",
    type=Decimal(0.1, LONGEST_S),
    metavar="SECONDS",
    default=10.0,
    show_default=True,
    help="Longest wait, in seconds.",
)
@options.as_json
def sample(count: int, further: tuple[str, ...], timeout: float, *, as_json: bool, **fields: Any) -> None:
    """Send sample requests and print their results; status 1 when one is missing or an error."""
    from worker.cli.sampling import Asking, draw_samples

    draw_samples(fields, further, Asking(count, timeout, as_json))


@click.command(cls=Verb, panel=LOOK, example="sampling-worker feedback --dataset news")
@click.option("--dataset", metavar="NAME", help="Reports that name this dataset alone.")
@click.option("--kind", metavar="KIND", help="Of losses: train, eval or score; train if not given.")
@click.option("--count", type=Whole(1, 100_000), help="The newest reports, at most; 1000, or 20 with --dead.")
@click.option("--dead", is_flag=True, help="Show the reports that were refused, and why, newest first.")
@options.as_json
def feedback(**wanted: Any) -> None:
    """Show the losses that training jobs have reported: of each category, and by whom."""
    from worker.cli.feedback import Wanted, show_feedback

    show_feedback(Wanted(**wanted))


@click.command(cls=Verb, panel=LOOK, example="sampling-worker report worker-1.log worker-2.log --output mix.svg")
@click.argument("files", metavar="FILE...", type=Path, nargs=-1, required=True)
@click.option(
    "--output",
    metavar="FILE",
    type=Path,
    default=Path("report.png"),
    show_default=True,
    help="The picture, .png or .svg, or a page, .html; an older one is replaced.",
)
@click.option("--follow", is_flag=True, help="Draw again as lines are added, until interrupted.")
@click.option(
    "--every", type=Decimal(0.1, LONGEST_S), metavar="SECONDS", help="With --follow: how often; 5 if not given."
)
@click.option("--last", metavar="DURATION", help="Only the end: 90s, 30m, 2h or 1d. All; with --follow 1h.")
@options.with_checks
@options.as_json
def report(files: tuple[Path, ...], **wanted: Any) -> None:
    """Draw the logs of workers as one picture of the mix, the rate and the latency over time.

    Each FILE holds the JSON log lines of one or more workers; - is standard input.
    """
    from worker.cli.report import Wanted, report_logs

    report_logs(Wanted(files=files, **wanted))


@click.command(cls=Verb, panel=LOOK, example="sampling-worker schema request")
@click.argument("part", metavar="[PART]", required=False)
def schema(part: str | None) -> None:
    """Print JSON Schema of requests, results, weights, changes of weights, worker states and log events.

    PART is request, result, weights, change, worker or events; without it all of them are in one document.
    """
    from worker.cli.contract import print_schema

    print_schema(part)


@click.command(
    cls=Verb,
    panel=LOOK,
    help=HEALTH_HELP,
    add_help_option=False,
    context_settings={"ignore_unknown_options": True},
)
@click.argument("arguments", nargs=-1)
def health(arguments: tuple[str, ...]) -> None:
    """Pass its arguments to `health`."""
    from worker.cli.health import probe

    raise click.exceptions.Exit(probe(arguments))
