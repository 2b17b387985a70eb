"""The life cycle of a worker: the only signal handling, and the task group of its loops."""

import gc
import os
import platform
import signal
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import anyio
from anyio.abc import TaskGroup

from worker.adapters.redis.client import connect
from worker.core.events import (
    CatalogMissing,
    RedisLost,
    SettingsIgnored,
    WorkerDraining,
    WorkerFailed,
    WorkerListingRefused,
    WorkerReady,
    WorkerStarted,
    WorkerStopped,
)
from worker.core.redaction import redact
from worker.core.workers.state_document import read_state
from worker.core.workers.states import WIRE_VERSION, read_workers, versions_apart
from worker.errors import LoopEndedError, RedisError, RefusedError, SettingsError
from worker.logs import emit as logs
from worker.logs.emit import emit
from worker.run_dir.consumer_name import consumer_name
from worker.run_dir.folder import prepare_run_dir
from worker.run_dir.health import SERVING
from worker.service.supervisor import keep, name_causes, unending
from worker.service.wiring import Worker, wire
from worker.settings.environment import journal_stream, list_unknown_names
from worker.settings.model import Settings
from worker.version import own_version

_REDIS_TIMEOUT_S = 5.0
_WITHOUT_CATALOG = (
    "no catalog could be read yet, postgres.lost says why; until then requests get catalog_unavailable, or are left to "
    "workers that have a catalog"
)
_CLEANUP_S = 2.0
_FLUSH_S = 2.0
_LARGEST_KEPT = 4 << 20  # a batch frees blocks of up to 2 MB; from 4 MiB on NumPy asks for huge pages


def run_worker(settings: Settings) -> int:
    """Serve until told to stop.

    Args:
        settings: With both servers' URLs.

    Returns:
        The exit status: 0 stopped in order, 1 a bug, or something was left unfinished.

    Raises:
        SettingsError: The run directory or a URL cannot be used.
    """
    with consumer_name(prepare_run_dir(settings.run_dir), settings.consumer) as consumer:
        logs.configure(
            settings.log_level, settings.log_format, context={"consumer": consumer}, journal=journal_stream()
        )
        try:
            return anyio.run(_serve, settings, consumer)
        finally:
            logs.shutdown(_FLUSH_S)


async def _serve(settings: Settings, consumer: str) -> int:
    """Run the worker's life cycle: start, serve, drain, stop."""
    started_at = time.monotonic()
    _log_start(settings, consumer)
    async with _open(settings, consumer) as worker:
        await _check_neighbours(worker, consumer)
        patience_s = _CLEANUP_S
        try:
            reason, patience_s = await _live(worker, consumer, started_at)
        except Exception as error:  # noqa: BLE001 - a bug ends the process, and the log says so
            names, message = name_causes(error)
            reason = f"a bug: {names}"
            emit(WorkerFailed(error=names, message=message, traceback="".join(traceback.format_exception(error))))
        await _remove_presence(worker, patience_s)
        exit_status = 0 if reason == "drained" else 1
        meter = worker.meter
        emit(
            WorkerStopped(
                reason=reason,
                exit_status=exit_status,
                requests=meter.requests,
                chunks=meter.chunks,
                uptime_s=time.monotonic() - started_at,
            )
        )
        return exit_status


async def _check_neighbours(worker: Worker, consumer: str) -> None:
    """Refuse to serve beside workers of a release that is too far from this one, if Redis shows them now.

    Raises:
        SettingsError: The versions are too far apart.
    """
    try:
        found = await worker.stream.other_workers()
    except RedisError:
        return  # the loops meet the same error, tell it, and begin again
    others = read_workers(read_state(name, state) for name, state in found.items())
    versions = {other.consumer: other.wire_version for other in others}
    if problem := versions_apart({**versions, consumer: WIRE_VERSION}):
        raise SettingsError(problem)


async def _live(worker: Worker, consumer: str, started_at: float) -> tuple[str, float]:
    """Run the loops from start to stop; return why they ended, and how long (s) the cleanup may wait for Redis."""
    reason, left_s = "", 0.0
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with anyio.create_task_group() as loops:
            loops.start_soon(keep, "signals", partial(_watch_signals, signals, worker, loops.cancel_scope))
            await unending(partial(_start, worker, loops, consumer, started_at), may_end=lambda: True)
            await keep("requests", worker.consumer.run, may_end=lambda: worker.consumer.is_stopping)
            reason, left_s = "drained", loops.cancel_scope.deadline - anyio.current_time()
            loops.cancel_scope.cancel()
    if not worker.consumer.is_stopping:
        raise LoopEndedError("the loops ended, and no signal had come")
    patience_s = max(0.0, min(_CLEANUP_S, left_s))
    await worker.reporter.log_stats(patience_s)
    return reason or "stopped by a second signal, or not drained in time", patience_s


async def _start(worker: Worker, loops: TaskGroup, consumer: str, started_at: float) -> None:
    """Start every loop but the one that serves, each after those it needs; wait until requests can be served."""
    loops.start_soon(keep, "reporter", worker.reporter.run)
    loops.start_soon(keep, "watchdog", worker.watchdog.run)
    await _start_feed(loops, "weights", worker.weights.run)
    for task in worker.housekeeping:
        loops.start_soon(keep, task.name, task.run)
    await _start_feed(loops, "catalog", worker.catalog.run)
    loops.start_soon(keep, "rules", worker.adjuster.run)
    await worker.consumer.open()
    await _wait_for_catalog(worker)
    worker.reporter.enter(SERVING)
    await worker.reporter.wait_shown()  # whoever reads that it is ready finds it among the workers
    worker.watchdog.look()
    _log_ready(worker, consumer, started_at)
    _tune_gc()
    _raise_malloc_threshold()


class _FirstLoad:
    """The first report of a feed that it has loaded; a feed that starts again reports again."""

    def __init__(self) -> None:
        self.came = anyio.Event()

    def started(self, _value: None = None) -> None:
        self.came.set()


async def _start_feed(loops: TaskGroup, name: str, run: Callable[..., Awaitable[None]]) -> None:
    """Start a feed, and wait until its first load has succeeded or failed."""
    load = _FirstLoad()
    loops.start_soon(keep, name, partial(run, task_status=load))
    await load.came.wait()


async def _remove_presence(worker: Worker, patience_s: float) -> None:
    """Remove this worker from the list of live ones; if Redis does not answer in time, the entry expires."""
    with anyio.move_on_after(patience_s):
        try:
            await worker.stream.remove_presence()
        except RefusedError as error:
            emit(WorkerListingRefused(message=str(error), suppressed=0))
        except RedisError as error:
            emit(RedisLost(message=str(error)))


async def _watch_signals(signals: AsyncIterator[signal.Signals], worker: Worker, scope: anyio.CancelScope) -> None:
    """On the first signal, stop reading and finish what is held, within a deadline; on the second, stop everything."""
    async for number in signals:
        if worker.consumer.is_stopping:
            scope.cancel()
            await anyio.sleep_forever()
        worker.consumer.stop()
        scope.deadline = anyio.current_time() + worker.settings.drain_timeout_s
        worker.reporter.enter("draining")
        worker.watchdog.look()
        emit(WorkerDraining(signal=number.name, held=worker.consumer.held))


async def _wait_for_catalog(worker: Worker) -> None:
    """Wait a little for the first catalog, so that a slow start does not answer with errors."""
    with anyio.move_on_after(worker.settings.catalog_wait_s):
        while worker.current.catalog is None and not worker.consumer.is_stopping:
            await anyio.sleep(0.02)


@asynccontextmanager
async def _open(settings: Settings, consumer: str) -> AsyncIterator[Worker]:
    """Open the clients, connect the parts, and close everything within a deadline."""
    url = settings.redis_url.get_secret_value()
    clients = [connect(url, timeout_s=_REDIS_TIMEOUT_S) for _ in range(2)]
    worker = wire(settings, consumer, clients)
    try:
        yield worker
    finally:
        with anyio.move_on_after(_CLEANUP_S, shield=True):
            worker.reporter.remove_health_file()
            worker.stream.close()
            worker.weights.close()
            for client in clients:
                await client.aclose()


def _tune_gc() -> None:
    """Make the garbage collector run less often: reference counts alone free requests and results."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def _raise_malloc_threshold() -> None:
    """Keep memory that a batch frees for the next batch, instead of returning it to the system page by page.

    glibc raises its mmap threshold to the size of the largest block that was freed. From then on, blocks of this size
    come from its heap, and twice as much may stay unused there. Other C libraries ignore this.
    """
    bytes(_LARGEST_KEPT)


def _log_start(settings: Settings, consumer: str) -> None:
    emit(
        WorkerStarted(
            version=own_version(),
            consumer=consumer,
            pid=os.getpid(),
            prefix=settings.prefix,
            weight_unit=settings.weight_unit,
            redis=redact(settings.redis_url.get_secret_value()),
            postgres=redact(settings.database_url.get_secret_value()),
            python=platform.python_version(),
        )
    )
    if names := list_unknown_names():
        emit(SettingsIgnored(names=", ".join(names)))


def _log_ready(worker: Worker, consumer: str, started_at: float) -> None:
    catalog = worker.current.catalog
    emit(
        WorkerReady(
            consumer=consumer,
            startup_ms=(time.monotonic() - started_at) * 1000,
            weights_version=worker.current.weights.in_force(None).weights.version,
            catalog_version=catalog.version if catalog is not None else "",
            chunks=len(catalog) if catalog is not None else 0,
            categories=len(catalog.categories) if catalog is not None else 0,
        )
    )
    if catalog is None:
        emit(CatalogMissing(message=_WITHOUT_CATALOG))
