"""What is followed of one dataset: its window, its phases, its series, and what is in force."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from worker.core.live.growth import Look, look_at
from worker.core.live.marks import unrecorded_mark
from worker.core.live.phases import Phases
from worker.core.live.rows import Strips, choose
from worker.core.live.rules import RuleSeen, shadow_of
from worker.core.live.series import Level, Series
from worker.core.live.window import Window
from worker.core.weights.in_force import InForce
from worker.core.workers.ready import Ready, ready_of
from worker.core.workers.weights_in_use import InUse, in_use
from worker.live.history import HistoryTail
from worker.live.reading import Reading
from worker.live.rules import rule_of
from worker.live.weights_keys import KeyState, in_force_by, marks_of

_JUST_MS = 15_000
_NO_VALUES: Mapping[str, float] = {}


@dataclass(frozen=True, slots=True)
class InSight:
    """The weights of a dataset at one look.

    Attributes:
        stored: What a worker that starts now would draw under.
        problem: Why the value that decides is refused; None: it is not.
        key: The key that decides.
        use: What most workers draw under.
    """

    stored: InForce
    problem: str | None
    key: KeyState
    use: InUse

    @property
    def version(self) -> str:
        """Return the version that draws are settled under: a value that is refused changes nothing."""
        return self.stored.weights.version if self.problem is None else self.use.version

    @property
    def shares(self) -> Mapping[str, float]:
        """Return the weights in force, category -> share; those that are stored where a worker's are not known."""
        return self.use.shares or self.stored.weights.shares


class Track:
    """One dataset, look by look.

    Attributes:
        name: The dataset; None: the global weights.
        seen: Its weights at the last look; None before the first.
        rule: The rule that moves its weights; None: there is none.
        strips: What its rows are made of; None before the first look.
        names: The categories that are shown.
        took: The entry of the history whose change all workers have applied, and in how many ms; None: not known.
    """

    def __init__(self, name: str | None) -> None:
        """Begin without a look."""
        self.name = name
        self.seen: InSight | None = None
        self.rule: RuleSeen | None = None
        self.strips: Strips | None = None
        self.names: list[str] = []
        self.took: tuple[str, float | None] = ("", None)
        self.window, self.phases, self.series = Window(), Phases(), Series()
        self._heard: dict[str, int] | None = None
        self._marks = (b"", b"")
        self._shares: dict[str, float] = {}
        self._chosen = Strips({}, {}, Ready(None))

    def __repr__(self) -> str:
        """Return the state in one line, for logs and tests."""
        return f"<Track {self.name}: {self.window!r}, {self.phases!r}, {self.series!r}>"

    def look(self, reading: Reading, history: HistoryTail, level: Level) -> InSight:
        """Take in one look, and return the weights.

        Args:
            reading: What was read.
            history: Gets the mark of a change that it does not know.
            level: What is true of the whole system.
        """
        ready = ready_of(reading.workers)
        stored, problem, key = in_force_by(reading.before, self.name, ready.defaults)
        seen = InSight(stored, problem, key, in_use(self.name, stored, reading.workers)[0])
        self._follow(seen, reading, history)
        self.rule = rule_of(reading.rules, self.name, stored.dataset)
        values = _NO_VALUES if problem or stored.weights.source == "default" else key.values
        strips = Strips(seen.shares, values, ready)
        if not strips.names_as(self._chosen):
            self.names, self._chosen = choose(strips), strips
        if reading.has_new_counts and reading.counts is not None:
            look = look_at(reading.counts, stored.dataset or "", reading.at_s, reading.at_ms)
            self._heard = {category: row.count for category, row in look.rows.items()}
            self._count(seen, look, level, is_clean=marks_of(reading.after, self.name) == self._marks)
        self.strips = replace(strips, growth=self.window.growth, shadow=shadow_of(self.rule), heard=self._heard)
        return seen

    def _follow(self, seen: InSight, reading: Reading, history: HistoryTail) -> None:
        """Begin another phase if other weights are in force, or were in between; mark a change that nobody recorded."""
        before, marks = self.seen, marks_of(reading.before, self.name)
        if before is not None:
            name = seen.stored.dataset
            is_other = (before.stored.dataset, before.version) != (name, seen.version)
            if is_other or any(change.name in {self.name, name} for change in reading.changes):
                self.phases.end()
                self.window.restart()
            if before.stored.dataset != name:
                self.series.restart()
            since_ms = reading.at_ms - _JUST_MS
            if is_other and marks != self._marks and not history.has(name, seen.version, since_ms):
                sides = ((before.version, before.shares), (seen.version, seen.shares))
                history.add(unrecorded_mark(name, reading.at_ms, *sides))
        self.seen, self._marks = seen, marks

    def _count(self, seen: InSight, look: Look, level: Level, *, is_clean: bool) -> None:
        """Take in new counts.

        Args:
            seen: The weights.
            look: The counts.
            level: What is true of the whole system.
            is_clean: Whether the same weights were in force before and after they were read; else they begin nothing.
        """
        shares = {name: round(seen.shares.get(name, 0.0), 6) for name in self.names}
        if shares != self._shares:
            self._shares = shares
        self.series.add(look, self.names, self._shares, level)
        if is_clean:
            self.window.add(look)
            self.phases.add(seen.version, look)
