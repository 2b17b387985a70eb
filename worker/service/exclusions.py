"""The exclusion lists of the requests in hand: read on demand, kept, and read again when settling finds another.

`worker.core.wire.exclusions` says why that is exact. The lists used last are kept, each with the catalog without its
chunks. Lists are read over the connection that settles. So a list that is read after settling found another one is that
one, or a later one. What was asked for before it came is not kept: it may be older.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from anyio.to_thread import run_sync

from worker.core.catalog import Catalog, without
from worker.core.draw.derived import Derived
from worker.core.draw.prepare import Excluded
from worker.core.weights.in_force import mark_of
from worker.core.wire.exclusions import ExclusionList, exclusion_of, read_list
from worker.ports import RequestStream

MOST_KEPT: Final = 8
"""Lists that are kept: each may take as much memory as the catalog."""

NOTHING_EXCLUDED: Final[Mapping[str, Excluded]] = MappingProxyType({})


class _Kept(NamedTuple):
    """A list: its mark, what it holds or why it is refused, and what was made of it for one catalog."""

    mark: bytes
    found: ExclusionList | None
    problem: str
    base: Catalog | None
    excluded: Excluded


class ExclusionsBook:
    """What is known of the exclusion lists that requests named last, for all lanes."""

    def __init__(self) -> None:
        """Begin without any list."""
        self._lists: OrderedDict[str, _Kept] = OrderedDict()
        self.turn = 0
        """How often a list was forgotten, as another one was found."""

    def __repr__(self) -> str:
        """Show which lists are kept."""
        return f"<ExclusionsBook of {', '.join(self._lists) or 'no list'}>"

    def __len__(self) -> int:
        """Return how many lists are kept."""
        return len(self._lists)

    def get(self, name: str) -> _Kept | None:
        """Return what is known of a list, which is used now."""
        if name in self._lists:
            self._lists.move_to_end(name)
        return self._lists.get(name)

    def put(self, name: str, kept: _Kept, turn: int) -> None:
        """Keep a list, unless one was forgotten since `turn`; those used least recently are dropped."""
        if turn != self.turn:
            return
        self._lists[name] = kept
        self._lists.move_to_end(name)
        while len(self._lists) > MOST_KEPT:
            self._lists.popitem(last=False)

    def forget(self, names: Iterable[str]) -> None:
        """Forget lists that have changed."""
        self.turn += 1
        for name in names:
            self._lists.pop(name, None)


class ExclusionsInHand:
    """The lists that the requests of one lane name."""

    def __init__(self, stream: RequestStream, book: ExclusionsBook) -> None:
        """Connect the parts.

        Args:
            stream: Reads lists.
            book: Keeps them for all lanes.
        """
        self._stream = stream
        self._book = book

    async def read(self, names: Iterable[str], derived: Derived | None) -> Mapping[str, Excluded]:
        """Return some lists, with the catalog without their chunks.

        Args:
            names: Theirs.
            derived: The catalog; None while it is not known.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        return {name: await self._read(name, None if derived is None else derived.catalog) for name in sorted(names)}

    def forget(self, stale: Mapping[str | None, bytes]) -> Mapping[str | None, bytes]:
        """Forget the lists that settling found changed, and return the rest: weights.

        Args:
            stale: As in `worker.ports.Settled`.
        """
        if lists := [name for each in stale if (name := exclusion_of(each)) is not None]:
            self._book.forget(lists)
            return {name: mark for name, mark in stale.items() if exclusion_of(name) is None}
        return stale

    async def _read(self, name: str, catalog: Catalog | None) -> Excluded:
        turn, kept = self._book.turn, self._book.get(name)
        if kept is None:
            mark, found, problem = _understood(name, *await self._stream.read_exclusion(name))
        elif kept.base is catalog:
            return kept.excluded
        else:
            mark, found, problem = kept[:3]
        excluded = await run_sync(_exclude, name, mark, found, problem, catalog)
        self._book.put(name, _Kept(mark, found, problem, catalog, excluded), turn)
        return excluded


def drawn_apart(excluded: Mapping[str, Excluded]) -> Mapping[str, Excluded]:
    """Return the same lists with derived values of their own, for a draw in a thread."""
    return {
        name: one if one.derived is None else one._replace(derived=Derived(one.derived.catalog))
        for name, one in excluded.items()
    }


def _understood(name: str, head: bytes | None, ids: bytes | None) -> tuple[bytes, ExclusionList | None, str]:
    """Read what the keys of a list hold: its mark, the list, and why requests that name it are refused."""
    if head is None:
        accepted = f"accepted: a list that `sampling-worker exclude add {name} ID` has made"
        return mark_of(None), None, f"there is no exclusion list {name}; {accepted}"
    try:
        return mark_of(head), read_list(head, ids), ""
    except ValueError as error:
        problem = f"exclusion list {name} is refused: {error}; accepted: `sampling-worker exclude clear {name}`"
        return mark_of(head), None, problem


def _exclude(name: str, mark: bytes, found: ExclusionList | None, problem: str, catalog: Catalog | None) -> Excluded:
    """Take the chunks of a list out of a catalog."""
    if found is None or catalog is None:
        return Excluded(mark, None, problem)
    try:
        return Excluded(mark, Derived(without(catalog, found)))
    except ValueError as error:
        return Excluded(mark, None, f"exclusion list {name} is refused: {error}; accepted: ids as those of the library")
