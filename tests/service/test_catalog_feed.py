"""The catalog in memory converges to what SQL says, whatever happens, and never goes back."""

import asyncio
import socket
from collections.abc import Callable

import anyio
import pytest

from tests.support.feeding import FOUND_S, Log, execute, feeding
from tests.support.library import Ready, contents, fill, session
from tests.support.servers import running
from tests.support.waiting import wait_until
from worker.adapters.postgres.catalog import PostgresCatalog
from worker.adapters.postgres.client import Connection
from worker.adapters.postgres.migrate import migrate
from worker.core.catalog import Catalog
from worker.core.keys import CATALOG_CHANNEL
from worker.core.weights import in_force
from worker.core.weights import values as weights
from worker.embedded import PostgresServer
from worker.logs import emit as logs
from worker.ports import LoadedCatalog

UUID_TABLE = "create table audio_chunks (id uuid primary key default gen_random_uuid(), category text, status text)"
END_BACKENDS = """
select pg_terminate_backend(pid) from pg_stat_activity
where datname = current_database() and application_name = 'sampling-worker'"""


# --- changes


@pytest.mark.parametrize(
    "statement",
    [
        fill(5, "'voice'"),
        "insert into audio_chunks (id, category, status) values (12345678901, 'brand_new', 'READY')",
        "update audio_chunks set status = 'FAILED' where id in (1, 50)",
        "update audio_chunks set status = 'READY'",
        "update audio_chunks set category = 'conference' where id <= 10",
        "update audio_chunks set category = 'conference'",
        "update audio_chunks set id = -id where id <= 10",
        "delete from audio_chunks where category = 'voice'",
        "delete from audio_chunks",
        "truncate audio_chunks",
        fill(100_001),
        "; ".join([fill(2), fill(3), "delete from audio_chunks where id % 7 = 0"]),
        "; ".join(["begin", "truncate audio_chunks", fill(9, "'music'"), "commit"]),
    ],
)
async def test_change_is_applied(database_url: str, statement: str) -> None:
    await execute(
        database_url,
        fill(100),
        "insert into audio_chunks (category, status) select 'custom', 'PENDING' from generate_series(1, 9)",
    )
    async with feeding(PostgresCatalog(database_url), database_url) as worker:
        assert await worker.agrees()
        before = worker.current.catalog
        await worker.writer.execute(statement)
        await worker.converges()
        assert worker.current.catalog is not before


async def test_change_tells_itself(database_url: str, log: Log) -> None:
    await execute(database_url, fill(10, "'voice'"))
    async with feeding(PostgresCatalog(database_url), database_url) as worker:
        await worker.writer.execute("update audio_chunks set status = 'FAILED' where id <= 3")
        await worker.converges()
        at_ms = worker.current.catalog_at_ms
        await worker.writer.execute("truncate audio_chunks")
        await worker.converges()
        assert worker.current.catalog_at_ms >= at_ms
        await wait_until(lambda: len(log.lines("catalog.changed")) == 2, timeout_s=60, what="all is logged")
    assert [(line["chunks"], line["categories"], line["ignored"]) for line in log.lines("catalog.loaded")] == [
        (10, 1, 0)
    ]
    changed = log.lines("catalog.changed")
    assert [(line["added"], line["removed"], line["chunks"]) for line in changed] == [(0, 3, 7), (0, 7, 0)]
    assert changed[0]["cause"] == "notify"
    assert changed[1]["cause"] in {"reload", "refresh"}  # whichever comes first: a notification, or a look at the table


async def test_uuids_converge(empty_database_url: str) -> None:
    await execute(empty_database_url, UUID_TABLE, fill(100))
    await migrate(empty_database_url)
    async with feeding(PostgresCatalog(empty_database_url), empty_database_url) as worker:
        await worker.writer.execute("update audio_chunks set status = 'FAILED' where category = 'voice'")
        await worker.writer.execute(fill(300, "'conference'"))
        await worker.writer.execute("update audio_chunks set category = 'voice' where category = 'music'")
        await worker.converges()


@pytest.mark.fault("a long transaction commits late, after everything was read again", "F04")
async def test_slow_transaction_that_began_earlier_is_not_missed(database_url: str) -> None:
    await execute(database_url, fill(10))
    async with feeding(PostgresCatalog(database_url), database_url) as worker, session(database_url) as slow:
        await slow.execute("begin; update audio_chunks set status = 'FAILED' where id = 1")
        await slow.execute("insert into audio_chunks (category, status) values ('early', 'READY')")
        await worker.writer.execute("insert into audio_chunks (category, status) values ('late', 'READY')")
        await worker.converges()
        assert "early" not in (contents(worker.current.catalog) or {})
        await slow.execute("commit")
        await worker.converges()
        assert "early" in (contents(worker.current.catalog) or {})


@pytest.mark.fault("a change is rolled back", "F04")
async def test_rollback_changes_nothing(database_url: str) -> None:
    await execute(database_url, fill(10))
    async with feeding(PostgresCatalog(database_url), database_url) as worker:
        await worker.writer.execute("begin; truncate audio_chunks; rollback")
        await worker.writer.execute("begin; update audio_chunks set category = 'gone'; rollback")
        await worker.writer.execute("insert into audio_chunks (category, status) values ('last', 'READY')")
        await worker.converges()
        assert len(worker.current.catalogs) == 3  # none, the first, and the one with the last row


async def test_many_small_commits_converge(database_url: str) -> None:
    await execute(database_url, fill(400))

    statements = [
        "update audio_chunks set status = 'FAILED' where id = $1",
        "update audio_chunks set status = 'READY', category = 'moved' where id = $1",
        "delete from audio_chunks where id = $1",
        """insert into audio_chunks (id, category, status) values ($1, 'back', 'READY')
        on conflict (id) do update set status = 'READY'""",
    ]

    async def write(writer: int) -> None:
        async with session(database_url) as connection:
            for turn in range(125):
                chunk = 1 + (writer * 125 + turn * 7) % 400
                await connection.execute(statements[(turn + writer) % 4], chunk)

    async with feeding(PostgresCatalog(database_url), database_url) as worker:
        await asyncio.gather(*map(write, range(4)))
        await worker.converges()
        reloaded = await PostgresCatalog(database_url).load()
        assert worker.current.catalog is not None
        assert worker.current.catalog.version == reloaded.catalog.version


@pytest.mark.fault("forged, huge and malformed notifications of another role", "F05")
async def test_forged_notifications_do_no_harm(database_url: str) -> None:
    await execute(database_url, fill(10))
    async with feeding(PostgresCatalog(database_url), database_url) as worker:
        first = worker.current.catalog
        for payload in ("", "nonsense", "9" * 4000, "1,2,3,-4", "1; drop table audio_chunks", "*"):
            await worker.writer.execute("select pg_notify($1, $2)", CATALOG_CHANNEL, payload)
        await worker.writer.execute("update audio_chunks set status = 'FAILED' where id = 10")
        await worker.converges()
        assert worker.current.catalogs == [None, first, worker.current.catalog]


async def test_library_that_comes_to_have_other_ids(database_url: str) -> None:
    async with feeding(PostgresCatalog(database_url), database_url) as worker:
        await worker.writer.execute(f"drop table audio_chunks; {UUID_TABLE}")
        await migrate(database_url)
        await worker.writer.execute(END_BACKENDS)
        await worker.writer.execute(fill(9))
        await worker.converges()
        await worker.writer.execute(fill(9))
        await worker.converges()


# --- loads


class Held:
    """A source whose loads end when they are let go, with what was there when they began."""

    def __init__(self, source: PostgresCatalog) -> None:
        self._source = source
        self.begun = 0
        self.may_end = anyio.Event()
        self.may_end.set()
        self.listening = source.listening
        self.holds = source.holds
        self.hiding = source.hiding

    async def load(self) -> LoadedCatalog:
        loaded = await self._source.load()
        self.begun += 1
        await self.may_end.wait()
        return loaded


async def test_load_brings_back_no_older_state(database_url: str) -> None:
    await execute(database_url, fill(10, "'voice'"))
    source = Held(PostgresCatalog(database_url))
    async with feeding(source, database_url) as worker:
        source.may_end = anyio.Event()
        await worker.writer.execute("select pg_notify($1, '*')", CATALOG_CHANNEL)
        await wait_until(lambda: source.begun == 2, timeout_s=60, what="everything is read again")
        await worker.writer.execute("update audio_chunks set status = 'FAILED' where id = 1")
        await worker.writer.execute("insert into audio_chunks (category, status) values ('new', 'READY')")
        await worker.converges()
        seen = len(worker.current.catalogs)
        await worker.writer.execute("select pg_notify($1, '*')", CATALOG_CHANNEL)
        source.may_end.set()
        await wait_until(lambda: source.begun == 3, timeout_s=60, what="the load that was held is done")
        assert worker.current.catalogs[seen:] == []
        assert await worker.agrees()


@pytest.mark.fault("a chunk stops being READY between the subscription and the first reading", "F04")
async def test_change_during_the_first_load_is_not_missed(database_url: str) -> None:
    await execute(database_url, fill(10, "'voice'"))
    source = Held(PostgresCatalog(database_url))
    source.may_end = anyio.Event()

    async def change() -> None:
        await wait_until(lambda: source.begun == 1, timeout_s=60, what="the load began")
        await execute(database_url, "delete from audio_chunks where id = 1", fill(1, "'music'"))
        source.may_end.set()

    async with anyio.create_task_group() as changes:
        changes.start_soon(change)
        async with feeding(source, database_url) as worker:
            await worker.converges()


async def test_everything_is_read_again_now_and_then(database_url: str, log: Log) -> None:
    await execute(database_url, fill(10, "'voice'"))
    async with feeding(PostgresCatalog(database_url), database_url, refresh_s=0.05) as worker:
        await worker.writer.execute("alter table audio_chunks disable trigger user")
        await worker.writer.execute("update audio_chunks set category = 'music' where id <= 4")
        await worker.converges()
        await wait_until(lambda: log.lines("catalog.changed"), timeout_s=60, what="it is logged")
    logged = [(line["cause"], line["added"], line["removed"]) for line in log.lines("catalog.changed")]
    assert logged == [("refresh", 4, 4)]


async def test_query_of_a_role_that_may_only_read(empty_database_url: str) -> None:
    role = f"reader_{empty_database_url.rpartition('_')[2]}"
    await execute(
        empty_database_url,
        "create table recordings (key serial primary key, kind text, ok boolean)",
        "insert into recordings (kind, ok) select 'voice', i % 2 = 0 from generate_series(1, 20) as i",
        f"create role {role} login",
        f"grant select on recordings to {role}",
    )
    source = PostgresCatalog(
        empty_database_url.replace("postgres@", f"{role}@"),
        "select key as id, kind as category from recordings where ok;",
    )

    async def expected(connection: Connection) -> Ready:
        rows = await connection.fetch("select kind, array_agg(key::text) from recordings where ok group by kind")
        return {kind: set(keys) for kind, keys in rows}

    async def agrees() -> bool:
        return contents(worker.current.catalog) == await expected(worker.writer)

    try:
        async with feeding(source, empty_database_url, refresh_s=0.02) as worker:
            assert await agrees()
            await worker.writer.execute("update recordings set ok = not ok, kind = 'music' where key < 15")
            await wait_until(agrees, timeout_s=FOUND_S, what="the catalog is what SQL says")
    finally:
        await execute(empty_database_url, f"drop owned by {role}", f"drop role {role}")


# --- failures


@pytest.mark.fault("PostgreSQL is away, or not migrated, when the worker starts", "F08")
async def test_feed_starts_without_a_server(database_url: str, log: Log) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        away = f"postgresql://worker:s3cr3t@127.0.0.1:{taken.getsockname()[1]}/audio"
        async with feeding(PostgresCatalog(away), database_url) as worker:
            assert worker.current.catalog is None
            assert not worker.availability.is_up
    logs.shutdown(10)
    [line] = log.lines("postgres.lost")
    assert "worker:***@127.0.0.1" in line["message"]


@pytest.mark.fault("PostgreSQL is away, or not migrated, when the worker starts", "F08")
async def test_feed_waits_for_the_schema(empty_database_url: str) -> None:
    async with feeding(PostgresCatalog(empty_database_url), empty_database_url) as worker:
        assert worker.current.catalog is None
        await migrate(empty_database_url)
        await worker.writer.execute(fill(3))
        await wait_until(lambda: worker.availability.is_up, timeout_s=60, what="the feed found the table")
        await worker.converges()


@pytest.mark.fault("PostgreSQL, or a connection to it, goes away and comes back")
async def test_lost_connections_lose_no_change(database_url: str, log: Log) -> None:
    await execute(database_url, fill(100))
    async with feeding(PostgresCatalog(database_url), database_url) as worker:
        for turn in range(5):
            await worker.writer.execute(END_BACKENDS)
            await worker.writer.execute(f"update audio_chunks set category = 'turn_{turn}' where id % 5 = {turn}")  # noqa: S608
            await worker.converges()
        await wait_until(lambda: worker.availability.is_up, timeout_s=60, what="Redis is found again")
        first = worker.current.catalogs[1]
        assert isinstance(first, Catalog)
        assert None not in worker.current.catalogs[1:]
    logs.shutdown(10)
    assert 1 <= len(log.lines("postgres.lost")) == len(log.lines("postgres.restored"))
    assert len(log.lines("catalog.loaded")) == 1


@pytest.mark.fault("PostgreSQL, or a connection to it, goes away and comes back")
@pytest.mark.parametrize("end", [lambda server: server.stop("immediate"), lambda server: server.kill()])
async def test_server_that_goes_and_comes_back(end: Callable[[PostgresServer], None], log: Log) -> None:
    with running(PostgresServer) as server:
        await migrate(server.url)
        await execute(server.url, fill(50))
        async with feeding(PostgresCatalog(server.url), server.url) as worker:
            await asyncio.to_thread(end, server)
            await wait_until(lambda: not worker.availability.is_up, timeout_s=60, what="the loss is noticed")
            assert worker.current.catalog is not None
            assert len(worker.current.catalog) == 50
            await asyncio.to_thread(server.start)
            await execute(server.url, "delete from audio_chunks where id = 1")
            async with session(server.url) as again:
                worker.writer = again
                await worker.converges()
                await again.execute("delete from audio_chunks where id = 2")
                await worker.converges()
    logs.shutdown(10)
    assert (len(log.lines("postgres.lost")), len(log.lines("postgres.restored"))) == (1, 1)


@pytest.mark.fault("PostgreSQL is a standby, which cannot notify, and is promoted", "F09")
async def test_standby_is_read_now_and_then_and_heard_of_once_promoted() -> None:
    with running(PostgresServer) as server:
        await migrate(server.url)
        await execute(server.url, fill(50))
        server.stop()
        (server._data / "standby.signal").touch()
        server.start()
        async with feeding(PostgresCatalog(server.url), server.url) as worker:
            assert worker.availability.is_up
            assert await worker.agrees()
            await worker.writer.execute("select pg_promote()")
            await worker.writer.execute("delete from audio_chunks where id = 1")
            await worker.converges()
            await worker.writer.execute("delete from audio_chunks where id = 2")
            await worker.converges()


class Broken:
    """A source with a bug."""

    def __init__(self, source: PostgresCatalog) -> None:
        self.listening = source.listening
        self.holds = source.holds
        self.hiding = source.hiding

    async def load(self) -> LoadedCatalog:
        raise ZeroDivisionError


async def test_bug_is_not_taken_for_an_outage(database_url: str) -> None:
    with pytest.RaisesGroup(ZeroDivisionError, allow_unwrapped=True, flatten_subgroups=True):
        async with feeding(Broken(PostgresCatalog(database_url)), database_url):
            pass


# --- defaults


async def test_defaults_for_other_categories_are_told_where_nobody_set_weights(database_url: str, log: Log) -> None:
    await execute(database_url, fill(4, "'speech'"))
    async with feeding(PostgresCatalog(database_url), database_url) as worker:
        book = worker.current.weights
        assert book.in_force(None).weights.shares == {"speech": 1.0}
        await execute(database_url, fill(4, "'songs'"))
        await wait_until(lambda: len(book.defaults.shares) == 2, timeout_s=30, what="the defaults are of both")
        book.put(None, in_force.Held(b"set", weights.normalise({"speech": 1.0}, "redis")))
        await execute(database_url, "update audio_chunks set category = 'voice'")
        await worker.converges()
    logs.shutdown(10)
    lines = log.lines("weights.changed")
    assert [(line["dataset"], line["source"], line["after"]) for line in lines] == [
        (None, "default", '{"speech":1.0}'),
        (None, "default", '{"songs":0.5,"speech":0.5}'),
    ]
    assert lines[1]["before"] == lines[0]["after"]
    assert book.changed_at_ms > 0
