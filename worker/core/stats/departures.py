"""What an interval drew of each category against what its weights asked for, ready for the test of drift."""

from typing import NamedTuple

from worker.core.events import DriftCause
from worker.core.stats.asked import Asked, More
from worker.core.stats.counts import CategoryCount, Counts
from worker.core.stats.drift import MOST_COMPARED, Drawn, Key

_NOTHING = More("", 0.0, 0.0)
_OWN_PART = 0.5  # of a departure: a cause that explains less is not named


class Departure(NamedTuple):
    """What was drawn of a category in an interval, and by what weights.

    Attributes:
        drawn: What was drawn, and what the weights asked for.
        cause: Why these differ, as far as that is known.
        is_time: Whether weights are shares of audio time.
    """

    drawn: Drawn
    cause: DriftCause
    is_time: bool


class _Dataset(NamedTuple):
    """What the categories of a dataset share, see `Drawn` and `Departure`."""

    total: float
    longest: float
    draws_each: float
    is_time: bool


def departures(counts: Counts, asked: Asked, longest_s: float) -> dict[Key, Departure]:
    """Compare counts with weights; of too many categories, those of which most was asked for.

    Args:
        counts: What an interval drew.
        asked: What its weights asked for beyond the expectation of the draws.
        longest_s: The longest duration of a chunk, > 0; of no matter where weights are shares of chunks.
    """
    more, is_seeded = asked.of_each(), 2 * asked.seeded > counts.chunks
    rows = {(row.dataset, row.category): row for row in counts.categories}
    datasets = {name: _add_up(of, longest_s, asked.together.get(name, 1)) for name, of in counts.datasets()}
    found: dict[Key, Departure] = {}
    for key in rows.keys() | {key for key in more if key[0] in datasets}:
        row = rows.get(key, CategoryCount(*key, 0, 0.0, 0.0))
        extra, of = more.get(key, _NOTHING), datasets[key[0]]
        expected, variance = row.expected + extra.amount, max(0.0, row.variance + extra.variance)
        drawn = Drawn(row.amount, expected, variance, of.total, of.longest, of.draws_each)
        found[key] = Departure(drawn, _cause(drawn, extra, is_seeded=is_seeded), of.is_time)
    if len(found) <= MOST_COMPARED:
        return found
    largest = sorted(found, key=lambda key: (-found[key].drawn.expected, key))[:MOST_COMPARED]
    return {key: found[key] for key in largest}


def _add_up(rows: tuple[CategoryCount, ...], longest_s: float, together: int) -> _Dataset:
    """Add up the categories of a dataset; one draw decides on at most so many chunks together."""
    total = sum(row.amount for row in rows)
    if all(row.seconds is None for row in rows):
        return _Dataset(total, float(together), 1.0, is_time=False)
    draws_each = sum(row.count for row in rows) / total if total > 0 else 0.0
    return _Dataset(total, longest_s * together, draws_each, is_time=True)


def _cause(drawn: Drawn, more: More, *, is_seeded: bool) -> DriftCause:
    if more.amount and abs(more.amount) >= _OWN_PART * abs(drawn.amount - drawn.expected):
        return more.cause
    return "seeds" if is_seeded else ""
