"""Changes of weights by this project's writers: what one is to do, held against what stands there, and its record."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, NamedTuple

from worker.core.weights.values import (
    UNREAD,
    InForce,
    Weights,
    default_weights,
    in_force,
    mark_of,
    observe,
    parse_weights,
    source_of,
)
from worker.errors import WeightsError

_LATEST_MS = 2**53  # no clock shows a later time, and JSON of every language holds it exactly


@dataclass(frozen=True, slots=True)
class Return:
    """Hold what temporary weights give way to, and when.

    Attributes:
        due_ms: Unix time in ms by the clock of Redis.
        mark: Mark of the temporary value; where the key holds another, somebody else has changed it.
        back: The value that stood before; None: the key was absent.
        who: Who set the temporary weights.
        lasts: For how long, as they typed it.
    """

    due_ms: int
    mark: str
    back: str | None
    who: str
    lasts: str

    @property
    def text(self) -> str:
        """Write it as it stands in Redis."""
        return json.dumps(asdict(self))


@dataclass(frozen=True, slots=True)
class Standing:
    """Hold what stands in Redis about one weights key, all of it at one moment.

    Attributes:
        name: A dataset, a preset (see `worker.core.weights.values.preset_name`), or None for the global weights.
        now_ms: That moment, Unix time in ms by the clock of Redis.
        mark: See `worker.core.weights.values.Held`.
        value: What the key holds; None when absent or of a wrong type.
        shared_mark: The same of the global key, which stands behind a dataset's.
        shared_value: The same of the global key.
        return_text: What its return says; empty where none is due.
        defaults: What holds where nobody set weights, see `weights.values.defaults_for`; None: the built-in ones.
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
        """Tell the weights in force as a worker would that starts now."""
        shared, _ = observe(UNREAD, self.shared_mark, self.shared_value, source_of(None))
        own, _ = observe(UNREAD, self.mark, self.value, source_of(self.name))
        return in_force(self.name, None if self.name is None else own, shared, self.defaults)

    @property
    def problem(self) -> str | None:
        """Tell why what the key holds is refused; None: it is not."""
        return observe(UNREAD, self.mark, self.value, source_of(self.name))[1]

    @property
    def pending(self) -> Return | None:
        """Tell the return that is to come, unless the key holds other weights than those that were set for a time."""
        found = read_return(self.return_text)
        return found if found is not None and found.mark == self.mark.decode() else None


@dataclass(frozen=True, slots=True)
class WantedChange:
    """Say what a writer wants stored.

    Attributes:
        value: The JSON object; None: no value, the key is removed.
        who: Who wants it.
        reason: Why.
        lasts_ms: For how long, in ms; None: for good.
        lasts: The same, as typed.
        undone_from: Id of the first of this key's changes that it undoes, and all later ones with it; empty: none.
    """

    value: str | None
    who: str
    reason: str
    lasts_ms: int | None = None
    lasts: str = ""
    undone_from: str = ""


class Step(NamedTuple):
    """Hold what is to be done in one step, if everything still stands as it was found.

    Attributes:
        found: What it was decided on.
        verb: What becomes of the key.
        value: What is stored, where something is.
        return_text: The return that stands from then on; empty: none.
        record: Fields and values of the history.
    """

    found: Standing
    verb: Literal["SET", "DEL", "KEEP"]
    value: bytes
    return_text: str
    record: Mapping[str, str | bytes]


def version_by_key(name: str | None, value: bytes | None, defaults: Weights | None = None) -> str:
    """Tell the version of the weights that a key's value puts in force; empty where it puts none.

    Args:
        name: Whose key, see `Standing`.
        value: What it holds; None when absent.
        defaults: See `Standing`.
    """
    try:
        weights = None if value is None else parse_weights(value, source_of(name))
    except WeightsError:
        return ""
    if weights is not None:
        return weights.version
    return (defaults or default_weights()).version if name is None else ""


def step_of(found: Standing, wanted: WantedChange) -> Step:
    """Plan a change.

    Args:
        found: What stands there.
        wanted: What is wanted.

    Raises:
        WeightsError: It is for a time, and what stands there now is nothing that it could give way to.
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
    return Step(found, "DEL" if value is None else "SET", value or b"", return_text, record)


def return_step(found: Standing) -> Step | None:
    """Plan the return that is due, or its end without one where somebody else has changed the weights meanwhile.

    Args:
        found: What stands there.

    Returns:
        The plan; None where nothing is due.
    """
    due = read_return(found.return_text)
    if due is None or due.due_ms > found.now_ms:
        return None
    if found.pending is None:
        reason = f"no return after {due.lasts}: somebody else had changed the weights"
        return Step(found, "KEEP", b"", "", _record(found, found.value, due.who, reason))
    value = None if due.back is None else due.back.encode()
    record = {**_record(found, value, due.who, f"return after {due.lasts}"), "returned": str(due.due_ms)}
    return Step(found, "DEL" if value is None else "SET", value or b"", "", record)


def read_return(text: bytes) -> Return | None:
    """Read a return as it stands in Redis; None where it is none, or would bring back what workers refuse."""
    try:
        found: Any = json.loads(text.decode())
        read = Return(*(found[name] for name in ("due_ms", "mark", "back", "who", "lasts")))
        _check_return(read)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError, WeightsError):
        return None
    return read


def _check_return(found: Return) -> None:
    """Refuse values of other types, and texts that UTF-8 cannot hold: anybody may have written them.

    Raises:
        TypeError: A value is of another type.
        ValueError: A value is out of range, or cannot be written.
        WeightsError: What is to return is refused by workers.
    """
    if type(found.due_ms) is not int or not all(type(one) is str for one in (found.mark, found.who, found.lasts)):
        raise TypeError("a value is of another type")
    if not 0 <= found.due_ms <= _LATEST_MS:
        raise ValueError("due_ms is no time")
    for text in (found.mark, found.who, found.lasts, found.back or ""):
        text.encode()
    if found.back is not None:
        parse_weights(found.back.encode(), "redis")


def _encodable(text: str) -> str:
    """Escape what UTF-8 cannot hold: the operating system hands on names that are no UTF-8 so."""
    return text.encode(errors="backslashreplace").decode()


def _back(found: Standing) -> str | None:
    """Tell what temporary weights give way to: what stood before the first of them."""
    if found.pending is not None:
        return found.pending.back
    if found.problem is not None:
        raise WeightsError(f"what the key holds now is refused, so that nothing could return to it: {found.problem}")
    return None if found.value is None else found.value.decode()


def _record(found: Standing, value: bytes | None, who: str, reason: str) -> dict[str, str | bytes]:
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
