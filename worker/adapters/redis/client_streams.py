"""A client's requests and results in Redis.

Requests go over one connection, and each is added once however often it is sent (`submit.lua`). Results come over
another one, because a blocked read holds up whatever is behind it.
"""

import hashlib
from contextlib import suppress
from typing import Any, Final

import redis.exceptions

from worker.adapters.redis.client import Client, redis_refusals
from worker.adapters.redis.connection import DirectConnection
from worker.adapters.redis.replies import check_ids, read_records
from worker.adapters.redis.resp_protocol import Word
from worker.adapters.redis.script_texts import read_script
from worker.core.client_state import NEVER, Sending
from worker.core.keys import GROUP, PINNED, Keys
from worker.core.wire import Reply, decode_any, encode_request

NOTES_TTL_S = 3600
KEPT_TTL_S = 86_400
_PAGE = 1000
_EXPIRY: Final = encode_request(expires_at=0)[0]
_ADD: Final = read_script("submit.lua")
_END: Final = read_script("withdraw.lua")


class RedisClientStreams:
    """Sends a client's requests and reads its reply stream.

    Attributes:
        most_kept: How many results stay in Redis, the newest; 0: all that the client has not forgotten.
    """

    def __init__(self, client: Client, keys: Keys, name: str, *, ttl_s: int = NOTES_TTL_S, most_kept: int = 0) -> None:
        """Connect later.

        Args:
            client: Opens the connections.
            keys: Names in Redis.
            name: The client's name, `reply_to` of its requests.
            ttl_s: How long Redis remembers requests after the last one, in seconds.
            most_kept: See above.
        """
        self.most_kept = most_kept
        self._ttl_s = ttl_s
        self._is_lengthened = False
        self._names = keys
        self._keys = (keys.requests, keys.asked(name), keys.reply(name))
        self._results = keys.reply(name)
        self._sender = DirectConnection(client, keys.requests)
        self._reader = DirectConnection(client, keys.requests)

    async def send(self, sending: Sending, now_s: float) -> None:
        """Add the requests that were not added before, and forget results, in one step.

        Args:
            sending: What to send.
            now_s: Now, by the clock of its deadlines, in seconds.

        Raises:
            RefusedError: Redis refuses, and will again.
            RedisError: Redis did not answer; the requests may have been added all the same.
        """
        arguments: list[Word] = [self._ttl_s, _EXPIRY, sending.read_until, sending.keep_from, self.most_kept]
        arguments += (len(sending.forgotten), len(sending.asks))
        for pair in sending.forgotten:
            arguments += pair
        for request_id, words, deadline_s in sending.asks:
            left_ms = 0 if deadline_s == NEVER else max(1, round((deadline_s - now_s) * 1000))
            arguments += (request_id, left_ms, len(words), *words)
        with redis_refusals("the adding script"):
            reply = await self._run(_ADD, *arguments)
            with self._sender.closing_if_misread():
                if len(reply) != len(sending.asks):
                    raise ValueError("it names another number of entries")

    async def read(self, after: str, block_ms: int) -> list[tuple[str, Reply | None]]:
        """Read the reply stream.

        Args:
            after: Id of the last known entry.
            block_ms: Wait this long for the first, shorter than the client's time-out; 0: do not wait.

        Returns:
            Ids and results, oldest first; None for an entry that is no result.

        Raises:
            RefusedError: Redis refuses, and will again.
            RedisError: Redis did not answer.
        """
        block: tuple[Word, ...] = ("BLOCK", block_ms) if block_ms else ()
        with redis_refusals("XREAD of the results"):
            reply = await self._reader.call("XREAD", "COUNT", _PAGE, *block, "STREAMS", self._results, after)
            with self._reader.closing_if_misread():
                records = read_records(reply, self._results.encode())
                check_ids([record_id for record_id, _ in records])
                found = [(record_id.decode(), decode_any(words, packed=True)) for record_id, words in records]
                if found and _moment(found[0][0]) <= _moment(after):
                    raise ValueError("it answers an earlier reading")
            if found and self.most_kept and not self._is_lengthened:
                await self._lengthen()
            return found

    async def _lengthen(self) -> None:
        """Let results live as long as the notes of requests; without the right to, they live as long as others."""
        self._is_lengthened = True
        with suppress(redis.exceptions.NoPermissionError):
            await self._reader.call("EXPIRE", self._results, self._ttl_s)

    async def has(self, request_id: str, read_until: str) -> bool:
        """Whether a request waits for its result, or its result may not have been read yet.

        Args:
            request_id: The request's.
            read_until: Id of the last result that was read; those up to it are known.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        requests, asked, results = self._keys
        with redis_refusals("what was asked for"):
            entry = await self._sender.call("HGET", asked, request_id)
            if entry is None:
                return False
            if await self._sender.call("XRANGE", requests, entry, entry):
                return True
            return bool(await self._sender.call("XRANGE", results, f"({read_until}", "+", "COUNT", 1))

    async def withdraw(self, name: str | None = None) -> None:
        """Withdraw requests that are not answered, and remove the client's keys.

        Args:
            name: Of another client that has ended; None: this one.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        keys = self._keys if name is None else (self._keys[0], self._names.asked(name), self._names.reply(name))
        with redis_refusals("the withdrawing script"):
            await self._run(_END, GROUP, keys=keys)

    async def release(self, session: str) -> None:
        """Release a session from its pinned weights.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        with redis_refusals("HDEL of pinned weights"):
            reply = await self._sender.call("HDEL", self._names.session(session), PINNED)
            with self._sender.closing_if_misread():
                if type(reply) is not int:
                    raise TypeError("a count is a number")

    def close(self) -> None:
        """Close the connections; they are opened again when they are needed."""
        self._sender.close()
        self._reader.close()

    async def _run(self, script: bytes, *arguments: Word, keys: tuple[str, ...] | None = None) -> Any:
        sha = hashlib.sha1(script, usedforsecurity=False).hexdigest()
        keys = keys or self._keys
        words = (len(keys), *keys, *arguments)
        try:
            return await self._sender.call("EVALSHA", sha, *words)
        except redis.exceptions.NoScriptError:
            return await self._sender.call("EVAL", script, *words)


def _moment(record_id: str) -> tuple[int, int]:
    """Return an entry's id as numbers, which sort in the order of the stream."""
    at_ms, _, number = record_id.partition("-")
    return int(at_ms), int(number)
