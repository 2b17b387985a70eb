"""Allocation: how many chunks of each category a request gets, and in which order the categories come.

Two methods turn weights p into counts for a request of n chunks:

- Independent draws (`method=random`): each chunk's category is drawn by itself, so the counts are multinomial.
- Systematic sampling (`method=stratified`): n x cumulative p, shifted by one random number u in [0, 1), is cut at whole
  numbers. Category j gets floor(n c_j + u) - floor(n c_(j-1) + u) chunks. That is the floor or the ceiling of n p_j,
  and its mean over u is exactly n p_j. Largest remainder would round small categories down in every batch, a bias for
  ever.

Without replacement (`replace=0`) a category may run out. Its surplus is drawn again among categories that still have
chunks, by renormalised weights, until there is no surplus. Drawing one chunk after the other follows the same law:
there, too, a draw of an exhausted category is repeated, and it does not matter when it is repeated.

Counts say nothing of the order. Independent draws come in random order already; other counts are shuffled.
"""

from typing import Final, NamedTuple

import numpy as np

from worker.core.draw.plans import Plan
from worker.core.draw.random_numbers import Purpose, RandomNumbers, Words
from worker.core.mixture import Floats, Integers

ORDER_BITS: Final = 36
"""Random bits that decide an order. Two chunks of equal bits keep their order, so an order is even to 2^-37."""


class Allocated(NamedTuple):
    """The categories of the chunks of a plan.

    Attributes:
        columns: int64, shape (n,): the category of each chunk, request after request, in random order.
        counts: int64, shape (r, k): how many of each request's chunks are of each category.
    """

    columns: Integers
    counts: Integers


def allocate(plan: Plan, numbers: RandomNumbers) -> Allocated:
    """Allocate categories to the chunks of a plan. Without replacement, no count exceeds what is READY.

    Args:
        plan: What is wanted.
        numbers: The numbers of its requests.
    """
    if plan.stratified:
        rows = np.arange(len(plan.sizes))
        shifts = numbers.uniforms_at(Purpose.CATEGORY, rows, np.zeros_like(rows))
        counts = allocate_systematically(plan.sizes, plan.cumulative, shifts)
        if not plan.replace:
            counts = _pass_on(plan, counts, numbers)
        return Allocated(shuffle_within_requests(counts, numbers), counts)
    columns = plan.find(numbers.uniforms(Purpose.CATEGORY)).columns
    counts = count_columns(plan.sizes, columns, plan.width)
    if not plan.replace:
        has_surplus = np.logical_or.reduce(counts > plan.ready, axis=1)
        if has_surplus.any():
            counts = _pass_on(plan, counts, numbers)
            rows = np.flatnonzero(has_surplus)
            columns[has_surplus.repeat(plan.sizes)] = shuffle_within_requests(counts[rows], numbers.of(rows))
    return Allocated(columns, counts)


def allocate_systematically(sizes: Integers, cumulative: Floats, shifts: Floats) -> Integers:
    """Allocate by systematic sampling: every count is the floor or ceiling of size x weight, and unbiased.

    Args:
        sizes: int64, shape (r,), >= 0.
        cumulative: float64, shape (k,) or (r, k), ascending to exactly 1.
        shifts: float64, shape (r,), in [0, 1): one random number a request.

    Returns:
        int64, shape (r, k), rows summing to sizes.

    Source: Madow and Madow, "On the Theory of Systematic Sampling, I", Ann. Math. Stat. 15 (1944).
    """
    edges = np.floor(sizes[:, None] * cumulative + shifts[:, None]).astype(np.int64)
    edges = np.minimum(edges, sizes[:, None])
    edges[:, -1] = sizes
    return np.diff(edges, axis=1, prepend=0)


def most_shuffled(width: int) -> int:
    """Return how many requests `shuffle_within_requests` can take at once, for so many categories."""
    return 1 << (64 - ORDER_BITS - (width - 1).bit_length())


def shuffle_within_requests(counts: Integers, numbers: RandomNumbers) -> Integers:
    """List each request's columns as often as they are counted, in random order.

    A 64-bit word holds row, random bits and column, and the words are sorted. This is several times faster than
    `argsort`.

    Args:
        counts: int64, shape (r, k), rows summing to the sizes of `numbers`; r is at most `most_shuffled(k)`.
        numbers: The numbers of the requests.

    Returns:
        int64, shape (n,).
    """
    rows, width = counts.shape
    bits = (width - 1).bit_length()
    owners = np.arange(rows, dtype=np.uint64)[:, None] << np.uint64(ORDER_BITS + bits)
    words = (owners | np.arange(width, dtype=np.uint64)).ravel().repeat(counts.ravel())
    words |= numbers.words(Purpose.ORDER) & np.uint64((1 << ORDER_BITS) - 1 << bits)
    sort_within(words, numbers.sizes)
    words &= np.uint64((1 << bits) - 1)
    return words.view(np.int64)


def sort_within(words: Words, sizes: Integers) -> None:
    """Sort words in place. Their highest bits are the row, ascending already.

    Args:
        words: uint64, shape (sizes.sum(),).
        sizes: int64, shape (r,): number of words of each row. If all rows have as many, they are sorted row by row,
            which is faster.
    """
    if len(sizes) and bool((sizes == sizes[0]).all()):
        words = words.reshape(len(sizes), -1)
    words.sort(axis=-1)


def order_by(keys: Integers) -> Integers:
    """Return the order that puts keys in ascending order, as a stable `argsort` does, but faster.

    Args:
        keys: int64, shape (n,), n and each key in [0, 2^32).
    """
    words = keys.view(np.uint64) << np.uint64(32)
    words |= np.arange(len(keys), dtype=np.uint64)
    words.sort()
    words &= np.uint64((1 << 32) - 1)
    return words.view(np.int64)


def count_columns(sizes: Integers, columns: Integers, width: int) -> Integers:
    """Count the columns of each request.

    Args:
        sizes: int64, shape (r,).
        columns: int64, shape (sizes.sum(),), in [0, width): request after request.
        width: Number of columns.

    Returns:
        int64, shape (r, width).
    """
    rows = len(sizes)
    cells = columns if rows == 1 else columns + np.arange(0, rows * width, width).repeat(sizes)
    return np.bincount(cells, minlength=rows * width).reshape(rows, width)


def _pass_on(plan: Plan, counts: Integers, numbers: RandomNumbers) -> Integers:
    """Draw the surplus of exhausted categories again, by the renormalised weights of the others; see the module."""
    ready, shares = (np.broadcast_to(table, counts.shape) for table in (plan.ready, plan.shares))
    purpose = int(Purpose.PASS_ON)
    while True:
        surplus = np.maximum(counts - ready, 0).sum(axis=1)
        rows = np.flatnonzero(surplus)
        if not len(rows):
            return counts
        counts = np.minimum(counts, ready)
        open_shares = np.where(counts[rows] < ready[rows], shares[rows], 0.0)
        cumulative = np.cumsum(open_shares, axis=1)
        cumulative /= cumulative[:, -1:]
        if plan.stratified:
            shifts = numbers.uniforms_at(purpose, rows, np.zeros_like(rows))
            counts[rows] += allocate_systematically(surplus[rows], cumulative, shifts)
        else:
            counts[rows] += _draw_rows(surplus[rows], cumulative, numbers, rows, purpose)
        purpose += 1


def _draw_rows(sizes: Integers, cumulative: Floats, numbers: RandomNumbers, rows: Integers, purpose: int) -> Integers:
    """Draw columns independently, by weights that differ from row to row, shape (r, k)."""
    owners = np.arange(len(sizes)).repeat(sizes)
    indexes = np.arange(len(owners)) - (sizes.cumsum() - sizes).repeat(sizes)
    drawn = numbers.uniforms_at(purpose, rows[owners], indexes)
    edges, width = cumulative.size, cumulative.shape[1]
    edge_owners = np.repeat(np.arange(len(sizes)), width)
    order = np.lexsort((np.append(cumulative, drawn), np.append(edge_owners, owners)))
    is_edge = order < edges  # the sort is stable: an edge comes before the numbers that equal it
    found = np.cumsum(is_edge)[~is_edge]
    return count_columns(sizes, found - owners * width, width)
