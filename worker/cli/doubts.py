"""What is doubtful about counts: workers that disagree, and weights that leave categories out."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from worker.cli.context import Opened
from worker.core.stats import Counts
from worker.core.weights.in_force import preset_name
from worker.core.workers.mix import look_at_mix
from worker.core.workers.ready import UNKNOWN, Ready, ready_of
from worker.core.workers.states import doubts
from worker.errors import RedisError
from worker.weights.in_use import live_workers, mixes_left_out

_LOOKED_AT = 64  # datasets


@dataclass(frozen=True, slots=True)
class Doubts:
    """What is doubtful about counts now.

    Attributes:
        left_out: Dataset, category and weight of each weighted category without a READY chunk.
        warnings: The same, and whatever else there is, in sentences.
        ready: What live workers have READY.
    """

    left_out: Sequence[dict[str, Any]] = ()
    warnings: Sequence[str] = ()
    ready: Ready = UNKNOWN

    @property
    def document(self) -> dict[str, Any]:
        """Return what is doubtful as plain data."""
        return {one.name: getattr(self, one.name) for one in fields(self) if one.name != "ready"}


async def look_for_doubts(opened: Opened, counts: Counts | None) -> Doubts:
    """Find what is doubtful about counts; without the right to look at workers and weights, that is said.

    Args:
        opened: The connection to Redis.
        counts: The counts of datasets; None: of a session, whose weights are its own.
    """
    names = [] if counts is None else list({row.dataset or None: None for row in counts.categories})[:_LOOKED_AT]
    try:
        workers = await live_workers(opened.client, opened.keys)
        uses = await mixes_left_out(opened.client, opened.keys, names, workers) if names else {}
    except RedisError as error:
        return Doubts(warnings=[f"whether live workers agree in WORKER_WEIGHT_UNIT is not known: {error}"])
    missing: list[dict[str, Any]] = []
    said, ready = doubts(workers), ready_of(workers)
    for name, use in uses.items():
        mix = look_at_mix(use.shares or {}, ready)
        missing += [{"dataset": name, "category": one, "share": share} for one, share in (mix.left_out or {}).items()]
        said += [f"{dataset_title(name or '')}: {sentence}" for sentence in mix.warnings]
    return Doubts(missing, said, ready)


def dataset_title(dataset: str) -> str:
    """Name the weights that were drawn under; those of a session have no name of their own."""
    preset = dataset.removeprefix(preset_name(""))
    if preset != dataset:
        return f"preset {preset}"
    return f"dataset {dataset}" if dataset else "global weights"
