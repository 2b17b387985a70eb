"""Passes over a category: every READY chunk once, in an order that is a function of session, pass and chunk id alone.

Each chunk has a rank in each pass, a keyed hash of its id; a pass goes through the chunks by ascending rank. All that
is kept of it is a cursor: the pass, and the rank of the last chunk drawn. So a chunk that is removed is not drawn, one
that is added joins this pass or the next, and nothing grows with the number of chunks drawn.
"""

import hashlib
from bisect import bisect_left
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from worker.core.catalog import Catalog, fold_ids
from worker.core.draw.cursor import Cursor
from worker.core.hashing import GOLDEN, mix

Integers = NDArray[np.int64]
Ranks = NDArray[np.uint64]
Spans = list[tuple[int, int]]
"""(pass, how many chunks are of it), ascending by pass."""

_WINDOW = 16_384  # chunks of a pass that are put in order at once, where a category is larger
_PARTS = 16  # ... and at most in so many steps, as each looks at all of the category
_MOST_ORDERED = 4_000_000  # chunks whose order is remembered, 16 bytes each
_MOST_WINDOWS = 4_096  # of as many categories of sessions
_WINDOWS: Final = "worker.core.draw.passes"


class Taken(NamedTuple):
    """Hold what some requests get of a category.

    Attributes:
        offsets: int64, shape (wanted.sum(),): places within the category, request after request, in the order drawn.
        passes: Shape (r,): which passes each request's chunks are of.
        cursor: Where the session stands now.
    """

    offsets: Integers
    passes: list[Spans]
    cursor: Cursor


class _Window(NamedTuple):
    """The chunks of a pass whose ranks come right after `low`, ascending by rank.

    Attributes:
        low: Nothing up to this rank is in here.
        ranks: uint64, shape (w,).
        offsets: int64, shape (w,): places within the category.
        is_last: Whether no chunk of the pass comes after these.
    """

    low: int
    ranks: Ranks
    offsets: Integers
    is_last: bool


class Passes:
    """Put the chunks of one category in the orders of one session's passes; the catalog remembers."""

    def __init__(self, catalog: Catalog, session: str, category: str) -> None:
        """Take what decides the order; the category has READY chunks.

        Args:
            catalog: The READY chunks.
            session: Name of the session.
            category: One of the catalog's.
        """
        place = bisect_left(catalog.categories, category)
        self._ids = catalog.ids[int(catalog.offsets[place]) : int(catalog.offsets[place + 1])]
        self._name = (session, category)
        digest = hashlib.sha256(f"{session}\0{category}".encode()).digest()
        self._keys = np.frombuffer(digest[:16], dtype="<u8").astype(np.uint64)
        windows = catalog.memo.setdefault(_WINDOWS, {})
        assert isinstance(windows, dict)  # noqa: S101
        self._windows: dict[tuple[tuple[str, str], int], _Window] = windows

    def __len__(self) -> int:
        """Count the chunks."""
        return len(self._ids)

    def ranks(self, numbers: Integers) -> Ranks:
        """Rank all chunks in some passes; two chunks of bigint ids never share a rank, of uuids with chance 2^-64.

        Args:
            numbers: int64, shape (m,): the passes.

        Returns:
            uint64, shape (m, n).
        """
        keys = mix(self._keys + numbers.astype(np.uint64)[:, None] * GOLDEN)
        return mix(mix(fold_ids(self._ids) ^ keys[:, :1]) + keys[:, 1:])

    def after(self, number: int, last: int, count: int) -> tuple[Ranks, Integers]:
        """List the chunks of a pass that come next, fewer where it ends.

        Args:
            number: The pass.
            last: The rank that they come after; -1 for the first ones.
            count: How many.

        Returns:
            Their ranks, ascending, and their places within the category.
        """
        window = self._windows.get((self._name, number))
        if window is None or last < window.low:
            window = self._order(number, last, count)
        start = int(np.searchsorted(window.ranks, np.uint64(last), "right")) if last >= 0 else 0
        if start + count > len(window.ranks) and not window.is_last:
            window, start = self._order(number, last, count), 0
        return window.ranks[start : start + count], window.offsets[start : start + count]

    def whole(self, first: int, count: int) -> tuple[Ranks, Integers]:
        """Put all chunks in the order of some whole passes.

        Args:
            first: The first of the passes.
            count: How many passes.

        Returns:
            Ranks and places within the category, pass after pass.
        """
        ranks = self.ranks(np.arange(first, first + count))
        offsets = ranks.argsort(axis=1)
        return np.take_along_axis(ranks, offsets, axis=1).ravel(), offsets.ravel()

    def find(self, number: int, ranks: Sequence[int]) -> tuple[Ranks, Integers]:
        """Find the chunks of some ranks in a pass, as `after` does; those that are not READY any more are left out."""
        if not ranks:
            return np.empty(0, np.uint64), np.empty(0, np.int64)
        all_ranks = self.ranks(np.array([number]))[0]
        order = all_ranks.argsort()
        wanted = np.array(ranks, dtype=np.uint64)
        found = order[np.minimum(np.searchsorted(all_ranks, wanted, sorter=order), len(order) - 1)]
        is_there = all_ranks[found] == wanted
        return wanted[is_there], found[is_there]

    def _order(self, number: int, low: int, count: int) -> _Window:
        """Put in order what comes after a rank, as far as it is likely to be wanted soon, and remember it."""
        ranks = self.ranks(np.array([number]))[0]
        places = np.arange(len(ranks)) if low < 0 else np.flatnonzero(ranks > np.uint64(low))
        size = max(count, _WINDOW, len(ranks) // _PARTS)
        is_last = len(places) <= size
        if not is_last:
            places = places[np.argpartition(ranks[places], size)[:size]]
        places = places[ranks[places].argsort()]
        window = _Window(low, ranks[places], places, is_last)
        windows = list(self._windows.values())
        if len(windows) >= _MOST_WINDOWS or sum(len(one.ranks) for one in windows) > _MOST_ORDERED:
            self._windows.clear()
        self._windows.pop((self._name, number - 1), None)
        self._windows[self._name, number] = window
        return window


def take(passes: Passes, cursor: Cursor, wanted: Sequence[int], *, distinct: bool) -> Taken:
    """Take the next chunks of a category for some requests, beginning new passes where one ends.

    Args:
        passes: The category's orders.
        cursor: Where the session stands.
        wanted: Shape (r,): how many chunks each request gets; where distinct, at most all of them.
        distinct: Whether a request that ends one pass and begins the next must not get a chunk twice.
    """
    if not distinct:
        offsets, spans, cursor = _take_on(passes, cursor, sum(wanted))
        return Taken(offsets, _split(spans, wanted), cursor)
    parts: list[Integers] = []
    of_requests: list[Spans] = []
    for count in wanted:
        offsets, spans, cursor = _take_distinct(passes, cursor, count)
        parts.append(offsets)
        of_requests.append(spans)
    return Taken(np.concatenate([np.empty(0, np.int64), *parts]), of_requests, cursor)


def _take_on(passes: Passes, cursor: Cursor, count: int) -> tuple[Integers, Spans, Cursor]:
    """Take chunks one after the other, through as many passes as it needs."""
    offsets, spans, cursor = _finish(passes, cursor, count)
    parts = [offsets]
    left = count - len(offsets)
    rows = max(1, _WINDOW // len(passes))
    while left >= len(passes):
        whole = min(left // len(passes), rows)
        ranks, offsets = passes.whole(cursor.number + 1, whole)
        spans += [(cursor.number + i, len(passes)) for i in range(1, whole + 1)]
        cursor = Cursor(cursor.number + whole, int(ranks[-1]))
        parts.append(offsets)
        left -= len(offsets)
    if left:
        ranks, offsets = passes.after(cursor.number + 1, -1, left)
        cursor = Cursor(cursor.number + 1, int(ranks[-1]))
        spans.append((cursor.number, left))
        parts.append(offsets)
    return np.concatenate(parts), spans, cursor


def _finish(passes: Passes, cursor: Cursor, count: int) -> tuple[Integers, Spans, Cursor]:
    """Take chunks of the current pass alone, those owed first; fewer than wanted where it ends."""
    # A cursor of somebody else may owe a chunk twice, or one that comes anyway.
    ranks_owed = [rank for rank in dict.fromkeys(cursor.owed) if rank <= cursor.last]
    owed_ranks, owed = passes.find(cursor.number, ranks_owed)
    ranks, offsets = passes.after(cursor.number, cursor.last, max(0, count - len(owed)))
    last = int(ranks[-1]) if len(ranks) else cursor.last
    got = np.concatenate((owed[:count], offsets))
    spans = [(cursor.number, len(got))] if len(got) else []
    return got, spans, Cursor(cursor.number, last, tuple(owed_ranks[count:].tolist()))


def _take_distinct(passes: Passes, cursor: Cursor, count: int) -> tuple[Integers, Spans, Cursor]:
    """Take chunks for one request, none twice: what it has of the old pass is passed over in the new one, and owed."""
    had, spans, cursor = _finish(passes, cursor, count)
    left = count - len(had)
    if not left:
        return had, spans, cursor
    number = cursor.number + 1
    ranks, offsets = passes.after(number, -1, left + len(had))
    is_new = ~np.isin(offsets, had)
    end = int(np.flatnonzero(is_new)[left - 1]) + 1
    is_new, ranks = is_new[:end], ranks[:end]
    cursor = Cursor(number, int(ranks[-1]), tuple(ranks[~is_new].tolist()))
    return np.concatenate((had, offsets[:end][is_new])), [*spans, (number, left)], cursor


def _split(spans: Spans, wanted: Sequence[int]) -> list[Spans]:
    """Tell which passes each request's chunks are of, from those of all of them."""
    of_requests: list[Spans] = []
    rest = iter(spans)
    number, there = next(rest, (0, 0))
    for count in wanted:
        own: Spans = []
        while count:
            if not there:
                number, there = next(rest)
            part = min(count, there)
            own.append((number, part))
            count, there = count - part, there - part  # noqa: PLW2901 - what is still to be told of this request
        of_requests.append(own)
    return of_requests
