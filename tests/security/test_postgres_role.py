"""The role of `deploy/sampler.sql`: it reads the library and hears of its changes, and can do nothing else.

Serving under it is in `test_redis_roles.py`.
"""

import asyncio
from pathlib import Path

import asyncpg
import pytest

from tests.support.command import run_command
from tests.support.guarded import as_role, make_role
from tests.support.library import session
from tests.support.servers import execute
from worker.adapters.postgres.catalog import PostgresCatalog
from worker.adapters.postgres.counts import count_chunks

NEVER = (
    "insert into audio_chunks (category, status) values ('voice', 'READY')",
    "update audio_chunks set status = 'FAILED'",
    "delete from audio_chunks",
    "truncate audio_chunks",
    "select path from audio_chunks",
    "select * from secrets",
    "select nextval('audio_chunks_id_seq')",
    "alter table audio_chunks add column mine text",
    "drop table audio_chunks",
    "create table mine ()",
    "create temporary table mine ()",
    "create schema mine",
    "create function mine() returns int language sql as 'select 1'",
    "create role mine",
    "set role postgres",
    "set session authorization postgres",
    "alter role postgres password 'x'",
    "alter system set work_mem = '1GB'",
    "copy audio_chunks (id) to program 'cat'",
    "copy (select 1) to '/tmp/mine'",
    "select pg_read_file('/etc/passwd')",
    "select rolpassword from pg_authid",
    "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'postgres' limit 1",
    "create trigger mine before insert on audio_chunks execute function suppress_redundant_updates_trigger()",
)


@pytest.fixture
def sampler_url(database_url: str) -> str:
    """Make the role, twice: the file can be run again."""
    execute(database_url, "create table secrets (word text)")
    execute(database_url, "insert into audio_chunks (category, status) values ('voice', 'READY')")
    make_role(database_url)
    make_role(database_url)
    return as_role(database_url)


async def test_it_reads_and_listens(sampler_url: str, database_url: str) -> None:
    catalog = PostgresCatalog(sampler_url)
    async with catalog.listening() as listener:
        assert len((await catalog.load()).catalog) == 1
        async with session(database_url) as owner:
            await owner.execute("insert into audio_chunks (category, status) values ('music', 'READY')")
        news = await anext(listener.news())
        assert (await listener.read(news.ids)).parts == ["music"]
    assert [(chunk.category, chunk.count) for chunk in await count_chunks(sampler_url)] == [("music", 1), ("voice", 1)]


async def test_it_can_do_nothing_else(sampler_url: str) -> None:
    """It cannot even without the read-only mode, which any session may switch off."""
    done = []
    async with session(sampler_url) as sampler:
        await sampler.execute("set session characteristics as transaction read write")
        for statement in NEVER:
            try:
                await sampler.execute(statement)
                done.append(statement)
            except asyncpg.InsufficientPrivilegeError:
                continue
    assert done == []


async def test_it_writes_nothing_by_mistake(sampler_url: str) -> None:
    async with session(sampler_url) as sampler:
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            await sampler.execute("delete from audio_chunks")


async def test_a_listening_session_is_not_ended_for_its_silence(sampler_url: str) -> None:
    async with session(sampler_url) as sampler:
        assert await sampler.fetchval("show idle_session_timeout") == "0"


def test_its_password_is_stored_as_no_more_than_a_proof(sampler_url: str, database_url: str) -> None:
    async def stored() -> str:
        async with session(database_url) as owner:
            return str(await owner.fetchval("select rolpassword from pg_authid where rolname = 'sampler'"))

    assert sampler_url
    assert asyncio.run(stored()).startswith("SCRAM-SHA-256$")


def test_rows_that_are_hidden_from_it_are_told_of(sampler_url: str, database_url: str, tmp_path: Path) -> None:
    """Row level security without a policy looks like an empty library."""
    execute(database_url, "alter table audio_chunks enable row level security")
    shown = run_command("catalog", "show", "--json", settings={"DATABASE_URL": sampler_url}, cwd=tmp_path)
    assert (shown.returncode, shown.stdout) == (0, "[]\n")
    assert shown.stderr == (
        "sampling-worker: row level security of audio_chunks may hide rows from this role; "
        "accepted: a policy that lets this role see rows, or a role with BYPASSRLS\n"
    )
