"""A URL names a primary and its streaming standby: which of them is read, and what happens when one goes or lags."""

import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.feeding import Log, Worker, execute, feeding
from tests.support.library import fill, session
from tests.support.servers import running
from tests.support.waiting import wait_until
from worker.adapters.postgres.catalog import PostgresCatalog
from worker.adapters.postgres.migrate import migrate
from worker.embedded import PostgresServer
from worker.logs import emit as logs


class Pair(NamedTuple):
    """A primary and its standby."""

    primary: PostgresServer
    standby: PostgresServer

    def url(self, target: str) -> str:
        """Return a URL of both, the primary first."""
        hosts = ",".join(f"127.0.0.1:{server.port}" for server in self)
        return f"postgresql://postgres@{hosts}/postgres?target_session_attrs={target}"


@contextmanager
def backed_up(primary: PostgresServer) -> Iterator[PostgresServer]:
    """Run a standby that was made by pg_basebackup, and follows its primary."""

    def copied(folder: Path) -> PostgresServer:
        data, owner = folder / "data", primary._data.stat().st_uid
        program, source = primary._programs / "pg_basebackup", f"host=127.0.0.1 port={primary.port} user=postgres"
        subprocess.run(
            [
                program,
                "--pgdata",
                data,
                "--dbname",
                source,
                "--write-recovery-conf",
                "--checkpoint",
                "fast",
                "--no-sync",
            ],
            check=True,
        )
        for path in (data, *data.rglob("*")):
            shutil.chown(path, owner)
        return PostgresServer(folder)

    with running(copied) as standby:
        yield standby


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    with running(PostgresServer) as primary:
        await migrate(primary.url)
        await execute(primary.url, fill(50))
        with backed_up(primary) as standby:
            yield Pair(primary, standby)


@asynccontextmanager
async def following(pair: Pair, target: str) -> AsyncIterator[Worker]:
    async with feeding(PostgresCatalog(pair.url(target)), pair.primary.url) as worker:
        assert await worker.agrees()
        yield worker


@pytest.mark.parametrize("target", ["any", "primary", "read-write"])
async def test_primary_is_heard(pair: Pair, log: Log, target: str) -> None:
    async with following(pair, target) as worker:
        await worker.writer.execute("delete from audio_chunks where id < 10")
        await worker.converges()
    logs.shutdown(10)  # all is written
    assert log.lines("catalog.unwatched") == []
    assert {line["cause"] for line in log.lines("catalog.changed")} == {"notify"}


@pytest.mark.parametrize("target", ["prefer-standby", "standby", "read-only"])
async def test_standby_is_read_and_says_that_it_cannot_notify(pair: Pair, log: Log, target: str) -> None:
    async with following(pair, target) as worker:
        await worker.writer.execute("delete from audio_chunks where id < 10")
        await worker.converges()
    logs.shutdown(10)
    [line] = log.lines("catalog.unwatched")
    assert (line["reason"], line["mend"]) == (
        "the server is a standby, which cannot notify",
        "the DATABASE_URL of the primary",
    )
    assert {line["cause"] for line in log.lines("catalog.changed")} == {"refresh"}


async def test_primary_takes_over_from_a_standby_that_goes(pair: Pair, log: Log) -> None:
    async with following(pair, "prefer-standby") as worker:
        pair.standby.kill()
        await worker.writer.execute("delete from audio_chunks where id < 10")
        await worker.converges()
        await wait_until(lambda: log.lines("catalog.watched"), timeout_s=30, what="the primary is heard")


@pytest.mark.parametrize("target", ["any", "primary", "prefer-standby"])
async def test_server_that_is_away_is_passed_over_whichever_comes_first(pair: Pair, target: str) -> None:
    """Neither has TLS, so that both are first asked for what they do not have."""
    pair.standby.stop()
    for both in (pair, Pair(pair.standby, pair.primary)):
        assert len((await PostgresCatalog(both.url(target)).load()).catalog) == 50


async def test_standby_that_lags_takes_nothing_back(pair: Pair) -> None:
    """Loads and comparisons read where the listener listens, whichever server the URL prefers meanwhile."""
    pair.standby.stop()
    source = PostgresCatalog(pair.url("prefer-standby"))
    async with feeding(source, pair.primary.url) as worker:
        await worker.converges()
        pair.standby.start()
        await execute(pair.standby.url, "select pg_wal_replay_pause()")
        await worker.writer.execute("delete from audio_chunks where id < 10")
        await worker.converges()
        catalog = worker.current.catalog
        assert catalog is not None
        async with session(pair.standby.url) as behind:
            assert await behind.fetchval("select count(*) from audio_chunks") == 50
        assert await source.holds(catalog)
        assert len((await source.load()).catalog) == len(catalog) == 41
