"""Budgets: the number of chunks of a request that names seconds instead of a size.

Without buckets, a padded batch has as many chunks as fit if each were as long as the longest one. So it is an ordinary
request of that size. With buckets, see `buckets`; where durations add up, see `sums`. Nothing is silently left out: a
chunk that is longer than the budget, or whose duration is not known, makes the request an error.
"""

import numpy as np

from worker.core.catalog.durations import MS_A_SECOND, Milliseconds
from worker.core.draw.buckets import make_buckets
from worker.core.draw.cells import cut_cells, find_edges, snap_edges
from worker.core.draw.derived import Batch, Derived
from worker.core.draw.lengths import Extent, measure_extent
from worker.core.draw.sums import Sums
from worker.core.mixture import Integers, Mixture
from worker.core.weights.values import Weights
from worker.core.wire import Terms, invalid
from worker.core.wording import plural


def plan_batch(terms: Terms, weights: Weights, mixture: Mixture, derived: Derived) -> Batch:
    """Find how large the batches of requests are, and how they vary.

    Args:
        terms: What the requests ask for.
        weights: What they are drawn under.
        mixture: These weights applied to the catalog.
        derived: The catalog.

    Raises:
        RequestError: The budget cannot be kept, or durations are not known.
    """
    if terms.budget_s is None:
        return Batch(terms.size, None)
    asked = (terms.budget_s, terms.budget, terms.buckets, terms.size, terms.replace, terms.method)
    key = (terms.split, weights.text, *asked)
    known = derived.batch(key)
    if known is not None:
        return known
    milliseconds = derived.milliseconds
    if milliseconds is None:
        raise invalid(
            "budget_s needs durations, which this worker does not hold; accepted: size instead of it, or the same "
            "request once workers have WORKER_CATALOG_COLUMNS=duration_s or WORKER_WEIGHT_UNIT=seconds"
        )
    extent = _check_extent(terms, mixture, milliseconds)
    budget_ms = _budget_ms(terms)
    batch = _plan_buckets(terms, mixture, derived, milliseconds) if terms.buckets > 1 else None
    if batch is None:
        longest_ms = int(extent.longest_ms.max())
        size = int(_sizes_for(terms, np.array([longest_ms]), mixture.ready.sum(keepdims=True))[0])
        batch = Batch(size, None)
        if terms.budget == "sum" and terms.buckets == 1:
            room_ms = budget_ms - longest_ms
            expected = 1.0 + room_ms / float(mixture.probabilities @ extent.means_ms)
            batch = Batch(max(1, round(expected)), Sums(mixture, milliseconds, room_ms, terms.size, expected))
    return derived.keep_batch(key, batch, width=len(mixture.categories) * terms.buckets)


def _plan_buckets(terms: Terms, mixture: Mixture, derived: Derived, milliseconds: Milliseconds) -> Batch | None:
    """Plan batches of several buckets; None if the library has but one, as all chunks last equally long.

    Passes of a session go through length classes, even if there is but one.
    """
    view, lengths = derived.view(terms.split), derived.lengths(terms.split, milliseconds)
    firsts = lengths.firsts[view.starts.searchsorted(mixture.starts)]
    edges = find_edges(mixture, lengths, firsts, terms.buckets)
    if terms.method == "epoch":
        edges = snap_edges(mixture, lengths, firsts, edges)
    elif len(edges) == 1:
        return None
    cells = cut_cells(mixture, lengths, firsts, edges)
    sizes = _sizes_for(terms, edges, cells.ready.sum(axis=1))
    made = make_buckets(mixture, lengths, cells, sizes, replace=terms.replace, stratified=terms.method == "stratified")
    return Batch(max(1, round(made.mean)), made)


def _budget_ms(terms: Terms) -> int:
    return round((terms.budget_s or 0.0) * MS_A_SECOND)


def _check_extent(terms: Terms, mixture: Mixture, milliseconds: Milliseconds) -> Extent:
    """Measure the chunks that can be drawn, and check that the duration of each is known and within the budget."""
    extent = measure_extent(mixture, milliseconds)
    if extent.unknown.any():
        worst = int(extent.unknown.argmax())
        count = int(extent.unknown[worst])
        have = "has" if count == 1 else "have"
        lacking = f"{plural(count, 'READY chunk')} of {mixture.categories[worst]} {have} no duration"
        raise invalid(f"budget_s needs durations, and {lacking}; accepted: size, or weights without that category")
    worst = int(extent.longest_ms.argmax())
    longest_ms = int(extent.longest_ms[worst])
    if longest_ms > _budget_ms(terms):
        which = f"the longest chunk that can be drawn, of {mixture.categories[worst]}, lasts {_seconds(longest_ms)} s"
        raise invalid(f"budget_s is {terms.budget_s:g}, and {which}; accepted: at least that, or weights without it")
    return extent


def _sizes_for(terms: Terms, longest_ms: Integers, ready: Integers) -> Integers:
    """Return how many chunks fit into a batch of each bucket, and check that a worker gives as many.

    Args:
        terms: What is asked for.
        longest_ms: int64, shape (b,): the longest chunk of each bucket, within the budget.
        ready: int64, shape (b,): number of its chunks.
    """
    sizes = _budget_ms(terms) // longest_ms
    if not terms.replace:
        sizes = np.minimum(sizes, ready)
    too_many = sizes > terms.size
    if too_many.any():
        largest_ms = int(((terms.size + 1) * longest_ms[too_many] - 1).min())
        at = int(sizes.argmax())
        many = f"{int(sizes[at]):,} chunks of up to {_seconds(int(longest_ms[at]))} s"
        accepted = f"up to {_seconds(largest_ms)}" if largest_ms >= longest_ms[-1] else "fewer buckets"
        accepted += f", as a worker gives a request at most {terms.size:,} chunk ids"
        raise invalid(f"budget_s is {terms.budget_s:g}, room for {many}; accepted: {accepted}")
    return sizes


def _seconds(milliseconds: int) -> str:
    return f"{milliseconds / MS_A_SECOND:.3f}".rstrip("0").rstrip(".")
