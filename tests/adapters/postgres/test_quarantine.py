"""Chunks that are taken out stay out, whoever imports or scans, until they are released to what they were before."""

import asyncio

import asyncpg
import pytest

from tests.support.library import session
from tests.support.waiting import wait_until
from worker.adapters.postgres.chunks import import_chunks
from worker.adapters.postgres.migrate import migrate
from worker.adapters.postgres.quarantine import (
    Outcome,
    list_quarantines,
    quarantine_chunks,
    release_chunks,
)
from worker.adapters.postgres.scanned import Scope, register_scanned
from worker.core.catalog.manifest import ChunkRow
from worker.core.keys import CATALOG_CHANNEL
from worker.errors import PostgresError

ROWS = [
    ChunkRow("/a/1.wav", "voice"),
    ChunkRow("/a/2.wav", "voice", start_s=0.0),
    ChunkRow("/a/2.wav", "voice", start_s=5.0),
    ChunkRow("/a/3.wav", "music", "PENDING"),
    ChunkRow("/a/4.wav", "music", "FAILED", error="no audio"),
]
BELOW = Scope(folders=["/a/"])


def called(*names: str) -> list[tuple[str, ...]]:
    return [(name,) for name in names]


async def take(url: str, *names: str, reason: str = "noise", who: str = "ada") -> Outcome:
    return await quarantine_chunks(url, called(*names), reason=reason, who=who)


async def put_back(url: str, *names: str) -> Outcome:
    return await release_chunks(url, called(*names), who="bob")


async def statuses(url: str) -> list[str]:
    async with session(url) as connection:
        rows = await connection.fetch("select status::text from audio_chunks order by path, start_s")
    return [status for (status,) in rows]


async def ids_by_path(url: str) -> dict[str, str]:
    async with session(url) as connection:
        rows = await connection.fetch("select path, id::text from audio_chunks where start_s is distinct from 5")
    return {row[0]: row[1] for row in rows}


async def execute(url: str, *statements: str) -> None:
    async with session(url) as connection:
        for statement in statements:
            await connection.execute(statement)


async def test_chunks_go_back_to_what_they_were(database_url: str) -> None:
    await import_chunks(database_url, ROWS)
    before = await statuses(database_url)
    first = (await ids_by_path(database_url))["/a/1.wav"]
    outcome = await take(database_url, first, "/a/2.wav", "/a/3.wav", "/a/4.wav", "77", "/none", "9" * 19)
    assert (len(outcome.changed), outcome.unchanged, outcome.unknown) == (5, (), ("77", "/none", "9" * 19))
    assert await statuses(database_url) == ["QUARANTINED"] * 5
    again = await take(database_url, first, "/a/2.wav", reason="another")
    assert (again.changed, len(again.unchanged), again.unknown) == ((), 3, ())
    listed = await list_quarantines(database_url)
    assert [(one.path, one.start_s, one.status_before) for one in listed] == [
        (row.path, row.start_s, row.status) for row in ROWS
    ]
    assert {(one.reason, one.who, one.released_at, one.status) for one in listed} == {
        ("noise", "ada", None, "QUARANTINED")
    }
    freed = await put_back(database_url, "/a/1.wav", "/a/2.wav", "/a/3.wav", "/a/4.wav", "x")
    assert (len(freed.changed), freed.unchanged, freed.unknown) == (5, (), ("x",))
    assert await statuses(database_url) == before
    async with session(database_url) as connection:
        assert await connection.fetchval("select error from audio_chunks where path = '/a/4.wav'") == "no audio"
    assert await list_quarantines(database_url) == []
    kept = await list_quarantines(database_url, with_released=True)
    assert {(one.who, one.released_by) for one in kept} == {("ada", "bob")}
    assert (await put_back(database_url, first)).unchanged == (first,)


async def test_one_notification_tells_of_all(database_url: str) -> None:
    await import_chunks(database_url, ROWS[:3])
    told: list[str] = []
    async with session(database_url) as listener:
        await listener.add_listener(CATALOG_CHANNEL, lambda *words: told.append(str(words[3])))
        await take(database_url, "/a/1.wav", "/a/2.wav")
        await execute(database_url, f"select pg_notify('{CATALOG_CHANNEL}', 'the end')")
        await wait_until(lambda: "the end" in told, timeout_s=60, what="all was heard")
    assert [len(words.split(",")) for words in told[:-1]] == [3]


async def test_no_import_brings_a_chunk_back(database_url: str) -> None:
    await import_chunks(database_url, ROWS)
    await take(database_url, "/a/1.wav", "/a/3.wav")
    every = [ChunkRow(row.path, "voice", duration_s=2.0, start_s=row.start_s) for row in ROWS]
    done = await import_chunks(database_url, every)
    assert (done.held, done.updated) == (2, 5)
    assert await statuses(database_url) == ["QUARANTINED", "READY", "READY", "QUARANTINED", "READY"]
    assert (await import_chunks(database_url, every)).updated == 0
    await put_back(database_url, "/a/1.wav", "/a/3.wav")
    assert await statuses(database_url) == ["READY", "READY", "READY", "PENDING", "READY"]


async def test_an_import_that_began_before_brings_nothing_back(database_url: str) -> None:
    await import_chunks(database_url, ROWS[:1])

    async def meanwhile(_: object) -> None:
        assert len((await take(database_url, "/a/1.wav")).changed) == 1

    await import_chunks(database_url, [ChunkRow("/a/1.wav", "music")], beside=meanwhile)
    assert await statuses(database_url) == ["QUARANTINED"]


async def test_a_scan_brings_nothing_back_and_says_what_a_release_does(database_url: str) -> None:
    await register_scanned(database_url, ROWS[:2], BELOW)
    await take(database_url, "/a/1.wav", "/a/2.wav")
    assert (await register_scanned(database_url, ROWS[:2], BELOW)).imported.held == 2
    gone = await register_scanned(database_url, ROWS[:1], BELOW)
    assert (gone.gone, gone.kept, gone.imported.held) == (0, 0, 1)
    assert await statuses(database_url) == ["QUARANTINED"] * 2
    assert [one.status_before for one in await list_quarantines(database_url)] == ["READY", "FAILED"]
    await put_back(database_url, "/a/2.wav")
    assert await statuses(database_url) == ["QUARANTINED", "FAILED"]
    await register_scanned(database_url, ROWS[:2], BELOW)
    assert await statuses(database_url) == ["QUARANTINED", "READY"]


async def test_a_chunk_that_was_deleted_comes_again_in_quarantine(database_url: str) -> None:
    await import_chunks(database_url, ROWS[:1])
    await take(database_url, "/a/1.wav")
    await execute(database_url, "delete from audio_chunks")
    [lost] = await list_quarantines(database_url)
    assert lost.status is None
    assert (await import_chunks(database_url, ROWS[:1])).held == 1
    assert await statuses(database_url) == ["QUARANTINED"]
    [known] = await list_quarantines(database_url)
    assert known.id == (await ids_by_path(database_url))["/a/1.wav"] != lost.id
    await put_back(database_url, known.id)
    assert await statuses(database_url) == ["READY"]


async def test_what_others_change_is_shown_and_taken_out_again(database_url: str) -> None:
    await import_chunks(database_url, ROWS[:2])
    await take(database_url, "/a/1.wav")
    await execute(database_url, "update audio_chunks set status = 'PENDING' where path = '/a/1.wav'")
    assert [one.status for one in await list_quarantines(database_url)] == ["PENDING"]
    assert len((await take(database_url, "/a/1.wav", reason="again")).changed) == 1
    [one] = await list_quarantines(database_url)
    assert (one.reason, one.status_before) == ("again", "PENDING")
    await execute(database_url, "update audio_chunks set status = 'QUARANTINED' where path = '/a/2.wav'")
    assert len((await take(database_url, "/a/2.wav")).changed) == 1
    await put_back(database_url, "/a/1.wav", "/a/2.wav")
    assert await statuses(database_url) == ["PENDING", "READY"]


async def test_calls_at_once_note_the_status_before_once(database_url: str) -> None:
    await import_chunks(database_url, ROWS)
    outcomes = await asyncio.gather(*(take(database_url, "/a/3.wav", "/a/1.wav", "/a/2.wav") for _ in range(6)))
    assert sorted(len(outcome.changed) for outcome in outcomes) == [0, 0, 0, 0, 0, 4]
    freed = await asyncio.gather(*(put_back(database_url, "/a/1.wav", "/a/2.wav", "/a/3.wav") for _ in range(6)))
    assert sum(len(outcome.changed) for outcome in freed) == 4
    assert await statuses(database_url) == ["READY", "READY", "READY", "PENDING", "FAILED"]


@pytest.mark.parametrize(
    ("id_type", "first", "unknown"),
    [
        ("smallint", "7", "70000"),
        ("integer", "7", "5000000000"),
        ("uuid", "00000000-0000-0000-0000-000000000007", "00000000-0000-0000-0000-000000000008"),
    ],
)
async def test_ids_of_every_type(empty_database_url: str, id_type: str, first: str, unknown: str) -> None:
    await execute(
        empty_database_url,
        f"create table audio_chunks (id {id_type}, status varchar(20), category text)",
        f"insert into audio_chunks values ('{first}', 'READY', 'voice')",  # noqa: S608 - a test's
    )
    await migrate(empty_database_url)
    outcome = await take(empty_database_url, first, unknown)
    assert (outcome.changed, outcome.unknown) == ((first,), (unknown,))
    assert (await put_back(empty_database_url, first)).changed == (first,)


async def test_ids_of_a_table_that_was_swapped_are_set_aside(database_url: str) -> None:
    await import_chunks(database_url, ROWS[:1])
    await take(database_url, "/a/1.wav")
    await execute(
        database_url,
        "drop table audio_chunks",
        "create table audio_chunks (id uuid default gen_random_uuid(), status text, category text)",
        "insert into audio_chunks (status, category) values ('READY', 'voice')",
    )
    await migrate(database_url)
    assert await list_quarantines(database_url) == []
    async with session(database_url) as connection:
        assert await connection.fetchval("select count(*) from chunk_quarantine_by_bigint") == 1


@pytest.mark.parametrize(
    "status",
    ["text check (status in ('READY', 'DONE'))", "states"],
)
async def test_a_status_that_does_not_know_it_is_told(empty_database_url: str, status: str) -> None:
    await execute(
        empty_database_url,
        "create type states as enum ('READY', 'DONE', 'FAILED')",
        f"create table audio_chunks (id bigint, status {status}, category text)",
        "insert into audio_chunks values (1, 'READY', 'voice')",
    )
    await migrate(empty_database_url)
    with pytest.raises(PostgresError, match=r"refuses it.*accepted: a check or type of audio_chunks.status that has"):
        await take(empty_database_url, "1")
    assert await statuses(empty_database_url) == ["READY"]


async def test_an_enumeration_that_knows_it_will_do(empty_database_url: str) -> None:
    await execute(
        empty_database_url,
        "create type states as enum ('READY', 'FAILED', 'QUARANTINED')",
        "create table audio_chunks (id bigint generated always as identity, status states, category text, path text)",
        "insert into audio_chunks (status, category, path) values ('READY', 'voice', '/a/1.wav')",
    )
    await migrate(empty_database_url)
    await take(empty_database_url, "1")
    assert (await import_chunks(empty_database_url, ROWS[:1])).held == 1
    await put_back(empty_database_url, "1")
    assert await statuses(empty_database_url) == ["READY"]


async def test_a_library_of_before_gets_the_wider_check(empty_database_url: str) -> None:
    listed = "'PENDING', 'PROCESSING', 'READY', 'FAILED'"
    await execute(
        empty_database_url,
        f"create table audio_chunks (id bigint, category text, path text, status text check (status in ({listed})))",
        "insert into audio_chunks values (1, 'voice', 'a', 'READY')",
    )
    await migrate(empty_database_url)
    await take(empty_database_url, "1")
    with pytest.raises(asyncpg.CheckViolationError):
        await execute(empty_database_url, "update audio_chunks set status = 'ready'")
    async with session(empty_database_url) as connection:
        assert await connection.fetchval("select bool_and(convalidated) from pg_constraint where contype = 'c'")


async def test_an_earlier_schema_is_told_and_its_imports_go_on(database_url: str) -> None:
    await execute(database_url, "drop table chunk_quarantine")
    assert (await import_chunks(database_url, ROWS)).held == 0
    with pytest.raises(PostgresError, match="`sampling-worker migrate` creates audio_chunks and chunk_quarantine"):
        await list_quarantines(database_url)
