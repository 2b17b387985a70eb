"""Which categories have READY chunks, as far as live workers say so."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from worker.core.weights.values import Weights, defaults_for
from worker.core.workers.states import WorkerState

_NOBODY: Final = "no worker runs"


@dataclass(frozen=True, slots=True)
class Ready:
    """The categories that have READY chunks, as far as they are known.

    Attributes:
        categories: Category -> READY chunks; None: not known.
        is_whole: Whether these are all. Otherwise a category that is not listed may have READY chunks.
        problem: Why they are not all known; empty: they are.
    """

    categories: Mapping[str, int] | None
    is_whole: bool = True
    problem: str = ""

    @property
    def known(self) -> Mapping[str, int] | None:
        """Return all categories that have READY chunks; None if some may not be known."""
        return self.categories if self.is_whole else None

    def count(self, name: str) -> int | None:
        """Return how many READY chunks a category has; None: not known."""
        return (self.categories or {}).get(name, 0 if self.is_whole and self.categories is not None else None)

    @property
    def defaults(self) -> Weights:
        """Return the weights in force while nobody has set any."""
        return defaults_for(frozenset(self.known or ()))


UNKNOWN: Final = Ready(None, is_whole=False)
"""What is known where nobody was asked."""


def ready_of(workers: Sequence[WorkerState]) -> Ready:
    """Find the categories with READY chunks, by the worker whose catalog came into force last.

    Args:
        workers: The states of live workers.
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
