"""The tally: what was served, counted as growth of a stats hash in Redis, and read back."""

from worker.core.tally.fields import MICRO, MIXTURE
from worker.core.tally.folding import KINDS as FOLDED_KINDS
from worker.core.tally.folding import fold
from worker.core.tally.growth import Tally
from worker.core.tally.reading import (
    CategoryCount,
    Counts,
    fields_of_dataset,
    read_count,
    read_counts,
    read_shares,
    read_stats,
)

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
