"""The schema is made where missing and kept where it is the user's own. Its triggers notify only of changes."""

import asyncio
import json
from collections import Counter

import asyncpg
import pytest

from tests.support.library import fill, session
from tests.support.waiting import wait_until
from worker.adapters.postgres.migrate import migrate
from worker.core.keys import CATALOG_CHANNEL
from worker.errors import PostgresError

ALL = [
    "0001_audio_chunks",
    "0002_notify_changes",
    "0003_indexes",
    "0004_quarantine",
    "0005_quarantine_checked",
]
LARGEST_PAYLOAD = 7999
UUID_TABLE = """
create table audio_chunks (
  id uuid primary key default gen_random_uuid(), status varchar(20) not null, category varchar(64) not null,
  speaker text
)"""


async def heard(url: str, *statements: str) -> list[str]:
    """Run statements, each in a transaction of its own, and list the payloads of their notifications."""
    payloads: list[str] = []
    async with session(url) as listener, session(url) as writer:
        await listener.add_listener(CATALOG_CHANNEL, lambda *told: payloads.append(str(told[3])))
        for statement in statements:
            await writer.execute(statement)
        await writer.execute("select pg_catalog.pg_notify($1, 'the end')", CATALOG_CHANNEL)
        await wait_until(lambda: "the end" in payloads, timeout_s=60, what="all was heard")
    return payloads[:-1]


def named(payloads: list[str]) -> Counter[str]:
    return Counter(chunk for payload in payloads for chunk in payload.split(","))


async def execute(url: str, *statements: str) -> None:
    async with session(url) as connection:
        for statement in statements:
            await connection.execute(statement)


# --- what is made


async def test_schema_is_made_once(empty_database_url: str) -> None:
    assert await migrate(empty_database_url) == ALL
    assert await migrate(empty_database_url) == []


async def test_many_may_migrate_at_once(empty_database_url: str) -> None:
    applied = await asyncio.gather(*(migrate(empty_database_url) for _ in range(8)))
    assert sorted(applied) == [[]] * 7 + [ALL]


async def test_category_and_status_are_enough(database_url: str) -> None:
    async with session(database_url) as connection:
        row = await connection.fetchrow(
            "insert into audio_chunks (category, status) values ('voice', 'READY') returning *"
        )
    assert row is not None
    assert (row["id"], row["category"], row["status"]) == (1, "voice", "READY")
    assert (row["duration_s"], row["path"]) == (None, None)


@pytest.mark.parametrize(
    "values",
    [
        "(category, status) values ('Voice', 'READY')",
        "(category, status) values ('voice', 'ready')",
        "(category, duration_s) values ('voice', -1)",
        "(path, category) values ('a', 'voice'), ('a', 'music')",
        "(status) values ('READY')",
    ],
)
async def test_rows_that_make_no_sense_are_refused(database_url: str, values: str) -> None:
    with pytest.raises(asyncpg.IntegrityConstraintViolationError):
        await execute(database_url, f"insert into audio_chunks {values}")


async def test_what_is_lost_is_made_again(database_url: str) -> None:
    await execute(database_url, "drop trigger sampling_worker_update on audio_chunks")
    assert await migrate(database_url) == ALL
    await execute(database_url, "drop table audio_chunks")
    assert await migrate(database_url) == ALL
    assert await heard(database_url, fill(1)) == ["1"]


async def test_migration_whose_text_changed_is_applied_again(database_url: str) -> None:
    await execute(database_url, "update sampling_worker_migrations set sha256 = '' where name like '0002%'")
    assert await migrate(database_url) == ["0002_notify_changes"]
    assert await migrate(database_url) == []


async def test_index_of_ready_chunks_is_made_anew_where_it_has_no_split(database_url: str) -> None:
    read = "select indexdef from pg_indexes where indexdef like '%READY%' order by 1"
    async with session(database_url) as connection:
        [made] = await connection.fetchval(f"select array({read})")
        await connection.execute("drop index audio_chunks_id_category_split_idx")
        await connection.execute("create index on audio_chunks (id) include (category) where status = 'READY'")
        await connection.execute("update sampling_worker_migrations set sha256 = '' where name like '0003%'")
        assert await migrate(database_url) == ["0003_indexes"]
        assert await connection.fetchval(f"select array({read})") == [made]


# --- a table of the user's own


@pytest.mark.parametrize("id_type", ["smallint", "integer", "bigint"])
async def test_own_table_is_kept_and_gets_what_it_lacks(empty_database_url: str, id_type: str) -> None:
    await execute(
        empty_database_url,
        f"create table audio_chunks (id {id_type}, status text, category text, speaker text not null)",
        "insert into audio_chunks values (7, 'READY', 'voice', 'Ada')",
    )
    assert await migrate(empty_database_url) == ALL
    async with session(empty_database_url) as connection:
        row = await connection.fetchrow("select * from audio_chunks")
    assert row is not None
    assert dict(row) == {
        "id": 7,
        "status": "READY",
        "category": "voice",
        "speaker": "Ada",
        **dict.fromkeys(("duration_s", "path", "start_s", "split", "error")),
    }
    assert await heard(empty_database_url, "update audio_chunks set category = 'music'") == ["7"]


async def test_own_uuid_table_notifies(empty_database_url: str) -> None:
    await execute(empty_database_url, UUID_TABLE)
    await migrate(empty_database_url)
    payloads = await heard(empty_database_url, fill(1000))
    async with session(empty_database_url) as connection:
        ids = [str(row["id"]) for row in await connection.fetch("select id from audio_chunks")]
    assert named(payloads) == Counter(ids)
    assert max(map(len, payloads)) <= LARGEST_PAYLOAD


async def test_table_of_another_schema_on_the_search_path_is_found(empty_database_url: str) -> None:
    await execute(
        empty_database_url,
        "create schema mine",
        "create table public.audio_chunks (id bigint primary key, category text, status text)",
    )
    url = f"{empty_database_url}?options=-csearch_path%3Dmine,public"
    assert await migrate(url) == ALL
    assert await migrate(url) == []
    async with session(url) as connection:
        assert await connection.fetchval("select to_regclass('mine.audio_chunks') is null")


async def test_own_paths_need_not_be_unique(empty_database_url: str) -> None:
    await execute(
        empty_database_url,
        "create table audio_chunks (id bigint primary key, category text, status text, path text)",
        "insert into audio_chunks select i, 'voice', 'READY', 'same' from generate_series(1, 2) as i",
    )
    assert await migrate(empty_database_url) == ALL


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        ("create table audio_chunks (id bigint, status text)", "lacks category"),
        ("create table audio_chunks (name text)", "lacks id, category, status"),
        ("create table audio_chunks (id text, category text, status text)", "of type text; accepted are"),
        ("create view audio_chunks as select 1::bigint as id, '' as category, '' as status", "is not a table"),
    ],
)
async def test_table_that_cannot_be_used_is_left_alone(empty_database_url: str, statement: str, sentence: str) -> None:
    await execute(empty_database_url, statement)
    with pytest.raises(PostgresError, match=sentence):
        await migrate(empty_database_url)
    async with session(empty_database_url) as connection:
        assert await connection.fetchval("select to_regclass('sampling_worker_migrations') is null")


async def test_role_without_rights_is_told_so(empty_database_url: str) -> None:
    role = f"guest_{empty_database_url.rpartition('_')[2]}"
    await execute(empty_database_url, f"create role {role} login")
    try:
        with pytest.raises(PostgresError, match="permission denied"):
            await migrate(empty_database_url.replace("postgres@", f"{role}@"))
    finally:
        await execute(empty_database_url, f"drop role {role}")


# --- what the triggers say


async def test_only_what_enters_leaves_or_moves_is_named(database_url: str) -> None:
    await execute(
        database_url,
        fill(6, "'voice'"),
        "insert into audio_chunks (category) select 'voice' from generate_series(7, 9)",
    )
    told = {
        "update audio_chunks set path = id::text": ["1,2,3,4,5,6"],
        "update audio_chunks set duration_s = 1 where id > 6": [],
        "update audio_chunks set split = 'val', start_s = 2 where id > 6": [],
        "update audio_chunks set split = 'val' where id = 2": ["2"],
        "update audio_chunks set start_s = 2 where id in (3, 4)": ["3,4"],
        "update audio_chunks set error = 'unreadable'": [],
        "update audio_chunks set duration_s = 1 where id in (5, 6)": ["5,6"],
        "update audio_chunks set duration_s = 1.0 where id = 6": [],
        "update audio_chunks set status = status, category = category": [],
        "update audio_chunks set category = 'music' where id = 7": [],
        "update audio_chunks set status = 'FAILED' where id = 8": [],
        "delete from audio_chunks where id = 9": [],
        "delete from audio_chunks where id = 999": [],
        "insert into audio_chunks (category) values ('voice')": [],
        "update audio_chunks set status = 'FAILED' where id = 1": ["1"],
        "update audio_chunks set status = 'READY' where id in (1, 7)": ["1,7"],
        "update audio_chunks set category = 'custom' where id = 2": ["2"],
        "update audio_chunks set id = 33 where id = 3": ["3,33"],
        "delete from audio_chunks where id = 4": ["4"],
        "insert into audio_chunks (id, category, status) values (44, 'voice', 'READY')": ["44"],
        "insert into audio_chunks (id, category) values (44, 'voice')"
        " on conflict (id) do update set status = 'FAILED'": ["44"],
        "truncate audio_chunks": ["*"],
    }
    assert {statement: sorted_ids(await heard(database_url, statement)) for statement in told} == told


def sorted_ids(payloads: list[str]) -> list[str]:
    return [",".join(sorted(payload.split(","))) for payload in payloads]


async def test_rollback_says_nothing(database_url: str) -> None:
    assert await heard(database_url, f"begin; {fill(3)}; rollback") == []


async def test_bulk_is_named_up_to_a_limit(database_url: str) -> None:
    payloads = await heard(database_url, fill(100_000))
    assert named(payloads) == Counter(str(chunk) for chunk in range(1, 100_001))
    assert max(map(len, payloads)) <= LARGEST_PAYLOAD
    assert len(payloads) <= 1000
    await execute(database_url, "truncate audio_chunks")
    assert await heard(database_url, fill(100_001)) == ["*"]
    assert await heard(database_url, "update audio_chunks set status = 'FAILED'") == ["*"]
    assert await heard(database_url, "update audio_chunks set duration_s = 3") == []
    assert await heard(database_url, "delete from audio_chunks") == []


async def test_search_path_of_the_writer_does_not_matter(database_url: str) -> None:
    statements = (
        "set search_path = ''",
        "insert into public.audio_chunks (category, status) values ('voice', 'READY')",
    )
    assert await heard(database_url, *statements) == ["1"]


async def test_operator_of_the_writers_cannot_be_slipped_in(database_url: str) -> None:
    """The trigger's function runs as the writer; a stranger's function on the search_path must not."""
    await execute(
        database_url,
        "create schema evil",
        "create function evil.pg_notify(text, text) returns void language plpgsql"
        " as $$ begin raise exception 'slipped in'; end $$",
    )
    assert await heard(database_url, "set search_path = evil, pg_catalog, public", fill(1)) == ["1"]


async def test_trouble_in_the_trigger_is_not_the_writers(database_url: str) -> None:
    statements = (
        "alter table audio_chunks rename column category to kind",
        "insert into audio_chunks (kind, status) values ('voice', 'READY')",
        "update audio_chunks set status = 'FAILED'",
    )
    assert await heard(database_url, *statements) == ["1", "*"]
    async with session(database_url) as connection:
        assert await connection.fetchval("select json_agg(status) from audio_chunks") == json.dumps(["FAILED"])
