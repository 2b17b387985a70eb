"""The weights that live workers draw under.

A key shows what somebody stored; the workers show what is in force. The two differ while a value is refused, and for a
moment after each change. People are shown what is in force.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from worker.core.weights.in_force import InForce
from worker.core.weights.values import Weights, default_weights
from worker.core.workers.ready import ready_of
from worker.core.workers.states import WorkerState


@dataclass(frozen=True, slots=True)
class InUse:
    """Some weights that workers draw under.

    Attributes:
        version: Their version.
        source: Where they come from, as `weights_source` of a result; empty if not known.
        shares: Category -> weight; None if not known.
        workers: The workers that draw under them; empty: a worker that reads the key now would.
        name: The weights name that they belong to: the dataset's or preset's own, or None for the global weights.
    """

    version: str
    source: str
    shares: Mapping[str, float] | None
    workers: tuple[str, ...]
    name: str | None


def in_use(name: str | None, stored: InForce, workers: Sequence[WorkerState]) -> list[InUse]:
    """Find the weights that workers draw under by one name, those of most workers first.

    Args:
        name: Dataset, preset (see `worker.core.weights.in_force.preset_name`), or None for the global weights.
        stored: The weights of a worker that reads the keys now.
        workers: The states of live workers.

    Returns:
        Weights by version. If no worker holds weights of that name, what a worker that is asked now would draw under.
    """
    found: dict[str, list[WorkerState]] = {}
    for worker in workers:
        version = worker.version_by(name)
        if version is not None and (version or worker.version):
            found.setdefault(version or worker.version, []).append(worker)
    groups = [_in_use(name, version, stored.weights, holders) for version, holders in found.items()]
    if not groups and name is not None and stored.dataset is None:
        return in_use(None, stored, workers)
    weights = stored.weights
    return sorted(groups, key=lambda one: (-len(one.workers), one.version)) or [
        InUse(weights.version, weights.source, weights.shares, (), stored.dataset)
    ]


def _in_use(name: str | None, version: str, stored: Weights, holders: Sequence[WorkerState]) -> InUse:
    """Find the weights of a version: the stored ones, the defaults, or those that the workers kept."""
    own = name if any(worker.version_by(name) for worker in holders) else None
    names = tuple(sorted(worker.consumer for worker in holders))
    for worker in holders:
        if shares := worker.kept.get((name or "") if worker.version_by(name) else ""):
            return InUse(version, "last_known", shares, names, own)
    if version == stored.version:
        return InUse(version, stored.source, stored.shares, names, own)
    for defaults in (default_weights(), ready_of(holders).defaults):
        if version == defaults.version:
            return InUse(version, defaults.source, defaults.shares, names, None)
    sources = {worker.source for worker in holders if worker.version == version}
    return InUse(version, sources.pop() if len(sources) == 1 else "", None, names, own)
