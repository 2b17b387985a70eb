"""Make temporary weights give way when their time is over, whoever set them and wherever that one is by now."""

import time
from collections.abc import Awaitable, Callable

import anyio

from worker.core.events import WeightsUnreturned
from worker.core.pacing import Pace
from worker.errors import RedisError, RefusedError
from worker.links import Link
from worker.logs import emit


class Returner:
    """Look every so often whether a return is due; every worker does, and one of them makes it."""

    def __init__(self, give_back: Callable[[], Awaitable[None]], link: Link, *, refresh_s: float) -> None:
        """Take what makes the returns that are due, and how often to look, in seconds."""
        self._give_back = give_back
        self._link = link
        self._refresh_s = refresh_s
        self._pace = Pace(interval_s=60.0, burst=1)

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            try:
                await self._give_back()
            except RefusedError as error:
                self._tell(str(error))  # Redis answers: this alone is no reason to stop serving
            except RedisError as error:
                await self._link.failed("weights returns", str(error))
                continue
            self._link.succeeded("weights returns")
            await anyio.sleep(self._refresh_s)

    def _tell(self, message: str) -> None:
        suppressed = self._pace.admit("", time.monotonic())
        if suppressed is not None:
            emit(WeightsUnreturned(message=message, suppressed=suppressed))
