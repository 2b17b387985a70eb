"""Points of a schedule that name presets which people have stored."""

from worker.adapters.redis.client import Client
from worker.core.adjust.rules.points import resolve_presets
from worker.core.keys import NAME_PATTERN, Keys
from worker.weights.presets import read_presets


async def fill_points(client: Client, keys: Keys, points: object) -> object:
    """Write the weights of stored presets, as they are now, into the points of a schedule that name one.

    Args:
        client: A connection.
        keys: Names in Redis.
        points: As they are typed; what is no point stays as it is.

    Raises:
        AdjustError: A category is given twice.
        RedisError: Redis did not answer, or refused.
    """
    named: dict[str, None] = {}
    resolve_presets(points, lambda name: named.setdefault(name, None))
    names = [name for name in named if NAME_PATTERN.fullmatch(name)]
    found = await read_presets(client, keys, names)
    stored = {name: weights.shares for name, (weights, _) in zip(names, found, strict=True) if weights}
    return resolve_presets(points, stored.get)
