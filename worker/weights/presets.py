"""Presets: those that are built in, and those that were stored."""

from collections.abc import Mapping, Sequence
from contextlib import closing

from worker.adapters.redis.client import Client
from worker.adapters.redis.weights import RedisWeights
from worker.adapters.redis.weights_writer import RedisWeightsWriter
from worker.core.keys import Keys
from worker.core.weights.in_force import UNREAD, observe, preset_name
from worker.core.weights.presets import BUILT_IN_PRESETS, BY_READY, built_in_preset
from worker.core.weights.values import Weights


async def all_presets(
    client: Client, keys: Keys, ready: Mapping[str, int] | None = None
) -> list[tuple[str, Weights | None]]:
    """List the presets with their weights, first those that are built in.

    Args:
        client: A connection.
        keys: Names in Redis.
        ready: Category -> READY chunks; None: not known, and a preset that depends on them comes without weights.

    Returns:
        Names and weights; None for weights that are not known, not there or refused.

    Raises:
        RedisError: Redis did not answer, or refused.
    """
    names = await RedisWeightsWriter(client, keys).presets()
    stored = [weights for weights, _ in await read_presets(client, keys, names)]
    built_in = [
        (name, None if ready is None and name in BY_READY else built_in_preset(name, ready or {}))
        for name in BUILT_IN_PRESETS
    ]
    return [*built_in, *zip(names, stored, strict=True)]


async def read_presets(client: Client, keys: Keys, names: Sequence[str]) -> list[tuple[Weights | None, str | None]]:
    """Read stored presets.

    Args:
        client: A connection.
        keys: Names in Redis.
        names: Which presets.

    Returns:
        The weights of each, None for what is not there or refused; and why it is refused.

    Raises:
        RedisError: Redis did not answer, or refused.
    """
    with closing(RedisWeights(client, keys)) as reader:
        readings = await reader.read([preset_name(name) for name in names])
    seen = [observe(UNREAD, reading.mark, reading.value, "preset") for reading in readings]
    return [(held.weights, problem) for held, problem in seen]
