"""`weights`: look at the weights, and change them while training runs."""

from pathlib import Path
from typing import Any

import click

from worker.cli import options
from worker.cli.help import WEIGHTS, Group, Verb
from worker.cli.numbers import Decimal, DecimalOr, Whole
from worker.cli.verbs.presets import preset

_LARGEST_BUDGET_S = 1_000_000  # as requests accept it
_MOST_BUCKETS = 64


@click.group(cls=Group, panel=WEIGHTS, example="sampling-worker weights set voice=0.7 music=0.2")
def weights() -> None:
    """Look at the weights, and change them while training runs."""


@weights.command(cls=Verb, example="sampling-worker weights show --dataset podcasts")
@options.dataset
@options.prefix
@options.as_json
def show(dataset: str | None, *, prefixes: tuple[str, ...], as_json: bool) -> None:
    """Show the weights in force, and who set them; status 1 while the key holds a refused value."""
    from worker.cli.weights.show import show_weights

    show_weights(dataset, prefixes, as_json=as_json)


@weights.command(
    "set", cls=Verb, example="sampling-worker weights set voice=0.7 music=0.2 documentary=0.1 --for 2h --wait"
)
@options.weights
@options.dataset
@options.prefix
@options.temperature
@options.proportional
@options.by
@options.unimax
@options.budget
@options.reason
@options.lasts
@options.if_version
@options.wait
@options.timeout
@options.as_json
def set_(
    weights: tuple[str, ...],
    dataset: str | None,
    temperature: float | None,
    reason: str,
    *,
    prefixes: tuple[str, ...],
    proportional: bool,
    by: str | None,
    unimax: float | None,
    budget: float | None,
    lasts: str | None,
    if_version: str | None,
    wait: bool,
    timeout: float | None,
    as_json: bool,
) -> None:
    """Set the weights: they are in force for the next request, and the change is in the history.

    Categories that are not given weigh 0. With --temperature and without weights, the weights in force are changed.
    --proportional, --unimax and --temperature with --by go by the sizes of the categories in the library.
    With several --prefix it is said which of them have the change.
    You are warned of categories without READY chunks.
    """
    from worker.cli.weights.starting import Start, set_weights
    from worker.cli.weights.store import Storing

    start = Start(weights, temperature, proportional=proportional, by=by, unimax=unimax, budget=budget)
    set_weights(
        start,
        Storing(dataset, reason, lasts, if_version, options.wait_s(wait=wait, timeout=timeout), as_json, prefixes),
    )


@weights.command("import", cls=Verb, example="sampling-worker weights import mix.yaml --map dclm=web --dry-run")
@click.argument("file", type=Path, metavar="FILE")
@click.option("--phase", metavar="NAME", help="The phase whose weights are meant, where the file has several.")
@click.option(
    "--map",
    "mapped",
    metavar="THEIRS=OURS",
    multiple=True,
    help="A source there, or a pattern such as 'dclm:*', and our category; nothing behind = leaves it out.",
)
@options.dataset
@options.reason
@options.lasts
@options.if_version
@options.wait
@options.timeout
@click.option("--dry-run", is_flag=True, help="Print what would be stored, and store nothing.")
@click.option("--as-schedule", is_flag=True, help="Set the rule schedule: each phase begins where that before it ends.")
@click.option("--mode", type=click.Choice(["shadow", "on", "off"]), help="Of the rule, see `adjust set`; else shadow.")
@click.option("--between", type=click.Choice(["step", "linear", "cosine"]), help="From phase to phase; else step.")
@options.floor
@options.ceiling
@options.most_change
@options.as_json
def import_(
    file: Path,
    *,
    phase: str | None,
    mapped: tuple[str, ...],
    dataset: str | None,
    reason: str,
    lasts: str | None,
    if_version: str | None,
    wait: bool,
    timeout: float | None,
    dry_run: bool,
    as_schedule: bool,
    as_json: bool,
    **scheduling: Any,
) -> None:
    """Set the weights to a mix that was made elsewhere; the change is in the history.

    FILE is JSON or YAML: an object of weights, phases with weights, or the output of Olmix, RegMix, Energon, or NeMo
    and Lhotse (input_cfg). - is standard input. The weights need not add up to 1. A source that is no category of the
    library is refused. With --as-schedule a rule follows all phases, as `adjust show` tells; it is a shadow
    unless --mode says otherwise.
    """
    from worker.cli.weights.imported import Wanted, import_weights
    from worker.cli.weights.store import Storing

    wanted = Wanted(file, phase, mapped)
    if as_schedule:
        from worker.cli.adjust.imported import Scheduling, import_schedule

        given = {"--phase": phase, "--reason": reason, "--for": lasts, "--if-version": if_version, "--wait": wait}
        options.refuse({**given, "--timeout": timeout}, "is not for --as-schedule, which sets a rule")
        import_schedule(wanted, dataset, Scheduling(**scheduling), dry_run=dry_run, as_json=as_json)
        return
    given = {f"--{name.replace('_', '-')}": value for name, value in scheduling.items()}
    options.refuse(given, "is for --as-schedule, which is not given")
    storing = Storing(dataset, reason, lasts, if_version, options.wait_s(wait=wait, timeout=timeout), as_json)
    import_weights(wanted, storing, dry_run=dry_run)


@weights.command(cls=Verb, example="sampling-worker weights remove --dataset podcasts")
@options.dataset
@options.prefix
@options.reason
@options.if_version
@options.wait
@options.timeout
@options.as_json
def remove(
    dataset: str | None,
    reason: str,
    *,
    prefixes: tuple[str, ...],
    if_version: str | None,
    wait: bool,
    timeout: float | None,
    as_json: bool,
) -> None:
    """Remove the weights that were set: then the defaults hold, or for a dataset the global weights."""
    from worker.cli.weights.store import Storing, remove_weights

    remove_weights(
        Storing(dataset, reason, None, if_version, options.wait_s(wait=wait, timeout=timeout), as_json, prefixes)
    )


@weights.command(cls=Verb, example="sampling-worker weights watch")
@options.dataset
@click.option("--session", metavar="SESSION", help="Those that a session is pinned to.")
@options.as_json
def watch(dataset: str | None, session: str | None, *, as_json: bool) -> None:
    """Print the weights now, and again on every change, until interrupted."""
    from worker.cli.weights.watch import watch_weights

    watch_weights(dataset, session, as_json=as_json)


@weights.command(cls=Verb, example="sampling-worker weights history --count 5")
@options.dataset
@options.preset
@click.option("--count", type=Whole(1, 10_000), default=20, show_default=True, help="Most changes to print.")
@options.as_json
def history(dataset: str | None, preset: str | None, count: int, *, as_json: bool) -> None:
    """Show who changed the weights, when and why, the newest first: all changes, or those of one dataset or preset.

    Each change is in points: hundredths of the whole. A plain SET by other programs leaves no trace here.
    """
    from worker.cli.weights.history import show_history

    show_history(dataset, preset, count, as_json=as_json)


@weights.command(cls=Verb, example="sampling-worker weights rollback")
@click.argument("version", metavar="[VERSION]", required=False)
@options.dataset
@options.preset
@options.prefix
@options.reason
@options.wait
@options.timeout
@options.as_json
def rollback(
    version: str | None,
    dataset: str | None,
    preset: str | None,
    reason: str,
    *,
    prefixes: tuple[str, ...],
    wait: bool,
    timeout: float | None,
    as_json: bool,
) -> None:
    """Undo the last change of the weights, or go back to a VERSION of the history.

    Each further rollback goes one change further back; it never toggles. What was undone comes back by its VERSION.
    Every rollback is a change in the history, too; one to a VERSION can be undone.
    """
    from worker.cli.weights.history import roll_back_weights
    from worker.cli.weights.store import Storing

    storing = Storing(
        None, reason, wait_s=options.wait_s(wait=wait, timeout=timeout), as_json=as_json, prefixes=prefixes
    )
    roll_back_weights(version, dataset, preset, storing)


@weights.command(cls=Verb, example="sampling-worker weights preview voice=0.9 music=0.1 --size 10000")
@options.weights
@options.dataset
@options.temperature
@options.proportional
@options.by
@options.unimax
@click.option(
    "--budget",
    type=DecimalOr(options.amount, ("padded", "sum")),
    metavar="AMOUNT|padded|sum",
    help="How many chunks, or hours, are heard in all, e.g. 1e6. Or the kind of --budget-s, as in `sample`.",
)
@click.option(
    "--size",
    type=Whole(1, 10**12),
    help="How many chunk ids would be drawn; otherwise --budget, where it is in chunks, or 10,000.",
)
@click.option(
    "--budget-s",
    type=Decimal(1e-3, _LARGEST_BUDGET_S),
    metavar="SECONDS",
    help="Show the batches, too, of requests with this budget_s.",
)
@click.option("--buckets", type=Whole(1, _MOST_BUCKETS), help="In so many length buckets (needs --budget-s).")
@click.option("--exclude", metavar="LIST", help="Without the chunks of this exclusion list.")
@options.as_json
def preview(
    weights: tuple[str, ...],
    dataset: str | None,
    temperature: float | None,
    *,
    proportional: bool,
    by: str | None,
    unimax: float | None,
    budget: float | str | None,
    size: int | None,
    budget_s: float | None,
    buckets: int | None,
    exclude: str | None,
    as_json: bool,
) -> None:
    """Show what would be drawn under some weights, or under those in force; nothing is stored.

    Warnings name categories without READY chunks, and those whose chunks would be heard more than 16 times each.
    """
    kind, amount = (budget, None) if isinstance(budget, str) else ("padded", budget)
    if budget_s is None:
        of_batches = {"--buckets": buckets, f"--budget {kind}": isinstance(budget, str)}
        options.refuse(of_batches, "is of batches, and needs --budget-s; accepted: both")
    from worker.cli.weights.preview import Wanted, preview_weights
    from worker.cli.weights.starting import Start

    start = Start(weights, temperature, proportional=proportional, by=by, unimax=unimax, budget=amount)
    wanted = Wanted(size, budget_s, buckets or 1, exclude, is_sum=kind == "sum")
    preview_weights(start, dataset, wanted, as_json=as_json)


weights.add_command(preset)
