"""Changes of weights by this project's writers: what a change does to a weights key, and its entry in the history.

A writer reads what Redis holds (`StoredWeights`) and plans a change here. One atomic step carries it out, or does
nothing if Redis holds something else by then. Weights of other writers come by a plain SET and have no entry.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from worker.core.weights.in_force import POSITIONED, UNREAD, InForce, in_force, mark_of, observe, source_of
from worker.core.weights.temporary import Return, read_return
from worker.core.weights.values import Weights, default_weights, parse_weights, read_values
from worker.errors import WeightsError


@dataclass(frozen=True, slots=True)
class StoredWeights:
    """What Redis holds about one weights key, all of it at one moment.

    Attributes:
        name: A dataset, a preset (see `worker.core.weights.in_force.preset_name`), or None for the global weights.
        now_ms: That moment, Unix time in ms by the clock of Redis.
        mark: See `worker.core.weights.in_force.Held`.
        value: What the key holds; None when absent or of a wrong type.
        shared_mark: The mark of the global key, which a dataset falls back to.
        shared_value: What the global key holds.
        return_text: The key's return as JSON; empty if there is none.
        defaults: The weights in force while nobody has set any, see `weights.values.defaults_for`; None: the built-in
            ones.
    """

    name: str | None
    now_ms: int
    mark: bytes
    value: bytes | None
    shared_mark: bytes
    shared_value: bytes | None
    return_text: bytes = b""
    defaults: Weights | None = None

    @property
    def in_force(self) -> InForce:
        """Return the weights in force for a worker that starts now."""
        shared, _ = observe(UNREAD, self.shared_mark, self.shared_value, source_of(None))
        own, _ = observe(UNREAD, self.mark, self.value, source_of(self.name))
        return in_force(self.name, None if self.name is None else own, shared, self.defaults)

    @property
    def values(self) -> Mapping[str, float]:
        """Return the weights in force for a worker that starts now, as they were written: category -> number >= 0."""
        held = self.in_force
        for name, value in ((self.name, self.value), (None, self.shared_value)):
            if value is not None and held.weights.source == source_of(name):
                return read_values(value)
        return held.weights.shares

    @property
    def problem(self) -> str | None:
        """Return why workers refuse what the key holds; None: they do not."""
        return observe(UNREAD, self.mark, self.value, source_of(self.name))[1]

    @property
    def pending(self) -> Return | None:
        """Return the return that is to come; None if the key no longer holds the temporary weights."""
        found = read_return(self.return_text)
        return found if found is not None and found.mark == self.mark.decode() else None


@dataclass(frozen=True, slots=True)
class WantedChange:
    """What a writer wants stored.

    Attributes:
        value: The JSON object; None: no value, the key is removed.
        who: Who wants it.
        reason: Why.
        lasts_ms: How long the weights last, in ms; None: for good.
        lasts: The same, as typed.
        undone_from: Id of the first of this key's changes that this one undoes, with all later ones; empty: none.
    """

    value: str | None
    who: str
    reason: str
    lasts_ms: int | None = None
    lasts: str = ""
    undone_from: str = ""


class PlannedChange(NamedTuple):
    """What one atomic step does, if Redis still holds what the plan was made for.

    Attributes:
        found: What Redis held.
        verb: What happens to the key.
        value: What is stored, if something is.
        return_text: The return that Redis holds afterwards, as JSON; empty: none.
        record: Fields and values of the entry in the history.
    """

    found: StoredWeights
    verb: Literal["SET", "DEL", "KEEP"]
    value: bytes
    return_text: str
    record: Mapping[str, str | bytes]


def version_by_key(name: str | None, value: bytes | None, defaults: Weights | None = None) -> str:
    """Return the version of the weights that a key's value puts in force; empty if it puts none.

    Args:
        name: The weights name, see `StoredWeights`.
        value: What the key holds; None when absent.
        defaults: See `StoredWeights`.
    """
    try:
        weights = None if value is None else parse_weights(value, source_of(name))
    except WeightsError:
        return ""
    if weights is not None:
        return weights.version
    return (defaults or default_weights()).version if name is None else ""


def plan_change(found: StoredWeights, wanted: WantedChange) -> PlannedChange:
    """Plan a change.

    Args:
        found: What Redis holds.
        wanted: What the writer wants.

    Raises:
        WeightsError: The change is temporary, and workers refuse what the key holds now: nothing could return to it.
    """
    wanted = replace(wanted, who=_encodable(wanted.who), reason=_encodable(wanted.reason))
    value = None if wanted.value is None else wanted.value.encode()
    more: dict[str, str] = {}
    return_text = ""
    if wanted.lasts_ms is not None:
        due_ms = found.now_ms + wanted.lasts_ms
        return_text = Return(due_ms, mark_of(value).decode(), _back(found), wanted.who, wanted.lasts).text
        more["until"] = str(due_ms)
    elif found.pending is not None:
        more["lapsed"] = str(found.pending.due_ms)
    if wanted.undone_from:
        more["undone_from"] = wanted.undone_from
    record = {**_record(found, value, wanted.who, wanted.reason), **more}
    return PlannedChange(found, "DEL" if value is None else "SET", value or b"", return_text, record)


def plan_return(found: StoredWeights) -> PlannedChange | None:
    """Plan the return that is due. If somebody has changed the weights meanwhile, plan its end and keep the weights.

    Args:
        found: What Redis holds.

    Returns:
        The plan; None if no return is due.
    """
    due = read_return(found.return_text)
    if due is None or due.due_ms > found.now_ms:
        return None
    if found.pending is None:
        reason = f"no return after {due.lasts}: somebody else had changed the weights"
        return PlannedChange(found, "KEEP", b"", "", _record(found, found.value, due.who, reason))
    value = None if due.back is None else due.back.encode()
    record = {**_record(found, value, due.who, f"return after {due.lasts}"), "returned": str(due.due_ms)}
    return PlannedChange(found, "DEL" if value is None else "SET", value or b"", "", record)


def _encodable(text: str) -> str:
    """Escape what UTF-8 cannot hold. The operating system hands over undecodable names as lone surrogates."""
    return text.encode(errors="backslashreplace").decode()


def _back(found: StoredWeights) -> str | None:
    """Return what temporary weights give way to: the value before the first of several in a row.

    It is not positioned: by the time it returns, the rule has paused.
    """
    if found.pending is not None:
        return found.pending.back
    if found.problem is not None:
        raise WeightsError(f"what the key holds now is refused, so that nothing could return to it: {found.problem}")
    return None if found.value is None else found.value.decode().removeprefix(POSITIONED)


def _record(found: StoredWeights, value: bytes | None, who: str, reason: str) -> dict[str, str | bytes]:
    """Write the history's entry of a change."""
    return {
        "before": found.value or b"",
        "after": value or b"",
        "dataset": found.name or "",
        "who": who,
        "reason": reason,
        "version_before": version_by_key(found.name, found.value, found.defaults),
        "version_after": version_by_key(found.name, value, found.defaults),
    }
