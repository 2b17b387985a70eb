"""PostgreSQL stops, hangs, refuses, or changes under the worker: requests are answered from memory meanwhile."""

import asyncio
import signal
import time
from collections.abc import Iterator

import pytest

from tests.faults.trial import DEADLINE_S, Figure, Trial
from tests.support.command import RunningWorker
from tests.support.proxy import HOST, Pace, Proxy
from tests.support.servers import execute, fetch_value, new_database, running
from tests.support.waiting import wait_until_sync
from worker.adapters.postgres.migrate import migrate
from worker.embedded import PostgresServer

pytestmark = pytest.mark.any_redis

_SMALL_QUEUE = ["-c", "max_notify_queue_pages=64"]  # of 8 KiB; a server has a million of them
_READ_OFTEN = {"WORKER_CATALOG_REFRESH_S": "0.5"}
_LOADING = "select count(*) from pg_stat_activity where query like 'COPY%'"
_USAGE = "select pg_notification_queue_usage()"
_FILL_QUEUE = """
do $$ begin
  -- On a busy machine the queue also fills before a listener that reads had its turn: this one has to be stuck.
  while pg_notification_queue_usage() < 0.5 or not exists (
    select from pg_stat_activity where application_name = 'sampling-worker' and wait_event = 'ClientWrite'
  ) loop
    if pg_notification_queue_usage() < 0.5 then
      perform pg_notify('audio_chunks_changed', repeat('1,', 3900) || gen_random_uuid());
    end if;
    commit; -- also takes another look at pg_stat_activity
    perform pg_sleep(0.002); -- in which a listener that reads does read
  end loop;
end $$"""
_CHANGE_OFTEN = """
do $$ begin
  for turn in 1 .. 1000 loop
    update audio_chunks set category = 'turn_' || turn where id between 1 and 200;
    commit;
  end loop;
end $$"""
_END_BACKENDS = """
select pg_terminate_backend(pid) from pg_stat_activity
where datname = current_database() and application_name = 'sampling-worker'"""


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[PostgresServer]:
    """A server that tests may stop, if they start it again."""
    with running(lambda folder: PostgresServer(folder, options=_SMALL_QUEUE)) as server:
        yield server


@pytest.fixture
def database_url(own_postgres: PostgresServer) -> Iterator[str]:
    with new_database(own_postgres) as url:
        asyncio.run(migrate(url))
        yield url


@pytest.fixture
def postgres_proxy(own_postgres: PostgresServer) -> Iterator[Proxy]:
    """A link to PostgreSQL."""
    with Proxy(own_postgres.port) as link:
        yield link


@pytest.fixture
def linked(database_url: str, own_postgres: PostgresServer, postgres_proxy: Proxy) -> str:
    """The database's URL by way of that link."""
    # Without a question about TLS: asyncpg leaves a word of its own behind where nobody answers that.
    return database_url.replace(f"{HOST}:{own_postgres.port}", f"{HOST}:{postgres_proxy.port}") + "?sslmode=disable"


def _hold_told_once(worker: RunningWorker) -> None:
    assert [len(worker.events(f"postgres.{what}")) for what in ("lost", "restored")] == [1, 1]


def _end_fault(trial: Trial, worker: RunningWorker) -> None:
    """Check that the link is restored, that a chunk added from now on is known, and every promise."""
    trial.wait_event(worker, "postgres.restored", len(worker.events("postgres.lost")))
    trial.add_chunk(1_000_000, "voice")
    trial.recover()
    trial.count(losses=0)


@pytest.mark.fault("PostgreSQL is stopped at once, and started again", "F01")
def test_postgres_is_stopped_and_started(trial: Trial, own_postgres: PostgresServer) -> None:
    worker = trial.start()
    with trial.load():
        own_postgres.stop("immediate")
        trial.wait_event(worker, "postgres.lost")
        trial.wait_some_answered()
        own_postgres.start()
        with trial.library.outage():
            trial.library.take_away()
            trial.wait_ready_chunks(worker)
    _end_fault(trial, worker)
    _hold_told_once(worker)


@pytest.mark.fault("the backend of the listener is ended again and again, while chunks stop being READY", "F02", "F11")
def test_backends_are_ended(trial: Trial, database_url: str) -> None:
    worker = trial.start()
    with trial.load():
        for turn in range(1, 5):
            execute(database_url, _END_BACKENDS)
            trial.library.take_away()
            trial.wait_event(worker, "postgres.restored", turn)
            trial.wait_ready_chunks(worker)
    _end_fault(trial, worker)


@pytest.mark.fault("a black hole between PostgreSQL and the worker: no notification, and no word that it is so", "F03")
def test_nothing_passes(trial: Trial, postgres_proxy: Proxy, linked: str) -> None:
    worker = trial.start(DATABASE_URL=linked)
    with trial.load():
        postgres_proxy.hold()
        with trial.library.outage():
            trial.library.take_away()
            trial.wait_event(worker, "postgres.lost")
            postgres_proxy.release()
            trial.wait_ready_chunks(worker)
    _end_fault(trial, worker)
    _hold_told_once(worker)


@pytest.mark.fault("a worker is stopped (SIGSTOP) under so many notifications that their queue would overflow", "F07")
def test_a_frozen_listener_stops_no_writer(trial: Trial, database_url: str, own_postgres: PostgresServer) -> None:
    """PostgreSQL refuses every commit that notifies while its queue is full of what one listener did not read."""
    frozen = trial.start(**_READ_OFTEN)
    frozen.send(signal.SIGSTOP)
    execute(database_url, _FILL_QUEUE)  # which begins once the buffers between server and worker are full
    execute(database_url, _CHANGE_OFTEN)
    assert 0.5 <= fetch_value(own_postgres.url, _USAGE) < 0.6
    execute(database_url, "update audio_chunks set category = 'voice' where id between 1 and 200")
    frozen.send(signal.SIGCONT)
    wait_until_sync(
        lambda: fetch_value(own_postgres.url, _USAGE) < 0.1,
        timeout_s=DEADLINE_S,
        what="the queue is read",
    )
    trial.ask(50)
    trial.recover()
    trial.count(losses=None)


@pytest.mark.fault(
    "no notification arrives, as behind a pooler in transaction mode: the periodic reading finds it", "F12"
)
def test_nothing_is_heard(trial: Trial, database_url: str) -> None:
    worker = trial.start(**_READ_OFTEN)
    execute(database_url, "alter table audio_chunks disable trigger user")
    with trial.load():
        trial.library.take_away()
        trial.wait_ready_chunks(worker)
    trial.recover()
    trial.count(losses=0)
    assert {line["cause"] for line in worker.events("catalog.changed")} == {"refresh"}


@pytest.mark.fault("the table is locked (ACCESS EXCLUSIVE) while it is read again", "F10")
def test_the_table_is_locked(trial: Trial, database_url: str) -> None:
    worker = trial.start(**_READ_OFTEN)
    with trial.load():
        before = trial.look()
        execute(database_url, "begin; lock table audio_chunks in access exclusive mode; select pg_sleep(1.5); commit")
        assert trial.look() > before
        trial.library.take_away()
        trial.wait_ready_chunks(worker)
    trial.recover()
    trial.count(losses=0)
    assert not worker.events("postgres.lost")


@pytest.mark.fault("the schema changes under the worker: a column, then the table, is renamed", "F08")
@pytest.mark.parametrize(
    ("change", "back"),
    [
        ("alter table audio_chunks rename column category to kind", "alter table audio_chunks rename kind to category"),
        ("alter table audio_chunks rename to elsewhere", "alter table elsewhere rename to audio_chunks"),
    ],
    ids=["column", "table"],
)
def test_the_schema_changes(trial: Trial, database_url: str, change: str, back: str) -> None:
    worker = trial.start(**_READ_OFTEN)
    with trial.load():
        execute(database_url, change)
        trial.wait_event(worker, "postgres.lost")
        trial.wait_some_answered()
        execute(database_url, back)
    _end_fault(trial, worker)
    _hold_told_once(worker)


@pytest.mark.fault("the permission to read is taken away", "F08")
def test_permission_is_taken_away(trial: Trial, database_url: str) -> None:
    execute(database_url, "create role reader login; grant select on audio_chunks to reader")
    try:
        worker = trial.start(DATABASE_URL=database_url.replace("postgres@", "reader@"), **_READ_OFTEN)
        with trial.load():
            execute(database_url, "revoke select on audio_chunks from reader")
            trial.wait_event(worker, "postgres.lost")
            trial.wait_some_answered()
            execute(database_url, "grant select on audio_chunks to reader")
        _end_fault(trial, worker)
        _hold_told_once(worker)
        assert "permission denied" in worker.events("postgres.lost")[0]["message"]
    finally:
        execute(database_url, "drop owned by reader; drop role reader")


@pytest.mark.fault("PostgreSQL is stopped while the first catalog is loaded", "F01", "F08")
def test_postgres_is_stopped_while_the_worker_loads(
    trial: Trial, own_postgres: PostgresServer, postgres_proxy: Proxy, linked: str
) -> None:
    trial.ask(20)
    postgres_proxy.pace = Pace(bytes_per_s=4_000, piece=200)
    worker = trial.launch(DATABASE_URL=linked)
    wait_until_sync(
        lambda: fetch_value(own_postgres.url, _LOADING) > 0, timeout_s=DEADLINE_S, what="the catalog is being read"
    )
    own_postgres.stop("immediate")
    trial.wait_event(worker, "postgres.lost")
    postgres_proxy.pace = Pace()
    own_postgres.start()
    worker.wait_ready()
    _end_fault(trial, worker)


@pytest.mark.fault("a worker without a catalog steps back; the last one that has a catalog is killed", "A02", "F08")
@pytest.mark.parametrize("is_back_soon", [False, True], ids=["PostgreSQL stays away", "PostgreSQL is back soon"])
def test_the_last_worker_with_a_catalog_is_killed(
    trial: Trial, own_postgres: PostgresServer, figure: Figure, *, is_back_soon: bool
) -> None:
    able = trial.start("w-1")
    own_postgres.stop("immediate")
    try:
        others = trial.start_many("w-2", "w-3", WORKER_CATALOG_WAIT_S="0.2")
        for other in others:
            trial.wait_event(other, "worker.stepped_back")
        with trial.load():
            trial.wait_some_answered()
        trial.wait_answered()  # by the one that has a catalog: an error counts as a broken promise
        able.kill()
        if not is_back_soon:
            with trial.library.outage():
                begun = time.monotonic()
                trial.ask(20)
                trial.wait_answered()
                figure("taken over in", time.monotonic() - begun, "s")
    finally:
        own_postgres.start()
    for other in others:
        trial.wait_event(other, "catalog.loaded")
    with trial.load():
        trial.wait_some_answered()
    trial.recover()
    run = trial.count(losses=0)
    errors = {answer.error for answer in run.answers if answer.error}
    assert errors == (set() if is_back_soon else {"catalog_unavailable"})
