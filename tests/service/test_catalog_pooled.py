"""PgBouncer stands between a worker and PostgreSQL: in session mode nothing changes, in transaction mode it says so."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import anyio
import pytest

from tests.support.feeding import Log, execute, feeding
from tests.support.library import fill
from tests.support.pooler import Pooler
from tests.support.servers import running
from worker.adapters.postgres.catalog import PostgresCatalog
from worker.embedded import PostgresServer
from worker.logs import emit as logs

pytestmark = pytest.mark.needs("pgbouncer")

_QUERY = "select id, category, split, duration_s from audio_chunks where status = 'READY'"


@contextmanager
def pooled(server: PostgresServer, mode: Literal["session", "transaction"], sessions: int = 4) -> Iterator[Pooler]:
    with running(lambda folder: Pooler(folder, server.port, mode, sessions)) as pooler:
        yield pooler


async def test_in_session_mode_changes_are_heard(postgres_server: PostgresServer, database_url: str, log: Log) -> None:
    await execute(database_url, fill(50))
    with pooled(postgres_server, "session") as pooler:
        async with feeding(PostgresCatalog(pooler.url_of(database_url)), database_url) as worker:
            await worker.converges()
            await worker.writer.execute("delete from audio_chunks where id < 10")
            await worker.converges()
    logs.shutdown(10)  # all is written
    assert log.lines("catalog.unwatched") == []
    assert [line["cause"] for line in log.lines("catalog.changed")] == ["notify"]


@pytest.mark.parametrize("sessions", [1, 4])
async def test_in_transaction_mode_it_says_so_once_and_looks(
    postgres_server: PostgresServer, database_url: str, log: Log, sessions: int
) -> None:
    await execute(database_url, fill(50))
    with pooled(postgres_server, "transaction", sessions) as pooler:
        async with feeding(PostgresCatalog(pooler.url_of(database_url)), database_url) as worker:
            await worker.converges()
            for chunk in range(1, 6):
                await worker.writer.execute("delete from audio_chunks where id = $1", chunk)
                await worker.converges()
            assert worker.availability.is_up
    logs.shutdown(10)
    [line] = log.lines("catalog.unwatched")
    assert line["reason"] == "notifications do not arrive, as behind a pooler in transaction mode"
    assert line["mend"] == "a DATABASE_URL without the pooler, or one in session mode"
    assert log.lines("postgres.lost") == log.lines("catalog.watched") == []


@pytest.mark.parametrize("query", [None, _QUERY], ids=["audio_chunks", "a query"])
async def test_many_workers_share_few_sessions_of_a_transaction_pool(
    postgres_server: PostgresServer, database_url: str, query: str | None
) -> None:
    """No statement that one of them has prepared is met by another."""
    await execute(database_url, fill(500))
    with pooled(postgres_server, "transaction", 2) as pooler:
        url = pooler.url_of(database_url)
        sources = [PostgresCatalog(url, query, with_durations=False) for _ in range(6)]
        counts: list[int] = []

        async def load(source: PostgresCatalog) -> None:
            for _ in range(4):
                catalog = (await source.load()).catalog
                assert await source.holds(catalog)
                counts.append(len(catalog))

        async with anyio.create_task_group() as loads:
            for source in sources:
                loads.start_soon(load, source)
    assert counts == [500] * 24
