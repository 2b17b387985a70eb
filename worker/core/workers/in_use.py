"""What live workers show of themselves, and what that says of the weights that they draw under.

A key tells what somebody stored, and the workers tell what is in force: the two differ while a value is refused, and
for a moment after each change. People are shown what is in force.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from worker.core.weights.values import InForce, Weights, default_weights, defaults_for
from worker.core.workers.documents import UNREADABLE, short_name

_NOBODY: Final = "no worker runs"


@dataclass(frozen=True, slots=True)
class WorkerState:
    """Hold what one worker shows; what it does not tell is empty.

    Attributes:
        consumer: Its name.
        weight_unit: What its weights are shares of.
        version: Version of its global weights.
        source: Where these come from; empty where it does not say.
        datasets: Dataset or preset that it was asked for lately -> version by its own key; empty: none.
        datasets_more: The same of those that were asked for before, by the short forms of their names.
        kept: Dataset or preset whose key's value it refuses, "" for the global weights -> the last valid weights.
        catalog_version: Version of its catalog; empty before the first.
        catalog_at_ms: When that came into force, Unix time in ms.
        chunks: READY chunks of it.
        ready: Category -> READY chunks, the largest; None where it does not say.
        categories: How many there are.
    """

    consumer: str
    weight_unit: str
    version: str
    source: str
    datasets: Mapping[str, str]
    datasets_more: Mapping[str, str]
    kept: Mapping[str, Mapping[str, float]]
    catalog_version: str
    catalog_at_ms: int
    chunks: int
    ready: Mapping[str, int] | None
    categories: int

    def version_by(self, name: str | None) -> str | None:
        """Tell which version is in force here by a weights key, empty: none; None where it does not hold that key."""
        return self.version if name is None else self.datasets.get(name, self.datasets_more.get(short_name(name)))


def read_workers(documents: Iterable[Mapping[str, Any]]) -> list[WorkerState]:
    """Read what workers show; those that cannot be read are left out.

    Args:
        documents: Their states, see `worker.core.workers.documents.read_state`.
    """
    return [_read_worker(document) for document in documents if UNREADABLE not in document]


def _read_worker(document: Mapping[str, Any]) -> WorkerState:
    return WorkerState(
        consumer=document["consumer"],
        weight_unit=document.get("weight_unit", "chunks"),
        version=document.get("weights_version", ""),
        source=document.get("source", ""),
        datasets=document.get("datasets", {}),
        datasets_more=document.get("datasets_more", {}),
        kept=document.get("kept", {}),
        catalog_version=document.get("catalog_version") or "",
        catalog_at_ms=document.get("catalog_at_ms", 0),
        chunks=document.get("chunks", 0),
        ready=document.get("ready"),
        categories=document.get("categories", 0),
    )


@dataclass(frozen=True, slots=True)
class Ready:
    """Hold which categories have READY chunks, as far as that is known.

    Attributes:
        categories: Category -> READY chunks; None: not known.
        is_whole: Whether these are all; else a category that is not among them may have some.
        problem: Why it is not known, or not wholly; empty: it is.
    """

    categories: Mapping[str, int] | None
    is_whole: bool = True
    problem: str = ""

    @property
    def known(self) -> Mapping[str, int] | None:
        """Tell all categories that have READY chunks; None where some may not be known."""
        return self.categories if self.is_whole else None

    @property
    def defaults(self) -> Weights:
        """Tell what holds where nobody set weights."""
        return defaults_for(frozenset(self.known or ()))


def ready_of(workers: Sequence[WorkerState]) -> Ready:
    """Tell which categories have READY chunks, by the worker whose catalog came into force last.

    Args:
        workers: What live workers show.
    """
    told = [worker for worker in workers if worker.ready is not None]
    if not told:
        return Ready(None, is_whole=False, problem="no worker has read the catalog yet" if workers else _NOBODY)
    newest = max(told, key=lambda worker: worker.catalog_at_ms)
    categories = newest.ready or {}
    if newest.categories > len(categories):
        why = f"workers name {len(categories):,} of the {newest.categories:,} categories"
        return Ready(categories, is_whole=False, problem=why)
    return Ready(categories)


@dataclass(frozen=True, slots=True)
class InUse:
    """Hold some weights that workers draw under.

    Attributes:
        version: Their version.
        source: Where they come from, as a result's `weights_source` says; empty where it is not known.
        shares: Category -> weight; None where they are not known.
        workers: Who draws under them; empty: a worker that reads the key now would.
        name: Whose they are: the dataset's or preset's own, or the global ones (None).
    """

    version: str
    source: str
    shares: Mapping[str, float] | None
    workers: tuple[str, ...]
    name: str | None


def in_use(name: str | None, stored: InForce, workers: Sequence[WorkerState]) -> list[InUse]:
    """Tell which weights workers draw under for a dataset or globally, those of most workers first.

    Args:
        name: Dataset, preset (see `worker.core.weights.values.preset_name`), or None for the global weights.
        stored: What a worker that reads the keys now would draw under.
        workers: What live workers show.

    Returns:
        Weights by version; where no worker holds those of that name, what one would draw under that is asked now.
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
    """Find the weights of a version: those that are stored, the defaults, or what the workers kept."""
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


def disagreement(workers: Iterable[WorkerState]) -> str | None:
    """Tell in a sentence that live workers go by different units of weights; None: they agree."""
    units = {worker.consumer: worker.weight_unit for worker in workers}
    if len(set(units.values())) <= 1:
        return None
    listed = ", ".join(f"{consumer} has {unit}" for consumer, unit in sorted(units.items()))
    return f"live workers differ in WORKER_WEIGHT_UNIT: {listed}; accepted: the same on all workers of a prefix"
