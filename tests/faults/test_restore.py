"""The run-book's backup and restore, by its own commands: servers are lost, and new ones go on from the files."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.faults.trial import DEADLINE_S
from tests.support.command import RunningWorker, run_command
from tests.support.guarded import as_role, make_role
from tests.support.library import fill
from tests.support.runbook import blocks, run_block
from tests.support.servers import connect, execute, fetch_value, running
from tests.support.steady import steady
from tests.support.waiting import wait_until_sync
from worker.client import Sample, SampleClient
from worker.core.keys import GROUP, Keys
from worker.embedded import PostgresServer, RedisServer

pytestmark = pytest.mark.needs("redis-cli")

BACK_UP, RESTORE_REDIS, RESTORE_POSTGRES, IN_PLACE, IMPORT, _COMPOSE = blocks("Back up and restore")
KEYS = Keys("audio")
_AOF = ["--appendonly", "yes", "--repl-diskless-sync-delay", "0"]
_SAMPLER_PASSWORD = "sampler_password"  # noqa: S105 -- the name of a file
_SOME = 30


class Place:
    """Where a fleet lives: its servers, and the shell of whoever operates it."""

    def __init__(self, server: RedisServer, database_url: str, folder: Path) -> None:
        self.server = server
        self.database_url = database_url
        self.client: Any = connect(server.url)
        self._folder = folder
        self._urls = {"REDIS_URL": server.url, "DATABASE_URL": database_url}

    def worker(self, consumer: str) -> RunningWorker:
        """Start a worker under the role that only reads."""
        settings = {**self._urls, "DATABASE_URL": as_role(self.database_url), "WORKER_CLAIM_IDLE_S": "0.2"}
        return RunningWorker(settings, self._folder, consumer).start().wait_ready()

    def run(self, *words: str) -> Any:
        """Run a verb, and read what it prints."""
        ended = run_command(*words, "--json", settings=self._urls, cwd=self._folder)
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)

    def type(self, block: str, **more: str) -> None:
        """Type a block of the run-book."""
        redis, postgres = urlsplit(self.server.url), urlsplit(self.database_url)
        login = {
            "REDIS_HOST": redis.hostname,
            "REDIS_PORT": str(redis.port),
            "PGHOST": postgres.hostname,
            "PGPORT": str(postgres.port),
            "PGUSER": postgres.username,
            "PGDATABASE": postgres.path[1:],
        }
        run_block(block, {**self._urls, **{name: value or "" for name, value in login.items()}, **more}, self._folder)

    def held(self) -> dict[bytes, bytes]:
        """Return all that Redis holds: each key with its serialised value."""
        return {key: self.client.dump(key) for key in self.client.scan_iter()}

    def ask(self, **fields: object) -> dict[str, str]:
        """Ask, and wait for the result."""
        entry = self.client.xadd(KEYS.requests, {name: str(value) for name, value in fields.items()}).decode()
        wait_until_sync(lambda: entry in self.results(), timeout_s=DEADLINE_S, what="it is answered")
        return self.results()[entry]

    def results(self) -> dict[str, dict[str, str]]:
        """Return the shared results by entry, and check that none has two."""
        rows = [{k.decode(): v.decode() for k, v in fields.items()} for _, fields in self.client.xrange(KEYS.results)]
        found = {row["entry_id"]: row for row in rows}
        assert len(found) == len(rows)
        return found


def _chunks(result: dict[str, str]) -> list[int]:
    chunks: list[int] = json.loads(result["chunk_ids"])
    return chunks


def _use(place: Place) -> dict[str, str]:
    """Make something of every kind that has to come back; return a result with half a pass."""
    worker = place.worker("w-1")
    place.run("weights", "set", "voice=3", "music=1", "--reason", "before")
    place.run("weights", "set", "music=1", "--for", "1h")
    place.run("weights", "set", "voice=1", "--dataset", "d")
    place.run("weights", "preset", "save", "night", "voice=1")
    place.run("adjust", "set", "schedule", "points=0 voice=1; 1e6 music=1", "unit=requests", "--dataset", "d")
    place.ask(session="s", pin=1)
    half = place.ask(session="s", method="epoch", category="voice", size=12)
    assert worker.stop() == 0
    return half


def _leave_unanswered(client: Any) -> set[str]:
    """Ask while nobody serves, and let somebody who is gone hold a part of it."""
    entries = {client.xadd(KEYS.requests, {"size": 2}).decode() for _ in range(6)}
    client.xreadgroup(GROUP, "gone", {KEYS.requests: ">"}, count=2)
    return entries


def _register(url: str) -> int:
    """Register a chunk that is not READY yet; return its id."""
    return int(fetch_value(url, "insert into audio_chunks (category) values ('voice') returning id"))


def _wait_answered(place: Place, entries: set[str]) -> None:
    wait_until_sync(lambda: place.results().keys() >= entries, timeout_s=DEADLINE_S, what="they are answered")


@contextmanager
def _restored(lost: Place, binary: Path, folder: Path) -> Iterator[Place]:
    """Restore to new servers; Redis has the address of before."""

    def build(data: Path) -> RedisServer:
        lost.type(RESTORE_REDIS, REDIS_DATA=str(data))
        return RedisServer(data, binary=binary, port=lost.server.port, options=_AOF)

    with running(build) as server, running(PostgresServer) as postgres:
        execute(postgres.url, "create database audio")
        new = Place(server, postgres.url.removesuffix("postgres") + "audio", folder)
        new.type(RESTORE_POSTGRES)
        yield new


@pytest.fixture
def options() -> list[str]:
    return _AOF


@pytest.fixture
def place(own_server: RedisServer, database_url: str, tmp_path: Path) -> Iterator[Place]:
    (tmp_path / "run").mkdir(mode=0o700)
    (tmp_path / _SAMPLER_PASSWORD).write_text("secret\n")
    execute(database_url, fill(90))
    make_role(database_url)
    place = Place(own_server, database_url, tmp_path)
    yield place
    place.client.close()


@pytest.fixture
def training(place: Place) -> Iterator[Iterator[Sample]]:
    """A training that runs through all of it."""
    with SampleClient(place.server.url) as client:
        yield client.stream(size=3, prefetch=4)


@pytest.mark.fault("Redis and PostgreSQL are destroyed, and restored from a backup by the commands of the run-book")
def test_new_servers_go_on_from_a_backup(
    place: Place, training: Iterator[Sample], redis_binary: Path, tmp_path: Path
) -> None:
    half = _use(place)
    unanswered = _leave_unanswered(place.client)
    held = place.held()
    place.type(BACK_UP)
    later = place.worker("w-2")
    _wait_answered(place, unanswered)
    place.ask(session="s", method="epoch", category="voice", size=5)
    seen = [sample.request_id for sample in islice(training, 3)]
    forgotten = _register(place.database_url)
    later.kill()
    place.server.kill()
    execute(place.database_url, "drop schema public cascade")
    with _restored(place, redis_binary, tmp_path) as new:
        assert new.held() == held
        worker = new.worker("w-3")
        _wait_answered(new, unanswered)
        rest = new.ask(session="s", method="epoch", category="voice", size=18)
        assert (rest["passes"], rest["catalog_version"]) == ('{"voice":{"1":18}}', half["catalog_version"])
        assert len({*_chunks(half), *_chunks(rest)}) == 30
        assert new.ask(size=2)["counts"] == '{"music":2}'
        seen += [sample.request_id for sample in islice(training, _SOME)]
        assert len(set(seen)) == len(seen)
        assert _register(new.database_url) > forgotten + 1_000_000
        assert worker.stop() == 0
        assert not worker.events("request.rejected")


@pytest.mark.fault("Redis is lost without a backup: the group is made again, and weights are imported from a file")
def test_without_a_backup_of_redis_a_fleet_begins_anew(place: Place, training: Iterator[Sample]) -> None:
    worker = place.worker("w-1")
    place.run("weights", "set", "voice=3", "music=1")
    place.type(BACK_UP)
    version = next(training).weights_version
    place.client.flushall()
    wait_until_sync(lambda: worker.events("weights.vanished"), timeout_s=DEADLINE_S, what="the weights are missed")
    place.type(IMPORT)
    assert place.ask(size=1)["weights_version"] == version
    assert len(list(islice(training, _SOME))) == _SOME
    assert worker.stop() == 0


@pytest.mark.any_redis
@pytest.mark.fault("the library is restored in place under load, by the command of the run-book: nobody gets an error")
def test_the_library_is_restored_under_load(place: Place) -> None:
    worker = place.worker("w-1")
    place.type(BACK_UP)
    execute(place.database_url, "delete from audio_chunks where category = 'music'")
    with steady(place.server.url, KEYS.prefix) as asking:
        _wait_chunks(worker, 60)
        place.type(IN_PLACE)
        _wait_chunks(worker, 90)
        execute(place.database_url, fill(1, "'voice'"))
        _wait_chunks(worker, 91)
        enough = asking.samples + _SOME
        wait_until_sync(lambda: asking.samples > enough, timeout_s=DEADLINE_S, what="the training goes on")
    assert worker.stop() == 0
    told = {line["event"] for line in worker.lines()}
    assert not told & {"request.rejected", "postgres.lost", "catalog.unwatched"}


def _wait_chunks(worker: RunningWorker, count: int) -> None:
    wait_until_sync(
        lambda: [line["chunks"] for line in worker.events("catalog.changed")][-1:] == [count],
        timeout_s=DEADLINE_S,
        what=f"{count} chunks are READY",
    )
