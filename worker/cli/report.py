"""`report`."""

from pathlib import Path
from typing import Annotated

import typer

from worker.cli.context import AsJson, print_json, print_table, print_text
from worker.report.files import read_text_lines


def report(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE", help="JSON log lines of one or more workers; - is stdin."),
    ],
    output: Annotated[
        Path, typer.Option(metavar="PICTURE", help="Where to draw, .png or .svg; what is there is replaced.")
    ] = Path("report.png"),
    *,
    all_: Annotated[bool, typer.Option("--all", help="Show what `check` has drawn as well.")] = False,
    as_json: AsJson = False,
) -> None:
    """Draw logs as one picture of the mix, rate and latency over time."""
    from worker.report import make_report  # noqa: PLC0415 - numpy and the report extra, for this verb alone

    sources = ((str(file), read_text_lines(file)) for file in files)
    summary = make_report(sources, output, with_checks=all_)
    if as_json:
        print_json({"picture": str(output), **summary.document})
        return
    for sentence in summary.sentences:
        print_text(sentence)
    for table in summary.tables:
        print_table(table.title, table.columns, table.rows)
    print_text(f"drawn: {output}")
