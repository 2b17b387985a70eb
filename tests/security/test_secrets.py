"""Passwords: none leaves the process, whatever happens to the servers that they are for.

What settings refuse is in tests/settings/test_settings.py, what verbs print in tests/e2e/test_commands.py.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.support.command import RunningWorker
from tests.support.servers import execute, redis_binaries
from tests.support.waiting import wait_until_sync
from worker.core.keys import Keys
from worker.embedded import PostgresServer, RedisServer
from worker.embedded.loopback import HOST

DEADLINE_S = 60.0
CANARY, ESCAPED = "h1dden@:/?p4ss", "h1dden%40%3A%2F%3Fp4ss"
SIGNS = ("h1dden", "p4ss")
KEYS = Keys("audio")
BINARIES = redis_binaries()


class Place:
    """Servers that want a password, or are told one, and a worker that knows it."""

    def __init__(self, redis_server: RedisServer, postgres_server: PostgresServer, folder: Path) -> None:
        self.redis_server, self.postgres_server = redis_server, postgres_server
        self.folder = folder
        database = postgres_server.url.replace("postgres@", f"postgres:{ESCAPED}@")
        settings = {
            "REDIS_URL": f"redis://default:{ESCAPED}@{HOST}:{redis_server.port}/0",
            "DATABASE_URL": f"{database}?password={ESCAPED}",
            "LOG_LEVEL": "debug",
            "WORKER_STATS_INTERVAL_S": "0.2",
            "WORKER_CATALOG_REFRESH_S": "0.2",
        }
        self.worker = RunningWorker(settings, folder)

    def client(self) -> Any:
        return redis.Redis(host=HOST, port=self.redis_server.port, password=CANARY)

    def wait_event(self, name: str, count: int = 1) -> None:
        wait_until_sync(lambda: len(self.worker.events(name)) >= count, timeout_s=DEADLINE_S, what=f"{count} {name}")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        options = ["--requirepass", CANARY, "--enable-debug-command", "yes"]
        binary = BINARIES.get("redis7", BINARIES["valkey"])
        with (
            RedisServer(Path(first), binary=binary, options=options) as redis_server,
            PostgresServer(Path(second)) as postgres_server,
        ):
            place = Place(redis_server, postgres_server, tmp_path)
            yield place
            place.worker.stop()


@pytest.mark.fault("passwords in URLs, errors, requests and weights: none is shown", "H07")
def test_no_password_leaves_a_worker(place: Place) -> None:
    """It starts without a schema, serves, loses both servers, and is told that its password is wrong by now."""
    place.worker.start()
    place.wait_event("postgres.lost")
    execute(place.postgres_server.url, "create table audio_chunks (id bigint, category text, status text)")
    execute(place.postgres_server.url, "insert into audio_chunks values (1, 'voice', 'READY')")
    place.wait_event("postgres.restored")
    with place.client() as client:
        client.set(KEYS.weights(), f"redis://user:{CANARY}@host")
        client.xadd(KEYS.requests, {"size": f"redis://user:{ESCAPED}@host"})
        wait_until_sync(lambda: client.xlen(KEYS.results) == 1, timeout_s=DEADLINE_S, what="the result")
        seen = [client.get(KEYS.worker("w-1")).decode(), str(client.client_list()), str(client.info())]
        client.config_set("requirepass", "another")
        client.client_kill_filter(_type="normal", skipme=True)
    place.wait_event("redis.lost")
    place.postgres_server.kill()
    place.wait_event("postgres.lost", 2)
    assert place.worker.process is not None
    seen.append(Path(f"/proc/{place.worker.process.pid}/cmdline").read_text())
    seen += [path.read_text() for path in (place.folder / "run").iterdir()]
    place.worker.stop()
    seen.append(place.worker.log.read_text())
    assert "refused the login: wrong user name or password" in seen[-1]
    assert place.worker.events("worker.started")[0]["redis"].startswith("redis://default:***@")
    assert [text for text in seen if any(sign in text for sign in SIGNS)] == []
