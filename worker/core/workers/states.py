"""The states of live workers, as typed values."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from worker.core.workers.state_document import UNREADABLE, short_name

WIRE_VERSION: Final = 1
"""The version of what workers of one group write for each other in Redis; neighbouring versions serve it together.

It is raised with each release that workers of the release before could not serve beside as it was."""

_FARTHEST: Final = 1


@dataclass(frozen=True, slots=True)
class WorkerState:
    """The state that one worker publishes; what it leaves out is empty.

    Attributes:
        consumer: Its name.
        state: What it does, such as `serving`; empty if it does not say.
        wire_version: See `WIRE_VERSION`.
        weight_unit: What its weights are shares of: chunks, or seconds.
        version: Version of its global weights.
        source: Where these come from; empty if it does not say.
        datasets: Dataset or preset that it was asked for lately -> version by its own key; empty: none.
        datasets_more: The same for the names before those, by `short_name`.
        kept: Dataset or preset whose value it refuses ("" for the global weights) -> the last valid weights.
        catalog_version: Version of its catalog; empty before the first.
        catalog_at_ms: When that catalog came into force, Unix time in ms.
        chunks: READY chunks in it.
        id_kind: Kind of their ids, `number` or `uuid`; empty without chunks, or if it does not say.
        ready: Category -> READY chunks, the largest categories; None if it does not say.
        categories: Number of categories.
        shared_with: Host and pid of another live worker of this name, which shows no state of its own; empty: none.
    """

    consumer: str
    state: str
    wire_version: int
    weight_unit: str
    version: str
    source: str
    datasets: Mapping[str, str]
    datasets_more: Mapping[str, str]
    kept: Mapping[str, Mapping[str, float]]
    catalog_version: str
    catalog_at_ms: int
    chunks: int
    id_kind: str
    ready: Mapping[str, int] | None
    categories: int
    shared_with: str

    def version_by(self, name: str | None) -> str | None:
        """Return the version in force here by a weights key (empty: none); None if it does not hold that key."""
        return self.version if name is None else self.datasets.get(name, self.datasets_more.get(short_name(name)))


def read_workers(documents: Iterable[Mapping[str, Any]]) -> list[WorkerState]:
    """Read the states of workers, without the unreadable ones.

    Args:
        documents: See `worker.core.workers.state_document.read_state`.
    """
    return [_read_worker(document) for document in documents if UNREADABLE not in document]


def disagreement(workers: Iterable[WorkerState]) -> str | None:
    """Return a sentence if live workers differ in unit of weights, or too far in wire version; None: they do not."""
    known = list(workers)
    units = {worker.consumer: worker.weight_unit for worker in known}
    if len(set(units.values())) <= 1:
        return versions_apart({worker.consumer: worker.wire_version for worker in known})
    listed = ", ".join(f"{consumer} has {unit}" for consumer, unit in sorted(units.items()))
    return f"live workers differ in WORKER_WEIGHT_UNIT: {listed}; accepted: the same on all workers of a prefix"


def namesakes(shared: Mapping[str, str]) -> str | None:
    """Return a sentence if live workers have one name, as only one of them shows its state; None: none do.

    Args:
        shared: Name -> host and pid of the other worker that has it; empty: nobody else has.
    """
    listed = ", ".join(f"{consumer} (the other one is {other})" for consumer, other in sorted(shared.items()) if other)
    if not listed:
        return None
    advice = "give each worker a WORKER_CONSUMER of its own"
    return f"two live workers have one name, and what one of them holds is not known: {listed}; {advice}"


def doubts(workers: Iterable[WorkerState]) -> list[str]:
    """Return a sentence for each doubt about live workers: they differ, or share a name."""
    known = list(workers)
    found = disagreement(known), namesakes({worker.consumer: worker.shared_with for worker in known})
    return [sentence for sentence in found if sentence is not None]


def versions_apart(versions: Mapping[str, int]) -> str | None:
    """Return a sentence if some workers cannot serve one group together; None: they can.

    Args:
        versions: Worker -> its wire version.
    """
    if not versions or max(versions.values()) - min(versions.values()) <= _FARTHEST:
        return None
    listed = ", ".join(f"{consumer} has {version}" for consumer, version in sorted(versions.items()))
    accepted = "neighbouring ones; `pip install --upgrade sampling-worker` where the older ones run"
    return f"workers of one group have wire versions too far apart: {listed}; accepted: {accepted}"


def _read_worker(document: Mapping[str, Any]) -> WorkerState:
    return WorkerState(
        consumer=document["consumer"],
        state=document.get("state", ""),
        wire_version=document.get("wire_version", 1),
        weight_unit=document.get("weight_unit", "chunks"),
        version=document.get("weights_version", ""),
        source=document.get("source", ""),
        datasets=document.get("datasets", {}),
        datasets_more=document.get("datasets_more", {}),
        kept=document.get("kept", {}),
        catalog_version=document.get("catalog_version") or "",
        catalog_at_ms=document.get("catalog_at_ms", 0),
        chunks=document.get("chunks", 0),
        id_kind=document.get("id_kind") or "",
        ready=document.get("ready"),
        categories=document.get("categories", 0),
        shared_with=document.get("shared_with", ""),
    )
