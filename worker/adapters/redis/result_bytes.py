"""The bytes of result streams: `settle.lua` bounds their entries, and here they are seen to when large results come.

How many bytes a stream takes is a question that costs Redis milliseconds where there are a million entries. So it is
asked only once so much was written to a stream that the answer may matter, and never while results are so short that
as many as may be kept are no more bytes than may be kept.
"""

from collections import OrderedDict
from importlib.resources import files
from typing import Final

import redis.exceptions

from worker.adapters.redis.connection import DirectConnection
from worker.core.keys import Keys
from worker.ports import Batch, StreamLimits

_TRIM: Final = files("worker.adapters.redis").joinpath("scripts", "trim_results.lua").read_bytes()
_PARTS = 16  # of the bytes of a stream: after each that is written it is looked at
_STREAMS_REMEMBERED = 4096
_SHARED_BYTES = 200  # of a result, about, which are sent once a batch


class ResultBytes:
    """Keep the result streams that this worker writes to below a number of bytes."""

    def __init__(self, keys: Keys, limits: StreamLimits) -> None:
        """Take the names in Redis, and the bounds."""
        self._keys = keys
        self._most = limits.results_max_bytes
        self._short = limits.results_max_bytes / limits.results_maxlen
        self._written: OrderedDict[str | None, int] = OrderedDict()

    def note(self, batch: Batch, sent_bytes: int) -> None:
        """Note what settling a batch has written.

        Args:
            batch: What was settled.
            sent_bytes: Bytes of the command that did it; each of its streams may have got them all.
        """
        count = len(batch.results)
        if sent_bytes <= count * (self._short - _SHARED_BYTES):
            return
        for name in {result.reply_to for result in batch.results}:
            self._written[name] = self._written.pop(name, 0) + sent_bytes + count * _SHARED_BYTES
        while len(self._written) > _STREAMS_REMEMBERED:
            self._written.popitem(last=False)

    async def trim(self, connection: DirectConnection) -> str:
        """Drop the oldest results of streams that have grown too large.

        Args:
            connection: To the server that holds them.

        Returns:
            Why that could not be done; empty where it could.

        Raises:
            redis.exceptions.RedisError: Redis did not answer.
            OSError: Redis did not answer.
        """
        problem = ""
        for name in [name for name, written in self._written.items() if written > self._most / _PARTS]:
            key = self._keys.results if name is None else self._keys.reply(name)
            try:
                await connection.call("EVAL", _TRIM, 1, key, self._most)
            except redis.exceptions.ResponseError as error:
                problem = f"MEMORY USAGE or XTRIM of {key}: {error}; accepted: the rights of deploy/redis.acl"
            del self._written[name]
        return problem
