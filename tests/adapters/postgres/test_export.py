"""An export holds the READY chunks, as server text or row by row, and is read back the same."""

import csv
import io
import json
import uuid
from collections.abc import Sequence
from typing import Any

import pytest

from tests.support.library import session
from worker.adapters.postgres.chunks import import_chunks
from worker.adapters.postgres.export import Selection, TextFormat, open_export
from worker.core.catalog.manifest import ChunkRow, Manifest
from worker.errors import OutputError, PostgresError

ODD_PATHS = [
    "a b.wav",
    'say "hello" twice.wav',
    "a,b;c.wav",
    " blanks ",
    "e\u0301/日本.wav",
    "#1.wav",
    "C:\\new\\1.wav",
    "it's",
]
CHUNKS = [
    *(ChunkRow(path, "voice", "READY", 1.5, float(at), "train") for path in ODD_PATHS for at in range(2)),
    ChunkRow("whole.flac", "music", "READY", 0.1 + 0.2),
    ChunkRow("whole2.flac", "music", "READY", None, None, "val"),
    ChunkRow("failed.flac", "music", "FAILED", 3.0),
    ChunkRow("pending.flac", "music", "PENDING", 3.0),
]
READY = sorted((row for row in CHUNKS if row.status == "READY"), key=lambda row: (row.path, row.start_s or 0))
ALL = Selection()


async def execute(url: str, statement: str) -> None:
    async with session(url) as connection:
        await connection.execute(statement)


async def exported(url: str, form: TextFormat, selection: Selection = ALL) -> tuple[bytes, int]:
    written = io.BytesIO()
    async with open_export(url, selection) as export:
        count = await export.write_text(form, written.write)
        assert count == export.count
    return written.getvalue(), count


async def rows_of(url: str, selection: Selection) -> list[Sequence[Any]]:
    async with open_export(url, selection) as export:
        return [row async for rows in export.portions() for row in rows]


def read_back(content: bytes) -> list[ChunkRow]:
    manifest = Manifest("export", [content])
    rows = list(manifest.rows())
    manifest.problems.raise_any()
    return sorted(rows, key=lambda row: (row.path, row.start_s or 0))


@pytest.mark.parametrize("form", ["csv", "jsonl"])
async def test_import_reads_back_what_export_writes(database_url: str, form: TextFormat) -> None:
    await import_chunks(database_url, CHUNKS)
    content, count = await exported(database_url, form)
    assert count == len(READY)
    assert read_back(content) == READY
    again = await import_chunks(database_url, read_back(content))
    assert (again.inserted, again.updated, again.unchanged) == (0, 0, len(READY))


async def test_rows_are_those_of_the_text(database_url: str) -> None:
    await import_chunks(database_url, CHUNKS)
    content, _ = await exported(database_url, "csv")
    header, *text = csv.reader(io.StringIO(content.decode(), newline=""))
    assert header == ["id", "category", "path", "start_s", "duration_s", "split"]
    rows = await rows_of(database_url, ALL)
    assert [[str(row[0]), *row[1:3]] for row in rows] == [row[:3] for row in text]
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)


async def test_a_selection_is_exported(database_url: str) -> None:
    await import_chunks(database_url, CHUNKS)
    music, count = await exported(database_url, "csv", Selection(categories=["music", "custom"]))
    assert (count, {row.category for row in read_back(music)}) == (2, {"music"})
    assert [row[2] for row in await rows_of(database_url, Selection(split="val"))] == ["whole2.flac"]


async def test_split_is_left_out_where_there_is_none(database_url: str) -> None:
    await import_chunks(database_url, [ChunkRow("a", "voice")])
    content, _ = await exported(database_url, "jsonl")
    assert [list(json.loads(line)) for line in content.splitlines()] == [["id", "category", "path"]]
    assert (await exported(database_url, "csv"))[0].startswith(b"id,category,path,start_s,duration_s\n")


async def test_what_is_no_number_of_seconds_is_left_out(database_url: str) -> None:
    await execute(
        database_url,
        "insert into audio_chunks (path, category, status, duration_s, split) values"
        " ('a', 'voice', 'READY', 'NaN', ''), ('b', 'voice', 'READY', 'infinity', null)",
    )
    for form in ("csv", "jsonl"):
        assert read_back((await exported(database_url, form))[0]) == [ChunkRow("a", "voice"), ChunkRow("b", "voice")]


async def test_chunks_that_no_import_takes_are_counted(database_url: str, empty_database_url: str) -> None:
    named = (
        "select 1 as id, 'a' as path, name as category from (values (null), (''), ('A'), (repeat('a', 65)), ('a-_0'),"
    )
    async with open_export(empty_database_url, Selection(f"{named} ('é')) as given (name)")) as export:
        assert (export.count, export.refused) == (6, 5)
    await execute(
        database_url,
        "insert into audio_chunks (path, category, status) values (null, 'voice', 'READY'), ('a', 'voice', 'READY'),"
        " ('a' || chr(10), 'voice', 'READY'), ('\"a\"', 'voice', 'READY'), ('', 'voice', 'READY'),"
        " (repeat('é', 1001), 'voice', 'READY'), (null, 'voice', 'FAILED')",
    )
    async with open_export(database_url, ALL) as export:
        assert (export.count, export.refused) == (6, 5)


async def test_a_query_is_exported_with_the_columns_that_it_has(database_url: str, empty_database_url: str) -> None:
    ids = [str(uuid.UUID(int=number)) for number in range(3)]
    await execute(empty_database_url, "create table sounds (uid uuid, kind text, secs real)")
    for one in ids:
        await execute(empty_database_url, f"insert into sounds values ('{one}', 'voice', 2.5)")  # noqa: S608 - our own ids
    query = "select uid as id, kind as category, secs as duration_s, now() as since from sounds -- ours\n;"
    content, _ = await exported(empty_database_url, "jsonl", Selection(query))
    objects = [json.loads(line) for line in content.splitlines()]
    assert objects == [{"id": one, "category": "voice", "duration_s": 2.5} for one in ids]
    assert await rows_of(empty_database_url, Selection(query)) == [(one, "voice", 2.5) for one in ids]
    with pytest.raises(PostgresError, match="WORKER_CHUNKS_QUERY has no column category; exported are id, category,"):
        await exported(database_url, "csv", Selection("select id from audio_chunks"))


async def test_failure_of_the_file_is_not_that_of_the_server(database_url: str) -> None:
    await import_chunks(database_url, CHUNKS)

    def fail(_: bytes) -> None:
        raise OutputError("a.csv cannot be written: No space left on device")

    with pytest.raises(OutputError, match="No space left"):
        async with open_export(database_url, ALL) as export:
            await export.write_text("csv", fail)
