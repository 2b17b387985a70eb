"""The options and arguments that several verbs have."""

from collections.abc import Mapping
from typing import Final

import click

from worker.cli.numbers import LONGEST_S, Decimal

_WAIT_S: Final = 15.0  # longer than a worker that was killed is listed


def _check_prefixes(_context: click.Context, _option: click.Parameter, prefixes: tuple[str, ...]) -> tuple[str, ...]:
    if not prefixes:
        return ()
    from worker.cli.prefixes import check_prefixes  # noqa: PLC0415 - the settings, where they are wanted

    return check_prefixes(prefixes)


as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
dataset = click.option("--dataset", metavar="NAME", help="A dataset's own weights, not the global ones.")
prefix = click.option(
    "--prefix",
    "prefixes",
    metavar="PREFIX",
    multiple=True,
    callback=_check_prefixes,
    help="The start of names in Redis, instead of WORKER_PREFIX; may be given several times.",
)
preset = click.option("--preset", metavar="NAME", help="A saved preset, not the global weights.")
preset_name = click.argument("name", metavar="NAME")
session_name = click.argument("name", metavar="SESSION")
with_checks = click.option("--all", "with_checks", is_flag=True, help="Also show what `check` has drawn.")
weights = click.argument("weights", metavar="[CATEGORY=WEIGHT]...", nargs=-1)
temperature = click.option(
    "--temperature",
    type=Decimal(0, 1000),
    help="Raise each weight, or size, to this power: 0 makes all alike, 1 changes nothing.",
)
proportional = click.option("--proportional", is_flag=True, help="Weigh categories by their size in the library.")
by = click.option(
    "--by",
    type=click.Choice(["chunks", "hours"]),
    help="The unit of sizes, also for --temperature and --unimax; otherwise that of the workers' weights.",
)
unimax = click.option(
    "--unimax",
    type=Decimal(0.001, 1e6),
    metavar="N",
    help="Weigh as evenly as can be while no category repeats more than N times within --budget.",
)
amount = Decimal(1e-3, 1e15, with_power=True)
budget = click.option(
    "--budget",
    type=amount,
    metavar="AMOUNT",
    help="How many chunks, or hours, are heard in all, e.g. 1e6.",
)
reason = click.option("--reason", metavar="TEXT", default="", help="Why, for the history.")
if_version = click.option(
    "--if-version", metavar="VERSION", help="Store only if this version is in force; otherwise status 1."
)
lasts = click.option("--for", "lasts", metavar="DURATION", help="90s, 30m, 2h or 1d; then the previous weights return.")
floor = click.option(
    "--floor", multiple=True, metavar="[CATEGORY=]N", help="Least share, of one category or of the rest."
)
ceiling = click.option("--ceiling", multiple=True, metavar="[CATEGORY=]N", help="Largest share, likewise.")
most_change = click.option("--most-change", metavar="N", help="Most that a share moves in a step; none: no limit.")
wait = click.option("--wait", is_flag=True, help="Wait until all live workers have applied them; otherwise status 1.")
wait_for_library = click.option(
    "--wait", is_flag=True, help="Wait until all live workers draw from it; otherwise status 1. Needs REDIS_URL."
)
timeout = click.option(
    "--timeout",
    type=Decimal(0.1, LONGEST_S),
    metavar="SECONDS",
    help=f"Longest wait of --wait, in seconds; {_WAIT_S:g} if not given.",
)


def refuse(given: Mapping[str, object], why: str) -> None:
    """Refuse options that would say nothing.

    Args:
        given: Option -> its value; what is empty is not given.
        why: Why it is refused, behind its name.

    Raises:
        click.UsageError: One is given.
    """
    for option, value in given.items():
        if value not in {None, False, "", ()}:
            raise click.UsageError(f"{option} {why}")


def wait_s(*, wait: bool, timeout: float | None) -> float | None:
    """Return how long --wait waits, in seconds; None: not at all.

    Args:
        wait: Whether --wait is given.
        timeout: --timeout; None: it is not given.

    Raises:
        click.UsageError: There is no wait for a --timeout.
    """
    if timeout is not None and not wait:
        raise click.UsageError("--timeout is for --wait, which is not given")
    return (_WAIT_S if timeout is None else timeout) if wait else None
