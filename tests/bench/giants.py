"""Small requests among giants: how long each takes; a part of growth.py."""

import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import redis

from tests.bench.backlog import KEYS, Case, clear
from tests.bench.harness import Servers
from tests.bench.stillness import Spans, longest_ms
from tests.bench.watched import Library, ensure, watched_workers

Fields = dict[Any, Any]

SIZE = 64
WARM_UP = 0.05
GIANT: Fields = {"size": 65_536, "method": "stratified", "replace": 0, "reply_to": "giant"}
GIANTS = (0, 1, 4, 16)
SMALL: Fields = {"size": SIZE, "reply_to": "small"}
BLOCK_MS = 10_000
LOOK_S = 0.002


class Giants(threading.Thread):
    """A source of giant requests, some of which always wait; it counts their results without reading them."""

    def __init__(self, url: str, waiting: int) -> None:
        super().__init__(daemon=True)
        self._client = redis.Redis.from_url(url)
        self._waiting = waiting
        self._is_ended = threading.Event()
        self.served = 0

    def run(self) -> None:
        missing = self._waiting
        while not self._is_ended.wait(LOOK_S):
            for _ in range(missing):
                self._client.xadd(KEYS.requests, GIANT)
            missing = int(self._client.xtrim(KEYS.reply("giant"), maxlen=0, approximate=False))
            self.served += missing

    def stop(self) -> None:
        """End it; what it asked for last is served, and the last of it is looked at."""
        self._is_ended.set()
        self.join()
        while self._client.xlen(KEYS.requests):
            time.sleep(LOOK_S)
        last: Any = self._client.xrevrange(KEYS.reply("giant"), count=1)
        assert not self._waiting or last[0][1][b"status"] == b"ok"
        self._client.close()


def ask(client: redis.Redis, seconds: float) -> list[float]:
    """Ask for one small sample after the other, and return how long each took, in ms."""
    client.delete(KEYS.reply("small"))
    taken, last = [], b"0"
    ends = time.perf_counter() + seconds
    while (began := time.perf_counter()) < ends:
        client.xadd(KEYS.requests, SMALL)
        reply: Any = client.xread({KEYS.reply("small"): last}, block=BLOCK_MS)
        [(last, fields)] = reply[0][1]
        assert fields[b"status"] == b"ok"
        taken.append((time.perf_counter() - began) * 1000)
    return taken


@dataclass(frozen=True, slots=True)
class Mixed:
    """How long small requests took among giants."""

    waiting: int
    taken_ms: Sequence[float]
    giants_a_s: float
    span: tuple[float, float]
    still_ms: float


def measure_giants(at: Servers, client: redis.Redis, seconds: float) -> list[Mixed]:
    """Time small requests among more and more giants."""
    found = []
    ensure(at, Library())
    with watched_workers(at, 1) as running:
        for waiting in GIANTS:
            clear(at, Case(SIZE, "json", 0))
            giants = Giants(at.redis_url, waiting)
            giants.start()
            ask(client, seconds * WARM_UP)
            before, began = giants.served, time.perf_counter()
            taken = ask(client, seconds)
            span = began, time.perf_counter()
            rate = (giants.served - before) / (span[1] - span[0])
            giants.stop()
            found.append((waiting, taken, rate, span))
    seen = running[0].spans()
    return [Mixed(*one, longest_ms(seen, *one[-1])) for one in found]


def giant_rows(mixed: Sequence[Mixed], quiet: Spans) -> Iterator[dict[str, Any]]:
    """Make rows; the first has no giants."""
    alone = statistics.median(mixed[0].taken_ms)
    for one in mixed:
        p50, p99, longest = np.percentile(one.taken_ms, (50, 99, 100)).tolist()
        yield {
            "giants waiting": one.waiting,
            "giants/s": one.giants_a_s,
            "small p50 ms": p50,
            "small p99 ms": p99,
            "small max ms": longest,
            "times p50 without": p50 / alone,
            "still ms": one.still_ms,
            "quiet still ms": longest_ms(quiet, *one.span),
        }
