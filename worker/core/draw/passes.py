"""Passes of a session over a category: each pass draws every READY chunk once, in an order of its own.

1. A session follows a *course*: a category, or one split of it; see `cursor`. The rank of a chunk in a pass is a hash
   of (session, course, pass, chunk id). A pass goes through the chunks by ascending rank. So every worker knows every
   order without storing one.
2. All that is stored is a `Cursor`: the pass, and the rank of the last chunk drawn. Chunks of a higher rank come next.
3. If no chunk has a higher rank, the pass has ended, and the next one begins.

Why it is right while the catalog changes: a chunk that is removed is not drawn. A chunk that is added joins this pass
if it ranks after the cursor; else it joins the next one. The ranks of other chunks stay. So no chunk comes twice in a
pass, and a chunk that is READY throughout a pass comes once.

Without replacement (`replace=0`) a request may end one pass and begin the next. It must not get a chunk twice. So it
skips in the new pass what it has from the old one. Skipped chunks rank before the cursor, so they would be missed. The
cursor lists them as *owed*, and they are drawn first next time. They are fewer than the request's chunks.

Ordering a large category costs time, so a pass is ordered in windows: the next thousands of chunks by rank.
`KeptOrders` keeps those that are in use.
"""

import hashlib
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from worker.core.catalog import fold_ids
from worker.core.hashing import GOLDEN, hash64

Integers = NDArray[np.int64]
Ranks = NDArray[np.uint64]

WINDOW: Final = 16_384
"""Chunks of a pass that are ordered at once, if the category is larger."""

_PARTS = 16  # most windows of a pass, as each looks at the whole category
_MOST_ORDERED = 4_000_000  # chunks in all windows that are kept, 16 bytes each
_MOST_WINDOWS = 4_096  # of as many courses of sessions


class Window(NamedTuple):
    """The chunks of a pass whose ranks come right after `low`, by ascending rank.

    Attributes:
        low: All ranks in here are higher.
        ranks: uint64, shape (w,).
        offsets: int64, shape (w,).
        is_last: Whether no chunk of the pass comes after these.
    """

    low: int
    ranks: Ranks
    offsets: Integers
    is_last: bool


class KeptOrders:
    """The windows of passes that were ordered lately, of one catalog: at most 4 million chunks."""

    def __init__(self) -> None:
        self._windows: dict[tuple[tuple[str, str], int], Window] = {}

    def __repr__(self) -> str:
        """Show how much is kept."""
        return f"<KeptOrders: {len(self._windows)} windows, {self.chunks} chunks>"

    @property
    def chunks(self) -> int:
        """Return the number of chunks in all windows."""
        return sum(len(window.ranks) for window in self._windows.values())

    def get(self, name: tuple[str, str], number: int) -> Window | None:
        """Return the window of a pass, if it is kept.

        Args:
            name: Session and course.
            number: The pass.
        """
        return self._windows.get((name, number))

    def put(self, name: tuple[str, str], number: int, window: Window) -> None:
        """Keep the window of a pass instead of its last one, and drop the pass before."""
        if len(self._windows) >= _MOST_WINDOWS or self.chunks > _MOST_ORDERED:
            self._windows.clear()
        self._windows.pop((name, number - 1), None)
        self._windows[name, number] = window


class Passes:
    """The orders of the chunks of one course in the passes of one session."""

    def __init__(
        self,
        ids: NDArray[np.generic],
        session: str,
        course: str,
        kept: KeptOrders,
        chosen: NDArray[np.int32] | Integers | None = None,
    ) -> None:
        """Prepare the keys of the orders.

        Args:
            ids: int64 or S16, shape (n,), at least one: READY chunks.
            session: Name of the session.
            course: Name of the course.
            kept: Keeps orders of this catalog.
            chosen: Shape (m,): which of the chunks are of the course; None: all. Passes look them up to order them.
        """
        self._ids = ids
        self._chosen = chosen
        self._name = (session, course)
        digest = hashlib.sha256(f"{session}\0{course}".encode()).digest()
        self._keys = np.frombuffer(digest[:16], dtype="<u8").astype(np.uint64)
        self._kept = kept

    def __len__(self) -> int:
        """Count the chunks of the course."""
        return len(self._ids if self._chosen is None else self._chosen)

    def ranks(self, numbers: Integers) -> Ranks:
        """Rank all chunks in some passes. Chunks with bigint ids never share a rank, with uuids by a chance of 2^-64.

        Args:
            numbers: int64, shape (m,): the passes.

        Returns:
            uint64, shape (m, chunks of the course).
        """
        keys = hash64(self._keys + numbers.astype(np.uint64)[:, None] * GOLDEN)
        ids = self._ids if self._chosen is None else self._ids[self._chosen]
        return hash64(hash64(fold_ids(ids) ^ keys[:, :1]) + keys[:, 1:])

    def after(self, number: int, last: int, count: int) -> tuple[Ranks, Integers]:
        """List the chunks of a pass that come next, fewer if the pass ends.

        Args:
            number: The pass.
            last: The rank that they come after; -1 for the first ones.
            count: How many.

        Returns:
            Their ranks, ascending, and their offsets.
        """
        window = self._kept.get(self._name, number)
        if window is None or last < window.low:
            window = self._order(number, last, count)
        start = int(np.searchsorted(window.ranks, np.uint64(last), "right")) if last >= 0 else 0
        if start + count > len(window.ranks) and not window.is_last:
            window, start = self._order(number, last, count), 0
        return window.ranks[start : start + count], window.offsets[start : start + count]

    def whole(self, first: int, count: int) -> tuple[Ranks, Integers]:
        """List all chunks in the order of some whole passes.

        Args:
            first: The first of the passes.
            count: How many passes.

        Returns:
            Ranks and offsets, pass after pass.
        """
        ranks = self.ranks(np.arange(first, first + count))
        offsets = ranks.argsort(axis=1)
        return np.take_along_axis(ranks, offsets, axis=1).ravel(), offsets.ravel()

    def find(self, number: int, ranks: Sequence[int]) -> tuple[Ranks, Integers]:
        """Find the chunks of some ranks in a pass, as `after` returns them, without those that are no longer READY."""
        if not ranks:
            return np.empty(0, np.uint64), np.empty(0, np.int64)
        all_ranks = self.ranks(np.array([number]))[0]
        order = all_ranks.argsort()
        wanted = np.array(ranks, dtype=np.uint64)
        found = order[np.minimum(np.searchsorted(all_ranks, wanted, sorter=order), len(order) - 1)]
        is_there = all_ranks[found] == wanted
        return wanted[is_there], found[is_there]

    def _order(self, number: int, low: int, count: int) -> Window:
        """Order the next chunks after a rank, as many as are likely to be wanted soon, and keep the window."""
        ranks = self.ranks(np.array([number]))[0]
        offsets = np.arange(len(ranks)) if low < 0 else np.flatnonzero(ranks > np.uint64(low))
        size = max(count, WINDOW, len(ranks) // _PARTS)
        is_last = len(offsets) <= size
        if not is_last:
            offsets = offsets[np.argpartition(ranks[offsets], size)[:size]]
        offsets = offsets[ranks[offsets].argsort()]
        window = Window(low, ranks[offsets], offsets, is_last)
        self._kept.put(self._name, number, window)
        return window
