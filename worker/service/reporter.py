"""What a worker reports: its state every second and after each change of weights, and statistics every so often."""

import json
import math
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.lowlevel

from worker.core.catalog import Catalog, largest_categories
from worker.core.events import CategoryStats, HealthWriteFailed, WorkerListingRefused, WorkerStats
from worker.core.stats import read_counts
from worker.core.weights.in_force import preset_name
from worker.core.weights.presets import BUILT_IN_PRESETS, built_in_preset
from worker.core.weights.values import Weights
from worker.errors import GroupMissingError, RedisError, RefusedError
from worker.logs.emit import RateLimited, dropped_lines, emit
from worker.ports import Backlog, Presence
from worker.run_dir.health import SERVING, Health, health_path, write_health
from worker.run_dir.processes import process_start
from worker.service.availability import Availability
from worker.service.meter import Interval, Meter
from worker.service.mix_watch import MixWatch
from worker.service.shared_consumer import Namesake
from worker.service.snapshots import CurrentSnapshots

HEARTBEAT_S = 1.0
_NEWS_EVERY_S = 0.05  # weights may change a thousand times a second
_DATASETS_SHOWN = 64
_CATEGORIES_SHOWN = 1024
_STUCK_AFTER_S = 5.0
_LINES_AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class Identity:
    """The worker that reports.

    Attributes:
        consumer: The worker's name in the group.
        prefix: Start of its names in Redis.
        run_dir: Where its health file lives.
        weight_unit: What weights are shares of: `chunks` or `seconds`.
        redis: Digest of the URL of Redis, see `worker.run_dir.health.url_digest`.
        database: The same of PostgreSQL.
    """

    consumer: str
    prefix: str
    run_dir: Path
    weight_unit: str = "chunks"
    redis: str = ""
    database: str = ""


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
        self._started = process_start(os.getpid())
        self._presence = presence
        self._current = current
        self._meter = meter
        self._availability = availability
        self._stats_interval_s = stats_interval_s
        self._unwritten = RateLimited(interval_s=60.0, burst=1)
        self._refused = RateLimited(interval_s=60.0, burst=1)
        self._namesake = Namesake(identity.consumer)
        self._mix = MixWatch(current)
        self._phase = "starting"
        self._shown: tuple[str, Mapping[str, int]] = ("", {})
        self._news = anyio.Event()
        current.weights.watch(self._wake)

    async def run(self) -> None:
        """Report until cancelled."""
        stats_due = time.monotonic() + self._stats_interval_s
        while True:
            beaten_at = time.monotonic()
            await self._beat()
            now = time.monotonic()
            if now >= stats_due:
                await self.log_stats()
                stats_due += self._stats_interval_s * max(1, (now - stats_due) // self._stats_interval_s + 1)
            with anyio.move_on_after(min(HEARTBEAT_S, max(0.0, stats_due - time.monotonic()))):
                await self._news.wait()
                await anyio.sleep(max(0.0, beaten_at + _NEWS_EVERY_S - time.monotonic()))
            self._news = anyio.Event()

    def enter(self, phase: str) -> None:
        """Report at once that the worker is `serving` or `draining` now."""
        self._phase = phase
        self._write_health()
        self._wake()

    def _wake(self) -> None:
        self._news.set()

    def remove_health_file(self) -> None:
        """Remove the health file, as this worker has ended in order."""
        with suppress(OSError):  # the file of a process that has ended misleads no probe
            health_path(self._identity.run_dir, self._identity.consumer).unlink(missing_ok=True)

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
                latency_p50_ms=interval.percentile_ms(0.5),
                latency_p99_ms=interval.percentile_ms(0.99),
                lag=backlog.lag if backlog else None,
                pending=backlog.pending if backlog else None,
                redrawn=interval.redrawn,
                weights_version=self._current.weights.in_force(None).weights.version,
                catalog_version=catalog.version if catalog is not None else "",
                log_lines_dropped=dropped_lines(),
            )
        )
        for number, line in enumerate(self._category_lines(interval), 1):
            emit(line)
            if number % _LINES_AT_ONCE == 0:
                await anyio.lowlevel.checkpoint()  # there may be thousands

    def _category_lines(self, interval: Interval) -> Iterator[CategoryStats]:
        ready = self._current.catalog.ready if self._current.catalog is not None else {}
        for dataset, rows in read_counts(interval.tally, interval.mixture_texts).datasets():
            weights = self._weights_of(dataset, ready)
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

    def _weights_of(self, dataset: str, ready: Mapping[str, int]) -> Weights:
        """Return the weights of a dataset's counts, or of a preset's; "" are the global ones."""
        held = self._current.weights.held(dataset) if dataset else self._current.weights.shared
        preset = dataset.removeprefix(preset_name(""))
        if preset != dataset and preset in BUILT_IN_PRESETS:
            return built_in_preset(preset, ready)
        return held.weights or self._current.weights.in_force(None).weights

    async def _beat(self) -> None:
        """Report the state, to the health file and to Redis."""
        self._write_health()
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

    def _write_health(self) -> None:
        try:
            write_health(self._identity.run_dir, self._health())
        except OSError as error:
            message = str(error)
            self._unwritten.emit(lambda suppressed: HealthWriteFailed(message=message, suppressed=suppressed))

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

    def _health(self) -> Health:
        stuck = time.monotonic() - self._meter.progress_at > _STUCK_AFTER_S
        is_waiting = self._phase == SERVING and (stuck or not self._availability.is_up or self._current.catalog is None)
        state = "waiting" if is_waiting else self._phase
        who, pid = self._identity, os.getpid()
        return Health(pid, who.prefix, who.consumer, state, time.time(), who.redis, who.database, self._started)

    def _ready_shown(self, catalog: Catalog) -> Mapping[str, int]:
        """Return the READY chunks of the largest categories; they are counted once for each catalog."""
        version, shown = self._shown
        if version != catalog.version:
            shown = largest_categories(catalog, _CATEGORIES_SHOWN)
            self._shown = catalog.version, shown
        return shown

    def _document(self) -> str:
        """Return this worker's state as JSON: what it has applied, and when."""
        catalog, weights = self._current.catalog, self._current.weights
        shared = weights.in_force(None).weights
        return json.dumps(
            {
                "consumer": self._identity.consumer,
                "state": self._health().state,
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
                "categories": len(catalog.categories) if catalog is not None else 0,
                "ready": self._ready_shown(catalog) if catalog is not None else None,
                "requests": self._meter.requests,
                "at_ms": time.time_ns() // 1_000_000,
            }
        )
