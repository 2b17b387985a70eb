"""When weights changed, and which were in force when, out of what several workers say of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from worker.report.records import Change, Draws, Mark, Reading

_SAME_WITHIN_S = 5.0
"""Workers take a change in within a second; later the same weights are another change."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Hold that weights came in force, however many workers said so.

    Attributes:
        is_first: The log knows of none before: a worker that starts learns them.
    """

    change: Change
    is_first: bool


@dataclass(frozen=True, slots=True)
class Step:
    """Hold which weights are in force from a time on.

    Attributes:
        at: Unix time in s.
        weights: Category -> weight.
    """

    at: float
    weights: Mapping[str, float]


def find_turns(reading: Reading) -> list[Turn]:
    """Find when weights came in force, oldest first; what several workers say of one change counts once."""
    said: list[Change | Draws | Mark] = [*reading.changes, *reading.draws]
    said += [mark for mark in reading.marks if mark.version]
    turns, current, heard = list[Turn](), dict[str, str](), dict[tuple[str, str], tuple[float, set[str]]]()
    for line in sorted(said, key=lambda line: line.at):
        dataset = "" if isinstance(line, Mark) else line.dataset
        if not isinstance(line, Change):
            current.setdefault(dataset, line.version)
            continue
        first_at, workers = heard.get((dataset, line.version), (float("-inf"), set()))
        if line.at - first_at <= _SAME_WITHIN_S and line.worker not in workers:
            workers.add(line.worker)
            continue
        heard[dataset, line.version] = (line.at, {line.worker})
        if current.get(dataset) != line.version:
            turns.append(Turn(line, is_first=dataset not in current))
        current[dataset] = line.version
    return turns


def turns_of(dataset: str, turns: Sequence[Turn], draws: Sequence[Draws]) -> list[Turn]:
    """Choose those that a dataset was drawn under: its own, or the global ones where it has no weights.

    Args:
        dataset: "" are the global weights.
        turns: Those of all datasets.
        draws: Those of the dataset.
    """
    versions = {line.version for line in draws}
    own = [turn for turn in turns if turn.change.dataset == dataset]
    return own or [turn for turn in turns if not turn.change.dataset and turn.change.version in versions]


def steps_of(turns: Sequence[Turn], draws: Sequence[Draws]) -> list[Step]:
    """Tell which weights were in force when, oldest first.

    Args:
        turns: Those of one dataset, oldest first.
        draws: Those of the same dataset, oldest first, which tell the weights where no change does.
    """
    steps = [Step(turn.change.at, turn.change.after) for turn in turns if turn.change.after is not None]
    if len(steps) == len(turns) > 0:
        before = None if turns[0].is_first else turns[0].change.before
        return [Step(float("-inf"), before), *steps] if before is not None else steps
    runs = [list(lines) for _, lines in groupby(draws, key=lambda line: line.version)]
    return [Step(run[0].at - run[0].length_s, {line.category: line.weight for line in run}) for run in runs]
