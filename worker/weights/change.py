"""What people do to weights: store, roll back, and wait until the workers have applied it."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, NamedTuple

from worker.adapters.redis.stats import RedisStats
from worker.adapters.redis.weights_writer import RedisWeightsWriter
from worker.core.weights.changes import PlannedChange, StoredWeights, WantedChange, plan_change
from worker.core.weights.history import Change, Target, Undo, Versions
from worker.core.weights.in_force import source_of
from worker.core.weights.values import default_weights, parse_weights
from worker.core.workers.state_document import UNREADABLE, version_shown
from worker.errors import StaleError, WeightsError

_FIRST_WAIT_S = 0.001
_LONGEST_WAIT_S = 0.05
_VERSIONS_NAMED = 10


class Applied(NamedTuple):
    """Which workers have applied some weights.

    Attributes:
        applied: Workers that have, by consumer.
        missing: Workers that still hold older ones.
        unasked: Workers that were not asked for this dataset yet; they read its weights when they are.
        took_s: Seconds since the change.
        namesakes: Host and pid of live workers whose state is not known, by the name that they share with others.
    """

    applied: tuple[str, ...]
    missing: tuple[str, ...]
    unasked: tuple[str, ...]
    took_s: float
    namesakes: Mapping[str, str] = MappingProxyType({})


async def change_weights(
    writer: RedisWeightsWriter,
    name: str | None,
    make: Callable[[StoredWeights], WantedChange],
    *,
    if_version: str | None = None,
) -> Change:
    """Change the weights of one key.

    Args:
        writer: Where.
        name: Whose weights, see `worker.core.weights.changes.StoredWeights`.
        make: Makes the wanted change from what is stored.
        if_version: The version that has to be in force; None: any.

    Raises:
        StaleError: Another version than `if_version` is in force; the sentence says which, and who set it.
        WeightsError: It cannot be done.
        RedisError: Redis did not answer, or refused.
    """
    stale: list[str] = []

    def decide(found: StoredWeights) -> PlannedChange | None:
        version = found.in_force.weights.version
        if if_version in {None, version}:
            return plan_change(found, make(found))
        stale.append(version)
        return None

    change = await writer.change(name, decide)
    if change is None:
        raise StaleError(await _explain_stale(writer, name, stale[-1]))
    return change


async def roll_back(
    writer: RedisWeightsWriter,
    name: str | None,
    wanted: WantedChange,
    *,
    version: str | None,
    if_version: str | None = None,
) -> Change:
    """Undo the latest change that is not undone yet, or go back to a version of the history.

    Args:
        writer: Where.
        name: Whose weights, see `worker.core.weights.changes.StoredWeights`.
        wanted: Who wants it, and why.
        version: The version; None: undo.
        if_version: The version that has to be in force; None: any.

    Raises:
        StaleError: The weights were changed meanwhile.
        WeightsError: The history has nothing to go back to.
        RedisError: Redis did not answer, or refused.
    """
    found = await look_at_version(writer, name, if_version)
    target = await _find_target(writer, found, version)
    _check(target, name)
    reason = f"rollback to {target.version or 'none'}"
    wanted = replace(
        wanted,
        value=target.value,
        reason=f"{reason}: {wanted.reason}" if wanted.reason else reason,
        undone_from=target.undone_from,
    )
    change = await writer.change(name, lambda now: plan_change(now, wanted) if now.mark == found.mark else None)
    if change is None:
        raise StaleError("the weights were changed meanwhile; accepted: the same again, after a look at the history")
    return change


async def look_at_version(writer: RedisWeightsWriter, name: str | None, if_version: str | None) -> StoredWeights:
    """Read what a change would find.

    Args:
        writer: Where.
        name: Whose weights, see `worker.core.weights.changes.StoredWeights`.
        if_version: The version that has to be in force; None: any.

    Raises:
        StaleError: Another version is in force; the sentence says which, and who set it.
        RedisError: Redis did not answer, or refused.
    """
    found = await writer.look(name)
    version = found.in_force.weights.version
    if if_version not in {None, version}:
        raise StaleError(await _explain_stale(writer, name, version))
    return found


async def wait_until_applied(
    stats: RedisStats, worker_keys: Sequence[bytes], change: Change, *, timeout_s: float
) -> Applied:
    """Wait until every live worker that holds some weights shows that they are in force.

    Args:
        stats: Reads what workers show.
        worker_keys: Keys of their states, listed before the change: a worker that starts later reads the new weights.
        change: The change that put them in force.
        timeout_s: Longest wait.

    Raises:
        RedisError: Redis did not answer, or refused.
    """
    started_at = time.monotonic()
    wait_s = _FIRST_WAIT_S
    while True:
        states = await stats.states(worker_keys)
        took_s = time.monotonic() - started_at
        found = who_applied(states, change, took_s)
        if not found.missing or took_s >= timeout_s:
            return found
        await asyncio.sleep(wait_s)
        wait_s = min(2 * wait_s, _LONGEST_WAIT_S)


def who_applied(states: Sequence[Mapping[str, Any]], change: Change, took_s: float) -> Applied:
    """Sort workers by the weights that they show.

    Args:
        states: What they show.
        change: The change that put the weights in force.
        took_s: Seconds since the change.
    """
    shown = {_name_of(state): version_shown(state, change.name) for state in states}
    unread = {_name_of(state) for state in states if UNREADABLE in state}
    # A worker's defaults depend on its catalog.
    by_default = {_name_of(state) for state in states if state.get("source") == default_weights().source}
    right = by_default if change.name is None and not change.after else set()
    right |= {name for name, version in shown.items() if version == change.version_after}
    applied = tuple(name for name in shown if name in right and name not in unread)
    unasked = tuple(name for name, version in shown.items() if version is None)
    missing = tuple(name for name in shown if name not in {*applied, *unasked})
    shared = {str(state["consumer"]): str(state["shared_with"]) for state in states if state.get("shared_with")}
    return Applied(applied, missing, unasked, took_s, shared)


def _name_of(state: Mapping[str, Any]) -> str:
    """Name a worker, and say why its state cannot be read, if it cannot."""
    why = f" (unreadable: {state[UNREADABLE]})" if UNREADABLE in state else ""
    return f"{state.get('consumer')}{why}"


def time_text(at_ms: int) -> str:
    """Write a time for people, in their own time zone; in ms if no calendar has it.

    Args:
        at_ms: Unix time in ms.
    """
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(at_ms / 1000))
    except (ValueError, OverflowError, OSError):
        return f"{at_ms} ms"


async def _find_target(writer: RedisWeightsWriter, found: StoredWeights, version: str | None) -> Target:
    held = "" if found.value is None else found.value.decode(errors="replace")
    search = Undo(found.name, held) if version is None else Versions(version)
    async for change in writer.history():
        if change.name == found.name and (target := search.look_at(change)) is not None:
            return target
    if isinstance(search, Undo):
        if search.target is not None:
            return search.target
        raise WeightsError("the history has no change left to undo; accepted: weights set, or a version of the history")
    known = list(search.seen)[:_VERSIONS_NAMED]
    there = f"the newest of the history are {', '.join(known)}" if known else "there is none in the history"
    raise WeightsError(f"version {version} is not in the history of these weights; accepted: one that is; {there}")


def _check(target: Target, name: str | None) -> None:
    """Refuse to go back to a value that workers would refuse."""
    try:
        if target.value is not None:
            parse_weights(target.value.encode(), source_of(name))
    except WeightsError as error:
        why = f"what stood there before is refused by workers: {error}"
        raise WeightsError(f"{why}; go back to a version of the history instead") from None


async def _explain_stale(writer: RedisWeightsWriter, name: str | None, version: str) -> str:
    """Write the sentence for a user whose weights were changed by somebody else meanwhile."""
    who = "somebody whose change is not in the history"
    async for change in writer.history():
        if change.name == name:
            if change.version_after == version:
                who = f"{change.who} at {time_text(change.at_ms)}"
                who += f" ({change.reason})" if change.reason else ""
            break
    return f"version {version} is in force, set by {who}; accepted: version {version}, after a look at it"
