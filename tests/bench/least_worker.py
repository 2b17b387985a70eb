"""The least that a worker in Python can do for a lone request: the bound that `ordinary.py` holds ours against.

It reads, and draws 64 ids out of 100,000 in five categories. It settles by our script with as many words as ours has.
It does so in the callback that a packet wakes, over one connection. It checks, looks at, logs and remembers nothing
else. So it is no worker: it knows one weights key, one size, and no failure.

    python tests/bench/least_worker.py HOST PORT
"""

import asyncio
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import hiredis
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from worker.adapters.redis.resp_protocol import Word, pack
from worker.adapters.redis.settling_scripts import SETTLE_FEW
from worker.core.keys import GROUP, Keys
from worker.core.weights.in_force import mark_of

KEYS = Keys("audio")
ME, CATEGORIES = "least", ("conference", "custom", "documentary", "music", "voice")
ENDS = np.array([0.08, 0.10, 0.25, 0.55, 1.0])
STARTS, READY = np.array([0, 8_000, 10_000, 25_000, 55_000]), np.array([8_000, 2_000, 15_000, 30_000, 45_000])
IDS = np.arange(1, 100_001)
READ = pack(("XREADGROUP", "GROUP", GROUP, ME, "COUNT", 256, "BLOCK", 500, "STREAMS", KEYS.requests, ">"))
LEFT = ("status", "ok", "weights_version", "0" * 12, "weights_source", "redis", "catalog_version", "0" * 12)


class Least(asyncio.Protocol):
    """A worker that settles each batch in one packet with the next read."""

    def __init__(self, mark: bytes) -> None:
        self._mark = mark
        self._rng = np.random.Generator(np.random.SFC64())
        self._replies = hiredis.Reader(notEnoughData=...)
        self._is_settling = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Read."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(READ)

    def data_received(self, data: bytes) -> None:
        """Settle what was read."""
        self._replies.feed(data)
        while (reply := self._replies.gets()) is not ...:
            if isinstance(reply, Exception) or (self._is_settling and reply[0] != b"settled"):
                sys.exit(f"Redis answered {reply}")
            if not self._is_settling:
                self._transport.write(READ if reply is None else self._settle(reply[0][1]) + READ)
            self._is_settling = not self._is_settling and reply is not None

    def _settle(self, entries: Sequence[Any]) -> bytes:
        """Draw for some requests, and write what settles them."""
        words: list[Word] = []
        drawn = np.zeros(len(CATEGORIES), np.int64)
        keys: dict[str, int] = {}
        for entry_id, fields in entries:
            asked = dict(zip(fields[0::2], fields[1::2], strict=True))
            key = keys.setdefault(KEYS.reply(asked[b"reply_to"].decode()), len(keys) + 3)
            uniforms = self._rng.random(int(asked[b"size"]))
            columns = ENDS.searchsorted(uniforms, "right")
            ids = IDS[(STARTS[columns] + READY[columns] * self._rng.random(len(columns))).astype(np.int64)]
            counts = np.bincount(columns, minlength=len(CATEGORIES))
            drawn += counts
            own = ("chunk_ids", str(ids.tolist()), "counts", str(counts.tolist()))
            ended = ("request_id", asked.get(b"request_id", entry_id), "entry_id", entry_id, *own, *LEFT)
            words += (entry_id, key, len(ended), *ended)
        growth: list[Word] = ["requests:", len(entries)]
        for name, count in zip(CATEGORIES, drawn.tolist(), strict=True):
            for kind in ("chunks", "expected", "variance"):
                growth += (f"{kind}::{name}", count)
        first, last = entries[0][0], entries[-1][0]
        milliseconds, number = last.split(b"-")
        span = (first, last, b"%b-%d" % (milliseconds, int(number) + 1))
        counted = (0, 1, len(growth) // 2, len(entries), 0, KEYS.weights(), self._mark)
        names = (KEYS.requests, KEYS.stats, *keys)
        head = ("EVALSHA", SETTLE_FEW.sha, len(names), *names, GROUP, ME, *span, 100_000, 600)
        return pack((*head, *counted, *growth, *words, 0))


def prepare(host: str, port: int) -> bytes:
    """Make the group, load the script, and return the mark of the weights."""
    replies = hiredis.Reader(notEnoughData=...)
    with socket.create_connection((host, port)) as link:

        def call(*words: Word) -> Any:
            link.sendall(pack(words))
            while (reply := replies.gets()) is ...:
                replies.feed(link.recv(1 << 16))
            return reply

        call("SCRIPT", "LOAD", SETTLE_FEW.text)
        weights = call("GET", KEYS.weights())
        call("XGROUP", "CREATE", KEYS.requests, GROUP, "0", "MKSTREAM")
    return mark_of(weights)


async def main() -> None:
    """Serve until it is ended."""
    host, port = sys.argv[1], int(sys.argv[2])
    mark = prepare(host, port)
    await asyncio.get_running_loop().create_connection(lambda: Least(mark), host, port)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
