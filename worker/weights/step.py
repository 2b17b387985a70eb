"""The step by which a verb or a program changes weights: store, note in the history, notify, wait, look."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from worker.adapters.redis.client import Client
from worker.adapters.redis.stats import RedisStats
from worker.adapters.redis.weights_writer import RedisWeightsWriter
from worker.core.keys import Keys
from worker.core.weights.history import Change
from worker.core.weights.temporary import Return
from worker.core.workers.mix import Mix, look_at_mix
from worker.settings.servers import ServerSettings
from worker.weights.change import Applied, wait_until_applied
from worker.weights.in_use import try_to_find_ready

Work = Callable[[RedisWeightsWriter], Awaitable[Change]]


class Place(NamedTuple):
    """Where weights are changed.

    Attributes:
        client: A connection.
        keys: Names in Redis.
        settings: Those of this process, which may name a library; None: only workers are asked what is READY.
    """

    client: Client
    keys: Keys
    settings: ServerSettings | None = None


class Made(NamedTuple):
    """The result of a change.

    Attributes:
        change: The change.
        applied: Who has applied it; None where that was not waited for.
        mix: What it leaves out.
        pending: The return that is to come from now on.
    """

    change: Change
    applied: Applied | None
    mix: Mix
    pending: Return | None


async def make_change(place: Place, name: str | None, work: Work, wait_s: float | None) -> Made:
    """Make a change, wait until it is applied where that is wanted, and look at what it leaves out.

    Args:
        place: Where.
        name: Whose weights, see `worker.core.weights.changes.StoredWeights`.
        work: Makes it.
        wait_s: How long to wait until the workers have applied it; None: not at all.

    Raises:
        StaleError: The weights were changed meanwhile.
        WeightsError: The change cannot be made.
        RedisError: Redis did not answer, or refused.
    """
    client, keys, settings = place
    stats = RedisStats(client, keys)
    worker_keys = [] if wait_s is None else await stats.worker_keys()
    ready = await try_to_find_ready(client, keys, settings, worker_keys if wait_s is not None else None)
    writer = RedisWeightsWriter(client, keys, defaults=lambda: ready.defaults)
    change, applied = await work(writer), None
    if wait_s is not None:
        applied = await wait_until_applied(stats, worker_keys, change, timeout_s=wait_s)
    found = await writer.look(name)
    return Made(change, applied, look_at_mix(found.in_force.weights.shares, ready), found.pending)
