"""Auditors of weights: none older than the request, none made up; a pinned session keeps its own."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from tests.faults.records import Answer, Asked, Run, WeightsChange, version_of

_MS = 1_000_000
_CLOCK_NS = 100 * _MS  # Redis tells the time of its last turn, in ms
DEFAULTS: Final = {"voice": 0.4, "music": 0.3, "documentary": 0.2, "conference": 0.1}
_DEFAULT_VERSION: Final = version_of(DEFAULTS)


def _heavy(category: str) -> dict[str, float]:
    rest = {name: share for name, share in DEFAULTS.items() if name != category}
    return {category: 0.7, **{name: 0.3 * share / sum(rest.values()) for name, share in rest.items()}}


Allowed = dict[str, set[str] | None]
"""`weights_source` -> versions that are right; None stands for any."""

_BUILT_IN: Final[Mapping[str, str | None]] = {
    "voice-heavy": version_of(_heavy("voice")),
    "music-heavy": version_of(_heavy("music")),
    "balanced": None,  # depends on what is READY
}


class _Window(NamedTuple):
    """The values that a weights key may have had in some time.

    Attributes:
        versions: Versions of the valid weights that it held.
        has_none: Whether it had none.
        refused: Whether it held something that is no valid weights.
        before: Versions that it had until then: one of them stays where it is refused.
    """

    versions: set[str]
    has_none: bool
    refused: bool
    before: set[str]


class _Timeline:
    """The changes of one weights key, to look up by time."""

    def __init__(self, changes: Sequence[WeightsChange]) -> None:
        self._changes = [WeightsChange(None, None), *changes]
        self._versions = [version_of(one.values) if one.values else "" for one in self._changes]
        acked = [(one.acked_ns, i) for i, one in enumerate(self._changes) if one.acked_ns is not None]
        self._acked_ns = [at for at, _ in acked]
        self._acked = [i for _, i in acked]
        self._begun_ns = [one.begun_ns for one in self._changes]
        self._windows: dict[tuple[int, int], _Window] = {}

    def window(self, since_ns: int, until_ns: int) -> _Window:
        """Return what the key may have held, from the last change acknowledged before `since_ns` until `until_ns`."""
        first = self._acked[max(0, bisect_left(self._acked_ns, since_ns) - 1)]
        end = max(first + 1, bisect_right(self._begun_ns, until_ns))
        window = self._windows.get((first, end))
        if window is None:
            within = range(first, end)
            valid = {self._versions[i] for i in within if not self._changes[i].refused}
            window = self._windows[first, end] = _Window(
                valid - {""},
                "" in valid,
                any(self._changes[i].refused for i in within),
                set(self._versions[:end]) - {""},
            )
        return window


class Timelines:
    """The changes of all weights keys."""

    def __init__(self, run: Run) -> None:
        """Take the changes of a run."""
        by_name: dict[str | None, list[WeightsChange]] = defaultdict(list)
        for change in run.changes:
            by_name[change.name].append(change)
        self._lines = {name: _Timeline(changes) for name, changes in by_name.items()}
        self._untouched = _Timeline([])

    def allowed(self, fields: Mapping[str, str], since_ns: int, until_ns: int) -> Allowed:
        """Return the weights that a request may be answered under.

        Args:
            fields: The request's.
            since_ns: When it was sent.
            until_ns: When its result was written.

        Returns:
            What is right.
        """
        if (preset := fields.get("preset")) is not None:
            if preset in _BUILT_IN:
                version = _BUILT_IN[preset]
                return {"preset": None if version is None else {version}}
            return self._of(f"preset:{preset}", "preset", since_ns, until_ns)
        dataset = fields.get("dataset")
        if dataset is None:
            return self._shared(since_ns, until_ns)
        allowed = self._of(dataset, "dataset", since_ns, until_ns)
        own = self._line(dataset).window(since_ns, until_ns)
        if own.has_none or own.refused:
            for source, versions in self._shared(since_ns, until_ns).items():
                allowed[source] = (allowed.get(source) or set()) | (versions or set())
        return allowed

    def _line(self, name: str | None) -> _Timeline:
        return self._lines.get(name, self._untouched)

    def _of(self, name: str | None, source: str, since_ns: int, until_ns: int) -> Allowed:
        window = self._line(name).window(since_ns, until_ns)
        return {source: window.versions, "last_known": window.before if window.refused else set()}

    def _shared(self, since_ns: int, until_ns: int) -> Allowed:
        window = self._line(None).window(since_ns, until_ns)
        default = {_DEFAULT_VERSION} if window.has_none or window.refused else set()
        return {**self._of(None, "redis", since_ns, until_ns), "default": default}


def audit_weights(run: Run) -> Iterator[str]:
    """Check that each result was drawn under weights that were in force since its request was sent."""
    timelines = Timelines(run)
    for asked, answer in run.pairs:
        if not answer.source or answer.source == "session":
            continue
        allowed: Allowed = {"category": {version_of({asked.fields.get("category", ""): 1.0})}}
        if answer.source != "category":
            allowed = timelines.allowed(asked.fields, asked.sent_ns, answer.at_ms * _MS + _CLOCK_NS)
        versions = allowed.get(answer.source, set())
        if versions is not None and answer.version not in versions:
            told = f"sent at {asked.sent_ns // _MS}, answered at {answer.at_ms}"
            expected = ", ".join(
                f"{source} {version}" for source in allowed for version in sorted(allowed[source] or ())
            )
            drawn = f"was drawn under {answer.source} {answer.version}"
            yield f"entry {answer.entry_id}, {told}, {drawn}; in force: {expected[:200]}"


def audit_pins(run: Run) -> Iterator[str]:
    """Check that all pinned requests of a session have the same weights, in force when it was pinned."""
    pinned: dict[str, list[tuple[Asked, Answer]]] = defaultdict(list)
    for asked, answer in run.pairs:
        if answer.source == "session" and asked.fields.get("pin") != "1":
            yield f"entry {answer.entry_id} was drawn under pinned weights and did not ask for them"
        if asked.fields.get("pin") == "1" and answer.version and "category" not in asked.fields:
            pinned[asked.fields["session"]].append((asked, answer))
    timelines = Timelines(run)
    for session, drawn in sorted(pinned.items()):
        versions = {answer.version for _, answer in drawn}
        if len(versions) > 1 or any(answer.source != "session" for _, answer in drawn):
            sources = {answer.source for _, answer in drawn}
            yield f"session {session!r} is pinned and was drawn under {sorted(versions)} by {sorted(sources)}"
        since = min(asked.sent_ns for asked, _ in drawn)
        until = min(answer.at_ms for _, answer in drawn) * _MS + _CLOCK_NS
        sets = [allowed for asked, _ in drawn for allowed in timelines.allowed(asked.fields, since, until).values()]
        if None not in sets and not versions & set().union(*(one for one in sets if one is not None)):
            yield f"session {session!r} is pinned to {sorted(versions)}, which were not in force when it was pinned"
