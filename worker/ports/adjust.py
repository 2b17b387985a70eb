"""What the driver of rules needs of Redis."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from worker.core.adjust.step import Found, PlannedStep
from worker.core.wire.feedback import RefusedReport, Report


class AdjustStore(Protocol):
    """Reads rules and makes their steps; see `worker.adapters.redis.adjust`."""

    async def names(self) -> Sequence[str | None]:
        """List the datasets that a rule is set for, or that something is left of one; None is the global one."""
        ...

    async def look(self, name: str | None, categories: Collection[str] = ()) -> Found:
        """Read all that is stored about the rule of one dataset, and what was heard of some categories."""
        ...

    async def look_at(self, name: str | None, units: Collection[str]) -> Found:
        """Read the same, with counts and bounds of some units; other bounds are left out."""
        ...

    async def make(self, planned: PlannedStep) -> bool:
        """Make a step; return False if something that is stored has changed since it was planned."""
        ...

    async def served(self, name: str | None) -> Mapping[str, int]:
        """Read what was heard of a dataset ever: unit, or `chunks:<category>` -> count."""
        ...

    async def author(self, found: Found) -> tuple[str, int]:
        """Find who stored the weights that a dataset's key holds, and when (Unix time in ms), by the history."""
        ...

    async def reports(self, cursor: str) -> tuple[Sequence[Report | RefusedReport], str]:
        """Read a page of reports of losses after a cursor; return them and the new cursor, as it was at the end."""
        ...
