"""`cooldown`: start with the small categories raised, and end in proportion to the sizes.

At temperature T a category of size n gets a share in proportion to n^(1/T). T = 1 is proportional to the sizes, and a
high T makes all alike. The temperature goes down in a straight line over a budget, in equal steps. Only categories with
READY chunks that the prior weighs take part.

`weights set --temperature A` raises weights to the power A, so A stands for 1/T here.

Source: Arivazhagan et al., "Massively Multilingual Neural Machine Translation in the Wild" (2019), section 4.2: shares
in proportion to n^(1/T), and T = 5 as a good start for many languages.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from worker.core.adjust.rule import AMOUNTS, Floats, Inputs, Proposal
from worker.core.adjust.values import choice, number, refuse_unknown, whole

_PARAMETERS: Final = ("from", "to", "over", "unit", "by", "steps")
_HOTTEST: Final = 1000.0


class Cooldown:
    """The rule `cooldown`.

    Parameters, with their defaults:

    - `over`: the budget; required.
    - `unit` (`chunks`): of the budget. `chunks`, `requests`, `hours` or `audio_seconds` heard, or `seconds` of time.
    - `from` (5) and `to` (1): temperatures.
    - `by` (`chunks`): sizes in `chunks` or `hours`.
    - `steps` (200): the number of steps.
    """

    learns = False

    def units(self, parameters: Mapping[str, Any]) -> frozenset[str]:
        """Return the unit of the budget."""
        return frozenset({AMOUNTS[parameters["unit"]][0]})

    def check(self, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the parameters with defaults for those that are missing.

        Raises:
            AdjustError: One is not accepted.
        """
        refuse_unknown(parameters, _PARAMETERS, "rule cooldown")
        return {
            "from": number(parameters, "from", 5.0, least=0.01, most=_HOTTEST),
            "to": number(parameters, "to", 1.0, least=0.01, most=_HOTTEST),
            "over": number(parameters, "over", None, least=1.0, most=1e15),
            "unit": choice(parameters, "unit", "chunks", tuple(AMOUNTS)),
            "by": choice(parameters, "by", "chunks", ("chunks", "hours")),
            "steps": whole(parameters, "steps", 200, least=1, most=1000),
        }

    def propose(self, parameters: Mapping[str, Any], inputs: Inputs, memory: Mapping[str, Any]) -> Proposal:
        """Propose the shares at the temperature of this position."""
        unit, scale = AMOUNTS[parameters["unit"]]
        steps, budget = parameters["steps"], parameters["over"] * scale
        done = min(steps, int(inputs.heard.get(unit, 0.0) / budget * steps))
        if done < steps and inputs.heard.get(unit, 0.0) >= budget * (done + 1) / steps:
            done += 1  # the quotient was rounded down to just below the step
        next_at = {unit: budget * (done + 1) / steps} if done < steps else {}
        temperature = parameters["from"] + (parameters["to"] - parameters["from"]) * done / steps
        sizes = inputs.ready.astype(np.float64) if parameters["by"] == "chunks" else inputs.hours
        if sizes is None:
            return Proposal(None, memory, "hours are not known: the workers count chunks", next_at=next_at)
        target = temper_sizes(np.where(inputs.prior > 0, sizes, 0.0), temperature)
        if target is None:
            return Proposal(None, memory, "no category that is weighed has READY chunks", next_at=next_at)
        evidence = f"temperature {temperature:.4g} after {done} of {steps} steps over {parameters['over']:,.10g} "
        return Proposal(target, memory, evidence + parameters["unit"], next_at=next_at)


def temper_sizes(sizes: Floats, temperature: float) -> Floats | None:
    """Return shares in proportion to size^(1/temperature).

    Args:
        sizes: float64, shape (k,), each >= 0 and finite.
        temperature: > 0.

    Returns:
        float64, shape (k,), summing to 1, and 0 where the size is 0; None where all sizes are 0.
    """
    there = sizes > 0
    if not there.any():
        return None
    powers = np.zeros(len(sizes))
    logs = np.log(sizes[there]) / temperature
    powers[there] = np.exp(logs - logs.max())
    powers /= powers.sum()
    return powers
