"""What `catalog export` does: write the READY chunks into a file, or to standard output."""

import asyncio
import io
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NoReturn, cast

import click

from worker.adapters.parquet_file import require_parquet, write_table
from worker.adapters.postgres.export import Export, Selection, open_export
from worker.adapters.replaced_file import PACKED_SUFFIX, replaced_file
from worker.cli.library import QUERY, unknown_parts
from worker.cli.output import Output, complain
from worker.cli.printing import print_json, print_text
from worker.cli.progress import counting
from worker.cli.words import counted
from worker.core.keys import CATEGORY_PATTERN
from worker.settings.servers import read_server_settings

STDOUT = "-"

_SIGNALLED = 128  # a shell's status of what a signal has ended, less its number

_SUFFIXES = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet", ".pq": "parquet"}
_LONGEST_SPLIT = 32


def export_chunks(
    file: Path, format_: str | None, *, categories: Sequence[str], split: str | None, as_json: bool
) -> None:
    """Write the READY chunks.

    Args:
        file: Where to write; `-` is standard output.
        format_: `csv`, `jsonl` or `parquet`; None: by the name of the file.
        categories: Only these; empty: all.
        split: Only this; None: all.
        as_json: Whether to print JSON.
    """
    settings = read_server_settings(need=["database"])
    for name, longest in (*((name, 64) for name in categories), *([(split, _LONGEST_SPLIT)] if split else ())):
        if not CATEGORY_PATTERN.fullmatch(name) or len(name) > longest:
            raise click.BadParameter(f"{name!r} is not 1 to {longest} of a-z, 0-9, _ and -")
    if as_json and str(file) == STDOUT:
        raise click.UsageError("--json and - exclude each other, as the export is on standard output; accepted: one")
    form = format_ or _format_of(file)
    if form == "parquet" and file.suffix == PACKED_SUFFIX:
        raise click.BadParameter(f"{file.name!r}: Parquet is compressed in itself; leave {PACKED_SUFFIX} out")
    if form == "parquet":
        require_parquet()
    signal.signal(signal.SIGTERM, _end)
    selection = Selection(settings.chunks_query, categories, split)
    export, count = asyncio.run(_export(settings.database_url, selection, file, form))
    _warn(export, by_query=bool(settings.chunks_query))
    if categories or split:
        for sentence in asyncio.run(unknown_parts(settings, categories, split)):
            complain(sentence)
    if str(file) == STDOUT:
        return
    if as_json:
        print_json({"chunks": count, "file": str(file), "format": form, "columns": list(export.columns)})
    else:
        print_text(f"{counted(count, 'READY chunk')} exported to {file}: {', '.join(export.columns)}")


def _end(number: int, _: object) -> NoReturn:
    """End because of a signal, but remove first what is half written.

    Raises:
        SystemExit: Always.
    """
    raise SystemExit(_SIGNALLED + number)


def _format_of(file: Path) -> str:
    """Return the format that a name asks for."""
    if str(file) == STDOUT:
        return "csv"
    name = file.with_suffix("") if file.suffix == PACKED_SUFFIX else file
    if (form := _SUFFIXES.get(name.suffix.lower())) is None:
        raise click.BadParameter(
            f"{file.name!r} does not say which format is wanted; accepted are names that end with .csv, .jsonl or "
            ".parquet, the first two also with .gz behind them, or --format"
        )
    return form


async def _export(url: str, selection: Selection, file: Path, form: str) -> tuple[Export, int]:
    """Write the chunks, and return what was exported and how many chunks they were."""
    async with open_export(url, selection) as export:
        with counting("exporting", "chunks", export.count) as advance, _opened(file) as out:
            if form == "parquet":
                await write_table(out, export.columns, _counted(export.portions(), advance))
                return export, export.count
            written = _written(out, advance)
            return export, await export.write_text("csv" if form == "csv" else "jsonl", written)


def _written(out: IO[bytes], advance: Callable[[int], None]) -> Callable[[bytes], None]:
    def take(portion: bytes) -> None:
        out.write(portion)
        advance(portion.count(b"\n"))

    return take


async def _counted(
    portions: AsyncIterator[list[Sequence[Any]]], advance: Callable[[int], None]
) -> AsyncIterator[list[Sequence[Any]]]:
    async for rows in portions:
        yield rows
        advance(len(rows))


@contextmanager
def _opened(file: Path) -> Iterator[IO[bytes]]:
    """Open where to write."""
    if str(file) == STDOUT:
        with io.BufferedWriter(_BinaryOutput(), 1 << 16) as out:
            yield cast("IO[bytes]", out)
    else:
        with replaced_file(file) as out:
            yield out


class _BinaryOutput(io.RawIOBase):
    """Standard output as a stream of bytes."""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        cast("Output", sys.stdout).write_bytes(data)
        return len(data)


def _warn(export: Export, *, by_query: bool) -> None:
    """Print what a reader of the export would miss."""
    if by_query:
        complain(f"{QUERY} is set: exported is what it selects")
    if "path" not in export.columns:
        complain("there is no column path, so that `catalog import` cannot read the export")
    elif export.refused:
        have = "has" if export.refused == 1 else "have"
        complain(
            f"{counted(export.refused, 'chunk')} {have} no path, or a path or category that `catalog import` refuses"
        )
    if not export.count:
        complain("no READY chunk was found: the export is empty")
