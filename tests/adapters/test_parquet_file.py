"""Parquet files are read and written in portions, and other files are refused in a sentence."""

import io
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from worker.adapters.parquet_file import read_table, write_table
from worker.errors import ManifestError, SettingsError

COLUMNS = {"id": "int", "category": "text", "duration_s": "float"}
ROWS: list[Sequence[object]] = [(number, "voice" if number % 2 else None, number / 4) for number in range(1000)]


async def portions() -> AsyncIterator[Sequence[Sequence[object]]]:
    for start in range(0, len(ROWS), 300):
        yield ROWS[start : start + 300]


async def test_what_is_written_is_read_back_by_row_group(tmp_path: Path) -> None:
    from pyarrow import parquet

    with (tmp_path / "a.parquet").open("wb") as file:
        await write_table(file, COLUMNS, portions())
    assert parquet.ParquetFile(tmp_path / "a.parquet").num_row_groups == 4
    table = read_table("a.parquet", tmp_path / "a.parquet")
    assert table.names == list(COLUMNS)
    assert list(table.read([0, 1, 2])) == ROWS
    assert list(table.read([2, 0])) == [(row[2], row[0]) for row in ROWS]


def test_texts_that_are_kept_once_are_read(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    column = pa.array(["voice", "music", "voice"]).dictionary_encode()
    parquet.write_table(pa.table({"category": column, "duration": pa.array([1, 2, None], "float32")}), tmp_path / "a")
    assert list(read_table("a", tmp_path / "a").read([0, 1])) == [("voice", 1.0), ("music", 2.0), ("voice", None)]


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + bytes(100) + b"PAR1", b"path,category\n"])
def test_what_is_no_parquet_file_is_refused(content: bytes) -> None:
    with pytest.raises(ManifestError, match=r"^a\.parquet is no Parquet file that can be read: \w"):
        read_table("a.parquet", io.BytesIO(content))


def test_damage_within_a_file_is_said(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    written = tmp_path / "a.parquet"
    parquet.write_table(pa.table({"path": [f"{number * 7919 % 10007}.wav" for number in range(10_000)]}), written)
    content = bytearray(written.read_bytes())
    content[200 : len(content) // 2] = bytes(len(content) // 2 - 200)
    with pytest.raises(ManifestError, match=r"^a\.parquet is no Parquet file that can be read: \w"):
        list(read_table("a.parquet", io.BytesIO(bytes(content))).read([0]))


def test_without_the_extra_it_is_said_which_is_needed() -> None:
    program = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "from worker.adapters.parquet_file import require_parquet\n"
        "try: require_parquet()\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (
        done.stdout
        == f"{SettingsError.__name__} Parquet needs the extra `parquet`: pip install 'sampling-worker[parquet]'\n"
    )
