"""The catalog is what SQL says it is, whatever ids are, whoever notifies and however the server falls silent."""

import os
import signal
import socket
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest

from tests.support.library import contents, fill, ready_in, session
from tests.support.servers import running
from worker.adapters.postgres.catalog import PostgresCatalog
from worker.adapters.postgres.client import Connection, connected
from worker.adapters.postgres.migrate import migrate
from worker.core.catalog.rendering import BIGINT, UUID
from worker.core.keys import CATALOG_CHANNEL
from worker.embedded import PostgresServer
from worker.errors import PostgresError
from worker.ports import CatalogListener, CatalogNews

UUID_TABLE = "create table audio_chunks (id uuid primary key default gen_random_uuid(), category text, status text)"
ODD_UUIDS = [uuid.UUID(int=0), uuid.UUID(int=1), uuid.UUID(int=1 << 120), uuid.UUID(int=2**128 - 1)]


async def execute(url: str, *statements: str) -> None:
    async with session(url) as connection:
        for statement in statements:
            await connection.execute(statement)


async def assert_loads_what_is_ready(url: str) -> None:
    loaded = await PostgresCatalog(url).load()
    async with session(url) as connection:
        assert contents(loaded.catalog) == await ready_in(connection)


async def next_news(news: AsyncIterator[CatalogNews]) -> CatalogNews:
    return await anext(news)


@asynccontextmanager
async def listening(url: str) -> AsyncIterator[tuple[CatalogListener, Connection]]:
    """Open a listener, and a session that changes what it hears of."""
    async with PostgresCatalog(url).listening() as listener, session(url) as writer:
        yield listener, writer


# --- loading


async def test_ready_chunks_are_loaded(database_url: str) -> None:
    await execute(
        database_url,
        fill(3000),
        "insert into audio_chunks (category, status) select 'custom',"
        " (array['PENDING', 'PROCESSING', 'READY', 'FAILED'])[1 + i % 4] from generate_series(1, 999) as i",
        "insert into audio_chunks (id, category, status) values"
        " (-9223372036854775808, 'voice', 'READY'), (9223372036854775807, 'new_one', 'READY')",
    )
    await assert_loads_what_is_ready(database_url)


async def test_empty_library_is_an_empty_catalog(database_url: str) -> None:
    loaded = await PostgresCatalog(database_url).load()
    assert (len(loaded.catalog), loaded.ignored, loaded.catalog.kind) == (0, 0, BIGINT)


async def test_uuids_are_loaded(empty_database_url: str) -> None:
    await execute(empty_database_url, UUID_TABLE, fill(1000))
    async with session(empty_database_url) as connection:
        await connection.executemany(
            "insert into audio_chunks values ($1, 'voice', 'READY')", [(chunk,) for chunk in ODD_UUIDS]
        )
    await assert_loads_what_is_ready(empty_database_url)
    assert (await PostgresCatalog(empty_database_url).load()).catalog.ids.dtype == UUID


@pytest.mark.parametrize("id_type", ["smallint", "integer", "natural_id"])
async def test_other_integers_are_loaded_as_bigints(empty_database_url: str, id_type: str) -> None:
    await execute(
        empty_database_url,
        "create domain natural_id as integer check (value >= 0)",
        f"create table audio_chunks (id {id_type} primary key, category varchar(64), status text)",
        "insert into audio_chunks select i, 'voice', 'READY' from generate_series(1, 99) as i",
    )
    await assert_loads_what_is_ready(empty_database_url)


@pytest.mark.parametrize("category_type", ["varchar(20)", "name", "kind"])
async def test_categories_may_be_of_any_text_type(empty_database_url: str, category_type: str) -> None:
    await execute(
        empty_database_url,
        "create type kind as enum ('voice', 'music')",
        "create type stage as enum ('PENDING', 'READY')",
        f"create table audio_chunks (id bigint primary key, category {category_type}, status stage)",
        "insert into audio_chunks values (1, 'voice', 'READY'), (2, 'music', 'READY'), (3, 'music', 'PENDING')",
    )
    await migrate(empty_database_url)
    await assert_loads_what_is_ready(empty_database_url)
    async with listening(empty_database_url) as (listener, writer):
        await writer.execute("update audio_chunks set category = 'music' where id = 1")
        news = await next_news(listener.news())
        assert (news.ids.tolist(), (await listener.read(news.ids)).parts) == ([1], ["music"])


async def test_rows_without_a_category_name_are_left_out_and_counted(empty_database_url: str) -> None:
    query = """
    select * from (values (1, 'voice'), (2, null), (null, 'voice'), (null, null), (3, 'Voice'), (4, ''), (5, 'a b'),
      (6, repeat('x', 65)), (7, repeat('x', 64)), (8, E'voice\\n'), (9, '\u00e4')) as chunk (id, category)"""
    loaded = await PostgresCatalog(empty_database_url, query).load()
    assert contents(loaded.catalog) == {"voice": {"1"}, "x" * 64: {"7"}}
    assert loaded.ignored == 9


async def test_many_categories_are_loaded(empty_database_url: str) -> None:
    query = "select i as id, 'c' || i % 500 as category from generate_series(1, 1500) as i"
    loaded = await PostgresCatalog(empty_database_url, query).load()
    assert len(loaded.catalog.categories) == 500
    assert (contents(loaded.catalog) or {})["c499"] == {"499", "999", "1499"}


@pytest.mark.parametrize(
    "query",
    [
        "select id, category from audio_chunks where status = 'READY'",
        "  select category, id, 'whatever' as other from audio_chunks where status = 'READY' order by 2 ; ",
        "with ready as (select * from audio_chunks where status = 'READY') table ready -- that's all; \n",
        "select id::bigint, category from audio_chunks where status like 'R%' -- 100% of them",
    ],
)
async def test_query_is_what_the_operator_says(database_url: str, query: str) -> None:
    await execute(database_url, fill(99))
    loaded = await PostgresCatalog(database_url, query).load()
    async with session(database_url) as connection:
        assert contents(loaded.catalog) == await ready_in(connection)


async def test_chunk_may_be_in_two_categories_of_a_query(empty_database_url: str) -> None:
    query = "select 1 as id, unnest(array['voice', 'music', 'voice']) as category"
    assert contents((await PostgresCatalog(empty_database_url, query).load()).catalog) == {
        "voice": {"1"},
        "music": {"1"},
    }


async def test_names_are_learned_and_forgotten(database_url: str) -> None:
    catalog = PostgresCatalog(database_url)
    for category in ("voice", "music", "something_new"):
        await execute(database_url, "truncate audio_chunks", fill(2, "'voice'"), fill(3, f"'{category}'"))
        loaded = await catalog.load()
        async with session(database_url) as connection:
            assert contents(loaded.catalog) == await ready_in(connection)


async def test_query_cannot_write(database_url: str) -> None:
    query = "with gone as (delete from audio_chunks returning id, category) select id, category from gone"
    with pytest.raises(PostgresError):
        await PostgresCatalog(database_url, query).load()


# --- what cannot be loaded


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("select 'x' as id, 'voice' as category", "ids are of type text; accepted are smallint, integer, bigint, uuid"),
        ("select 1.5 as id, 'voice' as category", "ids are of type numeric; accepted are"),
        ("select 1 as id", 'column "category" does not exist'),
        ("select 'voice' as category", 'column "id" does not exist'),
        ("selec", "syntax error"),
        ("select id, category from chunks", 'relation "chunks" does not exist'),
    ],
)
async def test_query_that_cannot_be_used_is_explained(empty_database_url: str, query: str, sentence: str) -> None:
    with pytest.raises(PostgresError, match=sentence):
        await PostgresCatalog(empty_database_url, query).load()


async def test_missing_table_is_explained(empty_database_url: str) -> None:
    catalog = PostgresCatalog(empty_database_url)
    with pytest.raises(PostgresError, match="`sampling-worker migrate` creates audio_chunks"):
        await catalog.load()
    with pytest.raises(PostgresError, match="`sampling-worker migrate` creates audio_chunks"):
        async with catalog.listening():
            pass


async def test_missing_server_is_explained_without_its_password() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"postgresql://worker:s3cr3t@127.0.0.1:{taken.getsockname()[1]}/audio"
        with pytest.raises(PostgresError, match=r"worker:\*\*\*@127.0.0.1") as caught:
            await PostgresCatalog(url).load()
    assert "s3cr3t" not in str(caught.value)


async def test_server_that_says_nothing_is_given_up(empty_database_url: str) -> None:
    query = "select 1 as id, 'voice' as category from pg_sleep(600)"
    with pytest.raises(PostgresError, match="no answer in time"):
        await PostgresCatalog(empty_database_url, query, patience_s=0.2).load()


async def test_server_that_answers_slowly_is_waited_for(empty_database_url: str) -> None:
    """The patience limits silence, and not the whole load, which here takes several times as long."""
    await execute(empty_database_url, "create table pause (seconds) as values (0.0)")
    query = """
    select i as id, 'voice' as category, pg_sleep((select seconds from pause)) from generate_series(1, 3000) as i"""
    catalog = PostgresCatalog(empty_database_url, query, patience_s=3.0)
    await catalog.load()
    await execute(empty_database_url, "update pause set seconds = 0.001")
    assert len((await catalog.load()).catalog) == 3000


# --- the connection


async def test_kernel_watches_the_connection(empty_database_url: str) -> None:
    async with connected(empty_database_url, statement_timeout_s=5) as connection:
        link = connection._transport.get_extra_info("socket")  # type: ignore[attr-defined]
        assert link.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        name = await connection.fetchval("select current_setting('application_name')")
    assert name == "sampling-worker"
    assert connection.is_closed()


async def test_unix_socket_will_do() -> None:
    with running(lambda folder: PostgresServer(folder, options=("-k", str(folder / "data")))) as server:
        folder = server._data
        url = f"postgresql://postgres@/postgres?host={folder}&port={server.port}"
        assert await migrate(url)
        assert len((await PostgresCatalog(url).load()).catalog) == 0


# --- listening


async def test_changed_rows_are_heard_of_and_read(database_url: str) -> None:
    await execute(database_url, fill(9, "'voice'"))
    async with listening(database_url) as (listener, writer):
        await writer.execute("update audio_chunks set status = 'FAILED' where id = 1")
        await writer.execute("update audio_chunks set category = 'music' where id = 2")
        await writer.execute("delete from audio_chunks where id = 3")
        news = listener.news()
        heard: set[int] = set()
        while heard != {1, 2, 3}:
            heard |= set((await next_news(news)).ids.tolist())
        assert (await listener.read(np.array([5, 3, 2, 1, 999]))).parts == ["voice", None, "music", None, None]


async def test_burst_is_few_news(database_url: str) -> None:
    await execute(database_url, fill(300))
    async with listening(database_url) as (listener, writer):
        for chunk in range(1, 301):
            await writer.execute("update audio_chunks set status = 'FAILED' where id = $1", chunk)
        news, heard, count = listener.news(), set[int](), 0
        while len(heard) < 300:
            heard |= set((await next_news(news)).ids.tolist())
            count += 1
        assert count < 30


async def test_truncate_asks_for_everything(database_url: str) -> None:
    async with listening(database_url) as (listener, writer):
        await writer.execute("truncate audio_chunks")
        news = await next_news(listener.news())
        assert (news.reload, len(news.ids)) == (True, 0)


@pytest.mark.fault("more rows change at once than notifications name: everything is read again", "F06")
async def test_too_many_ids_are_as_good_as_everything(database_url: str) -> None:
    """Anybody may send any number of notifications; memory stays bounded."""
    flood = """
    select pg_notify($1, string_agg(i::text, ',')) from generate_series(1, 250000) as i group by i / 500"""
    async with listening(database_url) as (listener, writer):
        await writer.execute(flood, CATALOG_CHANNEL)
        news = listener.news()
        named = 0
        while not (heard := await next_news(news)).reload:
            named += len(heard.ids)
        assert named < 250_000
        assert len(heard.ids) == 0


@pytest.mark.parametrize(
    "payload",
    ["", ",", "x", "**", "1.5", "0x10", "' or 1=1 --", "9" * 5000, str(2**63), str(-(2**63) - 1), str(ODD_UUIDS[2])],
)
async def test_forged_payload_is_nothing(database_url: str, payload: str) -> None:
    async with listening(database_url) as (listener, writer):
        await writer.execute("select pg_notify($1, $2)", CATALOG_CHANNEL, payload)
        await writer.execute("select pg_notify($1, $2)", CATALOG_CHANNEL, f"{payload},7")
        assert (await next_news(listener.news())).ids.tolist() == [7]
        assert (await listener.read(np.array([7]))).parts == [None]


async def test_many_rows_are_read_in_the_order_asked_for(database_url: str) -> None:
    await execute(database_url, fill(25_000))
    ids = np.random.default_rng(7).permutation(np.arange(-500, 25_500))
    async with listening(database_url) as (listener, writer):
        rows = await writer.fetch("select id, category from audio_chunks")
        known = {row["id"]: row["category"] for row in rows}
        assert (await listener.read(ids)).parts == [known.get(chunk) for chunk in ids.tolist()]


async def test_uuids_are_heard_of_and_read(empty_database_url: str) -> None:
    await execute(empty_database_url, UUID_TABLE)
    await migrate(empty_database_url)
    async with listening(empty_database_url) as (listener, writer):
        for chunk in ODD_UUIDS:
            await writer.execute("insert into audio_chunks values ($1, 'voice', 'READY')", chunk)
        news, heard = listener.news(), set[str]()
        while len(heard) < len(ODD_UUIDS):
            ids = (await next_news(news)).ids
            heard |= {str(uuid.UUID(bytes=chunk.ljust(16, b"\0"))) for chunk in ids.tolist()}
            assert (await listener.read(ids)).parts == ["voice"] * len(ids)
        assert heard == {str(chunk) for chunk in ODD_UUIDS}


async def test_category_that_is_no_name_is_not_ready(empty_database_url: str) -> None:
    await execute(
        empty_database_url,
        "create table audio_chunks (id bigint primary key, category text, status text)",
        "insert into audio_chunks values (1, 'Voice', 'READY'), (2, null, 'READY'), (3, 'voice', 'READY')",
    )
    async with listening(empty_database_url) as (listener, _):
        assert (await listener.read(np.array([1, 2, 3]))).parts == [None, None, "voice"]


async def test_closed_connection_ends_the_news(database_url: str) -> None:
    async with listening(database_url) as (listener, writer):
        news = listener.news()
        await writer.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and application_name = 'sampling-worker'"
        )
        with pytest.raises(PostgresError):
            await next_news(news)
        with pytest.raises(PostgresError):
            await listener.read(np.array([1]))


async def test_server_that_hangs_ends_the_news(database_url: str) -> None:
    """A half-open link is silent, and asyncpg reports nothing. Only a probe detects it."""
    async with listening(database_url) as (listener, writer):
        backend = await writer.fetchval(
            "select pid from pg_stat_activity"
            " where datname = current_database() and application_name = 'sampling-worker'"
        )
        os.kill(backend, signal.SIGSTOP)
        try:
            with pytest.raises(PostgresError, match="no answer in time"):
                await next_news(listener.news())
        finally:
            os.kill(backend, signal.SIGCONT)


@pytest.mark.parametrize("query", ["select k as id, kind as category from nosuch", "select 1 as k", "select id,"])
async def test_a_query_that_makes_no_sense_is_named(empty_database_url: str, query: str) -> None:
    with pytest.raises(PostgresError, match="WORKER_CHUNKS_QUERY has to be a SELECT of id and category"):
        await PostgresCatalog(empty_database_url, query).load()
