"""Housekeeping that every worker runs: temporary weights, dead consumers, counts, old feedback, limits of sessions.

Every worker looks for what is due. Where several look at once, one of them finds it.
"""

from collections.abc import Awaitable, Callable

from worker.core.events import (
    ConsumersCleanupRefused,
    FeedbackTrimRefused,
    SessionLimitsRefused,
    StatsFoldingRefused,
    WeightsRevertRefused,
)
from worker.errors import RedisError, RefusedError
from worker.logs.emit import RateLimited
from worker.service.availability import Availability
from worker.ticks import sleep_to_tick

Refusal = type[
    WeightsRevertRefused | ConsumersCleanupRefused | StatsFoldingRefused | FeedbackTrimRefused | SessionLimitsRefused
]


class HousekeepingTask:
    """One task of the housekeeping, which runs every few seconds.

    Attributes:
        name: Of the task, for the log.
    """

    def __init__(
        self,
        name: str,
        act: Callable[[], Awaitable[object]],
        availability: Availability,
        *,
        every_s: float,
        refusal: Refusal,
    ) -> None:
        """Configure the task.

        Args:
            name: Of the task, for the log.
            act: Does what is due.
            availability: Is told whether Redis answers.
            every_s: Pause between two runs, in seconds.
            refusal: The event to log when Redis refuses.
        """
        self.name = name
        self._act = act
        self._availability = availability
        self._every_s = every_s
        self._refusal = refusal
        self._refused = RateLimited(interval_s=60.0, burst=1)

    async def run(self) -> None:
        """Run the task every `every_s` until cancelled."""
        while True:
            try:
                await self._act()
            except RefusedError as error:
                self._log_refusal(str(error))  # Redis answers, so the worker goes on serving
            except RedisError as error:
                await self._availability.failed(self.name, str(error))
                continue
            self._availability.succeeded(self.name)
            await sleep_to_tick(self._every_s)

    def _log_refusal(self, message: str) -> None:
        self._refused.emit(lambda suppressed: self._refusal(message=message, suppressed=suppressed))
