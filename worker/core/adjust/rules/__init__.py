"""The rules by which weights move, by name; see `worker.core.adjust.rule` for what a rule is."""

from collections.abc import Mapping
from types import MappingProxyType

from worker.core.adjust.rule import Rule
from worker.core.adjust.rules.ado import Ado
from worker.core.adjust.rules.bandit import Bandit
from worker.core.adjust.rules.cap import Cap
from worker.core.adjust.rules.cooldown import Cooldown
from worker.core.adjust.rules.excess import Excess
from worker.core.adjust.rules.proportional import Proportional
from worker.core.adjust.rules.schedule import Schedule

RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "schedule": Schedule(),
        "cap": Cap(),
        "cooldown": Cooldown(),
        "proportional": Proportional(),
        "excess": Excess(),
        "bandit": Bandit(),
        "ado": Ado(),
    }
)
