"""Live workers as rows, and which of them draw under some weights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from worker.core.live.texts import cut
from worker.core.workers.state_document import UNREADABLE, version_shown

_TOLD: Final = (
    "state",
    "host",
    "pid",
    "requests_per_s",
    "latency_p50_ms",
    "latency_p99_ms",
    "latency_max_ms",
    "loop_lag_ms",
    "memory_bytes",
    "chunks",
    "at_ms",
)
_LONGEST_TOOK_MS: Final = 15_000
MOST_WORKERS: Final = 256
MOST_EVENTS: Final = 50


@dataclass(frozen=True, slots=True)
class Wanted:
    """The weights that workers should draw under.

    Attributes:
        name: Whose they are: a dataset, or None for the global ones.
        version: Their version.
        is_default: Whether they are the defaults, which depend on each worker's catalog.
    """

    name: str | None
    version: str
    is_default: bool = False


def worker_rows(states: Sequence[Mapping[str, Any]], wanted: Wanted) -> list[dict[str, Any]]:
    """Write each worker as plain data; None stands for what it does not say.

    Args:
        states: Their state documents.
        wanted: The weights that they should draw under.
    """
    return [_row(state, wanted) for state in states[:MOST_WORKERS]]


def applied_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Count the workers that draw under the wanted weights, and name the others.

    Workers that were not asked for a dataset yet belong to neither: they read its weights when they are.

    Args:
        rows: See `worker_rows`.
    """
    applied = sum(row["has_applied"] is True for row in rows)
    missing = [row["name"] for row in rows if row["has_applied"] is False]
    return {"workers": applied, "of": applied + len(missing), "missing": missing}


def took_ms(states: Sequence[Mapping[str, Any]], changed_ms: int) -> int | None:
    """Return how long a change took until the last worker had applied it, in ms; None where clocks do not tell.

    Args:
        states: The state documents of workers that have all applied it.
        changed_ms: When it was made, Unix time in ms by the clock of Redis.
    """
    latest = max((state.get("weights_at_ms", 0) for state in states), default=0)
    took = latest - changed_ms
    return took if 0 <= took <= _LONGEST_TOOK_MS else None


def recent_events(states: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Merge the notable events of all workers, the newest first.

    Args:
        states: Their state documents.
    """
    told = [
        {
            "at_ms": one["at_ms"],
            "worker": cut(state["consumer"]),
            **{name: one[name] for name in ("level", "event", "text")},
        }
        for state in states
        for one in state.get("events", ())
    ]
    return sorted(told, key=lambda one: (-one["at_ms"], one["worker"]))[:MOST_EVENTS]


def slowest(states: Sequence[Mapping[str, Any]], field: str) -> float | None:
    """Return the largest value of a field among workers; None if none tells it.

    Args:
        states: Their state documents.
        field: Such as `latency_p99_ms`.
    """
    return max((state[field] for state in states if state.get(field) is not None), default=None)


def _row(state: Mapping[str, Any], wanted: Wanted) -> dict[str, Any]:
    problem = str(state.get(UNREADABLE, ""))
    told = {name: _bounded(state.get(name)) for name in _TOLD}
    own = None if problem else version_shown(state, wanted.name)
    shown = None if problem or own is None else own or version_shown(state, None)
    return {
        "name": cut(state["consumer"]),
        **told,
        "version": _bounded(shown),
        "has_applied": _has_applied(state, shown, wanted),
        "problem": problem,
    }


def _bounded(value: Any) -> Any:
    return cut(value) if type(value) is str else value


def _has_applied(state: Mapping[str, Any], shown: str | None, wanted: Wanted) -> bool | None:
    """Return whether a worker draws under the wanted weights; None: that is not known, or it was not asked yet."""
    if not shown:
        return None
    return shown == wanted.version or (wanted.is_default and state.get("source") == "default")
