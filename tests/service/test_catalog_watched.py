"""Changes of a library that triggers miss are found at once, or a warning names what is missed.

Nothing here is read now and then: the time for that never comes.
"""

import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.feeding import Log, Worker, execute, feeding
from tests.support.library import contents, fill, session
from tests.support.servers import new_database, postgres_programs, running
from tests.support.waiting import wait_until
from worker.adapters.postgres.catalog import PostgresCatalog
from worker.adapters.postgres.migrate import migrate
from worker.adapters.postgres.watch import look
from worker.embedded import PostgresServer
from worker.errors import PostgresError

pytestmark = pytest.mark.fault("what no trigger announces changes the library: partitions, swaps, rights, standbys")

_PROGRAMS = postgres_programs()
_TABLE = "(id bigint not null, category text not null, status text not null default 'READY'"
_PARTED = (
    f"create table audio_chunks {_TABLE}, primary key (id, category)) partition by list (category)",
    "create table voice partition of audio_chunks for values in ('voice') partition by range (id)",
    "create table voice_low partition of voice for values from (0) to (100)",
    "create table voice_high partition of voice for values from (100) to (1000)",
    """create table "The Rest" partition of audio_chunks default""",
    "insert into audio_chunks select i, 'voice' from generate_series(1, 110) as i",
    "insert into audio_chunks select i, 'music' from generate_series(201, 210) as i",
)
_INHERITED = (
    f"create table audio_chunks {_TABLE})",
    "create table child (extra text) inherits (audio_chunks)",
    "insert into audio_chunks values (1, 'voice'), (2, 'music')",
    "insert into child values (3, 'voice'), (4, 'music')",
)
_AGAIN = "create table %s.audio_chunks as select 5::bigint as id, '%s' as category, 'READY' as status"
_PLAIN = (
    f"create table audio_chunks {_TABLE}, primary key (id))",
    "insert into audio_chunks select i, 'voice' from generate_series(1, 10) as i",
)
_NEW = "create table new (like audio_chunks including all); insert into new values (77, 'music'), (78, 'voice')"
_SWAP = f"begin; {_NEW}; alter table audio_chunks rename to old; alter table new rename to audio_chunks; commit"
_UNSEEN = {
    "a row of a partition": (_PARTED, "update voice_low set status = 'FAILED' where id = 1"),
    "a row of a partition that has partitions": (_PARTED, "update voice set status = 'FAILED' where id = 1"),
    "rows put into a partition": (_PARTED, "insert into voice_high values (500, 'voice')"),
    "rows of a quoted partition": (_PARTED, """delete from "The Rest" where id < 205"""),
    "a partition emptied": (_PARTED, "truncate voice_low"),
    "a partition emptied with triggers disabled": (
        _PARTED,
        "begin; alter table voice_low disable trigger all; delete from voice_low; commit",
    ),
    "a partition detached": (_PARTED, "alter table voice detach partition voice_low"),
    "a partition dropped": (_PARTED, "drop table voice"),
    "a partition attached": (
        _PARTED,
        (
            "create table talk (like audio_chunks including defaults); insert into talk values (7, 'talk');"
            "alter table audio_chunks attach partition talk for values in ('talk')"
        ),
    ),
    "rows moved between partitions": (_PARTED, "update audio_chunks set category = 'voice' where category = 'music'"),
    "an id in two categories": (_PARTED, "insert into audio_chunks values (2, 'music')"),
    "an id in two categories that leaves one": (
        (*_PARTED, "insert into audio_chunks values (2, 'music')"),
        "update audio_chunks set status = 'FAILED' where id = 2 and category = 'voice'",
    ),
    "a row of a table that inherits": (_INHERITED, "update child set category = 'music' where id = 3"),
    "a table that inherits emptied": (_INHERITED, "truncate child"),
    "a table that comes to inherit": (
        _INHERITED,
        "create table more () inherits (audio_chunks); insert into more values (9, 'voice')",
    ),
    "a table that inherits no more": (_INHERITED, "alter table child no inherit audio_chunks"),
    "a table swapped for another": (_PLAIN, _SWAP),
    "a table made again": (
        _PLAIN,
        "drop table audio_chunks; " + _AGAIN % ("public", "voice"),
    ),
    "a schema swapped for another": (
        _PLAIN,
        (
            "begin; create schema fresh; " + _AGAIN % ("fresh", "voice") + ";"
            "insert into fresh.audio_chunks values (3, 'music', 'READY'); alter schema public rename to stale;"
            "alter schema fresh rename to public; commit"
        ),
    ),
    "triggers disabled for a moment": (
        _PLAIN,
        (
            "begin; alter table audio_chunks disable trigger user; delete from audio_chunks where id = 1;"
            "alter table audio_chunks enable trigger user; commit"
        ),
    ),
    "triggers dropped": (
        _PLAIN,
        "drop function sampling_worker_notify cascade; update audio_chunks set category = 'music' where id < 4",
    ),
    "the role of a replica": (
        _PLAIN,
        "set session_replication_role = replica; delete from audio_chunks where id = 1",
    ),
    "a table rewritten": (_PLAIN, "alter table audio_chunks alter category type varchar(20) using 'other'"),
    "ids of another type": (_PLAIN, "alter table audio_chunks alter id type int"),
    "a view in its place": (
        _PLAIN,
        "alter table audio_chunks rename to held; create view audio_chunks as select * from held where id > 5",
    ),
}


@pytest.fixture(scope="module", params=list(_PROGRAMS))
def server(request: pytest.FixtureRequest) -> Iterator[PostgresServer]:
    """PostgreSQL of each version that is there."""
    with running(lambda folder: PostgresServer(folder, programs=_PROGRAMS[request.param])) as server:
        yield server


@pytest.fixture
def url(server: PostgresServer) -> Iterator[str]:
    with new_database(server) as url:
        yield url


@asynccontextmanager
async def following(url: str, *made: str) -> AsyncIterator[Worker]:
    """Make a library, migrate it, and follow it."""
    await execute(url, *made)
    await migrate(url)
    async with feeding(PostgresCatalog(url), url) as worker:
        assert await worker.agrees()
        yield worker


async def logged(log: Log, event: str, count: int = 1) -> list[dict[str, object]]:
    await wait_until(lambda: len(log.lines(event)) >= count, timeout_s=60, what=f"{event} is logged")
    return log.lines(event)


@pytest.mark.parametrize(("made", "change"), _UNSEEN.values(), ids=_UNSEEN)
async def test_what_triggers_do_not_see_is_found(url: str, made: tuple[str, ...], change: str) -> None:
    async with following(url, *made) as worker:
        before = contents(worker.current.catalog)
        await worker.writer.execute(change)
        await worker.converges()
        assert contents(worker.current.catalog) != before or "alter id type" in change


async def test_whole_library_has_triggers_and_says_nothing(url: str, log: Log) -> None:
    for made in (_PARTED, _INHERITED, _PLAIN):
        await execute(url, "drop table if exists audio_chunks cascade")
        async with following(url, *made) as worker:
            await worker.writer.execute("insert into audio_chunks values (999, 'voice')")
            await worker.converges()
    assert not log.lines("catalog.unwatched")
    assert await migrate(url) == []


async def test_new_partition_is_told_of_and_mended(url: str, log: Log) -> None:
    async with following(url, *_PARTED) as worker:
        await worker.writer.execute("create table talk partition of audio_chunks for values in ('talk')")
        [line] = await logged(log, "catalog.unwatched")
        assert (line["table"], line["tables"], line["mend"]) == ("talk", 1, "sampling-worker migrate")
        assert line["reason"] == "triggers that announce changes are missing or disabled"
        await worker.writer.execute("insert into talk values (1, 'talk')")
        await worker.converges()
        assert (await migrate(url))[:3] == ["0001_audio_chunks", "0002_notify_changes", "0003_indexes"]
        await logged(log, "catalog.watched")
        await worker.writer.execute("insert into talk values (2, 'talk')")
        await worker.converges()
    assert len(log.lines("catalog.unwatched")) == 1


async def test_swapped_table_is_told_of_and_mended(url: str, log: Log) -> None:
    """The old table keeps its names of indexes, which the new one cannot have."""
    async with following(url, *_PLAIN) as worker:
        await worker.writer.execute(_SWAP)
        await logged(log, "catalog.unwatched")
        await worker.writer.execute("delete from audio_chunks where id = 77")
        await worker.converges()
        await migrate(url)
        await logged(log, "catalog.watched")
        await worker.writer.execute("delete from audio_chunks where id = 78")
        await worker.converges()


async def test_triggers_for_one_role_alone_are_told_of(url: str, log: Log) -> None:
    """pg_restore leaves triggers like that."""
    async with following(url, *_PLAIN) as worker:
        await worker.writer.execute("alter table audio_chunks enable trigger user")
        [line] = await logged(log, "catalog.unwatched")
        assert line["unseen"] == "changes by sessions with session_replication_role = replica"


async def test_view_is_told_of_and_found(url: str, log: Log) -> None:
    await execute(url, *_PLAIN, "alter table audio_chunks rename to held", "create view audio_chunks as table held")
    async with feeding(PostgresCatalog(url), url) as worker:
        [line] = await logged(log, "catalog.unwatched")
        assert (line["table"], line["reason"]) == ("audio_chunks", "a view can have no triggers that announce changes")
        await worker.writer.execute("delete from held where id = 1")
        await worker.converges()


async def test_foreign_partition_is_refused_and_told_of(url: str) -> None:
    foreign = (
        "create foreign data wrapper nothing; create server nowhere foreign data wrapper nothing;"
        "create foreign table away partition of audio_chunks for values in ('away') server nowhere"
    )
    await execute(url, f"create table audio_chunks {_TABLE}) partition by list (category)", foreign)
    with pytest.raises(PostgresError, match="away, a part of audio_chunks, is a foreign table"):
        await migrate(url)
    async with session(url) as connection:
        unheard = (await look(connection, 10)).unheard(is_deaf=False)
    assert ("away", "a foreign table can have no triggers that announce changes") in {
        (one.table, one.reason) for one in unheard
    }


# --- rights


@asynccontextmanager
async def as_reader(url: str) -> AsyncIterator[str]:
    """Make a role that may read; yield the URL of the database for it."""
    role = f"reader_{url.rpartition('/')[2].partition('?')[0]}"
    await execute(url, f"create role {role} login", f"grant select on audio_chunks to {role}")
    try:
        yield url.replace("postgres@", f"{role}@")
    finally:
        await execute(url, f"drop owned by {role}", f"drop role {role}")


async def test_row_level_security_that_hides_everything_is_told_of(url: str, log: Log) -> None:
    await execute(url, *_PLAIN)
    await migrate(url)
    async with as_reader(url) as reader, feeding(PostgresCatalog(reader), url) as worker:
        await worker.writer.execute("alter table audio_chunks enable row level security")
        [line] = await logged(log, "catalog.hidden")
        assert line["tables"] == "audio_chunks"
        assert contents(worker.current.catalog) == {}
        await worker.writer.execute("create policy few on audio_chunks using (id < 4)")
        await wait_until(
            lambda: contents(worker.current.catalog) == {"voice": {"1", "2", "3"}},
            timeout_s=30,
            what="the policy counts",
        )
        await worker.writer.execute("alter policy few on audio_chunks using (false)")
        await logged(log, "catalog.hidden", 2)


async def test_hidden_rows_of_a_query_are_told_of(url: str, log: Log) -> None:
    await execute(url, *_PLAIN, "alter table audio_chunks enable row level security")
    async with as_reader(url) as reader:
        source = PostgresCatalog(reader, "select id, category from audio_chunks")
        async with feeding(source, url):
            [line] = await logged(log, "catalog.hidden")
    assert line["tables"] == "audio_chunks"


@pytest.mark.parametrize(
    "what", ["select on audio_chunks", "select (category) on audio_chunks", "usage on schema mine"]
)
async def test_rights_that_are_taken_away_are_noticed(url: str, what: str) -> None:
    await execute(url, "create schema mine; set search_path = mine;" + "; ".join(_PLAIN))
    owner = f"{url}?options=-csearch_path%3Dmine"
    await migrate(owner)
    async with as_reader(owner) as reader:
        role = reader.partition("//")[2].partition("@")[0]
        await execute(
            owner,
            f"revoke select on audio_chunks from {role}",  # noqa: S608 - words of this test
            f"grant usage on schema mine to {role}",
            f"grant select {'(id, category, status) on' if '(' in what else 'on'} audio_chunks to {role}",
        )
        async with feeding(PostgresCatalog(reader), owner) as worker:
            assert worker.availability.is_up
            await worker.writer.execute(f"revoke {what} from {role}")
            await wait_until(lambda: not worker.availability.is_up, timeout_s=60, what="the loss is noticed")
            await worker.writer.execute(f"grant {what} to {role}")
            await wait_until(lambda: worker.availability.is_up, timeout_s=60, what="the right is noticed")


async def test_search_path_of_the_role_that_changes_is_followed(url: str) -> None:
    await execute(url, *_PLAIN)
    await migrate(url)
    async with as_reader(url) as reader, feeding(PostgresCatalog(reader), url) as worker:
        role = reader.partition("//")[2].partition("@")[0]
        await worker.writer.execute(f"create schema mine; grant usage on schema mine to {role}")
        await worker.writer.execute(_AGAIN % ("mine", "mine"))
        await worker.writer.execute(f"grant select on mine.audio_chunks to {role}")
        await worker.writer.execute(f"alter role {role} set search_path = mine")
        await wait_until(
            lambda: contents(worker.current.catalog) == {"mine": {"5"}},
            timeout_s=30,
            what="the other table is followed",
        )


async def test_table_off_the_search_path_is_named(url: str) -> None:
    await execute(url, "create schema mine", f"create table mine.audio_chunks {_TABLE})")
    with pytest.raises(PostgresError, match="audio_chunks is in schema mine, which is not on the search_path"):
        await PostgresCatalog(url).load()


# --- replicas


async def test_standby_says_so_and_is_read_when_something_came(server: PostgresServer, log: Log) -> None:
    programs = server._programs
    with running(lambda folder: PostgresServer(folder, programs=programs)) as primary:
        await migrate(primary.url)
        await execute(primary.url, fill(50))
        primary.stop()

        def copied(folder: Path) -> PostgresServer:
            folder.chmod(0o711)
            shutil.copytree(primary._data, folder / "data")
            (folder / "data" / "standby.signal").touch()
            for path in (folder / "data", *(folder / "data").rglob("*")):
                shutil.chown(path, primary._data.stat().st_uid)
            follow = f"primary_conninfo=host=127.0.0.1 port={primary.port} user=postgres"
            return PostgresServer(folder, programs=programs, options=("-c", follow))

        with running(copied) as standby:
            primary.start()
            async with feeding(PostgresCatalog(standby.url), standby.url) as worker:
                [line] = await logged(log, "catalog.unwatched")
                assert line["reason"] == "the server is a standby, which cannot notify"
                await execute(primary.url, "delete from audio_chunks where id < 10")
                await wait_until(
                    lambda: len(worker.current.catalog or ()) == 41, timeout_s=30, what="the change is found"
                )
                await execute(primary.url, "alter table audio_chunks rename to gone")
                await wait_until(lambda: not worker.availability.is_up, timeout_s=30, what="the table is missed")


async def test_subscriber_of_a_replication_says_so(server: PostgresServer, log: Log) -> None:
    logical = ("-c", "wal_level=logical")
    with running(lambda folder: PostgresServer(folder, programs=server._programs, options=logical)) as own:
        source, target = (own.url.removesuffix("postgres") + name for name in ("source", "target"))
        await execute(own.url, "create database source", "create database target")
        for database in (source, target):
            await execute(database, f"create table audio_chunks {_TABLE}, primary key (id))")
            await migrate(database)
        await execute(source, "create publication chunks for table audio_chunks")
        await execute(source, "select pg_create_logical_replication_slot('chunks', 'pgoutput')")
        subscribe = f"""
        create subscription chunks connection 'host=127.0.0.1 port={own.port} user=postgres dbname=source'
        publication chunks with (create_slot = false)"""
        async with feeding(PostgresCatalog(target), target) as worker:
            await worker.writer.execute(subscribe)
            [line] = await logged(log, "catalog.unwatched")
            assert line["reason"] == "logical replication fires no triggers of statements"
            await execute(source, "insert into audio_chunks values (1, 'voice')")
            await wait_until(lambda: len(worker.current.catalog or ()) == 1, timeout_s=30, what="the row is found")
