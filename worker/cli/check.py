"""What `check` does."""

import asyncio
import time

import click

from worker.admin.check import Report, run_check
from worker.cli.context import open_redis
from worker.cli.output import complain
from worker.cli.printing import print_json, print_table, print_text
from worker.cli.words import Score, Share, counted, p_text


def check_installation(samples: int, significance: float, timeout_s: float, *, as_json: bool) -> None:
    """Run the acceptance test, and print its outcome.

    Args:
        samples: Chunks drawn in each round.
        significance: False alarms accepted.
        timeout_s: Longest wait of a round.
        as_json: Whether to print JSON.
    """

    async def work() -> Report:
        async with open_redis() as opened:
            return await run_check(opened.client, opened.keys, samples=samples, timeout_s=timeout_s, tell=complain)

    started = time.monotonic()
    report = asyncio.run(work())
    fits = report.fits(significance)
    if as_json:
        print_json({**report.as_dict(), "significance": significance, "fits": fits})
    else:
        _print_report(report, significance, seconds=time.monotonic() - started)
    if not fits or report.left:
        raise click.exceptions.Exit(1)


def _print_report(report: Report, significance: float, *, seconds: float) -> None:
    for number, entry in enumerate(report.rounds, 1):
        by_seconds = any(row.seconds is not None for row in entry.rows)
        amounts = [row.count if row.seconds is None else row.seconds for row in entry.rows]
        rows = [
            (row.category, Share(row.target), Share(amount / entry.total), amount, Score(row.z))
            for row, amount in zip(entry.rows, amounts, strict=True)
        ]
        title = f"round {number}: weights {entry.version}, {counted(entry.drawn, 'chunk')}, p = {p_text(entry.p_value)}"
        print_table(title, ("category", "target", "actual", "seconds" if by_seconds else "count", "z"), rows)
    if report.problem:
        complain(report.problem if report.tested else f"not tested: {report.problem}")
    if report.tested:
        fits = report.fits(significance)
        verdict = f"the distribution {'fits' if fits else 'does NOT fit'} the weights"
        print_text(f"{verdict} (significance {significance:g}, {seconds:.1f} s)", "fits" if fits else "wrong")
