"""An import is all or nothing, can be repeated, and is counted for what it did."""

import asyncio
import random
from collections.abc import Iterable, Iterator
from pathlib import Path

import asyncpg
import pytest

from tests.faults.manifest_mutations import mutated
from tests.faults.manifest_reader import read_strictly
from tests.support.library import session
from tests.support.manifest import audioset_manifest
from tests.support.waiting import wait_until
from worker.adapters.postgres.catalog import PostgresCatalog
from worker.adapters.postgres.chunks import CategoryImport, import_chunks
from worker.adapters.postgres.counts import ChunkCount, count_chunks
from worker.adapters.postgres.migrate import migrate
from worker.core.catalog.manifest import ChunkRow, Manifest
from worker.errors import ManifestError, PostgresError


async def rows(url: str) -> list[asyncpg.Record]:
    async with session(url) as connection:
        return await connection.fetch("select path, category, status::text, duration_s from audio_chunks order by path")


async def imported(url: str, chunks: Iterable[ChunkRow]) -> tuple[int, int, int]:
    """Import; return how many chunks are new, changed and unchanged."""
    done = await import_chunks(url, chunks)
    return done.inserted, done.updated, done.unchanged


async def test_new_known_and_unchanged_chunks_are_counted(database_url: str) -> None:
    first = [ChunkRow("a", "voice", duration_s=1.5), ChunkRow("b", "music"), ChunkRow("c", "custom", "PENDING")]
    assert await imported(database_url, first) == (3, 0, 0)
    assert await imported(database_url, first) == (0, 0, 3)
    second = [
        ChunkRow("a", "voice"),
        ChunkRow("b", "voice", duration_s=2.0),
        ChunkRow("c", "custom", "READY"),
        ChunkRow("é\n", "other-one", "FAILED", 0.0),
    ]
    assert await imported(database_url, second) == (1, 2, 1)
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
    chunks = [ChunkRow(f"chunk {number}", "Not A Category" if number in {7, 9} else "voice") for number in range(20)]
    with pytest.raises(ManifestError, match=r"^the rows, line 8: PostgreSQL refuses it: .* violates check constraint"):
        await import_chunks(database_url, chunks)
    assert await rows(database_url) == []


async def test_value_that_does_not_fit_its_column_is_named_by_its_line(database_url: str) -> None:
    async with session(database_url) as connection:
        await connection.execute("alter table audio_chunks alter column path type varchar(20)")
    chunks = [ChunkRow(f"{number:0{21 if number == 7 else 20}}", "voice", line=2 * number) for number in range(9)]
    with pytest.raises(ManifestError, match=r"^the rows, line 14: PostgreSQL refuses it: value too long"):
        await import_chunks(database_url, chunks)
    assert await rows(database_url) == []


@pytest.mark.parametrize(
    "statement",
    [
        "alter table audio_chunks add column note text not null default null",
        "alter table audio_chunks add check (category <> 'music')",
        "alter table audio_chunks alter column duration_s type smallint, add check (path <> 'chunk 5')",
        (
            "create function refuse() returns trigger language plpgsql as"
            " $$ begin if new.category = 'music' then raise exception 'no music here'; end if; return new; end $$;"
            " create trigger refuse before insert on audio_chunks for each row execute function refuse()"
        ),
    ],
    ids=["not null", "check", "type and check", "trigger"],
)
async def test_line_that_a_library_refuses_is_named(database_url: str, statement: str) -> None:
    async with session(database_url) as connection:
        await connection.execute(statement)
    chunks = [ChunkRow(f"chunk {number}", "music" if number == 5 else "voice", line=number + 2) for number in range(9)]
    line = 2 if "not null" in statement else 7
    with pytest.raises(ManifestError, match=rf"^the rows, line {line}: PostgreSQL refuses it: "):
        await import_chunks(database_url, chunks)
    assert await rows(database_url) == []


async def test_rows_that_say_the_same_are_one(database_url: str) -> None:
    chunks = [ChunkRow("a", "voice", line=2), ChunkRow("b", "music", line=3), ChunkRow("a", "voice", line=9)]
    done = await import_chunks(database_url, [*chunks, ChunkRow("a", "voice", line=10)])
    assert (done.inserted, done.repeated) == (2, 2)


async def test_rows_that_contradict_each_other_are_all_named(database_url: str) -> None:
    chunks = [
        ChunkRow("a", "voice", line=2),
        ChunkRow("b", "voice", line=3),
        ChunkRow("c", "voice", line=4),
        ChunkRow("a", "music", line=5),
        ChunkRow("b", "voice", "FAILED", line=6),
        ChunkRow("c", "voice", duration_s=2.0, line=7),
        ChunkRow("c", "voice", line=8),
    ]
    with pytest.raises(ManifestError) as caught:
        await import_chunks(database_url, chunks)
    assert caught.value.sentences == (
        "the rows, line 5: path 'a' is in line 2 already, and the two lines differ",
        "the rows, line 6: path 'b' is in line 3 already, and the two lines differ",
        "the rows, line 7: path 'c' is in line 4 already, and the two lines differ",
        "the rows: 3 lines are not accepted, nothing is imported",
    )
    assert await rows(database_url) == []


async def test_contradictions_are_told_with_all_else_that_is_wrong(database_url: str) -> None:
    lines = ["path,category", "a,voice", "b,Voice", "a,music", *(f"a,x{number}" for number in range(50)), ""]
    manifest = Manifest("library", ["\n".join(lines).encode()])
    with pytest.raises(ManifestError) as caught:
        await import_chunks(database_url, manifest.rows(), manifest.problems)
    assert caught.value.sentences[0].startswith("library, line 3: category 'Voice'")
    assert caught.value.sentences[1].startswith("library, line 4: path 'a' is in line 2 already")
    assert caught.value.sentences[-1].startswith("library: 52 lines are not accepted")
    assert await rows(database_url) == []


async def test_each_category_is_counted(database_url: str) -> None:
    await import_chunks(database_url, [ChunkRow("a", "voice"), ChunkRow("b", "music", duration_s=1.0)])
    chunks = [ChunkRow("a", "voice", "FAILED"), ChunkRow("b", "music", duration_s=1.0), ChunkRow("c", "music")]
    assert (await import_chunks(database_url, chunks)).categories == (
        CategoryImport("music", rows=2, inserted=1, updated=0, without_duration=1),
        CategoryImport("voice", rows=1, inserted=0, updated=1, without_duration=1),
    )


async def test_import_needs_the_schema(empty_database_url: str) -> None:
    with pytest.raises(PostgresError, match="`sampling-worker migrate` creates audio_chunks"):
        await import_chunks(empty_database_url, [ChunkRow("a", "voice")])


async def test_imports_at_once_in_other_orders_both_end(database_url: str) -> None:
    paths = [f"chunk {number}" for number in range(3000)]
    orders = [paths, paths[::-1], random.Random(1).sample(paths, len(paths)), paths[1500:] + paths[:1500]]
    for _ in range(3):
        names = ["voice", "music", "custom", "voice"]
        done = await asyncio.gather(
            *(
                import_chunks(database_url, [ChunkRow(path, name) for path in order])
                for order, name in zip(orders, names, strict=True)
            )
        )
        assert {one.inserted + one.updated + one.unchanged for one in done} == {3000}
    assert len({row["category"] for row in await rows(database_url)}) == 1


async def test_import_that_another_writer_makes_a_deadlock_with_is_done_again(database_url: str) -> None:
    """The other writer has b and wants a, while the import has a and wants b."""
    await import_chunks(database_url, [ChunkRow("a", "voice"), ChunkRow("b", "voice")])
    async with session(database_url) as writer, session(database_url) as other:
        # The other writer looks for a deadlock late, so that PostgreSQL ends the import.
        await writer.execute(
            "set deadlock_timeout = '60s'; begin; update audio_chunks set duration_s = 1 where path = 'b'"
        )
        task = asyncio.create_task(import_chunks(database_url, [ChunkRow("a", "music"), ChunkRow("b", "music")]))
        waiting = (
            "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
        )
        await wait_until(lambda: other.fetchval(waiting), timeout_s=30, what="the import waits")
        await writer.execute("update audio_chunks set duration_s = 1 where path = 'a'; commit")
        done = await task
    assert (done.inserted, done.updated) == (0, 2)
    assert [row["category"] for row in await rows(database_url)] == ["music", "music"]


async def test_role_that_works_serializably_imports_at_once(database_url: str) -> None:
    name = database_url.rpartition("/")[2]
    async with session(database_url) as connection:
        await connection.execute(f"alter database {name} set default_transaction_isolation = 'serializable'")
    chunks = [ChunkRow(f"chunk {number}", "voice") for number in range(500)]
    done = await asyncio.gather(*(import_chunks(database_url, chunks) for _ in range(4)))
    assert sum(one.inserted for one in done) == 500


async def test_imports_at_once_converge(database_url: str) -> None:
    manifest = [ChunkRow(f"chunk {number}", "voice") for number in range(500)]
    done = await asyncio.gather(*(import_chunks(database_url, manifest) for _ in range(4)))
    assert sum(one.inserted for one in done) == 500
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
    assert await imported(empty_database_url, manifest) == (1, 0, 0)
    assert await imported(empty_database_url, manifest) == (0, 0, 1)
    assert await count_chunks(empty_database_url) == [ChunkCount("voice", "READY", 1, 1.5)]
    unknown = [ChunkRow("b", "voice"), ChunkRow("c", "voice", "FAILED")]
    with pytest.raises(ManifestError, match=r"^the rows, line 2: PostgreSQL refuses it: invalid input value for enum"):
        await import_chunks(empty_database_url, unknown)


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
        ChunkCount("voice", "FAILED", 1, 0.0, undated=1),
        ChunkCount("voice", "READY", 2, 1.5, undated=1),
    ]


async def test_library_holds_what_a_manifest_means(database_url: str) -> None:
    taken = 0
    for seed in range(60):
        draft = mutated(seed)
        manifest = Manifest("library", [draft.content])
        async with session(database_url) as connection:
            await connection.execute("truncate audio_chunks")
        try:
            await import_chunks(database_url, manifest.rows(), manifest.problems)
        except ManifestError:
            assert await rows(database_url) == []
            continue
        meant = read_strictly(draft.content) if draft.rows is None else draft.rows
        assert [tuple(row) for row in await rows(database_url)] == sorted(meant or [])
        taken += 1
    assert 10 < taken < 50


async def test_real_manifest_can_be_imported_twice(database_url: str, tmp_path: Path) -> None:
    manifest = audioset_manifest(tmp_path)
    chunks = list(Manifest(manifest.name, [manifest.read_bytes()]).rows())
    assert await imported(database_url, chunks) == (len(chunks), 0, 0)
    assert await imported(database_url, chunks) == (0, 0, len(chunks))
    catalog = (await PostgresCatalog(database_url).load()).catalog
    assert len(catalog) == len(chunks)
    assert catalog.ready == {count.category: count.count for count in await count_chunks(database_url)}
