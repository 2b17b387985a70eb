"""The two scripts that settle, and which of them is called.

`settle.lua` settles any batch. `settle_few.lua` settles a few plain requests, or writes nothing and leaves the batch to
`settle.lua`. So all that can go wrong is decided in one place. A batch of one request takes the server 44 us instead
of 61, see `tests/bench/README.md`.
"""

import hashlib
from typing import Any, Final, NamedTuple

import redis.exceptions

from worker.adapters.redis.connection import DirectConnection
from worker.adapters.redis.script_texts import read_script
from worker.adapters.redis.settling import is_few, lay_out, lay_out_few, read_settled
from worker.adapters.redis.stream_reader import StreamReader
from worker.core.keys import Keys
from worker.ports import Batch, NextRead, Settled, StreamLimits


class _Script(NamedTuple):
    text: bytes
    sha: str


def _read(name: str) -> _Script:
    text = read_script(name)
    return _Script(text, hashlib.sha1(text, usedforsecurity=False).hexdigest())


SETTLE: Final = _read("settle.lua")
SETTLE_FEW: Final = _read("settle_few.lua")


class SettlingScripts:
    """Calls the scripts over one connection.

    Attributes:
        sent_bytes: Bytes of the last call.
    """

    def __init__(
        self, connection: DirectConnection, reader: StreamReader, keys: Keys, consumer: str, limits: StreamLimits
    ) -> None:
        """Connect later.

        Args:
            connection: To the server that holds the streams.
            reader: Reads requests from the same server over another connection.
            keys: Names in Redis.
            consumer: Who settles.
            limits: Bounds of the result streams.
        """
        self.sent_bytes = 0
        self._connection = connection
        self._reader = reader
        self._keys = keys
        self._consumer = consumer
        self._limits = limits
        self._settlings = 0

    async def settle(self, batch: Batch, then_read: NextRead | None = None) -> Settled:
        """Settle a batch wholly or not at all; see `RedisStreams.settle`."""
        if is_few(batch):
            settled = await self._call(SETTLE_FEW, lay_out_few, batch, then_read)
            if settled is not None:
                return settled
        settled = await self._call(SETTLE, lay_out, batch)
        if settled is None:
            raise redis.exceptions.InvalidResponse("the settling script left a batch to another one")
        return settled

    async def _call(
        self, script: _Script, layout: Any, batch: Batch, then_read: NextRead | None = None
    ) -> Settled | None:
        """Call a script by its hash; by its text where the server does not know it."""
        text, sha = script
        self._settlings += 1
        token = self._settlings
        keys, words = layout(batch, keys=self._keys, consumer=self._consumer, limits=self._limits, token=token)
        command = ("EVALSHA", sha, len(keys), *keys, *words)
        connection = self._connection if then_read is None else self._reader.connection
        sent_before = connection.sent_bytes
        answer = connection.send(*command) if then_read is None else self._reader.send_before_read(command, then_read)
        self.sent_bytes = connection.sent_bytes - sent_before
        try:
            reply = await answer
        except redis.exceptions.NoScriptError:
            connection = self._connection  # a read may be in progress on the other one
            reply = await connection.send("EVAL", text, *command[2:])
        except redis.exceptions.RedisError:
            if then_read is not None and not connection.is_open:
                self._reader.forget()  # this error stands for that of the read, too
            raise
        with connection.closing_if_misread():
            return read_settled(batch, reply, token)
