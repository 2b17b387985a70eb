"""Wire the parts of a worker: the only place where loops meet adapters."""

from dataclasses import dataclass

from worker.adapters.postgres.catalog import PostgresCatalog
from worker.adapters.redis.client import Client
from worker.adapters.redis.stats_folding import RedisFolding
from worker.adapters.redis.streams import RedisStreams
from worker.adapters.redis.weights import RedisWeights
from worker.adapters.redis.weights_writer import RedisWeightsWriter
from worker.core.events import (
    ConsumersKept,
    PostgresLost,
    PostgresRestored,
    RedisLost,
    RedisRestored,
    StatsUnfolded,
    WeightsUnreturned,
)
from worker.core.keys import Keys
from worker.errors import UnreadableError
from worker.ports import StreamLimits
from worker.run_dir.health import url_digest
from worker.service.availability import Link
from worker.service.catalog_feed import CatalogFeed
from worker.service.consumer import LANES, Consumer, RequestLimits
from worker.service.housekeeping import Chore
from worker.service.journal import Journal
from worker.service.meter import Meter
from worker.service.reclaim import Recovery
from worker.service.reporter import Identity, Reporter
from worker.service.settler import Settler
from worker.service.snapshots import State
from worker.service.weights_feed import WeightsFeed
from worker.settings.model import Settings

_FOLD_EVERY_S = 30.0
_GONE = 60  # times WORKER_CLAIM_IDLE_S, after which a consumer that holds nothing is no worker's any more


@dataclass(frozen=True, slots=True)
class Worker:
    """Hold the parts of a worker, wired."""

    settings: Settings
    state: State
    stream: RedisStreams
    weights: WeightsFeed
    catalog: CatalogFeed
    consumer: Consumer
    reporter: Reporter
    chores: list[Chore]
    meter: Meter


def wire(settings: Settings, consumer: str, clients: list[Client]) -> Worker:
    """Put the parts together.

    Args:
        settings: With both servers' URLs.
        consumer: The worker's name in the group.
        clients: Two: one subscribes to weights, and the other does the rest.
    """
    client, subscriber = clients
    keys, state, meter = Keys(settings.prefix), State(), Meter()
    redis_link, postgres_link = _links()
    limits = StreamLimits(
        settings.results_maxlen,
        reply_ttl_s=max(1, round(settings.reply_ttl_s)),
        session_ttl_s=max(1, round(settings.session_ttl_s)),
        results_max_bytes=settings.results_max_bytes,
    )
    stream = RedisStreams(client, keys=keys, consumer=consumer, limits=limits)
    weights = WeightsFeed(
        RedisWeights(subscriber, keys), state.weights, redis_link, refresh_s=settings.weights_refresh_s
    )
    catalog = CatalogFeed(_source(settings), state, postgres_link, refresh_s=settings.catalog_refresh_s)
    recovery = Recovery(
        stream, idle_ms=max(1, round(settings.claim_idle_s * 1000)), max_deliveries=settings.max_deliveries
    )
    journal = Journal(meter)
    settlers = [Settler(stream, state, weights=weights, recovery=recovery, journal=journal) for _ in range(LANES)]
    consumer_loop = Consumer(
        stream,
        settlers,
        recovery=recovery,
        link=redis_link,
        meter=meter,
        limits=RequestLimits(settings.batch, settings.max_size),
    )
    identity = _identity(settings, consumer)
    reporter = Reporter(identity, stream, state, meter, link=redis_link, stats_interval_s=settings.stats_interval_s)
    chores = _chores(
        settings,
        stream,
        writer=RedisWeightsWriter(client, keys, defaults=lambda: state.weights.defaults),
        folding=RedisFolding(client, keys),
        link=redis_link,
    )
    return Worker(settings, state, stream, weights, catalog, consumer_loop, reporter, chores, meter)


def _source(settings: Settings) -> PostgresCatalog:
    """Say where the chunks are."""
    return PostgresCatalog(
        settings.database_url.get_secret_value(),
        settings.chunks_query,
        with_durations=settings.weight_unit == "seconds",
    )


def _links() -> tuple[Link, Link]:
    """Watch Redis and PostgreSQL."""
    return (
        Link(lambda text: RedisLost(message=text), lambda down_s: RedisRestored(down_s=down_s)),
        Link(lambda text: PostgresLost(message=text), lambda down_s: PostgresRestored(down_s=down_s)),
    )


def _identity(settings: Settings, consumer: str) -> Identity:
    """Say who reports, and of which installation."""
    digests = (url_digest(url.get_secret_value()) for url in (settings.redis_url, settings.database_url))
    return Identity(consumer, settings.prefix, settings.run_dir, settings.weight_unit, *digests)


def _chores(
    settings: Settings, stream: RedisStreams, *, writer: RedisWeightsWriter, folding: RedisFolding, link: Link
) -> list[Chore]:
    """Say what is to be seen to beside serving."""
    gone_s = _GONE * settings.claim_idle_s

    async def forget_consumers() -> None:
        await stream.forget_consumers(round(gone_s * 1000))

    async def expire_temporary() -> None:
        if problem := await writer.expire_temporary():
            raise UnreadableError(problem)

    refresh_s = settings.weights_refresh_s
    return [
        Chore("counts of mixtures", folding.fold, link, every_s=_FOLD_EVERY_S, refusal=StatsUnfolded),
        Chore("weights returns", expire_temporary, link, every_s=refresh_s, refusal=WeightsUnreturned),
        Chore("consumers", forget_consumers, link, every_s=gone_s / 10, refusal=ConsumersKept),
    ]
