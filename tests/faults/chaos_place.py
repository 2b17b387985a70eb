"""Where the chaos program takes place: servers of its own, links that break, workers and producers."""

import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

from tests.faults.chaos_asking import UNWRITABLE
from tests.support.children import ending_with_us
from tests.support.command import RunningWorker, run_command
from tests.support.proxy import Proxy
from tests.support.servers import connect, redis_binaries
from worker.core.keys import Keys
from worker.embedded import PostgresServer, RedisServer

CLAIM_IDLE_S = 1.0
_BATCHES = ("16", "64", "256")
_SETTINGS = {
    "WORKER_CLAIM_IDLE_S": str(CLAIM_IDLE_S),
    "WORKER_MAX_DELIVERIES": "10",
    "WORKER_CATALOG_REFRESH_S": "2",
    "WORKER_RESULTS_MAXLEN": "100000000",
    "WORKER_REPLY_TTL_S": "86400",
    "WORKER_DRAIN_TIMEOUT_S": "4",
}
_DURABLE = ["--appendonly", "yes", "--appendfsync", "always"]
_ROOT = Path(__file__).parents[2]
_STOP_S = 20.0
_POLL_S = 0.02
_PAGE = 200


@dataclass(frozen=True, slots=True)
class Plan:
    """The program's options."""

    seconds: float
    seed: int
    workers: int
    producers: int
    rate: float
    server: str
    keep: bool


class Slot:
    """A worker's place, with links of its own; workers come and go in it.

    Attributes:
        to_redis: Its link to Redis.
        to_postgres: Its link to PostgreSQL.
        worker: Who is there now, or was there last.
    """

    def __init__(self, to_redis: Proxy, to_postgres: Proxy) -> None:
        self.to_redis, self.to_postgres = to_redis, to_postgres
        self.worker: RunningWorker | None = None

    @property
    def is_taken(self) -> bool:
        """Check whether a worker runs here."""
        return self.worker is not None and self.worker.is_running


class Place:
    """Servers, links, workers and producers.

    Attributes:
        redis_server: Redis or Valkey, with an append-only file that loses nothing.
        postgres_server: PostgreSQL.
        to_redis: The producers' link.
        slots: The workers' places.
        keys: The names in Redis.
        client: Speaks to Redis with no link between.
        workers: All that were started.
        notes: The producers' files.
        busy: What is broken now, and must not be broken again.
    """

    def __init__(self, plan: Plan, folder: Path, servers: tuple[RedisServer, PostgresServer], undo: ExitStack) -> None:
        self.redis_server, self.postgres_server = servers
        self._plan, self._folder = plan, folder
        self.to_redis = undo.enter_context(Proxy(self.redis_server.port))
        self.slots = [
            Slot(undo.enter_context(Proxy(servers[0].port)), undo.enter_context(Proxy(servers[1].port)))
            for _ in range(plan.workers)
        ]
        self.keys = Keys("audio")
        self.client: Any = undo.enter_context(connect(f"{self.redis_server.url}?socket_timeout=3"))
        self.workers: list[RunningWorker] = []
        self.notes: list[Path] = []
        self.busy: set[str] = set()
        self._producers: dict[int, subprocess.Popen[bytes]] = {}

    def prepare(self) -> None:
        """Make the schema, and a reply stream that cannot be written."""
        (self._folder / "run").mkdir(mode=0o700)
        settings = {"REDIS_URL": self.redis_server.url, "DATABASE_URL": self.postgres_server.url}
        migrated = run_command("migrate", settings=settings, cwd=self._folder)
        assert migrated.returncode == 0, migrated.stderr
        self.client.set(self.keys.reply(UNWRITABLE), "no stream")

    def start_worker(self, slot: Slot, consumer: str | None = None) -> None:
        """Start a worker in a place, under the name of the last one there or another."""
        number = len(self.workers)
        folder = self._folder / f"worker-{number}"
        folder.mkdir()
        settings = {
            **_SETTINGS,
            "REDIS_URL": slot.to_redis.url,
            "DATABASE_URL": self.postgres_server.url.replace(
                str(self.postgres_server.port), str(slot.to_postgres.port)
            ),
            "WORKER_RUN_DIR": str(self._folder / "run"),
            "WORKER_BATCH": _BATCHES[number % len(_BATCHES)],
        }
        slot.worker = RunningWorker(settings, folder, consumer or f"w-{number}").start()
        self.workers.append(slot.worker)

    def start_producer(self, number: int) -> None:
        """Start a producer, or another one in its place."""
        notes = self._folder / f"notes-{len(self.notes)}.jsonl"
        name = f"p{number}-{len(self.notes)}"
        self.notes.append(notes)
        seed, rate = self._plan.seed * 1_000 + len(self.notes), self._plan.rate / self._plan.producers
        self._producers[number] = subprocess.Popen(
            ending_with_us(
                *(sys.executable, "-m", "tests.faults.chaos_asking", self.to_redis.url, self.keys.prefix, name),
                *(str(seed), str(rate), str(notes)),
            ),
            stdin=subprocess.PIPE,
            cwd=_ROOT,
        )

    def kill_producer(self, rng: random.Random) -> int:
        """Kill a producer; return its number."""
        number = rng.choice(list(self._producers))
        self._producers[number].kill()
        self._forget(number)
        return number

    def end_producers(self) -> None:
        """Stop the producers in order."""
        for number, process in list(self._producers.items()):
            assert process.stdin is not None
            process.stdin.close()
            assert process.wait(_STOP_S) == 0, f"producer {number} failed"
            self._forget(number)

    def _forget(self, number: int) -> None:
        process = self._producers.pop(number)
        if process.stdin is not None:
            process.stdin.close()
        process.wait(_STOP_S)

    def taken_slots(self) -> list[Slot]:
        """List the places where a worker runs."""
        return [slot for slot in self.slots if slot.is_taken]

    def peak_memory_mb(self) -> float:
        """Return the most memory that a running worker has held."""
        return max((slot.worker.peak_memory_mb() for slot in self.taken_slots() if slot.worker), default=0.0)

    def end_workers(self) -> list[int]:
        """Stop the workers in order; return their exit statuses."""
        return [slot.worker.stop() for slot in self.taken_slots() if slot.worker is not None]

    def kill_all(self) -> None:
        """Leave no process behind."""
        for process in self._producers.values():
            process.kill()
            process.wait()
        for slot in self.taken_slots():
            if slot.worker is not None:
                slot.worker.kill()

    def wait_answered(self, before_ns: int, deadline_s: float) -> float | None:
        """Wait until all requests from before some time are answered; return the seconds since it, None for never."""
        while (now_s := (time.time_ns() - before_ns) / 1e9) < deadline_s:
            with suppress(redis.RedisError, OSError):
                waiting = self.client.xrange(self.keys.requests, "-", before_ns // 1_000_000, count=_PAGE)
                if all(fields.get(b"reply_to") == UNWRITABLE.encode() for _, fields in waiting):
                    return now_s
            time.sleep(_POLL_S)
        return None

    def wait_quiet(self, deadline_s: float) -> None:
        """Wait until nothing waits; if that never happens, the final count shows it."""
        began = time.monotonic()
        while self.client.xlen(self.keys.requests) and time.monotonic() < began + deadline_s:
            time.sleep(_POLL_S)


@contextmanager
def a_place(plan: Plan) -> Iterator[Place]:
    """Set up everything, and take it down."""
    with ExitStack() as undo:
        folders = [Path(tempfile.mkdtemp(prefix="chaos-")) for _ in range(3)]
        if plan.keep:
            print("kept:", *folders)
        else:
            for folder in folders:
                undo.callback(shutil.rmtree, folder, ignore_errors=True)
        redis_server = RedisServer(folders[0], binary=redis_binaries()[plan.server], options=_DURABLE)
        servers = undo.enter_context(redis_server), undo.enter_context(PostgresServer(folders[1]))
        place = Place(plan, folders[2], servers, undo)
        undo.callback(place.kill_all)
        place.prepare()
        yield place
