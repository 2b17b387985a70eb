"""The tally: what was served, counted as growth of a stats hash in Redis, and read back."""

from worker.core.tally.fields import MICRO
from worker.core.tally.growth import Tally
from worker.core.tally.reading import CategoryCount, Counts, fields_of_dataset, read_counts, read_stats

__all__ = ["MICRO", "CategoryCount", "Counts", "Tally", "fields_of_dataset", "read_counts", "read_stats"]
