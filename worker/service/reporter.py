"""What a worker reports: its state every second and after each change of weights, and statistics every so often."""

import asyncio
import json
import math
import time
from collections.abc import Iterator, Mapping

import anyio
import anyio.lowlevel

from worker.core.catalog import Catalog, largest_categories
from worker.core.events import CategoryStats, WorkerListingRefused, WorkerStats
from worker.core.stats import read_counts
from worker.core.workers.states import WIRE_VERSION
from worker.errors import GroupMissingError, RedisError, RefusedError
from worker.logs.emit import RateLimited, dropped_lines, emit, notable_events
from worker.ports import Backlog, Presence
from worker.run_dir.processes import resident_bytes
from worker.service.availability import Availability
from worker.service.drift_watch import DriftWatch, counted_weights
from worker.service.health_file import HealthFile, Identity
from worker.service.loop_lag import LoopLag
from worker.service.meter import Interval, Meter
from worker.service.mix_watch import MixWatch
from worker.service.shared_consumer import Namesake
from worker.service.snapshots import CurrentSnapshots
from worker.ticks import tick_within, wait_until
from worker.version import own_version

HEARTBEAT_S = 1.0
_NEWS_EVERY_S = 0.05  # weights may change a thousand times a second
_DATASETS_SHOWN = 64
_CATEGORIES_SHOWN = 1024
_LINES_AT_ONCE = 50


class Reporter:
    """The loop that reports this worker's state to Redis, to its health file and to the log."""

    def __init__(
        self,
        identity: Identity,
        presence: Presence,
        current: CurrentSnapshots,
        meter: Meter,
        *,
        availability: Availability,
        stats_interval_s: float,
    ) -> None:
        """Connect the parts.

        Args:
            identity: The worker that reports.
            presence: Stores the state in Redis.
            current: The snapshots to report.
            meter: The counts to report.
            availability: Is told whether Redis answers.
            stats_interval_s: Time between two statistics lines, in seconds.
        """
        self._identity = identity
        self._health = HealthFile(identity, current, meter, availability)
        self._presence = presence
        self._current = current
        self._meter = meter
        self._availability = availability
        self._stats_interval_s = stats_interval_s
        self._refused = RateLimited(interval_s=60.0, burst=1)
        self._namesake = Namesake(identity.consumer)
        self._mix = MixWatch(current)
        self._lag = LoopLag()
        self._drift = DriftWatch(current)
        self._shown: tuple[str, Mapping[str, int]] = ("", {})
        self._news, self._beaten = asyncio.Event(), anyio.Event()
        current.weights.watch(self._wake)

    async def run(self) -> None:
        """Report until cancelled."""
        with self._lag.measured():
            await self._report()

    async def _report(self) -> None:
        stats_due = time.monotonic() + self._stats_interval_s
        while True:
            beaten_at, beaten = time.monotonic(), self._beaten
            await self._beat()
            beaten.set()
            now = time.monotonic()
            if now >= stats_due:
                await self.log_stats()
                stats_due += self._stats_interval_s * max(1, (now - stats_due) // self._stats_interval_s + 1)
            await wait_until(self._news, min(tick_within(HEARTBEAT_S), stats_due))
            if (early_s := min(stats_due, beaten_at + _NEWS_EVERY_S) - time.monotonic()) > 0:
                await anyio.sleep(early_s)
            self._news = asyncio.Event()

    def enter(self, phase: str) -> None:
        """Report at once that the worker is `serving` or `draining` now."""
        self._health.enter(phase)
        self._wake()

    async def wait_shown(self) -> None:
        """Wait until Redis was told how this worker is now, or did not take it."""
        self._beaten = anyio.Event()
        await self._beaten.wait()

    def state(self) -> str:
        """Return what the health file says now."""
        return self._health.state

    def _wake(self) -> None:
        self._news.set()

    def remove_health_file(self) -> None:
        """Remove the health file, as this worker has ended in order."""
        self._health.remove()

    async def log_stats(self, patience_s: float = math.inf) -> None:
        """Log the statistics of the interval that ends now; the backlog only if Redis answers within `patience_s`."""
        interval = self._meter.begin_interval()
        backlog = None
        with anyio.move_on_after(patience_s):
            backlog = await self._backlog()
        catalog = self._current.catalog
        length = max(time.monotonic() - interval.since, 1e-9)
        emit(
            WorkerStats(
                interval_s=length,
                requests=interval.requests,
                chunks=interval.chunks,
                errors=interval.errors,
                requests_per_s=interval.requests / length,
                chunks_per_s=interval.chunks / length,
                latency_p50_ms=interval.latencies.percentile_ms(0.5),
                latency_p95_ms=interval.latencies.percentile_ms(0.95),
                latency_p99_ms=interval.latencies.percentile_ms(0.99),
                latency_max_ms=interval.latencies.longest_ms,
                lag=backlog.lag if backlog else None,
                pending=backlog.pending if backlog else None,
                oldest_pending_ms=self._age_ms(backlog),
                redrawn=interval.redrawn,
                weights_version=self._current.weights.in_force(None).weights.version,
                catalog_version=catalog.version if catalog is not None else "",
                log_lines_dropped=dropped_lines(),
                loop_lag_ms=self._lag.begin_interval(),
                memory_bytes=resident_bytes(),
            )
        )
        for number, line in enumerate(self._category_lines(interval) if interval.requests else (), 1):
            emit(line)
            if number % _LINES_AT_ONCE == 0:
                await anyio.lowlevel.checkpoint()  # there may be thousands
        for _ in self._drift.look(interval, interval.since + length):
            await anyio.lowlevel.checkpoint()

    def _age_ms(self, backlog: Backlog | None) -> int | None:
        """Return how long ago the oldest pending entry was added."""
        oldest_at_ms = None if backlog is None else backlog.oldest_at_ms
        return None if oldest_at_ms is None else max(0, self._presence.now_ms() - oldest_at_ms)

    def _category_lines(self, interval: Interval) -> Iterator[CategoryStats]:
        ready = self._current.catalog.ready if self._current.catalog is not None else {}
        for dataset, rows in read_counts(interval.tally, interval.mixture_texts).datasets():
            weights = counted_weights(self._current, dataset)
            total = sum(row.amount for row in rows)
            for row in rows:
                yield CategoryStats(
                    dataset=row.dataset or None,
                    category=row.category,
                    count=row.count,
                    audio_s=row.seconds,
                    weight=round(weights.shares.get(row.category, 0.0), 9),
                    share=round(row.amount / total, 6) if total else 0.0,
                    expected=round(row.expected, 3),
                    z=round(row.z, 3) if row.variance > 0 else None,
                    ready=ready.get(row.category, 0),
                    weights_version=weights.version,
                )

    async def _beat(self) -> None:
        """Report the state, to the health file and to Redis."""
        self._health.write()
        self._mix.look()
        try:
            self._namesake.look(await self._presence.show(self._document(), ttl_s=10))
        except RefusedError as error:
            self._log_refusal(error)  # Redis answers, so the worker goes on serving
        except RedisError as error:
            await self._availability.failed("heartbeat", str(error))
            return
        self._availability.succeeded("heartbeat")

    def _log_refusal(self, error: RefusedError) -> None:
        self._refused.emit(lambda suppressed: WorkerListingRefused(message=str(error), suppressed=suppressed))

    async def _backlog(self) -> Backlog | None:
        try:
            return await self._presence.backlog()
        except GroupMissingError:
            return None  # the group is not created yet, or the consumer will create it again
        except RefusedError as error:
            self._log_refusal(error)
        except RedisError as error:
            await self._availability.failed("heartbeat", str(error))
        return None

    def _ready_shown(self, catalog: Catalog) -> Mapping[str, int]:
        """Return the READY chunks of the largest categories; they are counted once for each catalog."""
        if self._shown[0] != catalog.version:
            self._shown = catalog.version, largest_categories(catalog, _CATEGORIES_SHOWN)
        return self._shown[1]

    def _document(self) -> str:
        """Return this worker's state as JSON: what it has applied, and when."""
        catalog, weights = self._current.catalog, self._current.weights
        shared = weights.in_force(None).weights
        return json.dumps(
            {
                "consumer": self._identity.consumer,
                "state": self._health.state,
                "version": own_version(),
                "wire_version": WIRE_VERSION,
                **self._namesake.identity(),
                "weight_unit": self._identity.weight_unit,
                "weights_version": shared.version,
                "source": shared.source,
                "weights_at_ms": weights.changed_at_ms,
                "datasets": weights.versions(_DATASETS_SHOWN),
                "datasets_more": weights.versions_beyond(_DATASETS_SHOWN),
                "kept": weights.kept(_DATASETS_SHOWN, widest=_CATEGORIES_SHOWN),
                "catalog_version": catalog.version if catalog is not None else None,
                "catalog_at_ms": self._current.catalog_at_ms,
                "chunks": len(catalog) if catalog is not None else 0,
                "id_kind": catalog.id_kind if catalog is not None else None,
                "categories": len(catalog.categories) if catalog is not None else 0,
                "ready": self._ready_shown(catalog) if catalog is not None else None,
                "requests": self._meter.requests,
                **self._vitals(),
                "events": notable_events(),
                "at_ms": time.time_ns() // 1_000_000,
            }
        )

    def _vitals(self) -> dict[str, float | None]:
        """Return how fast the worker was in the last few seconds, how late its event loop, and its memory."""
        speed = self._meter.recent.look(self._meter.requests)
        return {
            "requests_per_s": round(speed.requests_per_s, 1),
            "latency_p50_ms": speed.p50_ms,
            "latency_p99_ms": speed.p99_ms,
            "latency_max_ms": speed.longest_ms,
            "loop_lag_ms": round(self._lag.recent_ms, 3),
            "memory_bytes": resident_bytes(),
        }
