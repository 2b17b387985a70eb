"""Changes of weights and chunks during the chaos program; the writer often does not notify, and writes garbage.

Each change is noted with when it was sent and when it was acknowledged. A change whose acknowledgement was lost may
have been made or not; a script sees to it that it is never made late, after a later one.
"""

import asyncio
import json
import random
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.faults.chaos_asking import DATASETS, PRESET
from tests.faults.records import Stay, WeightsChange
from worker.core.keys import Keys

_TIMEOUT_S = 3.0
_LONGEST_PAUSE_S = 0.4
_CHUNKS: Mapping[str, int] = {"voice": 300, "music": 200, "documentary": 40, "conference": 100}
_COMING_AND_GOING = 120
_FIRST_MOVED = 1_000_000
_NAMES = ("voice", "music", "documentary", "conference")
_INSERT = "insert into audio_chunks (id, category, status) select *, 'READY' from unnest($1::bigint[], $2::text[])"
_SET = b"""
if tonumber(redis.call('GET', KEYS[2]) or '0') >= tonumber(ARGV[1]) then return 0 end
redis.call('SET', KEYS[2], ARGV[1])
if ARGV[2] ~= 'RING' then redis.call('DEL', KEYS[1]) end
if ARGV[2] == 'SET' then redis.call('SET', KEYS[1], ARGV[3]) end
if ARGV[2] == 'RPUSH' then redis.call('RPUSH', KEYS[1], ARGV[3]) end
if ARGV[4] == '1' then redis.call('PUBLISH', KEYS[1], 'x') end
return 1
"""
_GARBAGE = (
    '{"voice": NaN}',
    '{"voice": 1e999}',
    '{"voice": -1}',
    '{"voice": "1"}',
    '{"voice": {"loud": 1}}',
    '{"voice": 1, "voice": 2}',
    '{"Voice!": 1}',
    '["voice"]',
    '{"voice": 1',
    "",
    "x" * 2_000_000,
)


class Weigher(threading.Thread):
    """A thread that changes weights all the time.

    Attributes:
        changes: What it changed, in order.
    """

    def __init__(self, url: str, keys: Keys, seed: int) -> None:
        super().__init__(daemon=True)
        self._client: Any = redis.Redis.from_url(
            url, protocol=2, retry=Retry(NoBackoff(), 0), socket_timeout=_TIMEOUT_S, socket_connect_timeout=1.0
        )
        self._keys = keys
        self._rng = random.Random(seed)
        self._turn = 0
        self._is_over = threading.Event()
        self.changes: list[WeightsChange] = []

    def run(self) -> None:
        while not self._is_over.wait(self._rng.uniform(0, _LONGEST_PAUSE_S) ** 2 / _LONGEST_PAUSE_S):
            name = self._rng.choices([None, *DATASETS, f"preset:{PRESET}"], [6, 1, 1, 1])[0]
            for _ in range(self._rng.choice([1, 1, 1, 3])):
                self._change(name)

    def end(self) -> None:
        """Change no more."""
        self._is_over.set()
        self.join()
        self._client.close()

    def _change(self, name: str | None) -> None:
        kind = self._rng.choices(["values", "none", "garbage", "list", "bell"], [70, 8, 8, 3, 3])[0]
        values = None
        if kind == "values":
            values = {name: round(self._rng.random() ** 2 + 0.01, 3) for name in _NAMES}
            values |= {"silence": 0.2} if self._rng.random() < 0.1 else {}
        word, text = self._command(kind, values)
        self._turn += 1
        begun_ns, acked_ns = time.time_ns(), None
        try:
            rings = "1" if kind == "bell" or self._rng.random() < 0.6 else "0"
            keys = (self._keys.weights(name), f"{self._keys.prefix}:chaos:turn")
            self._client.execute_command("EVAL", _SET, 2, *keys, self._turn, word, text, rings)
            acked_ns = time.time_ns()
        except (redis.RedisError, OSError):
            self._is_over.wait(0.05)
        if kind != "bell":
            is_refused = kind in {"garbage", "list"}
            self.changes.append(WeightsChange(name, values, begun_ns, acked_ns, is_refused))

    def _command(self, kind: str, values: Mapping[str, float] | None) -> tuple[str, str]:
        if kind == "none":
            return ("DEL", "") if self._rng.random() < 0.5 else ("SET", '{"voice": 0, "music": 0}')
        texts = {"values": json.dumps(values), "garbage": self._rng.choice(_GARBAGE), "list": "x", "bell": ""}
        return {"list": "RPUSH", "bell": "RING"}.get(kind, "SET"), texts[kind]


class Librarian(threading.Thread):
    """A thread that fills the library, then adds and removes some chunks all the time, never the others.

    Attributes:
        stays: When chunks were READY.
    """

    def __init__(self, url: str, seed: int) -> None:
        super().__init__(daemon=True)
        self._url = url
        self._rng = random.Random(seed)
        self._is_over = threading.Event()
        self._since: dict[int, int] = {}
        self.stays: list[Stay] = []

    def fill(self) -> None:
        """Fill the library."""
        chunk = 0
        for category, count in _CHUNKS.items():
            self.stays += [Stay(chunk + i, category) for i in range(1, count + 1)]
            chunk += count
        rows = [(stay.chunk, stay.category) for stay in self.stays]
        self._do(_INSERT, *map(list, zip(*rows, strict=True)))

    def run(self) -> None:
        moved = range(_FIRST_MOVED, _FIRST_MOVED + _COMING_AND_GOING)
        while not self._is_over.wait(self._rng.uniform(0.02, _LONGEST_PAUSE_S)):
            self._move(self._rng.sample(moved, self._rng.randint(1, 10)))

    def end(self) -> None:
        """Stop the changes; what is READY now stays."""
        self._is_over.set()
        self.join()
        self.stays += [Stay(chunk, _category(chunk), begun_ns) for chunk, begun_ns in self._since.items()]

    def _move(self, chunks: Sequence[int]) -> None:
        """Add the chunks that are missing, and remove those that are there."""
        going = [chunk for chunk in chunks if chunk in self._since]
        coming = [chunk for chunk in chunks if chunk not in self._since]
        how = self._rng.choice(["update audio_chunks set status = 'FAILED'", "delete from audio_chunks"])
        if going:
            self._do(f"{how} where id = any($1::bigint[])", going)
            now_ns = time.time_ns()
            self.stays += [Stay(chunk, _category(chunk), self._since.pop(chunk), now_ns) for chunk in going]
        if coming:
            self._since.update(dict.fromkeys(coming, time.time_ns()))
            self._do(
                f"{_INSERT} on conflict (id) do update set status = 'READY'",
                coming,
                [_category(chunk) for chunk in coming],
            )

    def _do(self, statement: str, *arguments: object) -> None:
        """Run a statement that may be run twice, until it is done."""
        while True:
            try:
                return asyncio.run(_execute(self._url, statement, *arguments))
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
                time.sleep(0.05)


def _category(chunk: int) -> str:
    return _NAMES[chunk % len(_NAMES)]


async def _execute(url: str, statement: str, *arguments: object) -> None:
    connection = await asyncpg.connect(url, timeout=_TIMEOUT_S)
    try:
        await connection.execute(statement, *arguments, timeout=_TIMEOUT_S)
    finally:
        connection.terminate()
