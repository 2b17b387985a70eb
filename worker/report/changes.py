"""Changes of weights, each once, however many workers logged it.

Each worker logs a change as it applies it. Lines are of one change if they name the same entry of the history. Other
lines are of one change if they give the same version within some seconds, each by another worker.

A worker that starts logs its first weights as a change of the built-in ones. It changes nothing, unless the weights
were changed while no worker ran.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter

from worker.core.events import WorkerReady, WorkerStarted
from worker.report.records import Draws, NewWeights, Occurrence, Records

_SAME_WITHIN_S = 5.0
"""Workers apply a change within a second. The same weights in a later line are another change."""


@dataclass(frozen=True, slots=True)
class WeightsChange:
    """Weights came into force.

    Attributes:
        number: 1 for the oldest change of all datasets; 0 if `is_first`.
        new: The first line that says so.
        is_first: The log knows of no weights before: a worker that starts loads its first ones.
        applied: Worker -> when it applied the change, Unix time in s by its own clock. A worker that started with
            these weights is not among them.
        who: Who changed them; "" if the log does not say.
        reason: Why, likewise.
        entry: Id of the change in the history, likewise.
    """

    number: int
    new: NewWeights
    is_first: bool
    applied: Mapping[str, float]
    had: frozenset[str]
    who: str
    reason: str
    entry: str

    @property
    def spread_ms(self) -> float | None:
        """Return the time from the first worker that applied it to the last; None for fewer than two workers."""
        times = self.applied.values()
        return (max(times) - min(times)) * 1000 if len(times) > 1 else None


@dataclass(slots=True)
class _Group:
    """The lines of one change, oldest first, and who applied it."""

    is_first: bool
    had: frozenset[str]
    lines: list[NewWeights] = field(default_factory=list)
    workers: set[str] = field(default_factory=set)
    applied: dict[str, float] = field(default_factory=dict)

    def add(self, line: NewWeights, *, is_load: bool) -> None:
        self.lines.append(line)
        self.workers.add(line.worker)
        if not is_load:
            self.applied.setdefault(line.worker, line.at)

    def told(self, name: str) -> str:
        """Return the first text that a line gives in a field."""
        return next((text for line in self.lines if (text := getattr(line, name))), "")

    def change(self, number: int) -> WeightsChange:
        told = (self.told(name) for name in ("who", "reason", "entry"))
        return WeightsChange(number, self.lines[0], self.is_first, self.applied, self.had - self.applied.keys(), *told)


class _Grouping:
    """Joins lines to changes; they have to come oldest first."""

    def __init__(self, known: Mapping[str, tuple[float, str]]) -> None:
        self.groups: list[_Group] = []
        self._known = known
        self._current: dict[str, str] = {}
        self._weights: dict[str, Mapping[str, float] | None] = {}
        self._latest: dict[tuple[str, str], _Group] = {}
        self._entries: dict[tuple[str, str], _Group] = {}
        self._starting: set[str] = set()
        self._versions: dict[tuple[str, str], str] = {}  # worker and dataset -> what it draws under

    def add_occurrence(self, line: Occurrence) -> None:
        """Add a worker that starts or is ready."""
        if line.event == WorkerStarted.event:
            self._starting.add(line.worker)
            for key in [key for key in self._versions if key[0] == line.worker]:
                del self._versions[key]
        elif line.version:
            self._starting.discard(line.worker)
            self._versions[line.worker, ""] = line.version
            self._know("", line.at)
            self._current.setdefault("", line.version)

    def add(self, line: NewWeights) -> None:
        """Add a line of one worker about new weights."""
        self._know(line.dataset, line.at)
        key = (line.worker, line.dataset)
        is_load = line.is_load or (line.worker in self._starting and key not in self._versions)
        if is_load:
            line = replace(line, before=self._weights.get(line.dataset))
        group = self._group_of(line)
        if group is None and self._current.get(line.dataset) == line.version and not is_load:
            group = self._latest.get((line.dataset, line.version))  # a worker that applies a change late
        if group is None and self._current.get(line.dataset) != line.version:
            group = self._begin(line)
        if group is not None:
            group.add(line, is_load=is_load)
            if line.entry:
                self._entries.setdefault((line.dataset, line.entry), group)
        self._versions[key] = line.version

    def _know(self, dataset: str, at: float) -> None:
        """Take the weights from what was drawn before a time, if nothing else has told them yet."""
        known = self._known.get(dataset)
        if known and known[0] < at:
            self._current.setdefault(dataset, known[1])

    def _begin(self, line: NewWeights) -> _Group:
        key = (line.dataset, line.version)
        had = {name for (name, dataset), version in self._versions.items() if (dataset, version) == key}
        group = _Group(line.dataset not in self._current, frozenset(had))
        self.groups.append(group)
        self._latest[key] = group
        self._current[line.dataset], self._weights[line.dataset] = line.version, line.after
        return group

    def _group_of(self, line: NewWeights) -> _Group | None:
        """Find the change that a line is of, if a line before it was of the same."""
        if line.entry and (group := self._entries.get((line.dataset, line.entry))):
            return group
        group = self._latest.get((line.dataset, line.version))
        if group is None or line.worker in group.workers or line.at - group.lines[0].at > _SAME_WITHIN_S:
            return None
        entry = group.told("entry")
        return None if line.entry and entry and line.entry != entry else group


def find_changes(records: Records) -> list[WeightsChange]:
    """Find when weights came into force, oldest first."""
    grouping = _Grouping(_first_versions(records.draws))
    marks = (line for line in records.occurrences if line.event in {WorkerStarted.event, WorkerReady.event})
    said: list[NewWeights | Occurrence] = [*records.new_weights, *marks]
    for line in sorted(said, key=attrgetter("at")):
        if isinstance(line, NewWeights):
            grouping.add(line)
        else:
            grouping.add_occurrence(line)
    changes, number = list[WeightsChange](), 0
    for group in grouping.groups:
        number += not group.is_first
        changes.append(group.change(0 if group.is_first else number))
    return changes


def choose_changes(dataset: str, changes: Sequence[WeightsChange], draws: Iterable[Draws]) -> list[WeightsChange]:
    """Choose the changes that apply to a dataset: its own, or the global ones if it has no weights.

    Args:
        dataset: "" are the global weights.
        changes: Changes of all datasets.
        draws: Draws of the dataset.
    """
    own = [change for change in changes if change.new.dataset == dataset]
    if own:
        return own
    versions = {line.version for line in draws}
    return [change for change in changes if not change.new.dataset and change.new.version in versions]


def _first_versions(draws: Sequence[Draws]) -> dict[str, tuple[float, str]]:
    """Find under which weights each dataset was drawn first: dataset -> time and version."""
    first: dict[str, tuple[float, str]] = {}
    for line in draws:
        if line.dataset not in first or line.at < first[line.dataset][0]:
            first[line.dataset] = (line.at, line.version)
    return first
