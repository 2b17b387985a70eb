"""A worker that serves and shows itself, and a live view of it."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest

from tests.support.streams import Desk
from tests.support.workers import Wiring, running, wired
from worker.live import LiveDesk
from worker.run_dir.health import SERVING
from worker.service.health_file import Identity
from worker.service.reporter import Reporter
from worker.service.supervisor import unending
from worker.service.wiring import Serving

Work = Callable[..., AbstractAsyncContextManager[Serving]]


@dataclass(frozen=True)
class Place:
    """Where workers of a test run."""

    url: str
    prefix: str
    folder: Path

    @asynccontextmanager
    async def working(self, wiring: Wiring | None = None) -> AsyncIterator[Serving]:
        """Run a worker that shows its state."""
        wiring = wiring or Wiring()
        async with wired(self.url, self.prefix, wiring) as parts:
            reporter = Reporter(
                Identity(wiring.consumer, self.prefix, self.folder),
                parts.stream,
                parts.current,
                parts.meter,
                availability=parts.availability,
                stats_interval_s=3600,
            )
            async with running(parts), anyio.create_task_group() as loops:
                loops.start_soon(unending, reporter.run)
                reporter.enter(SERVING)
                try:
                    yield parts
                finally:
                    loops.cancel_scope.cancel()


@pytest.fixture
def place(redis_url: str, prefix: str, tmp_path: Path) -> Place:
    return Place(redis_url, prefix, tmp_path)


@pytest.fixture
async def live(desk: Desk) -> AsyncIterator[LiveDesk]:
    live = LiveDesk(desk.client, desk.keys)
    yield live
    live.close()
