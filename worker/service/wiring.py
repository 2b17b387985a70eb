"""Connect the parts of a worker: the only place where loops meet adapters."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from worker.adapters.postgres.catalog import PostgresCatalog
from worker.adapters.redis.adjust import RedisAdjust
from worker.adapters.redis.client import Client
from worker.adapters.redis.feedback import trim_reports
from worker.adapters.redis.sessions import RedisSessions
from worker.adapters.redis.stats_folding import RedisFolding
from worker.adapters.redis.streams import RedisStreams
from worker.adapters.redis.weights import RedisWeights
from worker.adapters.redis.weights_writer import RedisWeightsWriter
from worker.core.draw.answer import answer
from worker.core.events import (
    ConsumersCleanupRefused,
    FeedbackTrimRefused,
    PostgresLost,
    PostgresRestored,
    RedisLost,
    RedisRestored,
    SessionLimitsRefused,
    StatsFoldingRefused,
    WeightsRevertRefused,
)
from worker.core.keys import Keys
from worker.errors import UnreadableError
from worker.ports import StreamLimits
from worker.run_dir.health import url_digest
from worker.run_dir.systemd import Systemd
from worker.service.adjuster import Adjuster
from worker.service.availability import Availability
from worker.service.catalog_feed import CatalogFeed
from worker.service.consumer import LANES, SHORTEST_BLOCK_S, Consumer, Intake, RequestLimits
from worker.service.due_steps import DueSteps
from worker.service.health_file import Identity
from worker.service.housekeeping import HousekeepingTask
from worker.service.meter import Meter
from worker.service.reclaim import Reclaim
from worker.service.reporter import Reporter
from worker.service.session_limits import LimitsWatch
from worker.service.settler import Draw, Settler
from worker.service.snapshots import CurrentSnapshots
from worker.service.step_back import StepBack
from worker.service.watchdog import Watchdog
from worker.service.weights_feed import WeightsFeed
from worker.settings.environment import systemd_variables
from worker.settings.model import Settings
from worker.ticks import Idleness

_FOLD_EVERY_S = 30.0
_TRIM_EVERY_S = 30.0
_GONE = 60  # times WORKER_CLAIM_IDLE_S: then a consumer that holds nothing belongs to no worker any more


@dataclass(frozen=True, slots=True)
class ServingOptions:
    """What the serving part of a worker depends on, beside its connections.

    Attributes:
        consumer: The worker's name in the group.
        limits: What stays in Redis.
        requests: How much is read at once, and how large a request may be.
        idle_ms: Time, in ms, after which entries of other consumers are claimed.
        max_deliveries: Deliveries after which a request is given up on.
        refresh_s: Time between two readings of the weights, in seconds.
        draw: Makes results of requests.
        streams: The adapter of the streams.
        idleness: Whether nobody asks for anything.
    """

    consumer: str
    limits: StreamLimits
    requests: RequestLimits
    idle_ms: int
    max_deliveries: int
    refresh_s: float
    draw: Draw = answer
    streams: type[RedisStreams] = RedisStreams
    idleness: Idleness = field(default_factory=Idleness)


@dataclass(frozen=True, slots=True)
class Serving:
    """The parts that serve requests out of Redis, connected; nothing runs yet."""

    current: CurrentSnapshots
    stream: RedisStreams
    weights: WeightsFeed
    steps: DueSteps
    reclaim: Reclaim
    settlers: Sequence[Settler]
    consumer: Consumer
    meter: Meter
    availability: Availability


@dataclass(frozen=True, slots=True)
class Worker:
    """The parts of a worker, connected; nothing runs yet."""

    settings: Settings
    current: CurrentSnapshots
    stream: RedisStreams
    weights: WeightsFeed
    catalog: CatalogFeed
    consumer: Consumer
    reporter: Reporter
    housekeeping: Sequence[HousekeepingTask]
    adjuster: Adjuster
    watchdog: Watchdog
    meter: Meter


def wire(settings: Settings, consumer: str, clients: Sequence[Client]) -> Worker:
    """Connect the parts of a worker.

    Args:
        settings: With both servers' URLs.
        consumer: The worker's name in the group.
        clients: Two: one does most of the work, and the other subscribes to weights.
    """
    keys = Keys(settings.prefix)
    options = _options(settings, consumer)
    serving = wire_serving(clients, keys, options, CurrentSnapshots())
    current, availability, often = serving.current, serving.availability, serving.stream.light_client
    source = _source(settings)
    source.idleness = options.idleness
    catalog = CatalogFeed(source, current, postgres_availability(), refresh_s=settings.catalog_refresh_s)
    reporter = Reporter(
        _identity(settings, consumer),
        serving.stream,
        current,
        serving.meter,
        availability=availability,
        stats_interval_s=settings.stats_interval_s,
    )
    housekeeping = _housekeeping(
        settings,
        serving.stream,
        writer=RedisWeightsWriter(clients[0], keys, defaults=lambda: current.weights.defaults, often=often),
        folding=RedisFolding(clients[0], keys),
        trim=partial(trim_reports, clients[0], keys),
        availability=availability,
    )
    rules = RedisAdjust(clients[0], keys, defaults=lambda: current.weights.defaults, often=often)
    adjuster = Adjuster(rules, current, availability)
    serving.steps.notify = adjuster.wake
    return Worker(
        settings,
        current,
        serving.stream,
        serving.weights,
        catalog,
        serving.consumer,
        reporter,
        [*housekeeping, _session_limits(settings, RedisSessions(clients[0], keys, ttl_s=_ttl_s(settings)), serving)],
        adjuster,
        Watchdog(Systemd(*systemd_variables()), reporter.state, serving.meter),
        serving.meter,
    )


def wire_serving(clients: Sequence[Client], keys: Keys, options: ServingOptions, current: CurrentSnapshots) -> Serving:
    """Connect the parts that serve requests.

    Args:
        clients: Two: one does most of the work, and the other subscribes to weights.
        keys: The names in Redis.
        options: What else the parts depend on.
        current: The snapshots to serve under.
    """
    client, subscriber = clients
    meter, availability = Meter(), redis_availability()
    stream = options.streams(client, keys=keys, consumer=options.consumer, limits=options.limits)
    weights = WeightsFeed(RedisWeights(subscriber, keys), current.weights, availability, refresh_s=options.refresh_s)
    steps = DueSteps(weights)
    reclaim = Reclaim(stream, idle_ms=options.idle_ms, max_deliveries=options.max_deliveries)
    settlers = [
        Settler(stream, current, steps=steps, reclaim=reclaim, meter=meter, draw=options.draw) for _ in range(LANES)
    ]
    intake = Intake(reclaim, StepBack(stream, current), options.requests, options.idleness)
    consumer = Consumer(stream, settlers, intake=intake, availability=availability, meter=meter)
    return Serving(current, stream, weights, steps, reclaim, settlers, consumer, meter, availability)


def redis_availability() -> Availability:
    """Return a new availability of Redis, which logs its loss and its return."""
    return Availability(lambda text: RedisLost(message=text), lambda down_s: RedisRestored(down_s=down_s))


def postgres_availability() -> Availability:
    """Return a new availability of PostgreSQL, which logs its loss and its return."""
    return Availability(lambda text: PostgresLost(message=text), lambda down_s: PostgresRestored(down_s=down_s))


def _options(settings: Settings, consumer: str) -> ServingOptions:
    """Return what the settings say about serving."""
    limits = StreamLimits(
        settings.results_maxlen,
        reply_ttl_s=max(1, round(settings.reply_ttl_s)),
        session_ttl_s=_ttl_s(settings),
        results_max_bytes=settings.results_max_bytes,
    )
    return ServingOptions(
        consumer,
        limits,
        RequestLimits(
            settings.batch,
            settings.max_size,
            settings.linger_ms / 1000,
            block_s=min(1.0, max(SHORTEST_BLOCK_S, settings.drain_timeout_s / 2)),
        ),
        idle_ms=max(1, round(settings.claim_idle_s * 1000)),
        max_deliveries=settings.max_deliveries,
        refresh_s=settings.weights_refresh_s,
    )


def _ttl_s(settings: Settings) -> int:
    """Return how long an idle session lives, in whole seconds."""
    return max(1, round(settings.session_ttl_s))


def _source(settings: Settings) -> PostgresCatalog:
    """Return the catalog's source."""
    return PostgresCatalog(
        settings.database_url.get_secret_value(),
        settings.chunks_query,
        with_durations=settings.weight_unit == "seconds",
        held=settings.catalog_columns,
    )


def _identity(settings: Settings, consumer: str) -> Identity:
    """Return who reports, and for which installation."""
    digests = (url_digest(url.get_secret_value()) for url in (settings.redis_url, settings.database_url))
    return Identity(consumer, settings.prefix, settings.run_dir, settings.weight_unit, *digests)


def _housekeeping(
    settings: Settings,
    stream: RedisStreams,
    *,
    writer: RedisWeightsWriter,
    folding: RedisFolding,
    trim: Callable[[], Awaitable[object]],
    availability: Availability,
) -> list[HousekeepingTask]:
    """Return the housekeeping tasks."""
    gone_s = _GONE * settings.claim_idle_s

    async def forget_consumers() -> None:
        await stream.forget_consumers(round(gone_s * 1000))

    async def expire_temporary() -> None:
        if problem := await writer.expire_temporary():
            raise UnreadableError(problem)

    refresh_s = settings.weights_refresh_s
    return [
        HousekeepingTask(
            "counts of mixtures", folding.fold, availability, every_s=_FOLD_EVERY_S, refusal=StatsFoldingRefused
        ),
        HousekeepingTask(
            "weights returns", expire_temporary, availability, every_s=refresh_s, refusal=WeightsRevertRefused
        ),
        HousekeepingTask(
            "consumers", forget_consumers, availability, every_s=gone_s / 10, refusal=ConsumersCleanupRefused
        ),
        HousekeepingTask("feedback", trim, availability, every_s=_TRIM_EVERY_S, refusal=FeedbackTrimRefused),
    ]


def _session_limits(settings: Settings, sessions: RedisSessions, serving: Serving) -> HousekeepingTask:
    """Return the housekeeping task that looks at the limits of sessions, as often as statistics are logged."""
    watch = LimitsWatch(sessions, serving.current, serving.meter)
    every_s = settings.stats_interval_s
    return HousekeepingTask(
        "limits of sessions", watch.look, serving.availability, every_s=every_s, refusal=SessionLimitsRefused
    )
