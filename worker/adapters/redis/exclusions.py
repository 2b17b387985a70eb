"""Exclusion lists in Redis, for people who change them; `worker.core.wire.exclusions` says what a list is."""

from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple
from uuid import UUID

from worker.adapters.redis.client import Client, redis_errors
from worker.adapters.redis.script_texts import read_script
from worker.core.keys import NAME_PATTERN, Keys
from worker.core.wire.exclusions import ExclusionList, pack_ids, read_list
from worker.errors import RedisError

_SET: Final = read_script("exclusion_set.lua")
_ATTEMPTS: Final = 20
_EMPTY: Final = ExclusionList("number", b"")

Ids = Iterable[int | UUID]
Change = Callable[[frozenset[int | UUID]], Ids]


class Changed(NamedTuple):
    """A change of a list: how many ids it had before, the list now, and whether there was none before."""

    before: int
    now: ExclusionList
    is_new: bool = False


class RedisExclusions:
    """Reads and changes exclusion lists."""

    def __init__(self, client: Client, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    async def names(self) -> list[str]:
        """List all lists, sorted; this scans all keys of the database.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        start = self._keys.exclude("")
        with redis_errors("looking for exclusion lists"):
            found = [key async for key in self._client.scan_iter(match=f"{start}*", count=1000)]
        names = (key.decode(errors="replace").removeprefix(start) for key in found)
        return sorted(name for name in names if NAME_PATTERN.fullmatch(name))

    async def read(self, name: str) -> ExclusionList | None:
        """Read a list; None if there is none.

        Raises:
            RedisError: Redis did not answer, or refused, or the keys hold something else.
        """
        return (await self._read(name))[1]

    async def change(self, name: str, change: Change) -> Changed:
        """Change the ids of a list, which need not exist, whoever else does.

        Args:
            name: The list.
            change: Makes the new ids of those before. It is called again if somebody else was faster.

        Raises:
            ValueError: The new ids are refused.
            RedisError: Redis did not answer, or refused, or the list never rests.
        """
        for _ in range(_ATTEMPTS):
            head, found = await self._read(name)
            before = found or _EMPTY
            now = pack_ids(change(frozenset(before.ids())))
            if found is not None and now.packed == before.packed:
                return Changed(before.size, now)
            if await self._set(name, head, now.head, now.packed):
                return Changed(before.size, now, is_new=found is None)
        raise RedisError(f"exclusion list {name} was changed by others {_ATTEMPTS} times meanwhile; nothing is changed")

    async def remove(self, name: str) -> bool:
        """Remove a list, whatever its keys hold; return whether there was one.

        Raises:
            RedisError: Redis did not answer, or refused, or the list never rests.
        """
        with redis_errors(f"removing exclusion list {name}"):
            return bool(await self._client.delete(self._keys.exclude(name), self._keys.excluded_ids(name)))

    async def _read(self, name: str) -> tuple[bytes, ExclusionList | None]:
        key = self._keys.exclude(name)
        with redis_errors(f"reading exclusion list {name}"):
            found: Any = await self._client.mget(key, self._keys.excluded_ids(name))
        head, ids = found
        if head is None:
            return b"", None
        try:
            return head, read_list(head, ids)
        except ValueError as error:
            accepted = f"accepted: `sampling-worker exclude clear {name}`"
            raise RedisError(f"exclusion list {name} in {key} cannot be read: {error}; {accepted}") from error

    async def _set(self, name: str, *words: bytes) -> bool:
        keys = self._keys.exclude(name), self._keys.excluded_ids(name)
        with redis_errors(f"storing exclusion list {name}"):
            return bool(await self._client.execute_command("EVAL", _SET, 2, *keys, *words))
