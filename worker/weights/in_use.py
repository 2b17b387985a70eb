"""What is in force by one weights key: what it holds, what workers draw under, and who set it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from worker.adapters.redis.client import Client
from worker.adapters.redis.stats import RedisStats
from worker.adapters.redis.weights import RedisWeights
from worker.adapters.redis.weights_writer import RedisWeightsWriter
from worker.core.keys import Keys
from worker.core.weights.history import Change
from worker.core.weights.in_force import UNREAD, InForce, in_force, observe, preset_of, source_of
from worker.core.weights.left_out import left_out
from worker.core.weights.presets import BUILT_IN_PRESETS, built_in_preset
from worker.core.weights.temporary import Return
from worker.core.weights.values import Weights, parse_weights
from worker.core.workers.ready import Ready, ready_of
from worker.core.workers.states import WorkerState, read_workers
from worker.core.workers.weights_in_use import InUse, in_use
from worker.errors import PostgresError, RedisError, SettingsError, WeightsError
from worker.settings.servers import ServerSettings, read_server_settings


@dataclass(frozen=True, slots=True)
class Survey:
    """What is in force by one weights key.

    Attributes:
        name: Dataset, preset (see `worker.core.weights.in_force.preset_name`), or None for the global weights.
        stored: What a worker that reads the keys now would draw under.
        problem: Why what the key holds is refused; None: it is not.
        workers: What live workers show.
        documents: The same as they wrote it.
        ready: Which categories have READY chunks.
        uses: What workers draw under, those of most workers first; never empty.
        change: The change that put the first of these in force; None: it is not in the history.
        pending: The return of temporary weights that is to come.
    """

    name: str | None
    stored: InForce
    problem: str | None
    workers: Sequence[WorkerState]
    documents: Sequence[dict[str, Any]]
    ready: Ready
    uses: Sequence[InUse]
    change: Change | None
    pending: Return | None

    @property
    def use(self) -> InUse:
        """What most workers draw under; without any worker, what a new one would draw under."""
        return self.uses[0]


async def make_survey(client: Client, keys: Keys, settings: ServerSettings | None, name: str | None) -> Survey:
    """Find out what is in force by one weights key.

    Args:
        client: A connection.
        keys: Names in Redis.
        settings: See `find_ready`.
        name: Whose weights, see `Survey`.

    Raises:
        RedisError: Redis did not answer, or refused.
    """
    documents = await RedisStats(client, keys).workers()
    workers = read_workers(documents)
    ready = await find_ready(workers, settings)
    stored, problem = await read_stored(client, keys, name, ready.defaults)
    uses = in_use(name, stored, workers)
    writer = RedisWeightsWriter(client, keys)
    change, pending = await newest_change(client, keys, uses[0]), await writer.pending(stored.dataset)
    if pending is not None and (stored.dataset, pending.mark.encode()) not in stored.marks:
        pending = None
    uses = [await _with_shares(writer, use) for use in uses]
    return Survey(name, stored, problem, workers, documents, ready, uses, change, pending)


async def live_workers(client: Client, keys: Keys) -> list[WorkerState]:
    """Read the states of live workers.

    Raises:
        RedisError: Redis did not answer, or refused.
    """
    return read_workers(await RedisStats(client, keys).workers())


async def find_ready(workers: Sequence[WorkerState], settings: ServerSettings | None) -> Ready:
    """Find out which categories have READY chunks: from the workers, else from PostgreSQL where its URL is given.

    Args:
        workers: What live workers show.
        settings: Those of this process; None: PostgreSQL is not asked.
    """
    told = ready_of(workers)
    if told.known is not None or settings is None:
        return told
    try:
        url = read_server_settings(need=["database"]).database_url
    except SettingsError:
        return replace(told, problem=f"{told.problem}, and no DATABASE_URL is given that is accepted")
    from worker.adapters.postgres.catalog import PostgresCatalog  # noqa: PLC0415 - numpy and asyncpg, here alone

    try:
        unit = unit_of(workers) or settings.weight_unit
        source = PostgresCatalog(url, settings.chunks_query, with_durations=unit == "seconds")
        return Ready((await source.load()).catalog.ready)
    except PostgresError as error:
        return replace(told, problem=f"{told.problem}, and {error}")


async def try_to_find_ready(
    client: Client, keys: Keys, settings: ServerSettings | None, worker_keys: Sequence[bytes] | None = None
) -> Ready:
    """Find out which categories have READY chunks, for a change that is made whether that is known or not.

    Args:
        client: A connection.
        keys: Names in Redis.
        settings: See `find_ready`.
        worker_keys: Keys of the states of live workers; None: all keys of the database are looked through for them.
    """
    stats = RedisStats(client, keys)
    try:
        states = await stats.workers() if worker_keys is None else await stats.states(worker_keys)
        return await find_ready(read_workers(states), settings)
    except RedisError as error:
        return Ready(None, is_whole=False, problem=str(error))


def unit_of(workers: Sequence[WorkerState]) -> str | None:
    """Return the unit of weights of live workers; None if none runs."""
    return workers[0].weight_unit if workers else None


async def read_stored(client: Client, keys: Keys, name: str | None, defaults: Weights) -> tuple[InForce, str | None]:
    """Read the weights as a new worker would; return also why the value that decides is refused, if it is.

    Raises:
        RedisError: Redis did not answer, or refused.
    """
    return (await read_all_stored(client, keys, [name], defaults))[0]


async def read_all_stored(
    client: Client, keys: Keys, names: Sequence[str | None], defaults: Weights
) -> list[tuple[InForce, str | None]]:
    """Read the weights of several names as `read_stored` does.

    Raises:
        RedisError: Redis did not answer, or refused.
    """
    store = RedisWeights(client, keys)
    try:
        first, *others = await store.read([None, *names])
    finally:
        store.close()
    shared, shared_problem = observe(UNREAD, first.mark, first.value, source_of(None))
    found: list[tuple[InForce, str | None]] = []
    for name, reading in zip(names, others, strict=True):
        own, problem = observe(UNREAD, reading.mark, reading.value, source_of(name))
        held = in_force(name, None if name is None else own, shared, defaults)
        found.append((held, problem or (None if own.weights else shared_problem)))
    return found


async def mixes_left_out(
    client: Client, keys: Keys, names: Sequence[str | None], workers: Sequence[WorkerState]
) -> dict[str | None, InUse]:
    """Find the names whose weights in force leave out a category, because it has no READY chunks.

    Args:
        client: A connection.
        keys: Names in Redis.
        names: Datasets, presets, or None for the global weights.
        workers: What live workers show.

    Raises:
        RedisError: Redis did not answer, or refused.
    """
    ready = ready_of(workers)
    known = ready.known
    if known is None:
        return {}
    stored = await read_all_stored(client, keys, names, ready.defaults)
    found: dict[str | None, InUse] = {}
    for name, (held, _) in zip(names, stored, strict=True):
        preset = preset_of(name)
        if preset in BUILT_IN_PRESETS:
            held = InForce(name, built_in_preset(preset, known), ())  # noqa: PLW2901 - it has no key
        use = in_use(None if held.dataset is None else name, held, workers)[0]
        if use.shares and left_out(use.shares, known):
            found[name] = use
    return found


async def newest_change(client: Client, keys: Keys, use: InUse) -> Change | None:
    """Find the newest change that put some weights in force; None if the history has none.

    Raises:
        RedisError: Redis did not answer, or refused.
    """
    async for change in RedisWeightsWriter(client, keys).history():
        if change.name == use.name and change.version_after == use.version:
            return change
    return None


async def _with_shares(writer: RedisWeightsWriter, use: InUse) -> InUse:
    """Look up weights by their version in the history, if neither the key nor a worker shows them."""
    if use.shares is not None:
        return use
    async for change in writer.history():
        for version, text in ((change.version_after, change.after), (change.version_before, change.before)):
            if version == use.version and text:
                return replace(use, shares=_shares(text), source=use.source or source_of(change.name))
    return use


def _shares(text: str) -> dict[str, float] | None:
    try:
        weights = parse_weights(text.encode(), "redis")
    except WeightsError:
        return None
    return None if weights is None else dict(weights.shares)
