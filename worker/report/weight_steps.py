"""When weights changed, and which were in force when, from the lines of several workers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from worker.report.records import Draws, NewWeights, Occurrence, Records

_SAME_WITHIN_S = 5.0
"""Workers apply a change within a second. The same weights in a later line are another change."""


@dataclass(frozen=True, slots=True)
class WeightsChange:
    """Weights came into force, however many workers logged it.

    Attributes:
        new: The first line that says so.
        is_first: The log knows of no weights before: a worker that starts loads its first ones.
    """

    new: NewWeights
    is_first: bool


@dataclass(frozen=True, slots=True)
class WeightStep:
    """The weights in force from a time on.

    Attributes:
        at: Unix time in s.
        weights: Category -> weight.
    """

    at: float
    weights: Mapping[str, float]


def find_changes(records: Records) -> list[WeightsChange]:
    """Find when weights came into force, oldest first. One change counts once, however many workers log it."""
    said: list[NewWeights | Draws | Occurrence] = [*records.new_weights, *records.draws]
    said += [occurrence for occurrence in records.occurrences if occurrence.version]
    changes, current, heard = list[WeightsChange](), dict[str, str](), dict[tuple[str, str], tuple[float, set[str]]]()
    for line in sorted(said, key=lambda line: line.at):
        dataset = "" if isinstance(line, Occurrence) else line.dataset
        if not isinstance(line, NewWeights):
            current.setdefault(dataset, line.version)
            continue
        first_at, workers = heard.get((dataset, line.version), (float("-inf"), set()))
        if line.at - first_at <= _SAME_WITHIN_S and line.worker not in workers:
            workers.add(line.worker)
            continue
        heard[dataset, line.version] = (line.at, {line.worker})
        if current.get(dataset) != line.version:
            changes.append(WeightsChange(line, is_first=dataset not in current))
        current[dataset] = line.version
    return changes


def choose_changes(dataset: str, changes: Sequence[WeightsChange], draws: Sequence[Draws]) -> list[WeightsChange]:
    """Choose the changes that apply to a dataset: its own, or the global ones if it has no weights.

    Args:
        dataset: "" are the global weights.
        changes: Changes of all datasets.
        draws: Draws of the dataset.
    """
    versions = {line.version for line in draws}
    own = [change for change in changes if change.new.dataset == dataset]
    return own or [change for change in changes if not change.new.dataset and change.new.version in versions]


def find_steps(changes: Sequence[WeightsChange], draws: Sequence[Draws]) -> list[WeightStep]:
    """Find which weights were in force when, oldest first.

    Args:
        changes: Changes of one dataset, oldest first.
        draws: Draws of the same dataset, oldest first. They tell the weights if the changes do not tell all.
    """
    steps = [WeightStep(change.new.at, change.new.after) for change in changes if change.new.after is not None]
    if len(steps) == len(changes) > 0:
        before = None if changes[0].is_first else changes[0].new.before
        return [WeightStep(float("-inf"), before), *steps] if before is not None else steps
    runs = [list(lines) for _, lines in groupby(draws, key=lambda line: line.version)]
    return [WeightStep(run[0].at - run[0].length_s, {line.category: line.weight for line in run}) for run in runs]
