"""`check`."""

import time
from typing import Annotated

import typer

from worker.admin.check import Report, run_check
from worker.cli.context import AsJson, open_desk, print_json, print_table, print_text, run_async
from worker.cli.numbers import LONGEST_S, decimal, whole
from worker.cli.output import complain
from worker.cli.words import Share, counted


def check(
    samples: Annotated[
        int, typer.Option(parser=whole(1000, 10_000_000), metavar="NUMBER", help="Chunks drawn in each round.")
    ] = 100_000,
    significance: Annotated[
        float,
        typer.Option(parser=decimal(1e-12, 0.5, with_power=True), metavar="NUMBER", help="False alarms accepted."),
    ] = 1e-4,
    timeout: Annotated[
        float,
        typer.Option(parser=decimal(1, LONGEST_S), metavar="SECONDS", help="Longest wait of a round, in seconds."),
    ] = 60.0,
    *,
    as_json: AsJson = False,
) -> None:
    """Test this installation: set weights, draw, change them, draw again, and hold the counts against them.

    It works on a dataset of its own, which it removes again: live jobs never notice.
    """

    async def work() -> Report:
        async with open_desk() as desk:
            return await run_check(desk.client, desk.keys, samples=samples, timeout_s=timeout, tell=complain)

    started = time.monotonic()
    report = run_async(work)
    fits = report.fits(significance)
    if as_json:
        print_json({**report.as_dict(), "significance": significance, "fits": fits})
    else:
        _print_report(report, significance, seconds=time.monotonic() - started)
    if not fits or report.left:
        raise typer.Exit(1)


def _print_report(report: Report, significance: float, *, seconds: float) -> None:
    for number, entry in enumerate(report.rounds, 1):
        by_seconds = any(row.seconds is not None for row in entry.rows)
        amounts = [row.count if row.seconds is None else row.seconds for row in entry.rows]
        rows = [
            (row.category, Share(row.target), Share(amount / entry.total), amount, round(row.z, 2))
            for row, amount in zip(entry.rows, amounts, strict=True)
        ]
        title = f"round {number}: weights {entry.version}, {counted(entry.drawn, 'chunk')}, p = {entry.p_value:.4g}"
        print_table(title, ("category", "target", "actual", "seconds" if by_seconds else "count", "z"), rows)
    if report.problem:
        complain(report.problem if report.tested else f"not tested: {report.problem}")
    if report.tested:
        verdict = "fits" if report.fits(significance) else "does NOT fit"
        print_text(f"the distribution {verdict} the weights (significance {significance:g}, {seconds:.1f} s)")
