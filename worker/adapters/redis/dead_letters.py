"""Dead letters: requests that workers gave up on, for people to look at and to send again."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from worker.adapters.redis.client import Client, redis_errors
from worker.adapters.redis.replies import text_of
from worker.adapters.redis.script_texts import read_script
from worker.core.keys import Keys
from worker.core.wire import FIELDS_OF_LETTER

_REQUEUE: Final = read_script("dead_requeue.lua")
_AT_ONCE = 100
_IDS: Final = read_script("dead_ids.lua")


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A dead letter.

    Attributes:
        id: Its entry in the stream of dead letters.
        fields: Fields and values: those of the request, then why it was given up on.
    """

    id: str
    fields: Sequence[tuple[str, str]]


class RedisDeadLetters:
    """Reads dead letters, the newest first, and sends their requests again."""

    def __init__(self, client: Client, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    async def count(self) -> int:
        """Count the dead letters.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        with redis_errors(f"counting the dead letters in {self._keys.dead}"):
            return int(await self._client.xlen(self._keys.dead))

    async def newest(self, count: int) -> list[DeadLetter]:
        """List the newest dead letters.

        Args:
            count: At most this many.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        with redis_errors(f"reading the dead letters in {self._keys.dead}"):
            found = await self._client.execute_command("XREVRANGE", self._keys.dead, "+", "-", "COUNT", count)
        return [DeadLetter(text_of(entry_id), _pairs(words)) for entry_id, words in found]

    async def requeue_all(self) -> AsyncIterator[dict[str, str]]:
        """Send the requests of all dead letters again, the oldest first; letters that come meanwhile stay.

        Yields:
            What `requeue` returns, for some letters at a time.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        newest = await self.newest(1)
        start = "-"
        while newest:
            with redis_errors(f"listing the dead letters in {self._keys.dead}"):
                found = await self._client.execute_command(
                    "EVAL", _IDS, 1, self._keys.dead, start, newest[0].id, _AT_ONCE
                )
            if not found:
                return
            ids = [text_of(entry_id) for entry_id in found]
            yield await self.requeue(ids)
            start = f"({ids[-1]}"

    async def requeue(self, ids: Sequence[str]) -> dict[str, str]:
        """Send the requests of some dead letters again, and remove the letters.

        Args:
            ids: Letters, oldest first at best.

        Returns:
            Letter -> entry of the new request. Letters that are not there are left out. The entry is empty for a
            letter that no worker has written; that one stays.

        Raises:
            RedisError: Redis did not answer, or refused, for example an id that is not valid.
        """
        sent: dict[str, str] = {}
        for start in range(0, len(ids), _AT_ONCE):
            part = ids[start : start + _AT_ONCE]
            with redis_errors(f"sending dead letters of {self._keys.dead} to {self._keys.requests}"):
                own = (len(FIELDS_OF_LETTER), *FIELDS_OF_LETTER)
                words = await self._client.execute_command(
                    "EVAL", _REQUEUE, 2, self._keys.dead, self._keys.requests, *own, *part
                )
            texts = [text_of(word) for word in words]
            sent |= zip(texts[0::2], texts[1::2], strict=True)
        return sent


def _pairs(words: Sequence[Any]) -> list[tuple[str, str]]:
    return list(zip(map(text_of, words[0::2]), map(text_of, words[1::2]), strict=True))
