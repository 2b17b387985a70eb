"""What `report` does."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from worker.cli.printing import print_json, print_table, print_text
from worker.cli.progress import shown_while
from worker.cli.words import Score, Share
from worker.report import make_report
from worker.report.files import read_text_lines

_KINDS: Final = {"share": Share, "expected": Share, "z": Score}
_NAMES: Final = {"expected": "expected share"}


def draw_report(files: Sequence[Path], output: Path, *, with_checks: bool, as_json: bool) -> None:
    """Draw logs as a picture, and print what it shows.

    Args:
        files: The logs; `-` is standard input.
        output: Where to draw.
        with_checks: Whether to show what `check` has drawn as well.
        as_json: Whether to print JSON.
    """
    sources = ((str(file), read_text_lines(file)) for file in files)
    with shown_while("reading and drawing"):
        summary = make_report(sources, output, with_checks=with_checks)
    if as_json:
        print_json({"picture": str(output), **summary.document})
        return
    for sentence in summary.sentences:
        print_text(sentence)
    for table in summary.tables:
        rows = [[_cell(name, cell) for name, cell in zip(table.columns, row, strict=True)] for row in table.rows]
        print_table(table.title, [_NAMES.get(name, name) for name in table.columns], rows)
    print_text(f"drawn: {output}")


def _cell(column: str, cell: Any) -> Any:
    """Mark a number by what its column holds, so that it is shown as everywhere."""
    return _KINDS[column](cell) if column in _KINDS and isinstance(cell, float) else cell
