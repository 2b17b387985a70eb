"""The draw: categories by weights, then chunks within them, vectorised over groups of alike requests.

Every random number is a function of (request, lane, index), so that a seeded request draws the same chunks in
whatever batch it stands; unseeded requests take the same steps with numbers from the process's generator.
"""

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from worker.core.mixing import keyed_uniforms
from worker.core.mixture import Floats, Integers, Mixture


class Lane(IntEnum):
    """Say what a random number is for; rounds of retries count up from `RETRY`."""

    CATEGORY = 0
    CHUNK = 1
    ORDER = 2
    SUBSET = 3
    PASS_ON = 1 << 20
    RETRY = 1 << 40


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


class Drawn(NamedTuple):
    """Hold what was drawn for a plan.

    Attributes:
        places: int64, shape (sizes.sum(),): places in the catalog's ids, request after request, in random order.
        counts: int64, shape (r, k): how many of each request's chunks are of each category.
    """

    places: Integers
    counts: Integers


class Uniforms:
    """Give random numbers to the requests of a plan.

    Attributes:
        any_seeded: Whether a request has a seed.
    """

    def __init__(self, seeds: Sequence[int | None], rng: np.random.Generator) -> None:
        """Take the requests' seeds, and a generator for those that have none."""
        self._rng = rng
        unseeded = seeds.count(None)
        self.any_seeded, self._all_seeded = unseeded < len(seeds), unseeded == 0
        if self.any_seeded:
            self._seeded = np.array([seed is not None for seed in seeds], dtype=np.bool_)
            self._seeds = np.array([seed or 0 for seed in seeds], dtype=np.uint64)

    def draw(self, lane: int, owners: Integers, indexes: Integers) -> Floats:
        """Draw a number for each (request, index).

        Args:
            lane: What they are for.
            owners: int64, shape (n,): the request each number is for.
            indexes: int64, shape (n,), >= 0: the number's index within its request and lane.

        Returns:
            float64, shape (n,), in [0, 1).
        """
        numbers = np.empty(0) if self._all_seeded else self._rng.random(len(owners))
        if not self.any_seeded:
            return numbers
        keyed = keyed_uniforms(self._seeds[owners], lane, indexes.astype(np.uint64))
        return keyed if self._all_seeded else np.where(self._seeded[owners], keyed, numbers)

    def draw_unseeded(self, count: int) -> Floats:
        """Draw numbers for requests that have no seeds, float64, shape (count,), in [0, 1)."""
        return self._rng.random(count)


def draw(plan: Plan, rng: np.random.Generator) -> Drawn:
    """Draw the chunks of a plan.

    Args:
        plan: What to draw.
        rng: Numbers for the requests that have no seed.
    """
    uniforms = Uniforms(plan.seeds, rng)
    if plan.replace and not plan.stratified:
        return _draw_independently(plan, uniforms)
    owners, indexes = _slots(plan.sizes)
    counts = _allocate(plan, uniforms, owners, indexes)
    if plan.replace:
        category = _spread(counts)
        offsets = _pick(uniforms.draw(Lane.CHUNK, owners, indexes), plan.mixture.ready[category])
        places = plan.mixture.starts[category] + offsets
    else:
        places = _pick_distinct(plan.mixture, counts, uniforms)
    return Drawn(places[_shuffle(owners, uniforms.draw(Lane.ORDER, owners, indexes), uniforms)], counts)


def allocate(plan: Plan, rng: np.random.Generator) -> Integers:
    """Decide how many chunks of each category the requests of a plan get, int64, shape (r, k), and not which."""
    return _allocate(plan, Uniforms(plan.seeds, rng), *_slots(plan.sizes))


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


def _shuffle(owners: Integers, numbers: Floats, uniforms: Uniforms) -> Integers:
    """Order the elements of each owner by their numbers, shape (n,); owners ascend."""
    if uniforms.any_seeded:
        return np.lexsort((numbers, owners))  # to the last bit, and the same on every machine
    return np.argsort(owners + numbers)


def _slots(sizes: Integers) -> tuple[Integers, Integers]:
    """Number the chunks wanted: the request of each, and its index within that request."""
    owners = np.repeat(np.arange(len(sizes)), sizes)
    return owners, np.arange(len(owners)) - np.repeat(np.cumsum(sizes) - sizes, sizes)


def _pick(uniforms: Floats, ready: Integers) -> Integers:
    """Pick one of `ready` chunks with each number; the product may round up to `ready` itself."""
    return np.minimum((uniforms * ready).astype(np.int64), ready - 1)


def _spread(counts: Integers) -> Integers:
    """List each request's categories as often as they are counted, shape (counts.sum(),)."""
    columns = np.broadcast_to(np.arange(counts.shape[1]), counts.shape)
    return np.repeat(columns.ravel(), counts.ravel())


def _tabulate(rows: Integers, columns: Integers, shape: tuple[int, int]) -> Integers:
    return np.bincount(rows * shape[1] + columns, minlength=shape[0] * shape[1]).reshape(shape)


def _draw_independently(plan: Plan, uniforms: Uniforms) -> Drawn:
    """Draw each chunk by itself; without seeds, one number decides on its category and on the chunk within."""
    mixture, finder = plan.mixture, plan.mixture.finder
    if uniforms.any_seeded or not finder.finds_places:
        owners, indexes = _slots(plan.sizes)
        category = finder.find(uniforms.draw(Lane.CATEGORY, owners, indexes))
        offsets = _pick(uniforms.draw(Lane.CHUNK, owners, indexes), mixture.ready[category])
        places = mixture.starts[category] + offsets
    else:
        numbers = uniforms.draw_unseeded(int(np.add.reduce(plan.sizes)))
        category = finder.find(numbers)
        places = finder.find_places(numbers, category)
    return Drawn(places, _tally_rows(plan.sizes, category, len(mixture.ready)))


def _tally_rows(sizes: Integers, columns: Integers, width: int) -> Integers:
    """Count the columns of each request, shape (r, width)."""
    rows = len(sizes)
    cells = columns if rows == 1 else columns + np.repeat(np.arange(0, rows * width, width), sizes)
    return np.bincount(cells, minlength=rows * width).reshape(rows, width)


def _allocate(plan: Plan, uniforms: Uniforms, owners: Integers, indexes: Integers) -> Integers:
    """Decide the counts per request and category, shape (r, k)."""
    mixture, requests = plan.mixture, np.arange(len(plan.sizes))
    if plan.stratified:
        offsets = uniforms.draw(Lane.CATEGORY, requests, np.zeros_like(requests))
        counts = allocate_systematically(plan.sizes, mixture.cumulative, offsets)
    else:
        numbers = uniforms.draw(Lane.CATEGORY, owners, indexes)
        category = mixture.finder.find(numbers)
        counts = _tabulate(owners, category, (len(plan.sizes), len(mixture.ready)))
    return counts if plan.replace else _pass_on(plan, counts, uniforms)


def _pass_on(plan: Plan, counts: Integers, uniforms: Uniforms) -> Integers:
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
            offsets = uniforms.draw(lane, rows, np.zeros_like(rows))
            counts[rows] += allocate_systematically(surplus[rows], cumulative, offsets)
        else:
            counts[rows] += _draw_rows(surplus[rows], cumulative, uniforms, rows, lane)
        lane += 1


def _draw_rows(sizes: Integers, cumulative: Floats, uniforms: Uniforms, rows: Integers, lane: int) -> Integers:
    """Draw categories independently where each request has weights of its own, shape (r, k)."""
    owners, indexes = _slots(sizes)
    numbers = uniforms.draw(lane, rows[owners], indexes)
    edges, width = cumulative.size, cumulative.shape[1]
    edge_owners = np.repeat(np.arange(len(sizes)), width)
    order = np.lexsort((np.append(cumulative, numbers), np.append(edge_owners, owners)))
    is_edge = order < edges  # the sort is stable: an edge comes before the numbers that equal it
    found = np.cumsum(is_edge)[~is_edge]
    return _tabulate(owners, found - owners * width, cumulative.shape)


def _pick_distinct(mixture: Mixture, counts: Integers, uniforms: Uniforms) -> Integers:
    """Pick chunks without repeats: places, request after request and category after category.

    A group is one category of one request. Where less than half of a category is wanted, repeats are drawn
    again; elsewhere the whole category is put in random order and cut.
    """
    owners, columns = np.nonzero(counts)
    wanted, ready = counts[owners, columns], mixture.ready[columns]
    group, _ = _slots(wanted)
    offsets = np.empty(len(group), dtype=np.int64)
    dense = wanted * 2 > ready
    in_dense = dense[group]
    if in_dense.any():
        offsets[in_dense] = _pick_by_order(wanted[dense], ready[dense], owners[dense], uniforms)
    if not in_dense.all():
        offsets[~in_dense] = _pick_by_rejection(wanted[~dense], ready[~dense], owners[~dense], uniforms)
    return mixture.starts[columns][group] + offsets


def _within_owner(owners: Integers) -> Integers:
    """Number the elements of each owner; owners ascend."""
    return np.arange(len(owners)) - np.searchsorted(owners, owners)


def _pick_by_order(wanted: Integers, ready: Integers, owners: Integers, uniforms: Uniforms) -> Integers:
    group, chunk = _slots(ready)
    numbers = uniforms.draw(Lane.SUBSET, owners[group], _within_owner(owners[group]))
    order = _shuffle(group, numbers, uniforms)
    return chunk[order][chunk < wanted[group]]


def _pick_by_rejection(wanted: Integers, ready: Integers, owners: Integers, uniforms: Uniforms) -> Integers:
    """Draw, and draw again what came twice, until nothing does.

    Which of two equal draws is repeated depends on their places alone, never on the chunk, so that every set of
    chunks stays equally likely.
    """
    group, _ = _slots(wanted)
    base = (np.cumsum(ready) - ready)[group]
    index = _within_owner(owners[group])
    again = np.arange(len(group))
    offsets = np.empty(len(group), dtype=np.int64)
    lane = int(Lane.RETRY)
    while len(again):
        numbers = uniforms.draw(lane, owners[group[again]], index[again])
        offsets[again] = _pick(numbers, ready[group[again]])
        keys = base + offsets
        order = np.argsort(keys, kind="stable" if uniforms.any_seeded else None)
        keys = keys[order]
        again = order[1:][keys[1:] == keys[:-1]]
        lane += 1
    return offsets
