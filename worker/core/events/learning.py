"""Log events about rules that learn from reports of losses."""

from dataclasses import dataclass
from typing import ClassVar

from worker.core.events.event import Event, Level


@dataclass(frozen=True, slots=True, kw_only=True)
class AdjustStuck(Event):
    """A rule starved a category whose loss did not move for many steps; the category goes back to its prior.

    Either nothing is left to learn of it, or its reports are wrong. A person has to look which it is.

    Attributes:
        dataset: Name of the dataset; None for the global weights.
        rule: The rule.
        category: Name of the category.
        share: Its share before, 0 to 1.
        prior_share: Its share from now on, 0 to 1, before the guards.
        steps: For how many steps its loss did not move.
        loss: Its loss in the latest reports that were used; None if there were none for it.
    """

    event: ClassVar[str] = "adjust.stuck"
    level: ClassVar[Level] = "warning"
    dataset: str | None
    rule: str
    category: str
    share: float
    prior_share: float
    steps: int
    loss: float | None
