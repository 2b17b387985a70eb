"""Chunks of given categories so that none comes twice within a request.

Where at most half of a category is wanted, chunks are drawn, and drawn again where they came twice; elsewhere the whole
category is put in random order and cut.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.core.draw.allocation import ORDER_BITS, Allocated, order_by, sort_within
from worker.core.draw.random_numbers import Lane, Numbers, Words
from worker.core.mixture import Integers, Mixture


@dataclass(frozen=True, slots=True)
class Layout:
    """Say how a word holds where a chunk stands: from the highest bit on its request, its place, its index.

    Attributes:
        place_bits: Bits of a place in the catalog.
        index_bits: Bits of an index within a request.
    """

    place_bits: int
    index_bits: int

    @property
    def most_requests(self) -> int:
        """Tell how many requests words have room for."""
        return 1 << (64 - self.place_bits - self.index_bits)

    def heads(self, owners: Integers) -> Words:
        """Write requests, uint64, shape (n,); places and indexes are to be added."""
        return owners.view(np.uint64) << np.uint64(self.place_bits + self.index_bits)

    def places(self, places: Integers) -> Words:
        """Write places, uint64, shape (n,); to be added."""
        return places.view(np.uint64) << np.uint64(self.index_bits)

    def owners(self, words: Words) -> Integers:
        """Read requests."""
        return (words >> np.uint64(self.place_bits + self.index_bits)).view(np.int64)

    def indexes(self, words: Words) -> Integers:
        """Read indexes."""
        return (words & np.uint64((1 << self.index_bits) - 1)).view(np.int64)

    def without_indexes(self, words: Words) -> Words:
        """Set indexes to 0."""
        return words & np.uint64(~((1 << self.index_bits) - 1) & (1 << 64) - 1)

    def are_alike(self, some: Words, others: Words) -> NDArray[np.bool_]:
        """Tell whether words are of the same request and place, whatever their indexes."""
        return (some ^ others) < np.uint64(1 << self.index_bits)


def layout_for(mixture: Mixture, sizes: Integers) -> Layout:
    """Give places and indexes the bits that they need."""
    last_place = int(np.maximum.reduce(mixture.starts + mixture.ready)) - 1
    return Layout(last_place.bit_length(), (int(np.maximum.reduce(sizes)) - 1).bit_length())


def pick_distinct(mixture: Mixture, allocated: Allocated, numbers: Numbers) -> Integers:
    """Pick chunks without repeats.

    Args:
        mixture: What is drawn from.
        allocated: The categories of the chunks; no count is more than its category has READY.
        numbers: Those of the requests, at most as many as their layout has room for.

    Returns:
        int64, shape (n,): places in the catalog. Every arrangement of chunks of these categories is equally likely.
    """
    categories = allocated.categories
    places = mixture.finder.pick_places(numbers.uniforms(Lane.CHUNK), categories)
    dense = allocated.counts * 2 > mixture.ready
    if not dense.any():
        _draw_again(mixture, categories, places, numbers, None)
        return places
    is_dense = dense[numbers.owners, categories]
    groups = numbers.owners[is_dense] * len(mixture.ready) + categories[is_dense]
    places[np.flatnonzero(is_dense)[order_by(groups)]] = _cut(mixture, allocated.counts, dense, numbers)
    if not is_dense.all():
        _draw_again(mixture, categories, places, numbers, ~is_dense)
    return places


def _draw_again(
    mixture: Mixture, categories: Integers, places: Integers, numbers: Numbers, chosen: NDArray[np.bool_] | None
) -> None:
    """Draw chunks that came twice again, until none does.

    Which of two equal draws is repeated depends on when and where they were drawn, never on the chunk, so that every
    arrangement of chunks stays equally likely.

    Args:
        mixture: What is drawn from.
        categories: int64, shape (n,): of the chunks.
        places: int64, shape (n,): the chunks, changed in place.
        numbers: Those of the requests.
        chosen: Shape (n,): which of the chunks are meant; None: all of them.
    """
    layout = layout_for(mixture, numbers.sizes)
    words = (layout.heads(np.arange(len(numbers.sizes))) - numbers.starts.view(np.uint64)).repeat(numbers.sizes)
    words += np.arange(numbers.count, dtype=np.uint64)
    words += layout.places(places)
    if chosen is None:
        sort_within(words, numbers.sizes)
    else:
        words = words[chosen]
        words.sort()
    again = words[1:][layout.are_alike(words[1:], words[:-1])]
    lane = int(Lane.RETRY)
    while len(again):
        owners, indexes = layout.owners(again), layout.indexes(again)
        slots = numbers.starts[owners] + indexes
        places[slots] = mixture.finder.pick_places(numbers.uniforms_at(lane, owners, indexes), categories[slots])
        again = layout.heads(owners) + layout.places(places[slots]) + indexes.view(np.uint64)
        again.sort()
        at = words.searchsorted(layout.without_indexes(again))
        is_repeated = layout.are_alike(words.take(at, mode="clip"), again)
        is_repeated[1:] |= layout.are_alike(again[1:], again[:-1])
        words = np.insert(words, at[~is_repeated], again[~is_repeated])
        again = again[is_repeated]
        lane += 1


def _cut(mixture: Mixture, counts: Integers, dense: NDArray[np.bool_], numbers: Numbers) -> Integers:
    """Put whole categories in random order, each for a request, and cut off as many chunks as wanted.

    Args:
        mixture: What is drawn from.
        counts: int64, shape (r, k): chunks wanted.
        dense: Shape (r, k): which of the counts are meant.
        numbers: Those of the requests.

    Returns:
        int64, shape (counts[dense].sum(),): places, request after request and category after category.
    """
    owners, columns = np.nonzero(dense)
    ready = mixture.ready[columns]
    bits = int(np.maximum.reduce(ready)).bit_length()
    most = 1 << (64 - ORDER_BITS - bits)
    parts = []
    for start in range(0, len(owners), most):
        some = slice(start, start + most)
        parts.append(_put_in_order(mixture, owners[some], columns[some], numbers, bits))
    within = np.arange(int(ready.sum())) - (ready.cumsum() - ready).repeat(ready)
    is_wanted = within < counts[owners, columns].repeat(ready)
    return np.concatenate(parts)[is_wanted]


def _put_in_order(mixture: Mixture, owners: Integers, columns: Integers, numbers: Numbers, bits: int) -> Integers:
    """List the places of whole categories, each in random order of its own.

    Args:
        mixture: What is drawn from.
        owners: int64, shape (g,): requests.
        columns: int64, shape (g,): categories.
        numbers: Those of the requests.
        bits: How many hold an offset within a category; with ORDER_BITS and those of g at most 64.
    """
    ready = mixture.ready[columns]
    offsets = np.arange(int(ready.sum())) - (ready.cumsum() - ready).repeat(ready)
    starts = mixture.starts[columns].repeat(ready)
    words = numbers.words_at(Lane.SUBSET, owners.repeat(ready), starts + offsets)
    words >>= np.uint64(64 - ORDER_BITS)  # the same ones, however many bits the offsets of a batch take
    words <<= np.uint64(bits)
    words |= np.arange(len(owners), dtype=np.uint64).repeat(ready) << np.uint64(ORDER_BITS + bits)
    words |= offsets.view(np.uint64)
    sort_within(words, ready)
    return starts + (words & np.uint64((1 << bits) - 1)).view(np.int64)
