"""`report`."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from worker.cli.context import AsJson, print_json, print_table, print_text
from worker.errors import SettingsError

_STDIN = Path("-")


def report(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE", help="JSON log lines of one or more workers, or figures of benchmarks; - is stdin."
        ),
    ],
    output: Annotated[
        Path, typer.Option(metavar="PICTURE", help="Where to draw, .png or .svg; what is there is replaced.")
    ] = Path("report.png"),
    *,
    as_json: AsJson = False,
) -> None:
    """Draw logs as one picture of the mix, rate and latency over time, or the figures of benchmarks side by side."""
    from worker.report import make_report  # noqa: PLC0415 - numpy and the report extra, for this verb alone

    summary = make_report(_sources(files), output)
    if as_json:
        print_json({"picture": str(output), **summary.document})
        return
    for sentence in summary.sentences:
        print_text(sentence)
    for table in summary.tables:
        print_table(table.title, table.columns, table.rows)
    print_text(f"drawn: {output}")


def _sources(files: Sequence[Path]) -> Iterator[tuple[str, Iterator[bytes]]]:
    for file in files:
        yield str(file), _lines(file)


def _lines(file: Path) -> Iterator[bytes]:
    if file == _STDIN:
        yield from sys.stdin.buffer
        return
    try:
        with file.open("rb") as lines:
            yield from lines
    except OSError as error:
        raise SettingsError(f"cannot read {file}: {error.strerror}") from error
