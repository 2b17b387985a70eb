"""The request and result streams: read, take over, deliver again, settle.

Theory. Reading has a connection of its own, because a blocked read holds up every command behind it. A few requests may
be settled over it, with the next read right behind (see `worker.adapters.redis.stream_reader`). Three rules lead to
exactly one result a request:

- Settling is one script (see `settling_scripts`). It writes results only for entries that are pending for this
  consumer, and only if the weights still hold. It also acknowledges these entries. It can be repeated: an entry that is
  settled is refused.
- Entries may be delivered though their reply was lost. After an error the caller of `read` reads its pending entries.
- Ids of entries belong to one server. After a failover, another server may have made the same ids for other requests.
  So both connections have to lead to the same server. If they do not, everything in hand is let go (`_reach`).
"""

import time
from collections.abc import Mapping, Sequence
from typing import Final

import redis.exceptions

from worker.adapters.redis.client import Client, redis_errors
from worker.adapters.redis.connection import DirectConnection
from worker.adapters.redis.presence import RedisPresence
from worker.adapters.redis.replies import gathered, read_entries
from worker.adapters.redis.result_bytes import ResultBytes
from worker.adapters.redis.script_texts import read_script
from worker.adapters.redis.settling import read_failure, read_session_fields, write_failure
from worker.adapters.redis.settling_scripts import SettlingScripts
from worker.adapters.redis.stats_folding import MixtureTexts
from worker.adapters.redis.stream_reader import StreamReader
from worker.core.draw.sessions import Fields
from worker.core.keys import GROUP, Keys
from worker.core.wire import Entry
from worker.errors import GroupMissingError
from worker.ports import Batch, Failure, NextRead, Pending, Settled, StreamLimits

_PAGE = 1000
_DELIVER_AGAIN: Final = read_script("deliver_again.lua")
_BEYOND_ALL: Final = f"{2**64 - 1}-0"


class RedisStreams(RedisPresence):
    """The streams as one consumer sees them."""

    def __init__(self, client: Client, *, keys: Keys, consumer: str, limits: StreamLimits) -> None:
        """Connect later.

        Args:
            client: Opens the connections, one for reading, and one for settling and for all other commands.
            keys: Names in Redis.
            consumer: This worker's name in the group.
            limits: Bounds of the result streams.
        """
        super().__init__(DirectConnection(client, keys.requests), keys, consumer)
        self._reader = StreamReader(DirectConnection(client, keys.requests), keys, consumer)
        self._server: tuple[str, int] | None = None
        self._scripts = SettlingScripts(self._connection, self._reader, keys, consumer, limits)
        self._clock_offset_ms = 0
        self._mixtures = MixtureTexts(keys)
        self._bytes = ResultBytes(keys, limits)

    def now_ms(self) -> int:
        """Return the Unix time in ms by the clock of Redis, as far as it is known."""
        return time.time_ns() // 1_000_000 + self._clock_offset_ms

    async def open(self) -> None:
        """Create the consumer group if it is missing, become one of its consumers, and learn the clock of Redis.

        Raises:
            GroupMissingError: Another server is the master now.
            RedisError: Redis could not be reached, or holds something else under the stream's key.
        """
        with redis_errors("XGROUP CREATE"):
            await self._reach(self._reader.connection)
            try:
                # From 0 and not from $: requests that came before the first start are answered too.
                await self._connection.call("XGROUP", "CREATE", self._keys.requests, GROUP, "0", "MKSTREAM")
            except redis.exceptions.ResponseError as error:
                if "BUSYGROUP" not in str(error):
                    raise
            # Others find this worker by its name in the group. This read of its pending entries beyond the last one
            # makes the name and delivers nothing; on Redis 7.0 a read that waits does not make it.
            about = ("GROUP", GROUP, self._consumer, "STREAMS", self._keys.requests, _BEYOND_ALL)
            await self._connection.call("XREADGROUP", *about)
            reply = await self._reader.connection.call("TIME")
            with self._reader.connection.closing_if_misread():
                # Plain numbers would be another command's reply, and this clock decides which requests are late.
                seconds, microseconds = (int(word.decode()) for word in reply)
        self._learn_clock(seconds * 1000 + microseconds // 1000)

    @property
    def is_reading_ahead(self) -> bool:
        """Whether a read is under way, so that entries may have been delivered that nobody has seen yet."""
        return self._reader.is_ahead

    def read_ahead(self, count: int, block_ms: int) -> None:
        """Ask for new entries that the next `read` returns; no-op while disconnected.

        Args:
            count: At most this many.
            block_ms: Let Redis wait this long for the first; below the time-out of the client.
        """
        self._reader.read_ahead(count, block_ms)

    async def read(self, count: int, block_ms: int) -> list[Entry]:
        """Read entries that were never delivered; those that were asked for ahead, if there are any.

        Args:
            count: At most this many.
            block_ms: Wait this long for the first; below the time-out of the client.

        Raises:
            GroupMissingError: The group or the stream is gone, or served by another server now.
            RedisError: Redis did not answer; entries may have been delivered all the same.
        """
        with redis_errors("XREADGROUP"):
            if not self._reader.is_ahead:
                await self._reach(self._reader.connection)
            return await self._reader.read(count, block_ms)

    async def take_over(self, idle_ms: int) -> list[str]:
        """Take over entries that have been pending for other consumers for too long.

        Args:
            idle_ms: For at least this long.

        Returns:
            Their ids. This does not count as a delivery.
        """
        taken: list[str] = []
        cursor = b"0-0"
        while True:
            command = ("XAUTOCLAIM", self._keys.requests, GROUP, self._consumer, idle_ms, cursor)
            with redis_errors("XAUTOCLAIM"):
                reply = await self._connection.call(*command, "COUNT", _PAGE, "JUSTID")
                with self._connection.closing_if_misread():
                    cursor = reply[0]
                    taken.extend(entry.decode() for entry in reply[1])
            if cursor == b"0-0":
                return taken

    async def pending(self) -> list[Pending]:
        """List the entries that are pending for this consumer, oldest first."""
        found: list[Pending] = []
        start = "-"
        while True:
            command = ("XPENDING", self._keys.requests, GROUP, start, "+", _PAGE, self._consumer)
            with redis_errors("XPENDING"):
                page = await self._connection.call(*command)
                with self._connection.closing_if_misread():
                    found.extend(Pending(row[0].decode(), int(row[2]), int(row[3])) for row in page)
            if len(page) < _PAGE:
                return found
            start = f"({found[-1].id}"

    async def deliver_again(self, pending: Sequence[Pending]) -> list[Entry]:
        """Deliver entries to this consumer once more.

        Entries that another consumer has taken over meanwhile are left to it. Those that were deleted meanwhile are
        removed from the group.

        Args:
            pending: At most 1,000 entries that were pending for this consumer.
        """
        ids = [entry.id for entry in pending]
        with redis_errors("the script that delivers again"):
            reply = await self._connection.call(
                "EVAL", _DELIVER_AGAIN, 1, self._keys.requests, GROUP, self._consumer, *ids
            )
            with self._connection.closing_if_misread():
                records, deliveries = reply
                counts = map(int, deliveries)
                return [
                    entry._replace(deliveries=count) for entry, count in zip(read_entries(records), counts, strict=True)
                ]

    async def look_at(self, pending: Pending) -> Entry | None:
        """Read a pending entry without delivering it; None if it was deleted meanwhile."""
        with redis_errors("XRANGE"):
            reply = await self._connection.call("XRANGE", self._keys.requests, pending.id, pending.id)
            with self._connection.closing_if_misread():
                entries = read_entries(reply)
        return entries[0]._replace(deliveries=pending.deliveries) if entries else None

    async def note_failures(self, failures: Mapping[str, Failure], ttl_s: int) -> None:
        """Store for all workers why the last attempt at some entries failed.

        If Redis refuses to, their dead letters will say that no reason is known.

        Args:
            failures: Entry id -> why.
            ttl_s: How long the notes last, in seconds.

        Raises:
            RedisError: Redis did not answer.
        """
        with redis_errors("SET of failures"):
            await self._connection.open()
            notes = [(self._keys.failure(entry_id), write_failure(failure)) for entry_id, failure in failures.items()]
            replies = [self._connection.send("SET", key, note, "EX", ttl_s) for key, note in notes]
            for reply in await gathered(replies):
                if isinstance(reply, BaseException) and not isinstance(reply, redis.exceptions.ResponseError):
                    raise reply

    async def failure_of(self, entry_id: str) -> Failure | None:
        """Return why the last attempt at an entry failed; None if no worker has stored it, or it cannot be read.

        Raises:
            RedisError: Redis did not answer.
        """
        with redis_errors("GET of a failure"):
            try:
                return read_failure(await self._connection.call("GET", self._keys.failure(entry_id)))
            except redis.exceptions.ResponseError:
                return None

    async def read_sessions(self, names: Sequence[str]) -> list[Fields]:
        """Read the hashes of some sessions.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        with redis_errors("HGETALL of sessions"):
            await self._connection.open()
            replies = [self._connection.send("HGETALL", self._keys.session(name)) for name in names]
            found = await gathered(replies)
            with self._connection.closing_if_misread():
                return [read_session_fields(reply) for reply in found]

    async def read_exclusion(self, name: str) -> tuple[bytes | None, bytes | None]:
        """Read the head and the ids of an exclusion list at one moment; None for a key that is absent or no string.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        with redis_errors("MGET of an exclusion list"):
            await self._connection.open()
            reply = await self._connection.call("MGET", self._keys.exclude(name), self._keys.excluded_ids(name))
            with self._connection.closing_if_misread():
                head, ids = reply
                return head, ids

    async def settle(self, batch: Batch, then_read: NextRead | None = None) -> Settled:
        """Write and acknowledge a batch in one atomic step, or nothing of it.

        Args:
            batch: At least one result.
            then_read: What to read ahead once it is settled, if that can be sent with it.

        Raises:
            GroupMissingError: The group or the stream is gone, or another server is the master now.
            RedisError: Redis refused, or did not answer. Then the batch may be settled all the same: settle it
                again, an entry that is settled is refused.
        """
        described = await self._mixtures.describe(self._connection, batch.mixtures) if batch.mixtures else ()
        with redis_errors("the settling script"):
            await self._reach(self._connection)
            unbounded = await self._bytes.trim(self._connection)
            if then_read is not None and self._reader.can_carry:
                await self._reach(self._reader.connection)
                settled = await self._scripts.settle(batch, then_read)
            else:
                settled = await self._scripts.settle(batch)
        self._learn_clock(settled.at_ms)
        self._bytes.note(batch, self._scripts.sent_bytes)
        if described:  # a mixture that was idle may have been removed before these counts came
            await self._mixtures.write(self._connection, described)
        return settled._replace(unbounded=unbounded) if unbounded else settled

    def close(self) -> None:
        """Close the connections for reading and for settling; they are opened again when they are needed."""
        self._reader.forget()
        self._reader.connection.close()
        self._connection.close()

    async def _reach(self, connection: DirectConnection) -> None:
        """Connect if needed; refuse another server than the one that delivered the entries in hand."""
        if not connection.is_open:
            await connection.open()
        if self._server in (None, connection.address):
            self._server = connection.address
            return
        self._server = None
        moved = "another server is the master now than the one that delivered the requests in hand"
        for each in (self._reader.connection, self._connection):
            each.close(redis.exceptions.ConnectionError(moved))
        raise GroupMissingError(f"Redis has moved: {moved}")

    def _learn_clock(self, server_ms: int) -> None:
        self._clock_offset_ms = server_ms - time.time_ns() // 1_000_000
