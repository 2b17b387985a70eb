"""Chunks of allocated categories so that no chunk comes twice within a request.

Each (request, category) is drawn in one of two ways:

- *Sparse*: at most half of the READY chunks are wanted. Each chunk is drawn by itself. Then chunks that came twice are
  drawn again, round by round, until none does. A redraw succeeds with a chance of at least one half, so a few rounds
  suffice.
- *Dense*: more than half are wanted. The whole category is shuffled and cut. This costs at most twice what is wanted.

Rules of the rounds:

1. Every chunk is a 64-bit word: row, position, index, from the highest bit. Sorted words put equal chunks of a request
   side by side, the one of the lowest index first.
2. Of equal chunks the first stays, and the others are drawn again with the next round's numbers.
3. A redrawn chunk is refused if its request has it already. It is also refused if an earlier one of the same round is
   equal.

Why every arrangement of chunks is equally likely: which of two equal draws is repeated depends on index and round,
never on the chunk. So exchanging two chunks of a category maps each course of the rounds to one that is equally likely.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.core.draw.allocation import ORDER_BITS, Allocated, order_by, sort_within
from worker.core.draw.plans import Plan
from worker.core.draw.random_numbers import Purpose, RandomNumbers, Words
from worker.core.mixture import Finder, Integers


@dataclass(frozen=True, slots=True)
class Layout:
    """The layout of a word: row, position and index of a chunk, from the highest bit.

    Attributes:
        position_bits: Bits of a position in the catalog.
        index_bits: Bits of an index within a request.
    """

    position_bits: int
    index_bits: int

    @property
    def most_requests(self) -> int:
        """Return how many rows words have room for."""
        return 1 << (64 - self.position_bits - self.index_bits)

    def write_owners(self, owners: Integers) -> Words:
        """Write rows, uint64, shape (m,); positions and indexes are to be added."""
        return owners.view(np.uint64) << np.uint64(self.position_bits + self.index_bits)

    def write_positions(self, positions: Integers) -> Words:
        """Write positions, uint64, shape (m,); to be added."""
        return positions.view(np.uint64) << np.uint64(self.index_bits)

    def owners(self, words: Words) -> Integers:
        """Read rows."""
        return (words >> np.uint64(self.position_bits + self.index_bits)).view(np.int64)

    def indexes(self, words: Words) -> Integers:
        """Read indexes."""
        return (words & np.uint64((1 << self.index_bits) - 1)).view(np.int64)

    def without_indexes(self, words: Words) -> Words:
        """Set indexes to 0."""
        return words & np.uint64(~((1 << self.index_bits) - 1) & (1 << 64) - 1)

    def are_equal_chunks(self, some: Words, others: Words) -> NDArray[np.bool_]:
        """Return whether words are of the same row and position, whatever their indexes."""
        return (some ^ others) < np.uint64(1 << self.index_bits)


def layout_for(finder: Finder, sizes: Integers) -> Layout:
    """Return a layout with as many bits for positions and indexes as they need."""
    last_position = int(np.maximum.reduce(finder.starts + finder.ready)) - 1
    return Layout(last_position.bit_length(), (int(np.maximum.reduce(sizes)) - 1).bit_length())


def pick_distinct(plan: Plan, allocated: Allocated, numbers: RandomNumbers) -> Integers:
    """Pick chunks without repeats.

    Args:
        plan: What is drawn from.
        allocated: The categories of the chunks; no count exceeds what is READY.
        numbers: The numbers of the requests, at most as many as their layout has room for.

    Returns:
        int64, shape (n,): positions. Every arrangement of chunks of these categories is equally likely.
    """
    columns = allocated.columns
    cells = columns if plan.choice is None else plan.cells_of(numbers.owners, columns)
    positions = plan.finder.pick_positions(numbers.uniforms(Purpose.CHUNK), cells)
    dense = allocated.counts * 2 > plan.ready
    if not dense.any():
        _redraw_repeats(plan.finder, cells, positions, numbers, None)
        return positions
    is_dense = dense[numbers.owners, columns]
    groups = numbers.owners[is_dense] * plan.width + columns[is_dense]
    positions[np.flatnonzero(is_dense)[order_by(groups)]] = _shuffle_and_cut(plan, allocated.counts, dense, numbers)
    if not is_dense.all():
        _redraw_repeats(plan.finder, cells, positions, numbers, ~is_dense)
    return positions


def _redraw_repeats(
    finder: Finder, cells: Integers, positions: Integers, numbers: RandomNumbers, chosen: NDArray[np.bool_] | None
) -> None:
    """Draw chunks that came twice again, in rounds, until none does; see the module.

    Args:
        finder: Picks chunks.
        cells: int64, shape (n,): what each chunk is of.
        positions: int64, shape (n,): the chunks, changed in place.
        numbers: The numbers of the requests.
        chosen: bool, shape (n,): the chunks that are drawn this way; None: all of them.
    """
    layout = layout_for(finder, numbers.sizes)
    words = (layout.write_owners(np.arange(len(numbers.sizes))) - numbers.starts.view(np.uint64)).repeat(numbers.sizes)
    words += np.arange(numbers.count, dtype=np.uint64)
    words += layout.write_positions(positions)
    if chosen is None:
        sort_within(words, numbers.sizes)
    else:
        words = words[chosen]
        words.sort()
    repeats = words[1:][layout.are_equal_chunks(words[1:], words[:-1])]
    purpose = int(Purpose.RETRY)
    while len(repeats):
        owners, indexes = layout.owners(repeats), layout.indexes(repeats)
        slots = numbers.starts[owners] + indexes
        uniforms = numbers.uniforms_at(purpose, owners, indexes)
        positions[slots] = finder.pick_positions(uniforms, cells[slots])
        redrawn = layout.write_owners(owners) + layout.write_positions(positions[slots]) + indexes.view(np.uint64)
        redrawn.sort()
        at = words.searchsorted(layout.without_indexes(redrawn))
        is_repeat = layout.are_equal_chunks(words.take(at, mode="clip"), redrawn)
        is_repeat[1:] |= layout.are_equal_chunks(redrawn[1:], redrawn[:-1])
        words = np.insert(words, at[~is_repeat], redrawn[~is_repeat])
        repeats = redrawn[is_repeat]
        purpose += 1


def _shuffle_and_cut(plan: Plan, counts: Integers, dense: NDArray[np.bool_], numbers: RandomNumbers) -> Integers:
    """Shuffle whole categories, each for one request, and cut off as many chunks as wanted.

    Args:
        plan: What is drawn from.
        counts: int64, shape (r, k): chunks wanted.
        dense: bool, shape (r, k): the counts that are drawn this way.
        numbers: The numbers of the requests.

    Returns:
        int64, shape (counts[dense].sum(),): positions, request after request and category after category.
    """
    owners, columns = np.nonzero(dense)
    cells = plan.cells_of(owners, columns)
    ready = plan.finder.ready[cells]
    bits = int(np.maximum.reduce(ready)).bit_length()
    most = 1 << (64 - ORDER_BITS - bits)
    parts = []
    for start in range(0, len(owners), most):
        some = slice(start, start + most)
        parts.append(_shuffle_categories(plan.finder, owners[some], cells[some], numbers, bits))
    within = np.arange(int(ready.sum())) - (ready.cumsum() - ready).repeat(ready)
    is_wanted = within < counts[owners, columns].repeat(ready)
    return np.concatenate(parts)[is_wanted]


def _shuffle_categories(
    finder: Finder, owners: Integers, cells: Integers, numbers: RandomNumbers, bits: int
) -> Integers:
    """List the positions of whole categories, each in random order of its own.

    Args:
        finder: Where their chunks lie.
        owners: int64, shape (g,): rows.
        cells: int64, shape (g,): cells.
        numbers: The numbers of the requests.
        bits: Bits of an offset within a category. With ORDER_BITS and the bits of g they are at most 64.
    """
    ready = finder.ready[cells]
    offsets = np.arange(int(ready.sum())) - (ready.cumsum() - ready).repeat(ready)
    starts = finder.starts[cells].repeat(ready)
    words = numbers.words_at(Purpose.SUBSET, owners.repeat(ready), starts + offsets)
    words >>= np.uint64(64 - ORDER_BITS)  # the same random bits, however many bits the offsets of a batch take
    words <<= np.uint64(bits)
    words |= np.arange(len(owners), dtype=np.uint64).repeat(ready) << np.uint64(ORDER_BITS + bits)
    words |= offsets.view(np.uint64)
    sort_within(words, ready)
    return starts + (words & np.uint64((1 << bits) - 1)).view(np.int64)
