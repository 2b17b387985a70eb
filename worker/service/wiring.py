"""Connect the parts of a worker: the only place where loops meet adapters."""

from dataclasses import dataclass

from worker.adapters.postgres.catalog import PostgresCatalog
from worker.adapters.redis.client import Client
from worker.adapters.redis.stats_folding import RedisFolding
from worker.adapters.redis.streams import RedisStreams
from worker.adapters.redis.weights import RedisWeights
from worker.adapters.redis.weights_writer import RedisWeightsWriter
from worker.core.events import (
    ConsumersCleanupRefused,
    PostgresLost,
    PostgresRestored,
    RedisLost,
    RedisRestored,
    StatsFoldingRefused,
    WeightsRevertRefused,
)
from worker.core.keys import Keys
from worker.errors import UnreadableError
from worker.ports import StreamLimits
from worker.run_dir.health import url_digest
from worker.service.availability import Availability
from worker.service.catalog_feed import CatalogFeed
from worker.service.consumer import LANES, Consumer, RequestLimits
from worker.service.housekeeping import HousekeepingTask
from worker.service.meter import Meter
from worker.service.reclaim import Reclaim
from worker.service.reporter import Identity, Reporter
from worker.service.settler import Settler
from worker.service.snapshots import CurrentSnapshots
from worker.service.weights_feed import WeightsFeed
from worker.settings.model import Settings

_FOLD_EVERY_S = 30.0
_GONE = 60  # times WORKER_CLAIM_IDLE_S, after which a consumer that holds nothing is no worker's any more


@dataclass(frozen=True, slots=True)
class Worker:
    """The connected parts of a worker."""

    settings: Settings
    current: CurrentSnapshots
    stream: RedisStreams
    weights: WeightsFeed
    catalog: CatalogFeed
    consumer: Consumer
    reporter: Reporter
    housekeeping: list[HousekeepingTask]
    meter: Meter


def wire(settings: Settings, consumer: str, clients: list[Client]) -> Worker:
    """Connect the parts of a worker.

    Args:
        settings: With both servers' URLs.
        consumer: The worker's name in the group.
        clients: Two: one subscribes to weights, and the other does the rest.
    """
    client, subscriber = clients
    keys, current, meter = Keys(settings.prefix), CurrentSnapshots(), Meter()
    redis_availability, postgres_availability = _availabilities()
    limits = StreamLimits(
        settings.results_maxlen,
        reply_ttl_s=max(1, round(settings.reply_ttl_s)),
        session_ttl_s=max(1, round(settings.session_ttl_s)),
        results_max_bytes=settings.results_max_bytes,
    )
    stream = RedisStreams(client, keys=keys, consumer=consumer, limits=limits)
    weights = WeightsFeed(
        RedisWeights(subscriber, keys), current.weights, redis_availability, refresh_s=settings.weights_refresh_s
    )
    catalog = CatalogFeed(_source(settings), current, postgres_availability, refresh_s=settings.catalog_refresh_s)
    reclaim = Reclaim(
        stream, idle_ms=max(1, round(settings.claim_idle_s * 1000)), max_deliveries=settings.max_deliveries
    )
    settlers = [Settler(stream, current, weights=weights, reclaim=reclaim, meter=meter) for _ in range(LANES)]
    consumer_loop = Consumer(
        stream,
        settlers,
        reclaim=reclaim,
        availability=redis_availability,
        meter=meter,
        limits=RequestLimits(settings.batch, settings.max_size),
    )
    identity = _identity(settings, consumer)
    reporter = Reporter(
        identity, stream, current, meter, availability=redis_availability, stats_interval_s=settings.stats_interval_s
    )
    housekeeping = _housekeeping(
        settings,
        stream,
        writer=RedisWeightsWriter(client, keys, defaults=lambda: current.weights.defaults),
        folding=RedisFolding(client, keys),
        availability=redis_availability,
    )
    return Worker(settings, current, stream, weights, catalog, consumer_loop, reporter, housekeeping, meter)


def _source(settings: Settings) -> PostgresCatalog:
    """Return the source of the chunks."""
    return PostgresCatalog(
        settings.database_url.get_secret_value(),
        settings.chunks_query,
        with_durations=settings.weight_unit == "seconds",
    )


def _availabilities() -> tuple[Availability, Availability]:
    """Return the availability of Redis and of PostgreSQL."""
    return (
        Availability(lambda text: RedisLost(message=text), lambda down_s: RedisRestored(down_s=down_s)),
        Availability(lambda text: PostgresLost(message=text), lambda down_s: PostgresRestored(down_s=down_s)),
    )


def _identity(settings: Settings, consumer: str) -> Identity:
    """Return who reports, and of which installation."""
    digests = (url_digest(url.get_secret_value()) for url in (settings.redis_url, settings.database_url))
    return Identity(consumer, settings.prefix, settings.run_dir, settings.weight_unit, *digests)


def _housekeeping(
    settings: Settings,
    stream: RedisStreams,
    *,
    writer: RedisWeightsWriter,
    folding: RedisFolding,
    availability: Availability,
) -> list[HousekeepingTask]:
    """Return the tasks that run beside serving."""
    gone_s = _GONE * settings.claim_idle_s

    async def forget_consumers() -> None:
        await stream.forget_consumers(round(gone_s * 1000))

    async def give_back() -> None:
        if problem := await writer.give_back():
            raise UnreadableError(problem)

    refresh_s = settings.weights_refresh_s
    return [
        HousekeepingTask(
            "counts of mixtures", folding.fold, availability, every_s=_FOLD_EVERY_S, refusal=StatsFoldingRefused
        ),
        HousekeepingTask("weights returns", give_back, availability, every_s=refresh_s, refusal=WeightsRevertRefused),
        HousekeepingTask(
            "consumers", forget_consumers, availability, every_s=gone_s / 10, refusal=ConsumersCleanupRefused
        ),
    ]
