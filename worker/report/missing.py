"""Which weighted categories had no READY chunk at the end of a log."""

from collections.abc import Sequence

from worker.report.records import MissingCategories, MixSaid, Records
from worker.report.workers import WorkerLog

_RUNNING = "running"


def missing_at_end(records: Records, workers: Sequence[WorkerLog]) -> list[tuple[str, MissingCategories]]:
    """Find what workers leave out of their draws at the end, each once, however many of them said so.

    A worker that starts says anew what is missing. So what it said in an earlier run does not count. Workers that have
    ended do not count either, unless all have.

    Args:
        records: All lines.
        workers: The workers of these lines.

    Returns:
        Datasets ("" are the global weights) and their missing categories, by dataset.
    """
    last: dict[tuple[str, str], MixSaid] = {}
    for said in sorted(records.mixes_said, key=lambda said: said.at):
        last[said.worker, said.dataset] = said
    is_any_running = any(worker.runs[-1].ending == _RUNNING for worker in workers)
    began = {
        worker.worker: worker.runs[-1].start
        for worker in workers
        if worker.runs[-1].ending == _RUNNING or not is_any_running
    }
    found = {
        (said.dataset, said.missing): None
        for said in last.values()
        if said.missing is not None and said.at >= began.get(said.worker, float("inf"))
    }
    return sorted(found, key=lambda one: one[0])
