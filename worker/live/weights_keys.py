"""What weights keys hold, parsed once for each value."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from worker.adapters.redis.client import Client
from worker.adapters.redis.weights import RedisWeights
from worker.core.keys import Keys
from worker.core.weights.in_force import UNREAD, Held, InForce, in_force, observe, source_of
from worker.core.weights.values import Weights, read_values
from worker.errors import WeightsError
from worker.ports import Reading


@dataclass(frozen=True, slots=True)
class KeyState:
    """What one weights key holds, as a worker that starts now would take it.

    Attributes:
        held: Its mark and weights.
        problem: Why its value is refused; None: it is not.
        values: The numbers as they were written; empty without valid ones.
    """

    held: Held = UNREAD
    problem: str | None = None
    values: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))


NO_KEY: Final = KeyState()
States = Mapping[str | None, KeyState]


class WeightsKeys:
    """The weights keys of the datasets that are watched, and the global one."""

    def __init__(self, client: Client, keys: Keys) -> None:
        """Read later, over a connection of its own.

        Args:
            client: Knows how to connect.
            keys: Names in Redis.
        """
        self._store = RedisWeights(client, keys)
        self._states: dict[str | None, KeyState] = {}

    def close(self) -> None:
        """Close the connection."""
        self._store.close()

    async def read(self, names: Sequence[str | None]) -> States:
        """Read the global key and those of some datasets.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        wanted = list(dict.fromkeys([None, *names]))
        readings = await self._store.read(wanted)
        self._states = {name: self._observed(name, reading) for name, reading in zip(wanted, readings, strict=True)}
        return self._states

    def _observed(self, name: str | None, reading: Reading) -> KeyState:
        before = self._states.get(name, NO_KEY)
        if before.held.mark == reading.mark:
            return before
        held, problem = observe(UNREAD, reading.mark, reading.value, source_of(name))
        if held.weights is None or reading.value is None:
            return KeyState(held, problem)
        try:
            return KeyState(held, problem, read_values(reading.value))
        except WeightsError:
            return KeyState(held, problem)


def in_force_by(states: States, name: str | None, defaults: Weights) -> tuple[InForce, str | None, KeyState]:
    """Decide what is in force under a name.

    Args:
        states: What the keys hold.
        name: A dataset, or None for the global weights.
        defaults: The weights in force while nobody has set any.

    Returns:
        What is in force for a worker that starts now; why the value that decides is refused (None: it is not); and the
        key that decides.
    """
    shared, own = states.get(None, NO_KEY), states.get(name, NO_KEY)
    held = in_force(name, None if name is None else own.held, shared.held, defaults)
    if name is None or own.held.weights is not None:
        return held, own.problem, own
    return held, own.problem or shared.problem, shared


def marks_of(states: States, name: str | None) -> tuple[bytes, bytes]:
    """Return the marks of the keys that decide what is in force under a name."""
    return states.get(None, NO_KEY).held.mark, states.get(name, NO_KEY).held.mark
