"""The tail of the history of weights: the changes of the last minutes, as marks, and who set what is in force."""

import time
from collections import OrderedDict, deque
from collections.abc import Sequence
from typing import Any, Final

from worker.adapters.redis.weights_writer import RedisWeightsWriter
from worker.core.live.marks import mark_of
from worker.core.live.texts import LONGEST_TEXT, cut
from worker.core.weights.history import Change

MOST_MARKS: Final = 200
SPAN_S: Final = 900.0
_AT_ONCE: Final = 20
_LOOKED_AT: Final = 500  # entries, for who set what is in force
_REMEMBERED: Final = 256
Setter = dict[str, Any]


class HistoryTail:
    """The newest changes; each is read once."""

    def __init__(self, writer: RedisWeightsWriter) -> None:
        """Read later.

        Args:
            writer: Reads the history.
        """
        self._writer = writer
        self._marks: deque[dict[str, Any]] = deque(maxlen=MOST_MARKS)
        self._newest: str | None = None
        self._setters: OrderedDict[tuple[str | None, str], Setter | None] = OrderedDict()

    def __repr__(self) -> str:
        """Return the state in one line, for logs and tests."""
        return f"<HistoryTail of {len(self._marks)} marks, newest {self._newest}>"

    async def read(self) -> list[Change]:
        """Read the changes that came since the last call; the first call reads those of the last 15 minutes.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        found = await (self._first() if self._newest is None else self._later(self._newest))
        for change in found:
            self._marks.append(mark_of(change))
            self._set(change)
        return found

    def add(self, mark: dict[str, Any]) -> None:
        """Add the mark of a change that is not in the history."""
        self._marks.append(mark)

    def has(self, name: str | None, version: str, since_ms: int) -> bool:
        """Return whether a mark since a time (Unix time in ms) put a version of some weights in force."""
        return any(mark["version_after"] == version for mark in self.marks([name], since_ms))

    def marks(self, names: Sequence[str | None], since_ms: int) -> list[dict[str, Any]]:
        """Return the marks of some weights keys since a time (Unix time in ms), the newest last."""
        return [mark for mark in self._marks if mark["dataset"] in names and mark["at_ms"] >= since_ms]

    async def setter(self, name: str | None, version: str) -> Setter | None:
        """Return who put a version in force, when and why; None if the newest 500 changes do not say.

        Args:
            name: The weights name that it belongs to.
            version: The version.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        key = (name, version)
        if key not in self._setters:
            looked_at, found = 0, None
            async for change in self._writer.history():
                looked_at += 1
                if (change.name, change.version_after) == key:
                    found = _setter(change)
                if found or looked_at == _LOOKED_AT:
                    break
            self._remember(key, found)
        return self._setters.get(key)

    async def _first(self) -> list[Change]:
        since_ms = time.time_ns() // 1_000_000 - round(SPAN_S * 1000)
        found: list[Change] = []
        newest = "0-0"
        async for change in self._writer.history():
            newest = change.id if newest == "0-0" else newest
            if change.at_ms < since_ms or len(found) == MOST_MARKS:
                break
            found.append(change)
        self._newest = newest
        return found[::-1]

    async def _later(self, newest: str) -> list[Change]:
        found: list[Change] = []
        while page := await self._writer.history_after(newest, _AT_ONCE):
            found = [*found, *page][-MOST_MARKS:]
            self._newest = newest = page[-1].id
            if len(page) < _AT_ONCE:
                break
        return found

    def _set(self, change: Change) -> None:
        self._remember((change.name, change.version_after), _setter(change))

    def _remember(self, key: tuple[str | None, str], setter: Setter | None) -> None:
        if max(map(len, filter(None, key)), default=0) > LONGEST_TEXT:
            return  # no version and no name is so long
        self._setters[key] = setter
        self._setters.move_to_end(key)
        if len(self._setters) > _REMEMBERED:
            self._setters.popitem(last=False)


def _setter(change: Change) -> Setter:
    return {"who": cut(change.who), "reason": cut(change.reason), "at_ms": change.at_ms, "entry": change.id}
