"""What a change of weights did, who made it and why, and which workers have applied it: for people."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from worker.core.wording import plural
from worker.report.changes import WeightsChange
from worker.report.workers import WorkerLog, count_running

_MOST_MOVES = 3
_SMALLEST_MOVE = 0.0005


@dataclass(frozen=True, slots=True)
class ChangeText:
    """A change in words.

    Attributes:
        number: Its number, as on the picture.
        at: Unix time in s.
        dataset: "" are the global weights.
        moves: The shares that it moved, the largest move first.
        who: Who made it and why; "" if the log does not say.
        applied: By how many workers, and within which time.
    """

    number: int
    at: float
    dataset: str
    moves: str
    who: str
    applied: str


def describe_changes(changes: Sequence[WeightsChange], workers: Sequence[WorkerLog]) -> list[ChangeText]:
    """Describe changes, oldest first."""
    return [
        ChangeText(
            change.number,
            change.new.at,
            change.new.dataset,
            _moves(change.new.before, change.new.after) or f"version {change.new.version}",
            ": ".join(text for text in (change.who, change.reason) if text),
            _applied(change, workers),
        )
        for change in changes
    ]


def _moves(before: Mapping[str, float] | None, after: Mapping[str, float] | None) -> str:
    if before is None or after is None:
        return ""
    names = {*before, *after}
    moved = {name: after.get(name, 0.0) - before.get(name, 0.0) for name in names}
    largest = sorted((name for name in names if abs(moved[name]) >= _SMALLEST_MOVE), key=lambda n: (-abs(moved[n]), n))
    said = [
        f"{name} {_percent(before.get(name, 0.0))}→{_percent(after.get(name, 0.0))} %" for name in largest[:_MOST_MOVES]
    ]
    hidden = len(largest) - _MOST_MOVES
    return ", ".join([*said, *([plural(hidden, "other")] if hidden > 0 else [])])


def _percent(share: float) -> str:
    return f"{share * 100:.3g}"


def _applied(change: WeightsChange, workers: Sequence[WorkerLog]) -> str:
    last = max(change.applied.values(), default=change.new.at)
    having = len(change.applied) + len(change.had)
    running = max(count_running(workers, last), having)
    said = f"{having} of {plural(running, 'worker')}"
    return said if change.spread_ms is None else f"{said} within {change.spread_ms:,.3g} ms"
