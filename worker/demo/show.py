"""The demo from start to end: servers, library, workers, jobs, weights changes, a killed worker, the final count."""

import os
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
from rich.console import Console

from worker.adapters.postgres.catalog import PostgresCatalog
from worker.adapters.postgres.chunks import import_chunks
from worker.adapters.postgres.migrate import migrate
from worker.adapters.redis.client import connect
from worker.adapters.redis.requests import RedisRequests
from worker.adapters.redis.weights_writer import RedisWeightsWriter
from worker.core.keys import Keys
from worker.core.weights.changes import WantedChange, plan_change
from worker.core.weights.values import Weights, normalise
from worker.core.wording import plural
from worker.demo.jobs import SIZE, TrainingJob
from worker.demo.ledger import Ledger
from worker.demo.library import describe_chunks, ready_by_id
from worker.demo.screen import Screen, summary
from worker.demo.workers import WorkerProcess
from worker.embedded import PostgresServer, RedisServer
from worker.embedded.desk_child import DeskChild
from worker.run_dir.health import SERVING, Place, find_problem
from worker.settings.environment import environment_with

JOBS = 4
MIXES = (
    {"voice": 0.7, "music": 0.2, "documentary": 0.1},
    {"voice": 0.1, "music": 0.6, "documentary": 0.1, "conference": 0.2},
    {"voice": 0.25, "music": 0.25, "documentary": 0.25, "conference": 0.15, "custom": 0.1},
)
LEAST_P = 1e-6
_START_S = 30.0
_SETTLE_S = 20.0
_TIMEOUT_S = 5.0
_REFRESH_S = 0.25
_CLAIM_IDLE_S = 0.5
_FROZEN_S = 0.1


@dataclass(frozen=True, slots=True)
class Stage:
    """The servers and workers of a running demo."""

    redis_url: str
    database_url: str
    run_dir: Path
    workers: tuple[WorkerProcess, WorkerProcess]


async def show(seconds: float, chunks: int, console: Console, *, has_desk: bool) -> bool:
    """Run the demo.

    Args:
        seconds: How long the jobs ask for samples.
        chunks: Number of chunks in the library.
        console: The console to show it on.
        has_desk: Whether a desk runs as well, opened in a browser.

    Returns:
        Whether all checks of the demo hold.
    """
    with _servers(console) as (redis_url, database_url, run_dir):
        ready = await _fill(database_url, chunks, console)
        settings = {
            "REDIS_URL": redis_url,
            "DATABASE_URL": database_url,
            "LOG_FORMAT": "json",
            "WORKER_RUN_DIR": str(run_dir),
            "WORKER_CLAIM_IDLE_S": str(_CLAIM_IDLE_S),
        }
        names = ("demo-1", "demo-2")
        workers = tuple(WorkerProcess(name, settings, run_dir / f"{name}.log") for name in names)
        stage = Stage(redis_url, database_url, run_dir, (workers[0], workers[1]))
        with ExitStack() as running:
            for worker in workers:
                worker.start()
                running.callback(worker.stop)
            for worker in workers:
                await _wait_until_serving(stage, worker, console)
            if has_desk:
                desk = DeskChild(environment_with(settings), run_dir / "desk.log")
                running.callback(desk.stop)
                await _wait_until_told(desk, console)
            return await _play(stage, Ledger(ready), seconds, console)


@contextmanager
def _servers(console: Console) -> Iterator[tuple[str, str, Path]]:
    """Start embedded servers in folders that are removed with them."""
    with ExitStack() as opened:
        folders = [Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="sampling-demo-"))) for _ in range(3)]
        began = time.monotonic()
        redis = opened.enter_context(RedisServer(folders[0]))
        console.print(f"valkey on {redis.url} after {time.monotonic() - began:.2f} s", highlight=False)
        began = time.monotonic()
        postgres = opened.enter_context(PostgresServer(folders[1]))
        console.print(f"postgresql on {postgres.url} after {time.monotonic() - began:.2f} s", highlight=False)
        yield redis.url, postgres.url, folders[2]


async def _fill(database_url: str, chunks: int, console: Console) -> dict[int | str, str]:
    """Create the schema and a library; return the READY chunks as PostgreSQL has them."""
    began = time.monotonic()
    await migrate(database_url)
    await import_chunks(database_url, describe_chunks(chunks))
    ready = ready_by_id((await PostgresCatalog(database_url, None).load()).catalog)
    took = time.monotonic() - began
    console.print(f"library of {chunks:,} chunks, {len(ready):,} of them READY, after {took:.1f} s", highlight=False)
    return ready


async def _wait_until_serving(stage: Stage, worker: WorkerProcess, console: Console) -> None:
    """Wait until a worker serves."""
    began = time.monotonic()
    with anyio.fail_after(_START_S):
        while find_problem(stage.run_dir, Place("audio"), consumer=worker.name, now=time.time()) is not None:
            await anyio.sleep(0.05)
    console.print(f"worker {worker.name} is {SERVING} after {time.monotonic() - began:.1f} s", highlight=False)


async def _wait_until_told(desk: DeskChild, console: Console) -> None:
    """Wait until a desk has said where it is, or why it is not."""
    with anyio.fail_after(_START_S):
        while not (news := desk.news()):
            await anyio.sleep(0.05)
    console.print(news, highlight=False)


@asynccontextmanager
async def _jobs(stage: Stage, ledger: Ledger) -> AsyncIterator[list[TrainingJob]]:
    """Open the connections of the training jobs. Each job has two: one waits for results while the other asks."""
    keys, clients, jobs = Keys("audio"), [], []
    try:
        for number in range(1, JOBS + 1):
            client = connect(stage.redis_url, timeout_s=_TIMEOUT_S)
            clients.append(client)
            name = f"job-{number}"
            jobs.append(TrainingJob(name, RedisRequests(client, keys, name), ledger))
        yield jobs
    finally:
        with anyio.CancelScope(shield=True):
            for client in clients:
                await client.aclose()


async def _play(stage: Stage, ledger: Ledger, seconds: float, console: Console) -> bool:
    """Run the jobs while weights change and a worker is killed; then count."""
    console.print(f"{JOBS} training jobs ask for {SIZE} chunks a request; ctrl-c ends it\n", highlight=False)
    client = connect(stage.redis_url, timeout_s=_TIMEOUT_S)
    try:
        with Screen(ledger, console) as screen:
            async with _jobs(stage, ledger) as jobs, anyio.create_task_group() as tasks:
                weights = RedisWeightsWriter(client, Keys("audio"))
                await _change_weights(weights, MIXES[0], ledger, screen)
                for job in jobs:
                    tasks.start_soon(job.collect)
                    tasks.start_soon(job.ask)
                tasks.start_soon(_keep_refreshing, screen)
                await _run(stage, weights, ledger, screen, seconds)
                lost = await _collect_rest(jobs, ledger, screen)
                tasks.cancel_scope.cancel()
    finally:
        await client.aclose()
    return _print_verdict(ledger, lost, console)


async def _run(stage: Stage, weights: RedisWeightsWriter, ledger: Ledger, screen: Screen, seconds: float) -> None:
    """Change the weights at a third and at two thirds of the time, and kill a worker in between."""
    victim = stage.workers[0]
    await anyio.sleep(seconds / 3)
    await _change_weights(weights, MIXES[1], ledger, screen)
    await anyio.sleep(seconds / 6)
    victim.freeze()
    await anyio.sleep(_FROZEN_S)
    victim.kill()
    screen.note(f"worker {victim.name} killed with SIGKILL in the middle of its work")
    await anyio.sleep(seconds / 6)
    taken = plural(stage.workers[1].claimed(), "request")
    screen.note(f"worker {stage.workers[1].name} has taken over {taken} that it held")
    victim.start()
    screen.note(f"worker {victim.name} started again")
    await _change_weights(weights, MIXES[2], ledger, screen)
    await anyio.sleep(seconds / 3)


async def _change_weights(weights: RedisWeightsWriter, mix: dict[str, float], ledger: Ledger, screen: Screen) -> None:
    """Set weights, and show how long it took until a job received a first draw under them."""
    chosen = normalise(mix, "redis")
    assert chosen is not None  # noqa: S101 - the mixes above are not all zero
    if ledger.moves:
        screen.print_move(ledger.moves[-1])
    ledger.begin_move(chosen)
    wanted = WantedChange(chosen.text, who=f"demo {os.getpid()}", reason="demo")
    await weights.change(None, lambda found: plan_change(found, wanted))
    ledger.end_move()
    move = ledger.moves[-1]
    if len(ledger.moves) == 1:
        screen.note(f"weights {_mix_text(chosen)}")
        return
    with anyio.move_on_after(_SETTLE_S):
        while move.first_draw_s is None:
            await anyio.sleep(0.001)
    took = "no draw under them came" if move.first_draw_s is None else f"{move.first_draw_s * 1000:.1f} ms"
    screen.note(f"weights {_mix_text(chosen)}: first draw under them in a job's hands after {took}")


def _mix_text(weights: Weights) -> str:
    """Write weights for people."""
    return ", ".join(f"{name} {share:.0%}" for name, share in weights.shares.items())


async def _keep_refreshing(screen: Screen) -> None:
    while True:
        screen.refresh()
        await anyio.sleep(_REFRESH_S)


async def _collect_rest(jobs: list[TrainingJob], ledger: Ledger, screen: Screen) -> int:
    """Stop asking, wait for all results, and return how many never came."""
    for job in jobs:
        job.stop_asking()
    with anyio.move_on_after(_SETTLE_S):
        await anyio.sleep(_REFRESH_S)
        while ledger.waiting:
            await anyio.sleep(0.01)
    screen.print_move(ledger.moves[-1])
    return len(ledger.waiting)


def _print_verdict(ledger: Ledger, lost: int, console: Console) -> bool:
    """Print the final count, and return whether all checks hold."""
    moved = all(move.drawn and move.first_draw_s is not None for move in ledger.moves)
    broken = lost + ledger.doubled + ledger.stale + ledger.wrong
    holds = moved and not broken and ledger.p_value() >= LEAST_P
    mark = "✓" if holds else "✗"
    console.print(f"\n{mark} {summary(ledger, lost)}", highlight=False, soft_wrap=True)
    return holds
