"""Parquet files, read and written in portions. Only this module imports pyarrow, the extra `parquet`."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final

from worker.core.catalog.manifest import Table
from worker.errors import ManifestError, SettingsError

MAGIC: Final = b"PAR1"

_ROWS_A_PORTION = 16_384
_LACKING = "Parquet needs the extra `parquet`: pip install 'sampling-worker[parquet]'"
_TYPES: Final = {"int": "int64", "float": "float64", "text": "string"}


def read_table(name: str, file: IO[bytes] | Path) -> Table:
    """Open a Parquet file; its rows are read by row group, and only the columns that are wanted.

    Args:
        name: What it is called in sentences.
        file: A path, or a file that can seek.

    Raises:
        ManifestError: It cannot be read.
        SettingsError: The extra is not installed.
    """
    arrow, parquet = _pyarrow()
    try:
        opened = parquet.ParquetFile(file)
    except (arrow.ArrowException, OSError) as error:
        raise _unreadable(name, error) from error

    def read(wanted: Sequence[int]) -> Iterator[Sequence[object]]:
        columns = [opened.schema_arrow.names[index] for index in wanted]
        try:
            for batch in opened.iter_batches(batch_size=_ROWS_A_PORTION, columns=columns):
                yield from zip(*(batch.column(column).to_pylist() for column in columns), strict=True)
        except (arrow.ArrowException, OSError) as error:
            raise _unreadable(name, error) from error

    return Table(opened.schema_arrow.names, read)


async def write_table(
    file: IO[bytes], columns: Mapping[str, str], portions: AsyncIterator[Sequence[Sequence[object]]]
) -> None:
    """Write rows as a Parquet file, a row group for each portion.

    Args:
        file: Where to write.
        columns: Name -> `int`, `float` or `text`.
        portions: The rows, each with a value or None for each column.

    Raises:
        SettingsError: The extra is not installed.
    """
    arrow, parquet = _pyarrow()
    schema = arrow.schema([(name, getattr(arrow, _TYPES[kind])()) for name, kind in columns.items()])
    with parquet.ParquetWriter(file, schema) as writer:
        async for rows in portions:
            values = [list(column) for column in zip(*rows, strict=True)]
            arrays = [arrow.array(column, field.type) for column, field in zip(values, schema, strict=True)]
            writer.write_batch(arrow.record_batch(arrays, schema=schema))


def require_parquet() -> None:
    """Refuse to begin where Parquet cannot be written.

    Raises:
        SettingsError: The extra is not installed.
    """
    _pyarrow()


def _pyarrow() -> tuple[Any, Any]:
    """Import pyarrow.

    Raises:
        SettingsError: It is not installed.
    """
    try:
        import pyarrow as pa  # noqa: PLC0415 - an extra, for this format alone
        from pyarrow import parquet  # noqa: PLC0415 - the same
    except ImportError as error:
        raise SettingsError(_LACKING) from error
    return pa, parquet


def _unreadable(name: str, error: Exception) -> ManifestError:
    return ManifestError(f"{name} is no Parquet file that can be read: {str(error).partition(chr(10))[0]}")
