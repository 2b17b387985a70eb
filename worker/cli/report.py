"""What `report` does."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from worker.cli.output import complain
from worker.cli.printing import print_json, print_table, print_text
from worker.cli.progress import shown_while
from worker.cli.typed_weights import span_ms
from worker.cli.words import Score, Share, span_text
from worker.errors import SettingsError
from worker.report import Summary, make_report, require_drawing
from worker.report.files import read_text_lines
from worker.report.follow import Callbacks, Follow, follow_logs
from worker.run_dir.ending import Ending

_KINDS: Final = {"share": Share, "expected": Share, "z": Score}
_EVERY_S: Final = 5.0
_FOLLOWED_S: Final = 3600.0
_NAMES: Final = {"expected": "expected share"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is asked for, by the options of the same names; `files` may hold `-`, standard input."""

    files: Sequence[Path]
    output: Path
    follow: bool
    every: float | None
    last: str | None
    with_checks: bool
    as_json: bool


def report_logs(wanted: Wanted) -> None:
    """Draw logs as a picture, and print what it shows.

    Args:
        wanted: What is asked for.

    Raises:
        SettingsError: The options do not go together, or nothing can be drawn.
    """
    if wanted.every is not None and not wanted.follow:
        raise SettingsError("--every without --follow is not accepted; accepted: both, to draw again and again")
    last_s = span_ms(wanted.last) / 1000 if wanted.last else None
    if wanted.follow:
        _follow(wanted, _FOLLOWED_S if last_s is None else last_s)
        return
    sources = ((str(file), read_text_lines(file)) for file in wanted.files)
    with shown_while("reading and drawing"):
        summary = make_report(sources, wanted.output, with_checks=wanted.with_checks, last_s=last_s)
    _print_summary(summary, wanted)


def _follow(wanted: Wanted, last_s: float) -> None:
    """Draw the end of logs until a signal comes, then print what the last picture shows."""
    require_drawing(wanted.output)
    every_s = _EVERY_S if wanted.every is None else wanted.every
    if not wanted.as_json:
        print_text(f"{wanted.output} is drawn every {span_text(every_s)}, the last {span_text(last_s)} of the log")

    def tell(summary: Summary) -> None:
        if wanted.as_json:
            _print_summary(summary, wanted)

    with Ending() as ending:
        what = Follow(wanted.files, wanted.output, wanted.with_checks, every_s, last_s)
        summary = follow_logs(what, Callbacks(ending.wait, tell, complain))
    if summary is not None:
        _print_summary(summary, wanted)


def _print_summary(summary: Summary, wanted: Wanted) -> None:
    if wanted.as_json:
        print_json({"picture": str(wanted.output), **summary.document})
        return
    for sentence in summary.sentences:
        print_text(sentence)
    for table in summary.tables:
        rows = [[_cell(name, cell) for name, cell in zip(table.columns, row, strict=True)] for row in table.rows]
        print_table(table.title, [_NAMES.get(name, name) for name in table.columns], rows)
    print_text(f"drawn: {wanted.output}")


def _cell(column: str, cell: Any) -> Any:
    """Mark a number by what its column holds, so that it is shown as everywhere."""
    return _KINDS[column](cell) if column in _KINDS and isinstance(cell, float) else cell
