"""Wait for the step of a rule that is due before a part can be settled.

A part that meets a bound is refused until the step is made. Every worker makes steps, so this takes a moment. Sometimes
no worker can make it, because of a lack of rights or of a bug. Requests must not wait for ever then. After half a
minute the part is settled beyond the bound, and that is logged once. Until a step is made after all, later parts do not
wait. So training goes on under the last weights.
"""

from collections.abc import Callable, Collection

import anyio

from worker.core.events import AdjustOverdue
from worker.core.stats.heard import read_field
from worker.logs.emit import emit
from worker.ports import WeightsReader

_FIRST_WAIT_S = 0.001
_LONGEST_WAIT_S = 1.0
_MOST_REFUSALS = 40  # about half a minute


class DueSteps:
    """The steps that parts wait for, of all lanes.

    Attributes:
        weights: Reads the weights after a step.
        overdue: Fields of what was heard whose bounds are not waited for any more.
        notify: Is called with the datasets whose steps a part waits for; None stands for the global weights.
    """

    def __init__(self, weights: WeightsReader) -> None:
        """Wait for nothing yet."""
        self.weights = weights
        self.overdue: set[str] = set()
        self.notify: Callable[[Collection[str | None]], None] = lambda _: None

    def new_wait(self) -> "StepWait":
        """Return the wait of another part."""
        return StepWait(self)


class StepWait:
    """How one part waits.

    Attributes:
        is_bounded: Whether the part may settle only while no bound is met.
    """

    def __init__(self, steps: DueSteps) -> None:
        self.is_bounded = True
        self._steps = steps
        self._refusals = 0

    async def refused(self, met: Collection[str]) -> None:
        """Wait for a step, and read the weights that it has stored.

        Args:
            met: Fields of what was heard whose bounds have refused the part, see `worker.core.stats.heard`.

        Raises:
            RedisError: Redis did not answer.
        """
        self._refusals += 1
        if self._refusals > _MOST_REFUSALS:
            for field in sorted(set(met) - self._steps.overdue):
                unit, dataset = read_field(field)
                emit(AdjustOverdue(dataset=dataset, unit=unit))
            self._steps.overdue.update(met)
        if self._steps.overdue.issuperset(met):
            self.is_bounded = False
            return
        names = {read_field(field)[1] for field in met}
        self._steps.notify(names)
        await anyio.sleep(min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2 ** (self._refusals - 1)))
        await self._steps.weights.read(sorted(names, key=lambda name: name or ""))

    def end(self, heard: Collection[str]) -> None:
        """Record that the part was settled, or left the hand.

        Args:
            heard: Fields of what was heard that it grew.
        """
        if self.is_bounded and self._steps.overdue:
            self._steps.overdue.difference_update(heard)
