"""Which weights were in force when, from the lines of several workers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

from worker.report.changes import WeightsChange
from worker.report.records import Draws


@dataclass(frozen=True, slots=True)
class WeightStep:
    """The weights in force from a time on.

    Attributes:
        at: Unix time in s.
        weights: Category -> weight.
    """

    at: float
    weights: Mapping[str, float]


def find_steps(changes: Sequence[WeightsChange], draws: Iterable[Draws]) -> list[WeightStep]:
    """Find which weights were in force when, oldest first.

    Args:
        changes: Changes of one dataset, oldest first.
        draws: Draws of the same dataset. They show weights that the changes do not show.
    """
    steps = [WeightStep(change.new.at, change.new.after) for change in changes if change.new.after is not None]
    if len(steps) == len(changes) > 0:
        before = None if changes[0].is_first else changes[0].new.before
        return [WeightStep(float("-inf"), before), *steps] if before is not None else steps
    oldest_first = sorted(draws, key=attrgetter("at"))
    runs = [list(lines) for _, lines in groupby(oldest_first, key=attrgetter("version"))]
    return [WeightStep(run[0].at - run[0].length_s, {line.category: line.weight for line in run}) for run in runs]
