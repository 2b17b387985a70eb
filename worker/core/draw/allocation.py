"""Which categories the chunks of a request are of: so many of each by the weights, in random order."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from worker.core.draw.random_numbers import Lane, Numbers, Words
from worker.core.mixture import Floats, Integers, Mixture

ORDER_BITS: Final = 36
"""Random bits that decide an order. Two chunks whose bits are equal keep theirs, so that which of two comes first is
even to 2^-37."""


class Plan(NamedTuple):
    """Describe a group of requests that are drawn in one go.

    Attributes:
        mixture: Weights and READY chunks they all draw from.
        sizes: int64, shape (r,): chunks wanted, >= 1; without replacement at most all READY ones.
        seeds: Shape (r,): each request's seed, or None.
        replace: Whether a chunk may come twice within a request.
        stratified: Systematic sampling of the categories instead of independent draws.
    """

    mixture: Mixture
    sizes: Integers
    seeds: Sequence[int | None]
    replace: bool
    stratified: bool


class Allocated(NamedTuple):
    """Hold the categories of the chunks of a plan.

    Attributes:
        categories: int64, shape (sizes.sum(),): places in the mixture's categories, request after request, in random
            order.
        counts: int64, shape (r, k): how many of each request's chunks are of each category.
    """

    categories: Integers
    counts: Integers


def allocate(plan: Plan, numbers: Numbers) -> Allocated:
    """Decide on the categories of a plan's chunks, within what is READY where no chunk may come twice.

    Args:
        plan: What is wanted.
        numbers: Those of its requests.
    """
    mixture = plan.mixture
    if plan.stratified:
        requests = np.arange(len(plan.sizes))
        offsets = numbers.uniforms_at(Lane.CATEGORY, requests, np.zeros_like(requests))
        counts = allocate_systematically(plan.sizes, mixture.cumulative, offsets)
        if not plan.replace:
            counts = _pass_on(plan, counts, numbers)
        return Allocated(put_in_order(counts, numbers), counts)
    categories = mixture.finder.find(numbers.uniforms(Lane.CATEGORY))
    counts = tally_rows(plan.sizes, categories, len(mixture.ready))
    if not plan.replace:
        rows = np.logical_or.reduce(counts > mixture.ready, axis=1)
        if rows.any():
            counts = _pass_on(plan, counts, numbers)
            chosen = np.flatnonzero(rows)
            categories[rows.repeat(plan.sizes)] = put_in_order(counts[chosen], numbers.of(chosen))
    return Allocated(categories, counts)


def allocate_systematically(sizes: Integers, cumulative: Floats, offsets: Floats) -> Integers:
    """Allocate by systematic sampling: every count is floor or ceiling of size x weight, and unbiased.

    Args:
        sizes: int64, shape (r,), >= 0.
        cumulative: float64, shape (k,) or (r, k), ascending to exactly 1.
        offsets: float64, shape (r,), in [0, 1): one random number a request.

    Returns:
        int64, shape (r, k), rows summing to sizes.

    Source: Madow and Madow, "On the Theory of Systematic Sampling, I", Ann. Math. Stat. 15 (1944).
    """
    edges = np.floor(sizes[:, None] * cumulative + offsets[:, None]).astype(np.int64)
    edges = np.minimum(edges, sizes[:, None])
    edges[:, -1] = sizes
    return np.diff(edges, axis=1, prepend=0)


def most_in_order(width: int) -> int:
    """Tell for how many requests `put_in_order` can put so many categories in order."""
    return 1 << (64 - ORDER_BITS - (width - 1).bit_length())


def put_in_order(counts: Integers, numbers: Numbers) -> Integers:
    """List each request's categories as often as they are counted, in random order, shape (counts.sum(),).

    One sort of words that hold request, random bits and category takes a fraction of what `argsort` takes.

    Args:
        counts: int64, shape (r, k), rows summing to the sizes of `numbers`; r is at most `most_in_order(k)`.
        numbers: Those of the requests.
    """
    rows, width = counts.shape
    bits = (width - 1).bit_length()
    owners = np.arange(rows, dtype=np.uint64)[:, None] << np.uint64(ORDER_BITS + bits)
    words = (owners | np.arange(width, dtype=np.uint64)).ravel().repeat(counts.ravel())
    words |= numbers.words(Lane.ORDER) & np.uint64((1 << ORDER_BITS) - 1 << bits)
    sort_within(words, numbers.sizes)
    words &= np.uint64((1 << bits) - 1)
    return words.view(np.int64)


def sort_within(words: Words, sizes: Integers) -> None:
    """Sort words in place whose highest bits are the requests they belong to, in ascending order.

    Args:
        words: uint64, shape (sizes.sum(),).
        sizes: int64, shape (r,): how many are of each request. If all have as many, sorting row by row is quicker.
    """
    if len(sizes) and bool((sizes == sizes[0]).all()):
        words = words.reshape(len(sizes), -1)
    words.sort(axis=-1)


def order_by(keys: Integers) -> Integers:
    """Tell the order that puts keys in ascending order, equal ones as they stand: a stable `argsort`, quicker.

    Args:
        keys: int64, shape (n,), n and each key in [0, 2^32).
    """
    words = keys.view(np.uint64) << np.uint64(32)
    words |= np.arange(len(keys), dtype=np.uint64)
    words.sort()
    words &= np.uint64((1 << 32) - 1)
    return words.view(np.int64)


def tally_rows(sizes: Integers, columns: Integers, width: int) -> Integers:
    """Count the columns of each request, shape (r, width).

    Args:
        sizes: int64, shape (r,).
        columns: int64, shape (sizes.sum(),), in [0, width): request after request.
        width: How many columns there are.
    """
    rows = len(sizes)
    cells = columns if rows == 1 else columns + np.arange(0, rows * width, width).repeat(sizes)
    return np.bincount(cells, minlength=rows * width).reshape(rows, width)


def _pass_on(plan: Plan, counts: Integers, numbers: Numbers) -> Integers:
    """Let categories that ran out pass their share on by the renormalised weights.

    Drawing the surplus again among the categories that still have chunks gives the law of drawing one chunk
    after the other: a draw of a category that ran out is a draw to repeat, whenever it is repeated.
    """
    mixture, lane = plan.mixture, int(Lane.PASS_ON)
    while True:
        surplus = np.maximum(counts - mixture.ready, 0).sum(axis=1)
        rows = np.flatnonzero(surplus)
        if not len(rows):
            return counts
        counts = np.minimum(counts, mixture.ready)
        open_shares = np.where(counts[rows] < mixture.ready, mixture.probabilities, 0.0)
        cumulative = np.cumsum(open_shares, axis=1)
        cumulative /= cumulative[:, -1:]
        if plan.stratified:
            offsets = numbers.uniforms_at(lane, rows, np.zeros_like(rows))
            counts[rows] += allocate_systematically(surplus[rows], cumulative, offsets)
        else:
            counts[rows] += _draw_rows(surplus[rows], cumulative, numbers, rows, lane)
        lane += 1


def _draw_rows(sizes: Integers, cumulative: Floats, numbers: Numbers, rows: Integers, lane: int) -> Integers:
    """Draw categories independently where each request has weights of its own, shape (r, k)."""
    owners = np.arange(len(sizes)).repeat(sizes)
    indexes = np.arange(len(owners)) - (sizes.cumsum() - sizes).repeat(sizes)
    drawn = numbers.uniforms_at(lane, rows[owners], indexes)
    edges, width = cumulative.size, cumulative.shape[1]
    edge_owners = np.repeat(np.arange(len(sizes)), width)
    order = np.lexsort((np.append(cumulative, drawn), np.append(edge_owners, owners)))
    is_edge = order < edges  # the sort is stable: an edge comes before the numbers that equal it
    found = np.cumsum(is_edge)[~is_edge]
    return tally_rows(sizes, found - owners * width, width)
