"""An import is all or nothing, can be repeated, and is counted for what it did."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from tests.support.library import session
from tests.support.manifest import audioset_manifest
from worker.adapters.postgres_catalog import PostgresCatalog
from worker.adapters.postgres_chunks import ChunkCount, Imported, count_chunks, import_chunks
from worker.adapters.postgres_migrations import migrate
from worker.core.manifest import ChunkRow, read_manifest
from worker.errors import ManifestError, PostgresError


async def rows(url: str) -> list[asyncpg.Record]:
    async with session(url) as connection:
        return await connection.fetch("select path, category, status::text, duration_s from audio_chunks order by path")


async def test_new_known_and_unchanged_chunks_are_counted(database_url: str) -> None:
    first = [ChunkRow("a", "voice", duration_s=1.5), ChunkRow("b", "music"), ChunkRow("c", "custom", "PENDING")]
    assert await import_chunks(database_url, first) == Imported(inserted=3, updated=0, unchanged=0)
    assert await import_chunks(database_url, first) == Imported(inserted=0, updated=0, unchanged=3)
    second = [
        ChunkRow("a", "voice"),
        ChunkRow("b", "voice", duration_s=2.0),
        ChunkRow("c", "custom", "READY"),
        ChunkRow("é\n", "other-one", "FAILED", 0.0),
    ]
    assert await import_chunks(database_url, second) == Imported(inserted=1, updated=2, unchanged=1)
    assert [tuple(row) for row in await rows(database_url)] == [
        ("a", "voice", "READY", 1.5),
        ("b", "voice", "READY", 2.0),
        ("c", "custom", "READY", None),
        ("é\n", "other-one", "FAILED", 0.0),
    ]


async def test_ids_stay_what_they_were(database_url: str) -> None:
    await import_chunks(database_url, [ChunkRow("a", "voice")])
    before = (await PostgresCatalog(database_url).load()).catalog
    await import_chunks(database_url, [ChunkRow("a", "music")])
    after = (await PostgresCatalog(database_url).load()).catalog
    assert (after.ids.tolist(), after.categories) == (before.ids.tolist(), ("music",))


async def test_import_that_fails_leaves_nothing(database_url: str) -> None:
    def bad_manifest() -> Iterator[ChunkRow]:
        for number in range(5000):
            yield ChunkRow(f"chunk {number}", "voice")
        raise ManifestError("line 5001 is wrong")

    with pytest.raises(ManifestError, match="line 5001 is wrong"):
        await import_chunks(database_url, bad_manifest())
    assert await rows(database_url) == []


async def test_what_postgresql_refuses_is_explained(database_url: str) -> None:
    with pytest.raises(PostgresError, match="violates check constraint"):
        await import_chunks(database_url, [ChunkRow("a", "voice"), ChunkRow("b", "Not A Category")])
    assert await rows(database_url) == []


async def test_import_needs_the_schema(empty_database_url: str) -> None:
    with pytest.raises(PostgresError, match="`sampling-worker migrate` creates audio_chunks"):
        await import_chunks(empty_database_url, [ChunkRow("a", "voice")])


async def test_imports_at_once_converge(database_url: str) -> None:
    manifest = [ChunkRow(f"chunk {number}", "voice") for number in range(500)]
    done = await asyncio.gather(*(import_chunks(database_url, manifest) for _ in range(4)))
    assert sum(imported.inserted for imported in done) == 500
    assert len(await rows(database_url)) == 500


async def test_own_table_of_other_types_takes_an_import(empty_database_url: str) -> None:
    async with session(empty_database_url) as connection:
        await connection.execute("create type stage as enum ('PENDING', 'READY')")
        await connection.execute(
            "create table audio_chunks (id uuid primary key default gen_random_uuid(), category varchar(64),"
            " status stage, duration_s numeric, path varchar(500))"
        )
    await migrate(empty_database_url)
    manifest = [ChunkRow("a", "voice", "READY", 1.5)]
    assert await import_chunks(empty_database_url, manifest) == Imported(1, 0, 0)
    assert await import_chunks(empty_database_url, manifest) == Imported(0, 0, 1)
    assert await count_chunks(empty_database_url) == [ChunkCount("voice", "READY", 1, 1.5)]


async def test_chunks_are_counted_by_category_and_status(database_url: str) -> None:
    await import_chunks(
        database_url,
        [
            ChunkRow("a", "voice", "READY", 1.5),
            ChunkRow("b", "voice", "READY"),
            ChunkRow("c", "voice", "FAILED"),
            ChunkRow("d", "music", "READY", 3),
        ],
    )
    assert await count_chunks(database_url) == [
        ChunkCount("music", "READY", 1, 3.0),
        ChunkCount("voice", "FAILED", 1, 0.0),
        ChunkCount("voice", "READY", 2, 1.5),
    ]


async def test_real_manifest_can_be_imported_twice(database_url: str, tmp_path: Path) -> None:
    manifest = audioset_manifest(tmp_path)
    chunks = list(read_manifest(manifest.name, manifest.read_bytes()))
    assert await import_chunks(database_url, chunks) == Imported(len(chunks), 0, 0)
    assert await import_chunks(database_url, chunks) == Imported(0, 0, len(chunks))
    catalog = (await PostgresCatalog(database_url).load()).catalog
    assert len(catalog) == len(chunks)
    assert catalog.ready == {count.category: count.count for count in await count_chunks(database_url)}
