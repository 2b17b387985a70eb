"""PostgreSQL as others have set it up: versions, encodings, limits of roles, odd columns; and checksums of catalogs."""

import asyncio
import uuid
from collections.abc import Iterator

import numpy as np
import pytest

from tests.support.feeding import FOUND_S, execute, feeding
from tests.support.library import contents, fill, session
from tests.support.servers import execute as execute_now
from tests.support.servers import fetch_value, new_database
from tests.support.waiting import wait_until
from worker.adapters.postgres.catalog import PostgresCatalog
from worker.adapters.postgres.client import version_problem
from worker.adapters.postgres.migrate import migrate
from worker.core.catalog import Catalog, Rows, apply_changes, checksum_rows
from worker.embedded import PostgresServer
from worker.errors import PostgresError
from worker.ports import LoadedCatalog

_VIRTUAL = """
create table audio_chunks (
  id bigint primary key, ok boolean, kind text, category text generated always as (lower(kind)) virtual,
  status text generated always as (case when ok then 'READY' else 'FAILED' end) virtual
)"""
_MASK = (1 << 64) - 1


# --- versions, encodings, limits


@pytest.mark.parametrize(
    ("version", "problem"),
    [
        ((15, 0, 0, "final", 0), None),
        ((18, 4, 0, "final", 0), None),
        ((14, 12, 0, "final", 0), "its version is 14; accepted: 15 or later"),
        ((9, 6, 24, "final", 0), "its version is 9; accepted: 15 or later"),
    ],
)
def test_old_versions_are_refused(version: tuple[int | str, ...], problem: str | None) -> None:
    assert version_problem(version) == problem


@pytest.fixture(params=["SQL_ASCII", "LATIN1"])
def odd_database_url(postgres_server: PostgresServer, request: pytest.FixtureRequest) -> Iterator[str]:
    """A database in another encoding."""
    with new_database(postgres_server, template=f"template0 encoding '{request.param}'") as url:
        yield url


async def test_category_that_cannot_be_sent_spoils_nothing(odd_database_url: str) -> None:
    """A database that does not check encodings may hold bytes that are not UTF-8."""
    async with session(odd_database_url) as writer:
        await writer.execute("create table audio_chunks (id bigint primary key, category text, status text)")
        await writer.execute(
            "insert into audio_chunks values (1, 'voice', 'READY'), (3, 'Hip Hop', 'READY'),"
            "(2, convert_from('\\xe9'::bytea, getdatabaseencoding()), 'READY'), (4, repeat('x', 65), 'READY')"
        )
    await migrate(odd_database_url)
    loaded = await PostgresCatalog(odd_database_url).load()
    assert contents(loaded.catalog) == {"voice": {"1"}}
    assert (loaded.ignored, sorted(loaded.ignored_examples)) == (3, ["?", "Hip Hop", "x" * 65])
    async with feeding(PostgresCatalog(odd_database_url), odd_database_url) as worker:
        await worker.writer.execute("update audio_chunks set category = 'music' where id = 1")
        await worker.writer.execute("update audio_chunks set id = id + 10 where id = 2")
        wanted = {"music": {"1"}}
        await wait_until(lambda: contents(worker.current.catalog) == wanted, timeout_s=FOUND_S, what="both are heard")


async def test_rows_that_are_ignored_are_shown(empty_database_url: str) -> None:
    query = """
    select * from (values (1, 'voice'), (2, null), (3, 'Voice'), (4, 'a b'), (5, E'a\\nb'), (6, 'ä'), (7, 'B'), (8, 'C')
    ) as chunk (id, category)"""
    loaded = await PostgresCatalog(empty_database_url, query).load()
    assert loaded.ignored == 7
    assert len(loaded.ignored_examples) == 5
    assert set(loaded.ignored_examples) <= {"none (chunk 2)", "Voice", "a b", "a?b", "?", "B", "C"}


@pytest.mark.parametrize("limit", ["statement_timeout", "transaction_timeout"])
async def test_limits_of_the_role_do_not_hold_for_reading(empty_database_url: str, limit: str) -> None:
    name = empty_database_url.rpartition("/")[2]
    await execute(empty_database_url, f"alter database {name} set {limit} = '400ms'")
    query = "select i as id, 'voice' as category from generate_series(1, 10) as i, pg_sleep(0.9)"
    catalog = PostgresCatalog(empty_database_url, query)
    loaded = await catalog.load()
    assert len(loaded.catalog) == 10
    assert await catalog.holds(loaded.catalog)


@pytest.mark.parametrize("setting", ["DateStyle = 'German, DMY'", "default_transaction_isolation = serializable"])
async def test_settings_of_the_role_change_nothing(empty_database_url: str, setting: str) -> None:
    await migrate(empty_database_url)
    name = empty_database_url.rpartition("/")[2]
    await execute(empty_database_url, f"alter database {name} set {setting}", fill(100))
    async with feeding(PostgresCatalog(empty_database_url), empty_database_url) as worker:
        await worker.writer.execute("update audio_chunks set category = 'custom' where id < 9")
        await worker.converges()


def test_a_server_that_may_only_be_read_says_so(empty_database_url: str) -> None:
    execute_now(empty_database_url, "set default_transaction_read_only = off")
    name = empty_database_url.rpartition("/")[2]
    execute_now(empty_database_url, f"alter database {name} set default_transaction_read_only = on")
    with pytest.raises(PostgresError, match="read-only transaction"):
        asyncio.run(migrate(empty_database_url))


# --- columns and indexes


async def test_virtual_columns_are_followed(empty_database_url: str) -> None:
    await execute(empty_database_url, _VIRTUAL)
    await migrate(empty_database_url)
    assert await migrate(empty_database_url) == []
    async with feeding(PostgresCatalog(empty_database_url), empty_database_url) as worker:
        for statement in (
            "insert into audio_chunks (id, ok, kind) select i, true, 'Voice' from generate_series(1, 5) as i",
            "update audio_chunks set ok = false where id = 1",
            "update audio_chunks set kind = 'Music' where id = 2",
            "update audio_chunks set id = 33 where id = 3",
            "delete from audio_chunks where id = 4",
        ):
            await worker.writer.execute(statement)
            await worker.converges()


async def test_trigger_that_cannot_read_virtual_columns_is_made_again(empty_database_url: str) -> None:
    await execute(empty_database_url, "create table audio_chunks (id bigint, ok boolean, category text, status text)")
    await migrate(empty_database_url)
    await execute(
        empty_database_url,
        "alter table audio_chunks drop column status",
        "alter table audio_chunks add column status text generated always as (case when ok then 'READY' end) virtual",
    )
    assert (await migrate(empty_database_url))[:3] == ["0001_audio_chunks", "0002_notify_changes", "0003_indexes"]


async def test_partitions_without_a_key_can_be_migrated(empty_database_url: str) -> None:
    """A unique index needs the partition key, so ids get an index that is not unique."""
    await execute(
        empty_database_url,
        "create table audio_chunks (id bigint, category text, status text) partition by list (category)",
        "create table rest partition of audio_chunks default",
        fill(0),
    )
    await migrate(empty_database_url)
    query = "select count(*) from pg_indexes where tablename = 'rest' and indexdef like '%(id%'"
    async with session(empty_database_url) as connection:
        assert await connection.fetchval(query) == 2


async def test_letters_of_a_status_in_either_case_are_named(database_url: str) -> None:
    """With citext, 'ready' equals READY to every reader. Naming too many ids does no harm."""
    await execute(database_url, "alter table audio_chunks drop constraint audio_chunks_status_check")
    async with PostgresCatalog(database_url).listening() as listener, session(database_url) as writer:
        await writer.execute("insert into audio_chunks (category, status) values ('voice', 'ready')")
        assert (await anext(listener.news())).ids.tolist() == [1]
        await writer.execute("update audio_chunks set status = 'READY'")
        assert (await anext(listener.news())).ids.tolist() == [1]


# --- the checksum


@pytest.mark.parametrize("seed", [0, 1, -5, 1_234_567_890_123_456_789])
def test_hashes_are_those_of_postgresql(postgres_server: PostgresServer, seed: int) -> None:
    numbers = [0, 1, -1, 5, 2**32, 2**40 + 7, -(2**40) - 3, 2**63 - 1, -(2**63)]
    uuids = [uuid.UUID(int=number) for number in (0, 1, 2**127 + 12345, 2**128 - 1)]
    seeds = np.array([seed & _MASK], np.uint64)
    for number in numbers:
        query = f"select hashint8extended('{number}'::bigint, '{seed}'::bigint # ('{number}'::bigint >> 32))"
        assert checksum_rows(Rows(np.array([number])), seeds).total == fetch_value(postgres_server.url, query) & _MASK
    for one in uuids:
        query = f"select uuid_hash_extended('{one}', {seed})"
        ids = np.array([one.bytes], "S16")
        assert checksum_rows(Rows(ids), seeds).total == fetch_value(postgres_server.url, query) & _MASK


_FILLED = """
insert into audio_chunks select %s, (array['voice', 'music', 'B', null])[1 + i %% 4], 'READY', i / 7.0
from generate_series(1, 1000) as i"""
_UUID_ENDING_IN_ZEROS = "(rpad(lpad(to_hex(i), 8, '0'), 32, '0'))::uuid"
_CHANGES = """
delete from audio_chunks where ctid = (select min(ctid) from audio_chunks where category = 'voice')
update audio_chunks set category = 'music' where ctid = (select min(ctid) from audio_chunks where category = 'voice')
update audio_chunks set status = 'FAILED' where ctid = (select min(ctid) from audio_chunks where category = 'music')
update audio_chunks set category = 'Other' where ctid = (select min(ctid) from audio_chunks where category = 'B')
update audio_chunks set duration_s = duration_s + 1 where category = 'music'"""


@pytest.mark.parametrize("id_type", ["smallint", "bigint", "uuid"])
@pytest.mark.parametrize("with_durations", [False, True])
async def test_catalog_is_held_until_a_row_differs(
    empty_database_url: str, id_type: str, *, with_durations: bool
) -> None:
    await execute(
        empty_database_url,
        f"create table audio_chunks (id {id_type} primary key, category varchar(20), status text, duration_s numeric)",
        _FILLED % (_UUID_ENDING_IN_ZEROS if id_type == "uuid" else "i"),
    )
    catalog = PostgresCatalog(empty_database_url, with_durations=with_durations)
    for change in _CHANGES.strip().splitlines():
        loaded = (await catalog.load()).catalog
        assert await catalog.holds(loaded)
        await execute(empty_database_url, change)
        assert await catalog.holds(loaded) is ("duration_s =" in change and not with_durations)


async def test_changed_catalog_is_held(database_url: str) -> None:
    await execute(database_url, fill(1000))
    source = PostgresCatalog(database_url)
    catalog = (await source.load()).catalog
    await execute(database_url, "update audio_chunks set category = 'brand_new' where id in (3, 4)")
    changed, _ = apply_changes(catalog, np.array([3, 4]), ["brand_new", "brand_new"])
    assert await source.holds(changed)
    assert not await source.holds(catalog)


async def test_rows_that_come_twice_are_held(empty_database_url: str) -> None:
    query = "select 1 as id, unnest(array['voice', 'music', 'voice']) as category"
    source = PostgresCatalog(empty_database_url, query)
    assert await source.holds((await source.load()).catalog)


async def test_unchanged_library_is_read_once(database_url: str) -> None:
    """A comparison reads one row only. The test counts loads and comparisons."""
    await execute(database_url, fill(1000))
    source = Counting(PostgresCatalog(database_url))
    async with feeding(source, database_url, refresh_s=0.01) as worker:
        await worker.writer.execute("update audio_chunks set category = 'custom' where id < 9")
        await worker.converges()
        held = source.held
        await wait_until(lambda: source.held >= held + 3, timeout_s=FOUND_S, what="it is compared three times")
    assert source.loads <= 2  # the second where a comparison fell between commit and notification


class Counting:
    """A source that counts how it is read."""

    def __init__(self, source: PostgresCatalog) -> None:
        self._source = source
        self.loads = self.held = 0
        self.listening, self.hiding = source.listening, source.hiding

    async def load(self) -> LoadedCatalog:
        self.loads += 1
        return await self._source.load()

    async def holds(self, catalog: Catalog) -> bool:
        is_held = await self._source.holds(catalog)
        self.held += is_held
        return is_held
