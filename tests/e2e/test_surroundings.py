"""A worker whose servers are not there yet, go away, and come back."""

import json
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.support.command import RunningWorker, run_command
from tests.support.servers import execute
from tests.support.waiting import wait_until_sync
from worker.embedded import PostgresServer, RedisServer

pytestmark = pytest.mark.fault("servers are away when a worker starts, or go away later")

DEADLINE_S = 60.0
REQUESTS, RESULTS = "audio:sample:requests", "audio:sample:results"


class Surroundings:
    """Servers that the test may stop, and a worker."""

    def __init__(self, redis_server: RedisServer, postgres_server: PostgresServer, folder: Path) -> None:
        self.redis_server, self.postgres_server, self.folder = redis_server, postgres_server, folder
        self.settings = {
            "REDIS_URL": redis_server.url,
            "DATABASE_URL": postgres_server.url,
            "WORKER_CATALOG_WAIT_S": "0.2",
            "WORKER_CLAIM_IDLE_S": "1",
            "WORKER_RUN_DIR": str(folder / "run"),
        }
        self.worker = RunningWorker(self.settings, folder)

    @property
    def client(self) -> Any:
        return redis.Redis.from_url(self.redis_server.url, decode_responses=True)

    def migrate(self) -> None:
        assert run_command("migrate", settings=self.settings, cwd=self.folder).returncode == 0
        execute(
            self.postgres_server.url,
            "insert into audio_chunks (category, status) select 'voice', 'READY' from generate_series(1, 100)",
        )

    def ask(self, count: int) -> list[str]:
        with self.client as client:
            return [client.xadd(REQUESTS, {"size": 2}) for _ in range(count)]

    def results(self) -> list[dict[str, str]]:
        with self.client as client:
            return [fields for _, fields in client.xrange(RESULTS)]

    def wait_results(self, count: int) -> list[dict[str, str]]:
        wait_until_sync(lambda: len(self.results()) >= count, timeout_s=DEADLINE_S, what=f"{count} results")
        return self.results()

    def wait_event(self, name: str, count: int = 1) -> None:
        wait_until_sync(lambda: len(self.worker.events(name)) >= count, timeout_s=DEADLINE_S, what=f"{count} {name}")


@pytest.fixture
def surroundings(tmp_path: Path) -> Iterator[Surroundings]:
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        servers = RedisServer(Path(first), options=["--appendonly", "yes"]), PostgresServer(Path(second))
        for server in servers:
            server.start()
        place = Surroundings(*servers, tmp_path)
        try:
            yield place
        finally:
            place.worker.stop()
            for server in servers:
                server.stop()


def test_it_starts_before_its_servers_and_serves_once_they_are_there(surroundings: Surroundings) -> None:
    surroundings.migrate()
    surroundings.redis_server.stop()
    surroundings.postgres_server.stop()
    surroundings.worker.start()
    surroundings.wait_event("redis.lost")
    surroundings.wait_event("postgres.lost")
    unhealthy = run_command("health", settings=surroundings.settings, cwd=surroundings.folder)
    assert unhealthy.returncode == 1

    surroundings.redis_server.start()
    surroundings.postgres_server.start()
    surroundings.wait_event("redis.restored")
    surroundings.wait_event("catalog.loaded")
    asked = surroundings.ask(20)
    results = surroundings.wait_results(20)

    assert Counter(result["entry_id"] for result in results) == Counter(asked)
    assert {result["status"] for result in results} == {"ok"}
    assert len(surroundings.worker.events("redis.lost")) == 1
    assert len(surroundings.worker.events("postgres.lost")) == 1
    assert surroundings.worker.stop() == 0


def test_without_a_catalog_requests_are_told_so_and_with_one_they_are_served(surroundings: Surroundings) -> None:
    surroundings.migrate()
    surroundings.postgres_server.stop()
    surroundings.worker.start().wait_ready()
    surroundings.ask(1)
    assert surroundings.wait_results(1)[0]["error"] == "catalog_unavailable"
    surroundings.postgres_server.start()
    surroundings.wait_event("postgres.restored")
    surroundings.ask(1)
    assert surroundings.wait_results(2)[1]["status"] == "ok"


def test_serving_goes_on_from_memory_while_postgresql_is_away(surroundings: Surroundings) -> None:
    surroundings.migrate()
    surroundings.worker.start().wait_ready()
    surroundings.postgres_server.stop("immediate")
    surroundings.wait_event("postgres.lost")
    surroundings.ask(10)
    assert {result["status"] for result in surroundings.wait_results(10)} == {"ok"}
    surroundings.postgres_server.start()
    execute(surroundings.postgres_server.url, "update audio_chunks set status = 'FAILED' where id <= 60")
    surroundings.wait_event("postgres.restored")
    wait_until_sync(lambda: shown_chunks(surroundings) == 40, timeout_s=DEADLINE_S, what="the smaller catalog")


def shown_chunks(surroundings: Surroundings) -> int:
    with surroundings.client as client:
        shown = client.get("audio:worker:w-1")
    return int(json.loads(shown)["chunks"]) if shown else -1


def test_another_worker_serves_a_library_with_tables_of_its_own(surroundings: Surroundings) -> None:
    url = surroundings.postgres_server.url
    execute(url, "create table clips (key uuid primary key default gen_random_uuid(), genre text, usable bool)")
    execute(url, "insert into clips (genre, usable) select 'music', n % 2 = 0 from generate_series(1, 20) n")
    execute(url, "create role reader login; grant select on clips to reader")
    query = "select key as id, genre as category from clips where usable;"
    surroundings.worker = RunningWorker(
        {
            **surroundings.settings,
            "DATABASE_URL": url.replace("postgres@", "reader@"),
            "WORKER_CHUNKS_QUERY": query,
            "WORKER_CATALOG_REFRESH_S": "0.2",
        },
        surroundings.folder,
    )
    surroundings.worker.start().wait_ready()
    with surroundings.client as client:
        client.xadd(REQUESTS, {"size": 10, "replace": 0})
    result = surroundings.wait_results(1)[0]
    assert len(set(json.loads(result["chunk_ids"]))) == 10
    execute(url, "update clips set usable = true")
    wait_until_sync(lambda: shown_chunks(surroundings) == 20, timeout_s=DEADLINE_S, what="the larger catalog")


def test_a_session_is_what_it_was_after_redis_and_the_worker_have_been_restarted(surroundings: Surroundings) -> None:
    """Redis keeps what it holds (AOF): weights stay pinned, and the pass goes on where it was."""
    surroundings.migrate()
    surroundings.worker.start().wait_ready()
    fields = {"session": "s", "pin": 1, "method": "epoch", "size": 10}
    with surroundings.client as client:
        for _ in range(4):
            client.xadd(REQUESTS, fields)
    surroundings.wait_results(4)
    with surroundings.client as client:
        client.set("audio:category:weights", '{"voice": 1}')
    surroundings.redis_server.stop()
    surroundings.worker.kill()
    surroundings.redis_server.start()
    surroundings.worker.start()
    with surroundings.client as client:
        for _ in range(6):
            client.xadd(REQUESTS, fields)
    results = surroundings.wait_results(10)
    assert {result["weights_source"] for result in results} == {"session"}
    assert len({result["weights_version"] for result in results}) == 1
    assert {result["passes"] for result in results} == {'{"voice":{"1":10}}'}
    assert len({chunk for result in results for chunk in json.loads(result["chunk_ids"])}) == 100
