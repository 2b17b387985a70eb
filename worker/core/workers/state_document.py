"""The state document: the JSON that a live worker publishes in Redis. It is checked, as anybody may have written it."""

import math
from collections.abc import Callable, Mapping
from typing import Any, Final
from zlib import crc32

from worker.core.wire import read_json

UNREADABLE: Final = "unreadable"
"""The field of a document that cannot be read; a sentence says why."""

MOST_NOTES: Final = 16
"""Most notable events that a worker shows."""

LONGEST_NOTE: Final = 200
"""Longest text of one of them, in characters."""

LEVELS: Final = frozenset({"debug", "info", "warning", "error"})
"""The levels of log events, see `worker.core.events.Level`; what reads states needs none of the events themselves."""

_NAME: Final = 64
_LARGEST = 2**63 - 1
State = Mapping[str, Any]


def read_state(consumer: str, value: bytes | None) -> dict[str, Any]:
    """Read the state document of a worker.

    Args:
        consumer: The worker's name, as its key has it.
        value: What the key holds; None if that is not a string.

    Returns:
        Its fields. If they cannot be read: `consumer`, and `unreadable`, a sentence.
    """
    if value is None:
        return _unreadable(consumer, "the key holds another type")
    try:
        found = read_json("the value", value)
    except ValueError as error:
        return _unreadable(consumer, str(error))
    if type(found) is not dict or found.get("consumer") != consumer:
        return _unreadable(consumer, "the value is no object of this worker")
    wrong = wrong_field(found)
    return found if wrong is None else _unreadable(consumer, f"{wrong} is of another kind")


def wrong_field(state: State) -> str | None:
    """Return the first field of a state document that is of another kind than the contract says; None: all fit."""
    wrong = (name for name, is_right in _FIELDS.items() if name in state and not is_right(state[name]))
    return next(wrong, None)


def version_shown(state: State, name: str | None) -> str | None:
    """Return the version that a worker has in force by a weights key; None if it does not hold that key.

    Args:
        state: Its state document.
        name: A dataset, a preset (see `worker.core.weights.in_force.preset_name`), or None for the global weights.
    """
    if UNREADABLE in state:
        return ""
    if name is None:
        found = state.get("weights_version")
    else:
        found = state.get("datasets", {}).get(name, state.get("datasets_more", {}).get(short_name(name)))
    return None if found is None else str(found)


def short_name(name: str) -> str:
    """Return the CRC-32 of a weights name in hex. A document lists the names that it has no room for so."""
    return f"{crc32(name.encode()):08x}"


def _unreadable(consumer: str, why: str) -> dict[str, Any]:
    return {"consumer": consumer, UNREADABLE: f"{why}; accepted: once its key is deleted (DEL)"}


def _is_text(value: Any) -> bool:
    return type(value) is str


def _is_number(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _LARGEST


def _is_amount(value: Any) -> bool:
    """Return whether a value is a finite number >= 0, or None: not known."""
    return value is None or (type(value) in {int, float} and math.isfinite(value) and 0 <= value <= _LARGEST)


def _are_events(value: Any) -> bool:
    """Return whether a value lists notable events, not more and not longer than a worker writes."""
    return type(value) is list and len(value) <= MOST_NOTES and all(map(_is_event, value))


def _is_event(value: Any) -> bool:
    return (
        type(value) is dict
        and _is_number(value.get("at_ms"))
        and all(_is_text(value.get(name)) for name in ("level", "event", "text"))
        and value["level"] in LEVELS
        and max(len(value["event"]), len(value["text"])) <= LONGEST_NOTE
    )


def _are_versions(value: Any) -> bool:
    return type(value) is dict and all(map(_is_text, value.values()))


def _are_counts(value: Any) -> bool:
    """Return whether a value is a mapping: category -> count; no category has a name of more than 64 characters."""
    return type(value) is dict and all(map(_is_number, value.values())) and max(map(len, value), default=0) <= _NAME


def _are_weights(value: Any) -> bool:
    """Return whether a value is a mapping: weights name -> category -> finite number, 0 to 1."""
    if type(value) is not dict or any(type(shares) is not dict for shares in value.values()):
        return False
    numbers = [number for shares in value.values() for number in shares.values()]
    return all(type(number) in {int, float} and 0 <= number <= 1 for number in numbers)


_FIELDS: Final[Mapping[str, Callable[[Any], bool]]] = {
    "state": _is_text,
    "version": _is_text,
    "wire_version": _is_number,
    "host": _is_text,
    "instance": _is_text,
    "shared_with": _is_text,
    "weight_unit": _is_text,
    "weights_version": _is_text,
    "catalog_version": lambda value: value is None or _is_text(value),
    "id_kind": lambda value: value is None or _is_text(value),
    "pid": _is_number,
    "weights_at_ms": _is_number,
    "catalog_at_ms": _is_number,
    "chunks": _is_number,
    "requests": _is_number,
    "at_ms": _is_number,
    "datasets": _are_versions,
    "datasets_more": _are_versions,
    "source": _is_text,
    "categories": _is_number,
    "ready": lambda value: value is None or _are_counts(value),
    "kept": _are_weights,
    "requests_per_s": _is_amount,
    "latency_p50_ms": _is_amount,
    "latency_p99_ms": _is_amount,
    "latency_max_ms": _is_amount,
    "loop_lag_ms": _is_amount,
    "memory_bytes": _is_amount,
    "events": _are_events,
}
