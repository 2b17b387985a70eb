"""What keeping weights fresh needs of Redis, and what settling needs of those who do."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Reading:
    """Hold what a weights key held when it was read.

    Attributes:
        mark: See `worker.core.weights.in_force.Held`.
        value: Its value; None when absent or of a wrong type.
    """

    mark: bytes
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Bell:
    """Tell that weights may have changed.

    Attributes:
        dataset: Whose; None for the global ones.
        resync: Anything may have been missed: read every key again.
    """

    dataset: str | None
    resync: bool = False


Follow = Callable[[str | None], Callable[[Reading], bool] | None]
"""Tells who takes in what the key of a dataset holds, and whether he did; None where nobody asks for that dataset."""


class WeightsStore(Protocol):
    """Read weights and hear of their changes."""

    async def read(self, datasets: Sequence[str | None]) -> list[Reading]:
        """Read the keys of some datasets; None is the global one.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        ...

    def close(self) -> None:
        """Close the connection that keys are read over."""
        ...

    def bells(self, follow: Follow | None = None) -> AsyncIterator[Bell]:
        """Subscribe and yield a bell for each message, and a resync for each (re)subscription.

        Args:
            follow: Is asked at each bell who takes in what the key holds; only what nobody takes in is yielded then.

        Raises:
            RedisError: The connection is gone, or silent for too long.
        """
        ...


class WeightsReader(Protocol):
    """Keep weights fresh on demand."""

    async def read(self, datasets: Sequence[str | None]) -> None:
        """Read some datasets' keys now; None is the global one.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        ...

    @property
    def taken(self) -> int:
        """Count what was taken in so far, to tell later what is new."""
        ...

    async def apply(self, readings: Mapping[str | None, Reading], *, since: int) -> None:
        """Put in force what some keys were just found to hold, by whoever asked when so much had been taken in.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        ...
