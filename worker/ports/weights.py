"""What keeping weights fresh needs of Redis, and what settling needs of the weights."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from worker.core.weights.history import Authorship


@dataclass(frozen=True, slots=True)
class Reading:
    """What a weights key held when it was read.

    Attributes:
        mark: See `worker.core.weights.in_force.Held`.
        value: Its value; None when the key was absent or of a wrong type.
        order: Of two readings of one store, the one with the higher number is the later one.
    """

    mark: bytes
    value: bytes | None
    order: int = 0


@dataclass(frozen=True, slots=True)
class Notification:
    """A message that weights may have changed.

    Attributes:
        dataset: Whose; None for the global ones.
        resync: Notifications may have been missed: read every key again.
    """

    dataset: str | None
    resync: bool = False


class Follower(Protocol):
    """Whoever wants readings at once, in the very callback that receives them."""

    def follows(self, dataset: str | None) -> bool:
        """Whether notifications of a dataset are of interest; None is the global one."""
        ...

    def accept(self, dataset: str | None, reading: Reading) -> bool:
        """Put a reading in force; return False if that would take too long here."""
        ...


class WeightsStore(Protocol):
    """Reads weights and listens for their changes; see `worker.adapters.redis.weights`."""

    async def read(self, datasets: Sequence[str | None]) -> list[Reading]:
        """Read the keys of some datasets; None is the global one."""
        ...

    def close(self) -> None:
        """Close the connection that keys are read over."""
        ...

    async def authorships(
        self, after: str, newest_of: Sequence[str | None] = (), *, most: int = ...
    ) -> Sequence[Authorship]:
        """Read who made the changes of weights after an entry of the history, the newest first."""
        ...

    def notifications(self, follower: Follower | None = None) -> AsyncIterator[Notification]:
        """Subscribe; yield a resync for each subscription, and each notification that the follower did not accept."""
        ...


class WeightsReader(Protocol):
    """Keeps weights fresh on demand; see `worker.service.weights_feed`."""

    async def read(self, datasets: Sequence[str | None]) -> None:
        """Read some datasets' keys now; None is the global one.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        ...

    async def catch_up(self, found: Mapping[str | None, bytes], *, drawn: Mapping[str | None, bytes]) -> None:
        """Read the keys again that settling found to hold something else than a batch was drawn under.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        ...
