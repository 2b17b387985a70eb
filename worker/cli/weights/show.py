"""`weights show` and `watch`."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Annotated, Any

import anyio
import typer

from worker.adapters.redis_sessions import RedisSessions
from worker.adapters.redis_stats import RedisStats
from worker.adapters.redis_weights import RedisWeights
from worker.adapters.redis_weights_writer import RedisWeightsWriter
from worker.cli.context import (
    AsJson,
    Dataset,
    Desk,
    check_dataset,
    open_desk,
    print_json,
    print_table,
    print_text,
    run_async,
    shares_text,
)
from worker.cli.sessions import check_session
from worker.core.live import UNREADABLE
from worker.core.sessions import read_session
from worker.core.weights import UNREAD, InForce, in_force, observe
from worker.orders import time_text

_LOOK_EVERY_S = 0.25


def show(dataset: Dataset = None, *, as_json: AsJson = False) -> None:
    """Show the weights in force, and which workers have applied them."""
    check_dataset(dataset)

    async def work() -> None:
        async with open_desk() as desk:
            held, problem = await read_weights(desk, dataset)
            workers = await RedisStats(desk.client, desk.keys).workers()
            pending = await RedisWeightsWriter(desk.client, desk.keys).pending(dataset)
            document = _document(held, problem, workers)
            if pending is not None and (dataset, pending.mark.encode()) in held.marks:
                document["until_ms"] = pending.due_ms
            _print_shown(document, as_json=as_json)

    run_async(work)


def watch(
    dataset: Dataset = None,
    session: Annotated[str | None, typer.Option(help="What one session's pinned requests are drawn under.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Print the weights now, and again on every change, until interrupted."""
    check_dataset(dataset)

    async def work() -> None:
        async with open_desk() as desk:
            last = None
            async for _ in _occasions(desk, session):
                held, problem = await read_weights(desk, dataset)
                if session is not None:
                    held, problem = await _pinned(desk, session, held, problem)
                if (held.weights.version, held.weights.source, problem) != last:
                    last = (held.weights.version, held.weights.source, problem)
                    _print_change(_document(held, problem, []), as_json=as_json)

    run_async(work)


async def _occasions(desk: Desk, session: str | None) -> AsyncIterator[None]:
    """Yield whenever weights may have changed: on every bell; those of a session ring none, and are looked at often."""
    if session is not None:
        while True:
            yield
            await anyio.sleep(_LOOK_EVERY_S)
    async with aclosing(RedisWeights(desk.client, desk.keys).bells()) as bells:  # type: ignore[type-var]
        async for _ in bells:
            yield


async def _pinned(desk: Desk, name: str, live: InForce, problem: str | None) -> tuple[InForce, str | None]:
    """Tell the weights that a session is pinned to; while it is not, those that its next pinned request will find."""
    session = read_session(await RedisSessions(desk.client, desk.keys).read(check_session(name)))
    if session.problem or session.pinned is None:
        return live, session.problem or problem
    return live._replace(weights=session.pinned), None


async def read_weights(desk: Desk, dataset: str | None) -> tuple[InForce, str | None]:
    """Read the weights in force as a worker would that starts now."""
    names = [None] if dataset is None else [None, dataset]
    store = RedisWeights(desk.client, desk.keys)
    readings = await store.read(names)
    store.close()
    shared, problem = observe(UNREAD, readings[0].mark, readings[0].value, "redis")
    if dataset is None:
        return in_force(None, None, shared), problem
    own, own_problem = observe(UNREAD, readings[1].mark, readings[1].value, "dataset")
    return in_force(dataset, own, shared), own_problem or problem


def _document(held: InForce, problem: str | None, workers: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "dataset": held.dataset,
        "weights": dict(held.weights.shares),
        "version": held.weights.version,
        "source": held.weights.source,
        "until_ms": None,
        "problem": problem,
        "workers": workers,
    }


def _print_shown(document: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(document)
        return
    rows = [(name, share) for name, share in document["weights"].items()]
    title = f"weights {document['version']} from {document['source']}"
    print_table(title, ("category", "weight"), rows)
    if document["problem"]:
        print_text(f"the value in Redis is refused: {document['problem']}")
    if document["until_ms"] is not None:
        print_text(f"until {time_text(document['until_ms'])}")
    if document["dataset"] is None:
        applied = sum(worker.get("weights_version") == document["version"] for worker in document["workers"])
        print_text(f"applied by {applied} of {len(document['workers'])} workers")
    for worker in document["workers"]:
        if UNREADABLE in worker:
            print_text(f"worker {worker['consumer']}: unreadable: {worker[UNREADABLE]}")


def _print_change(document: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(document)
    elif document["problem"]:
        print_text(f"refused: {document['problem']}")
    else:
        print_text(f"{document['version']}  {document['source']:10}  {shares_text(document['weights'])}")
