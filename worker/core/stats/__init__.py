"""Statistics: what was served, counted as growth of a stats hash in Redis, and read back."""

from worker.core.stats.asked import Asked, More
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
from worker.core.stats.tally import Tally

__all__ = [
    "MICRO",
    "MIXTURE",
    "Asked",
    "CategoryCount",
    "Counts",
    "More",
    "Tally",
    "fields_of_dataset",
    "read_count",
    "read_counts",
    "read_shares",
    "read_stats",
]
