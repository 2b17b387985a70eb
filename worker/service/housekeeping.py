"""What every worker sees to now and then beside serving: returns of temporary weights, names of the dead, counts."""

import time
from collections.abc import Awaitable, Callable

import anyio

from worker.core.events import ConsumersKept, StatsUnfolded, WeightsUnreturned
from worker.errors import RedisError, RefusedError
from worker.logs.emit import emit
from worker.logs.rate_limit import Pace
from worker.service.availability import Link


class Chore:
    """Look every so often whether something is due; every worker does, and one of them finds it.

    Attributes:
        name: Of the chore.
    """

    def __init__(
        self,
        name: str,
        act: Callable[[], Awaitable[object]],
        link: Link,
        *,
        every_s: float,
        refusal: type[WeightsUnreturned | ConsumersKept | StatsUnfolded],
    ) -> None:
        """Take what to do.

        Args:
            name: Of the chore, for the link and the log.
            act: Does what is due.
            link: Is told when Redis is away, and back.
            every_s: How often to look, in seconds.
            refusal: The event that tells of a refusal.
        """
        self.name = name
        self._act = act
        self._link = link
        self._every_s = every_s
        self._refusal = refusal
        self._pace = Pace(interval_s=60.0, burst=1)

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            try:
                await self._act()
            except RefusedError as error:
                self._tell(str(error))  # Redis answers: this alone is no reason to stop serving
            except RedisError as error:
                await self._link.failed(self.name, str(error))
                continue
            self._link.succeeded(self.name)
            await anyio.sleep(self._every_s)

    def _tell(self, message: str) -> None:
        suppressed = self._pace.admit("", time.monotonic())
        if suppressed is not None:
            emit(self._refusal(message=message, suppressed=suppressed))
