"""What `report` does."""

from collections.abc import Sequence
from pathlib import Path

from worker.cli.printing import print_json, print_table, print_text
from worker.cli.progress import shown_while
from worker.report import make_report
from worker.report.files import read_text_lines


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
        print_table(table.title, table.columns, table.rows)
    print_text(f"drawn: {output}")
