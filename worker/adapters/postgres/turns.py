"""Turns to read a whole library, so that many workers that start at once do not overload its server.

1. At most `READERS` workers read everything at the same time, whoever started them. More readers would make all of them
   slower.
2. A turn is an advisory lock of the transaction that reads. So it ends with that transaction, whatever becomes of the
   worker. It also works behind a pooler and on a standby.
3. A worker that gets no turn disconnects, and asks again after a random time. While it waits, it holds no connection
   and no snapshot.
4. A worker that hangs keeps its turn. So no other worker waits for longer than `LONGEST_S`: it then reads without a
   turn.
"""

import random
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final

import anyio

from worker.adapters.postgres.client import Connection

READERS: Final = 4
"""Measured on two cores: of 50 workers that start at once, half are ready twice as soon as without turns."""

LONGEST_S: Final = 300.0
"""Longest wait for a turn, in seconds."""

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 5.0
_LOCKS = 0x73_77_6B_72  # the first number of our advisory locks
_TAKE = """
select true from generate_series(1, $1) as turn where pg_try_advisory_xact_lock($2, turn) limit 1"""


class Turns:
    """The turns of one worker."""

    def __init__(self, readers: int, longest_s: float = LONGEST_S) -> None:
        """Choose the limits.

        Args:
            readers: How many workers may have a turn at the same time.
            longest_s: Longest wait for a turn, in seconds.
        """
        self._readers = readers
        self._longest_s = longest_s

    @asynccontextmanager
    async def taken(
        self, connecting: Callable[[], AbstractAsyncContextManager[Connection]]
    ) -> AsyncIterator[Connection]:
        """Wait for a turn; it lasts as long as the open transaction.

        Args:
            connecting: Opens a connection with a transaction that has not read anything.
        """
        deadline, longest_s = anyio.current_time() + self._longest_s, _FIRST_PAUSE_S
        while True:
            async with connecting() as connection:
                if await self._take(connection) or anyio.current_time() > deadline:
                    yield connection
                    return
            await anyio.sleep(random.uniform(_FIRST_PAUSE_S / 2, longest_s))  # noqa: S311 - jitter is no secret
            longest_s = min(2 * longest_s, _LONGEST_PAUSE_S)

    async def _take(self, connection: Connection) -> bool:
        return await connection.fetchval(_TAKE, self._readers, _LOCKS) is not None
