"""The bytes of result streams. `settle.lua` bounds the entries of a stream, and this bounds its bytes.

Theory. Redis knows how many bytes a stream takes (`MEMORY USAGE`), but only by looking at each node of the stream. A
node is some 4 kB of short results, or one result that is longer. At 256 MiB of short results, a full look stops the
server for 25 ms. So looks have to be rare or short:

- There is no look while results are short: the most results that may be kept then take no more bytes than may be kept.
- Nodes of short results are all about alike. So a sample of them shows the bytes of the stream well enough. Such a look
  takes microseconds. It comes after each 64th of the bytes that may be kept. It drops a 64th of the entries at a time.
- A long result makes a node of its own size, which a sample may miss. So once this worker has written one, each look is
  a full one. This ends when as many bytes of short results were written as may be kept: by then the long one has gone.
  A stream full of long results has few nodes, and a full look is quick. It comes after each sixteenth of the bytes.
- Each worker counts what it has written itself. Streams that a restarted worker finds are looked at by sample: their
  bytes were bounded by the workers that wrote them.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

import redis.exceptions

from worker.adapters.redis.connection import DirectConnection
from worker.adapters.redis.script_texts import read_script
from worker.core.keys import Keys
from worker.ports import Batch, StreamLimits

_TRIM: Final = read_script("trim_results.lua")
_STREAMS_REMEMBERED = 4096
_SHARED_BYTES = 200  # of a result, about, which are sent once a batch
_LONG_BYTES = 4096  # Redis's `stream-node-max-bytes`: a result of more has a node of its own


@dataclass(frozen=True, slots=True)
class _Look:
    """How a stream is looked at: how many of its nodes (0: all), and how finely it is trimmed."""

    samples: int
    parts: int


_FULL: Final = _Look(samples=0, parts=16)
_SAMPLED: Final = _Look(samples=64, parts=64)


@dataclass(slots=True)
class _Written:
    """Bytes that this worker has written to a stream: since the last look, and before full looks may end."""

    since_look: int = 0
    until_sampled: int = 0

    @property
    def look(self) -> _Look:
        """Return how the stream has to be looked at."""
        return _FULL if self.until_sampled > 0 else _SAMPLED


class ResultBytes:
    """Keeps the result streams that this worker writes to below a number of bytes."""

    def __init__(self, keys: Keys, limits: StreamLimits) -> None:
        self._keys = keys
        self._most = limits.results_max_bytes
        self._short = limits.results_max_bytes / limits.results_maxlen
        self._written: OrderedDict[str | None, _Written] = OrderedDict()

    def __repr__(self) -> str:
        """Show the streams whose bytes are counted."""
        counted = ", ".join(f"{name or 'shared'}: {one.since_look:,} B" for name, one in self._written.items())
        return f"<ResultBytes {counted or 'of no stream'}>"

    def note(self, batch: Batch, sent_bytes: int) -> None:
        """Note what settling a batch has written.

        Args:
            batch: What was settled.
            sent_bytes: Bytes of the command that settled it. Each stream of the batch may have got all of them.
        """
        count = len(batch.results)
        if sent_bytes <= count * (self._short - _SHARED_BYTES):
            return
        size = sent_bytes + count * _SHARED_BYTES
        for name in {result.reply_to for result in batch.results}:
            written = self._written.pop(name, None) or _Written()
            written.since_look += size
            written.until_sampled = self._most if sent_bytes > count * _LONG_BYTES else written.until_sampled - size
            self._written[name] = written
        while len(self._written) > _STREAMS_REMEMBERED:
            self._written.popitem(last=False)

    async def trim(self, connection: DirectConnection) -> str:
        """Drop the oldest results of streams that have grown too large.

        Args:
            connection: To the server that holds them.

        Returns:
            Why that could not be done; empty if it could.

        Raises:
            redis.exceptions.RedisError: Redis did not answer.
            OSError: Redis did not answer.
        """
        problem = ""
        due = [(name, one) for name, one in self._written.items() if one.since_look > self._most / one.look.parts]
        for name, written in due:
            key = self._keys.results if name is None else self._keys.reply(name)
            look = written.look
            try:
                await connection.call("EVAL", _TRIM, 1, key, self._most, look.samples, look.parts)
            except redis.exceptions.ResponseError as error:
                problem = f"MEMORY USAGE or XTRIM of {key}: {error}; accepted: the rights of deploy/redis.acl"
            written.since_look = 0
        return problem
