"""Preview of batches: which length buckets some weights would give, and how much padding.

Batches of `budget sum` differ in size, and are drawn to be counted; others are computed.
"""

from dataclasses import dataclass

import numpy as np

from worker.core.catalog import Catalog
from worker.core.catalog.durations import MS_A_SECOND
from worker.core.draw.buckets import Buckets
from worker.core.draw.budget import plan_batch
from worker.core.draw.cells import Cells, cut_cells, find_edges
from worker.core.draw.derived import Derived
from worker.core.draw.lengths import Lengths
from worker.core.draw.sums import Sums
from worker.core.weights.left_out import sentences
from worker.core.weights.values import Weights
from worker.core.wire import Terms, invalid

_MOST_TOLD = 10
_MOST_COUNTED = 2_000  # requests
_MOST_DRAWN = 2_000_000  # chunks of them


@dataclass(frozen=True, slots=True)
class BatchRow:
    """What the batches of one bucket would be.

    Attributes:
        longest_s: The longest chunk of the bucket.
        chunks: Chunk ids of a batch; of `budget sum` the mean, to about 1 %.
        share: Part of all batches that is of this bucket, 0 to 1.
        seconds: Expected seconds of audio in a batch.
        padded_s: Expected seconds once all are padded to the longest of the batch; within a budget of this kind.
    """

    longest_s: float
    chunks: float
    share: float
    seconds: float
    padded_s: float


def preview_batches(weights: Weights, catalog: Catalog, terms: Terms) -> list[BatchRow]:
    """Compute the batches of independent draws, the shortest bucket first.

    Args:
        weights: The weights.
        catalog: The READY chunks, with durations.
        terms: What requests ask for: `budget_s`, `budget` and `buckets`; `size` is the most that a worker gives.

    Raises:
        RequestError: A worker would refuse such requests.
    """
    derived = Derived(catalog)
    mixture = derived.mixture(weights)
    if mixture is None:
        told = ", ".join(sentences(weights.shares, catalog.categories)[:-1][:_MOST_TOLD])
        raise invalid(
            f"no chunk of these categories is READY: {told}; accepted: weights of categories with READY chunks"
        )
    batch = plan_batch(terms, weights, mixture, derived)
    if derived.milliseconds is None:
        raise AssertionError("a budget was planned without durations")
    lengths = derived.lengths(None, derived.milliseconds)
    firsts = lengths.firsts[catalog.view.starts.searchsorted(mixture.starts)]
    cells = cut_cells(mixture, lengths, firsts, find_edges(mixture, lengths, firsts, terms.buckets))
    if isinstance(batch.varying, Sums):
        return [_summed(batch.varying, int(cells.longest_ms[-1]))]
    sizes = batch.varying.sizes if isinstance(batch.varying, Buckets) else np.array([batch.size])
    drawn = cells.chances / sizes
    shares = (drawn / drawn.sum()).tolist()
    return [_row(cells, lengths, i, size, shares[i]) for i, size in enumerate(sizes.tolist())]


def _row(cells: Cells, lengths: Lengths, bucket: int, size: int, share: float) -> BatchRow:
    """Compute the batches of one bucket: all of n independent chunks last up to t with chance F(t)^n."""
    starts, ready = cells.starts[bucket].tolist(), cells.ready[bucket].tolist()
    own = np.concatenate(
        [lengths.milliseconds[start : start + count] for start, count in zip(starts, ready, strict=True)]
    )
    weights = (cells.shares[bucket] / np.maximum(cells.ready[bucket], 1)).repeat(cells.ready[bucket])
    order = own.argsort()
    seconds, reached = own[order] / MS_A_SECOND, np.minimum(weights[order].cumsum(), 1.0)
    reached[-1] = 1.0
    longest_s = float(np.diff(reached**size, prepend=0.0) @ seconds)
    mean_s = float(weights @ own) / MS_A_SECOND
    return BatchRow(float(seconds[-1]), size, share, size * mean_s, size * longest_s)


def _summed(sums: Sums, longest_ms: int) -> BatchRow:
    """Draw some batches and take the means, the same each time."""
    requests = int(min(_MOST_COUNTED, max(1, _MOST_DRAWN // sums.expected)))
    batches = sums.draw(range(requests), np.random.default_rng(0))
    starts = batches.sizes.cumsum() - batches.sizes
    lasting = sums.milliseconds[batches.drawn.positions].astype(np.int64)
    padded_ms = np.maximum.reduceat(lasting, starts) * batches.sizes
    row_ms = np.array([longest_ms, lasting.sum() / requests, padded_ms.mean()]) / MS_A_SECOND
    return BatchRow(row_ms[0], batches.sizes.mean(), 1.0, row_ms[1], row_ms[2])
