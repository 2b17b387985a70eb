"""The worker polls PostgreSQL less often while nobody asks, and at once upon the next request."""

from typing import Any

import anyio
import pytest

from tests.support.waiting import wait_until
from worker.adapters.postgres.catalog import PostgresCatalog
from worker.adapters.postgres.watch import look
from worker.ports import CatalogListener
from worker.ticks import Idleness

_SOON_S = 60.0


async def _follow(listener: CatalogListener) -> None:
    async for _ in listener.news():
        pass


@pytest.mark.parametrize("told", [True, False])
async def test_the_first_request_has_the_next_look_taken_at_once(
    database_url: str, monkeypatch: pytest.MonkeyPatch, *, told: bool
) -> None:
    looks = 0

    async def count(*args: Any) -> Any:
        nonlocal looks
        looks += 1
        return await look(*args)

    monkeypatch.setattr("worker.adapters.postgres.listener.look", count)
    monkeypatch.setattr("worker.adapters.postgres.listener._IDLE_LOOK_EVERY_S", 3600.0)
    source = PostgresCatalog(database_url)
    source.idleness = idleness = Idleness() if told else None
    async with source.listening() as listener, anyio.create_task_group() as loops:
        loops.start_soon(_follow, listener)
        await wait_until(lambda: looks >= 2, timeout_s=_SOON_S, what="a first look after the subscription")
        if idleness is not None:
            await anyio.sleep(1.5)  # in which it would look three times
            assert looks == 2
            idleness.note_requests()
        await wait_until(lambda: looks >= 4, timeout_s=_SOON_S, what="it looks every so often")
        loops.cancel_scope.cancel()
