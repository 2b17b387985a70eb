"""What `weights watch` does."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, NamedTuple

from worker.adapters.redis.sessions import RedisSessions
from worker.adapters.redis.weights import RedisWeights
from worker.cli.context import Opened, check_dataset, check_session, open_redis
from worker.cli.printing import print_json, print_text, shares_text
from worker.cli.weights.show import source_text, use_document
from worker.core.draw.sessions import read_session
from worker.core.weights.history import Change
from worker.core.weights.values import default_weights
from worker.core.workers.weights_in_use import InUse
from worker.weights.change import time_text
from worker.weights.in_use import find_ready, live_workers, make_survey, newest_change, read_stored

_LOOK_EVERY_S = 0.25


class _Seen(NamedTuple):
    """The weights in force, and why the value of the key is refused, if it is."""

    use: InUse
    problem: str | None

    @property
    def mark(self) -> tuple[str, str, str | None]:
        """Return what has to differ for another line."""
        return self.use.version, self.use.source, self.problem


def watch_weights(dataset: str | None, session: str | None, *, as_json: bool) -> None:
    """Print the weights now, and again on every change, until interrupted.

    Args:
        dataset: Whose weights; None: the global ones.
        session: The session whose pinned weights are meant; None: none.
        as_json: Whether to print JSON.
    """
    check_dataset(dataset)

    async def work() -> None:
        async with open_redis() as opened:
            last = None
            async for _ in _occasions(opened, session):
                seen = await _look(opened, dataset)
                if session is not None:
                    seen = await _pinned(opened, session, seen)
                if seen.mark != last:
                    last = seen.mark
                    change = await newest_change(opened.client, opened.keys, seen.use)
                    _print_seen(seen, change, as_json=as_json)

    asyncio.run(work())


async def _occasions(opened: Opened, session: str | None) -> AsyncIterator[None]:
    """Yield whenever weights may have changed; nobody publishes those of a session, so they are read often."""
    if session is not None:
        while True:
            yield
            await asyncio.sleep(_LOOK_EVERY_S)
    async with aclosing(RedisWeights(opened.client, opened.keys).notifications()) as notifications:  # type: ignore[type-var]
        async for _ in notifications:
            yield


async def _look(opened: Opened, dataset: str | None) -> _Seen:
    """Return what is in force: the value of the key, or where that is refused, what workers draw under."""
    stored, problem = await read_stored(opened.client, opened.keys, dataset, default_weights())
    if problem is not None:
        return _Seen((await make_survey(opened.client, opened.keys, opened.settings, dataset)).use, problem)
    weights = stored.weights
    if weights.source == "default":
        workers = await live_workers(opened.client, opened.keys)
        weights = (await find_ready(workers, opened.settings)).defaults
    return _Seen(InUse(weights.version, weights.source, weights.shares, (), stored.dataset), None)


async def _pinned(opened: Opened, name: str, live: _Seen) -> _Seen:
    """Return the weights that a session is pinned to; while it is not, those that its next pinned request finds."""
    session = read_session(await RedisSessions(opened.client, opened.keys).read(check_session(name)))
    if session.problem or session.pinned is None:
        return _Seen(live.use, session.problem or live.problem)
    return _Seen(InUse(session.pinned.version, session.pinned.source, session.pinned.shares, (), None), None)


def _print_seen(seen: _Seen, change: Change | None, *, as_json: bool) -> None:
    use, who = seen.use, "" if change is None else f"  set by {change.who}"
    if as_json:
        print_json(_document(seen, change))
        return
    at = time_text(time.time_ns() // 1_000_000 if change is None else change.at_ms)
    if seen.problem:
        print_text(f"refused: {seen.problem}", "wrong")
    weighed = "" if use.shares is None else f"  {shares_text(use.shares)}"
    print_text(f"{at}  {use.version}  {source_text(use.source)}{weighed}{who}")


def _document(seen: _Seen, change: Change | None) -> dict[str, Any]:
    return {
        "dataset": seen.use.name,
        **use_document(seen.use),
        "until_ms": None if change is None else change.until_ms,
        "who": None if change is None else change.who,
        "reason": None if change is None else change.reason,
        "set_at_ms": None if change is None else change.at_ms,
        "problem": seen.problem,
    }
