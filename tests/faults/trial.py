"""One trial: its own server, workers as processes, a record of all requests, and the final count."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import redis

from tests.faults.audit import violations
from tests.faults.audit_weights import DEFAULTS
from tests.faults.collect import collect, look_at_requests
from tests.faults.library import Library
from tests.faults.records import NOTHING, OK, Asked, Run, WeightsChange, version_of
from tests.support.command import RunningWorker
from tests.support.servers import connect
from tests.support.waiting import wait_until_sync
from worker.core.keys import GROUP, NAME_PATTERN, Keys
from worker.embedded import RedisServer

DEADLINE_S = 60.0
_PAGE = 5000
_PAUSE_S = 0.02
_MOST_MEMORY_MB = 350
_BUGS = ("worker.failed", "loop.failed", "adjust.failed", "request.failed", "library.message")
_AWAY = (redis.RedisError, redis.exceptions.RedisClusterException, OSError)
_MOST_LINES = 60  # of a worker, starts and stops included

_AGE = """
for _, row in ipairs(redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 10000)) do
  redis.call('XCLAIM', KEYS[1], ARGV[1], row[2], 0, row[1], 'IDLE', ARGV[2], 'JUSTID')
end"""

Figure = Callable[[str, float, str], None]


class Trial:
    """A trial: ask, break, and count.

    Attributes:
        server: Redis or Valkey; the test may do to it whatever it likes.
        keys: The names in it.
        client: Speaks to the server as it is, with no proxy between.
        workers: All that were started.
        stdout: Where workers that are started from now on write their logs; None: to a file each.
        library: What is READY.
    """

    def __init__(
        self,
        server: RedisServer,
        library: Library,
        folder: Path,
        *,
        figure: Figure,
        settings: Mapping[str, str] = NOTHING,
    ) -> None:
        self.server = server
        self.keys = Keys(settings.get("WORKER_PREFIX", "audio"))
        self.client: Any = connect(server.url)
        self.workers: list[RunningWorker] = []
        self.stdout: int | None = None
        self.library = library
        urls = {"REDIS_URL": server.url, "DATABASE_URL": library.url}
        self._settings = {**urls, "WORKER_CLAIM_IDLE_S": "1", **settings}
        self._folder = folder
        self._figure = figure
        self._asked: list[Asked] = []
        self._changes: list[WeightsChange] = []
        self._settled: set[str] = set()
        self._last_seen: dict[str, str] = {self.keys.results: "-", self.keys.dead: "-"}
        self._asking = threading.Lock()

    # -- workers -----------------------------------------------------------------------------------------------

    def start(self, consumer: str = "w-1", *, wrapped: Sequence[str] = (), **settings: str) -> RunningWorker:
        """Start a worker, and wait until it serves."""
        return self.launch(consumer, wrapped=wrapped, **settings).wait_ready()

    def launch(self, consumer: str = "w-1", *, wrapped: Sequence[str] = (), **settings: str) -> RunningWorker:
        """Start a worker."""
        worker = RunningWorker({**self._settings, **settings}, self._folder, consumer, wrapped, self.stdout).start()
        self.workers.append(worker)
        return worker

    def start_many(self, *consumers: str, **settings: str) -> list[RunningWorker]:
        """Start workers together."""
        workers = [self.launch(consumer, **settings) for consumer in consumers]
        return [worker.wait_ready() for worker in workers]

    def end(self) -> None:
        """End every worker, however it is."""
        for worker in self.workers:
            worker.end()
        self.client.close()

    def wait_event(self, worker: RunningWorker, name: str, count: int = 1) -> None:
        """Wait until a worker has logged an event."""
        wait_until_sync(lambda: len(worker.events(name)) >= count, timeout_s=DEADLINE_S, what=f"{count} {name}")

    def consumers(self) -> list[str]:
        """List the consumers that the group has."""
        return [about["name"].decode() for about in self.client.xinfo_consumers(self.keys.requests, GROUP)]

    # -- the server --------------------------------------------------------------------------------------------

    def hog(self) -> None:
        """Keep the server busy until somebody kills the script."""
        with connect(self.server.url) as client, suppress(redis.ResponseError):
            client.eval("while true do end", 0)

    def age_pending(self, milliseconds: int) -> None:
        """Make every pending entry look as if it had been delivered so long ago."""
        self.client.eval(_AGE, 1, self.keys.requests, GROUP, milliseconds)

    def saves(self) -> bool:
        """Check whether the server can save what it holds."""
        try:
            return bool(self.client.save())
        except redis.ResponseError:
            return False

    def is_crowded(self) -> bool:
        """Check whether the server has refused connections."""
        return bool(self.client.info("stats")["rejected_connections"])

    # -- asking ------------------------------------------------------------------------------------------------

    def ask(self, count: int = 1, *, accepted: frozenset[str] = OK, **fields: object) -> list[str]:
        """Add requests and note them; return their entries' ids."""
        texts = {"size": "4", **{name: str(value) for name, value in fields.items()}}
        if "reply_to" in texts:
            self._last_seen.setdefault(self.keys.reply(texts["reply_to"]), "-")
        with self._asking:
            first = len(self._asked)
            noted = [
                Asked(None, {"request_id": f"r{first + i}", **texts}, time.time_ns(), accepted) for i in range(count)
            ]
            self._asked += noted
        pipeline = self.client.pipeline(transaction=False)
        for one in noted:
            pipeline.xadd(self.keys.requests, dict(one.fields))
        ids = [entry_id.decode() for entry_id in pipeline.execute()]
        for i, entry_id in enumerate(ids):
            self._asked[first + i] = noted[i]._replace(entry_id=entry_id)
        return ids

    def abandon(self, count: int, consumer: str = "gone") -> None:
        """Ask, and read it, or whatever else is there, as a worker does that dies at once."""
        self.ask(count)
        group = ("GROUP", GROUP, consumer, "COUNT", max(1, count), "STREAMS", self.keys.requests, ">")
        self.client.execute_command("XREADGROUP", *group)

    def ask_raw(
        self, requests: Sequence[Sequence[bytes]], accepted: frozenset[str] = OK, entry_id: str = "*"
    ) -> list[str]:
        """Add requests of any fields and values in turn, and note them; return their entries' ids."""
        sent_ns = time.time_ns()
        pipeline = self.client.pipeline(transaction=False)
        for words in requests:
            pipeline.execute_command("XADD", self.keys.requests, entry_id, *words)
        ids = [added.decode() for added in pipeline.execute()]
        for added, words in zip(ids, requests, strict=True):
            texts = [word.decode(errors="replace") for word in words]
            fields = dict(zip(texts[0::2], texts[1::2], strict=True))
            if NAME_PATTERN.fullmatch(name := fields.get("reply_to", "")):
                self._last_seen.setdefault(self.keys.reply(name), "-")
            self._asked.append(Asked(added, fields, sent_ns, accepted))
        return ids

    @contextmanager
    def load(self, size: int = 4) -> Iterator[None]:
        """Go on asking, ten requests every now and then, whatever happens to the server."""
        is_over = threading.Event()

        def go_on() -> None:
            while not is_over.wait(_PAUSE_S):
                try:
                    self.ask(10, size=size)
                except _AWAY:
                    continue  # noted as requests that may have been added, or not

        asking = threading.Thread(target=go_on)
        asking.start()
        try:
            yield
        finally:
            is_over.set()
            asking.join()

    def forget_asked(self) -> None:
        """Mark all requests so far as lost with the server: each may be answered once, or never."""
        self._asked = [one._replace(entry_id=None) for one in self._asked]

    # -- the library -------------------------------------------------------------------------------------------

    def add_chunk(self, chunk: int, category: str) -> None:
        """Add a READY chunk, and wait until the workers know it."""
        self.library.add(chunk, category)
        for worker in self.workers:
            self.wait_ready_chunks(worker)

    def wait_ready_chunks(self, worker: RunningWorker) -> None:
        """Wait until a worker knows as many READY chunks as there are."""
        wait_until_sync(
            lambda: [line["chunks"] for line in worker.events("catalog.changed")][-1:] == [self.library.ready],
            timeout_s=DEADLINE_S,
            what=f"{worker.consumer} knows {self.library.ready} chunks",
        )

    # -- weights -----------------------------------------------------------------------------------------------

    def weigh(self, **values: float) -> None:
        """Set weights, and notify."""
        self.weigh_quietly(**values)
        self.ring()

    def weigh_quietly(self, **values: float) -> None:
        """Set weights, and notify nobody."""
        begun_ns = time.time_ns()
        self.client.set(self.keys.weights(), json.dumps(values))
        self._changes.append(WeightsChange(None, values, begun_ns, time.time_ns()))

    def spoil(self, value: bytes | None) -> None:
        """Set the weights to something that is refused; None stands for a list."""
        begun_ns, key = time.time_ns(), self.keys.weights()
        pipeline = self.client.pipeline()
        pipeline.delete(key)
        pipeline.rpush(key, "x") if value is None else pipeline.set(key, value)
        pipeline.execute()
        self._changes.append(WeightsChange(None, None, begun_ns, time.time_ns(), refused=True))
        self.ring()

    def unset(self, by: str) -> None:
        """Remove the weights by a command, and wait until they are gone."""
        begun_ns, key = time.time_ns(), self.keys.weights()
        self.client.delete(key) if by == "DEL" else self.client.pexpire(key, 20)
        wait_until_sync(lambda: not self.client.exists(key), timeout_s=DEADLINE_S, what="the weights are gone")
        self._changes.append(WeightsChange(None, None, begun_ns, time.time_ns()))

    def ring(self) -> None:
        """Notify."""
        self.client.publish(self.keys.weights(), "x")

    def ring_often(self, times: int, words: bytes = b"x") -> None:
        """Notify many times over."""
        pipeline = self.client.pipeline(transaction=False)
        for _ in range(times):
            pipeline.publish(self.keys.weights(), words)
        pipeline.execute()

    def wait_weights(self, worker: RunningWorker) -> None:
        """Wait until a worker logs that the weights written last are in force there."""
        version = version_of(self._changes[-1].values or DEFAULTS)
        wait_until_sync(
            lambda: [line["version"] for line in worker.events("weights.changed")][-1:] == [version],
            timeout_s=DEADLINE_S,
            what=f"weights {version} are in force",
        )

    # -- answers -----------------------------------------------------------------------------------------------

    def look(self) -> int:
        """Read the results and dead letters since the last look; return how many requests are settled."""
        for name in tuple(self._last_seen):
            with suppress(redis.ResponseError):  # another type stands there: no result does
                self._look_at(name)
        return len(self._settled)

    def _look_at(self, name: str) -> None:
        while page := self.client.xrange(name, self._last_seen[name], "+", count=_PAGE):
            self._last_seen[name] = f"({page[-1][0].decode()}"
            self._settled |= {fields[b"entry_id"].decode() for _, fields in page}

    def are_answered(self) -> bool:
        """Check whether all requests that are known to have been added are answered."""
        try:
            self.look()
        except _AWAY:
            return False
        return all(one.entry_id in self._settled for one in self._asked if one.entry_id is not None)

    def wait_some_answered(self) -> None:
        """Wait until something is answered that was not before, or all is."""
        before = self.look()

        def is_further() -> bool:
            return self.look() > before or self.are_answered()

        wait_until_sync(is_further, timeout_s=DEADLINE_S, what="more requests are answered")

    def wait_answered(self) -> None:
        """Wait until all is answered."""
        wait_until_sync(self.are_answered, timeout_s=DEADLINE_S, what="all requests are answered")

    def recover(self, what: str = "recovered in") -> float:
        """Return how long it takes, after the fault's end, until all is answered, a new request included."""
        begun = time.monotonic()
        wait_until_sync(self._is_accepting, timeout_s=DEADLINE_S, what="the server takes requests")
        self.wait_answered()
        took_s = time.monotonic() - begun
        self._figure(what, took_s, "s")
        return took_s

    def _is_accepting(self) -> bool:
        try:
            return bool(self.ask())
        except _AWAY:
            return False

    # -- the count ---------------------------------------------------------------------------------------------

    def run(self) -> Run:
        """Collect the records of the whole run."""
        remains = collect(self.client, self.keys)
        left = remains.left._replace(added=None)
        return Run(
            self._asked,
            remains.answers,
            dead=remains.dead,
            changes=self._changes,
            stays=self.library.stays,
            stats=remains.stats,
            sessions=remains.sessions,
            left=left,
            outages=self.library.outages,
        )

    def count(
        self, *, losses: int | None = 1, counts: bool = True, lines: int = _MOST_LINES, bugs: Sequence[str] = _BUGS
    ) -> Run:
        """Count the whole run, and check every promise.

        Args:
            losses: How often each worker has to say that Redis was lost, and restored; None: as often one as the other.
            counts: Whether the stats have to equal the results.
            lines: How many lines a worker may write at most.
            bugs: Events that no worker may tell of.
        """
        self.wait_answered()
        wait_until_sync(self._is_quiet, timeout_s=DEADLINE_S, what="nothing is pending and nothing waits")
        run = self.run()
        run = run if counts else replace(run, stats=None)
        broken = violations(run)
        assert not broken, broken
        for worker in self.workers:
            _hold_lines(worker, losses, lines, bugs)
            peak = worker.peak_memory_mb()
            assert peak < _MOST_MEMORY_MB, f"{worker.consumer} took {peak} MB"
        return run

    def _is_quiet(self) -> bool:
        left = look_at_requests(self.client, self.keys)
        return left.pending == left.length == 0 and not [one for one in self.workers if not _is_calm(one)]


def _is_calm(worker: RunningWorker) -> bool:
    return worker.losses() == len(worker.events("redis.restored")) or not worker.is_running


def _hold_lines(worker: RunningWorker, losses: int | None, most: int, bugs: Sequence[str]) -> None:
    """Check that a worker logs what happened, in few lines, and that none of it was a bug."""
    wait_until_sync(lambda: _is_calm(worker), timeout_s=DEADLINE_S, what="every loss is restored")
    lines = worker.lines()
    told = [line["event"] for line in lines]
    assert len(lines) <= most, f"{worker.consumer} wrote {len(lines)} lines"
    for bug in bugs:
        assert bug not in told, [line for line in lines if line["event"] == bug]
    if losses is not None:
        assert worker.losses() == losses, [line for line in lines if line["event"].startswith("redis")]
