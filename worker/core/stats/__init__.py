"""Statistics: what was served, counted as growth of a stats hash in Redis, and read back."""

from worker.core.stats.counts import (
    CategoryCount,
    Counts,
    fields_of_dataset,
    read_count,
    read_counts,
    read_shares,
    read_stats,
)
from worker.core.stats.fields import MICRO, MIXTURE
from worker.core.stats.folding import KINDS as FOLDED_KINDS
from worker.core.stats.folding import fold
from worker.core.stats.tally import Tally

__all__ = [
    "FOLDED_KINDS",
    "MICRO",
    "MIXTURE",
    "CategoryCount",
    "Counts",
    "Tally",
    "fields_of_dataset",
    "fold",
    "read_count",
    "read_counts",
    "read_shares",
    "read_stats",
]
