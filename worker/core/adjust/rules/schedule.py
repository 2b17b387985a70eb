"""`schedule`: weights at points, and what is between them, see `worker.core.adjust.rules.curve`.

A point is a position and weights. Positions are counts of what was heard, seconds since the rule began, or times.
Before the first point the weights stay as they are.

By counts each step of a morph is exact: it has a bound, see `worker.core.stats.heard`.
"""

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from worker.core.adjust.rule import AMOUNTS, TIME_MS, Inputs, Proposal
from worker.core.adjust.rules.curve import BETWEEN, read_curve
from worker.core.adjust.rules.points import position_text, read_points
from worker.core.adjust.values import choice, refuse_unknown
from worker.core.stats.fields import MS

_PARAMETERS: Final = ("points", "unit", "between")
_TIME: Final = "time"
_UNITS: Final = {**AMOUNTS, _TIME: AMOUNTS["seconds"]}


class Schedule:
    """The rule `schedule`.

    Parameters, with their defaults:

    - `points`: see `worker.core.adjust.rules.points`; required.
    - `unit` (`chunks`): of their positions. `chunks`, `requests`, `hours` or `audio_seconds` heard, `seconds` since the
      rule began, or `time`.
    - `between` (`step`): what is between the points. `step`, `linear` or `cosine`.
    """

    learns = False

    def units(self, parameters: Mapping[str, Any]) -> frozenset[str]:
        """Return the unit of the positions."""
        return frozenset({_UNITS[parameters["unit"]][0]})

    def check(self, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the parameters with defaults for those that are missing.

        Raises:
            AdjustError: One is not accepted.
        """
        refuse_unknown(parameters, _PARAMETERS, "rule schedule")
        unit = choice(parameters, "unit", "chunks", tuple(_UNITS))
        between = choice(parameters, "between", "step", BETWEEN)
        return {"points": read_points(parameters.get("points"), unit), "unit": unit, "between": between}

    def propose(self, parameters: Mapping[str, Any], inputs: Inputs, memory: Mapping[str, Any]) -> Proposal:
        """Propose the shares of this position."""
        name, points = parameters["unit"], parameters["points"]
        unit, scale = _UNITS[name]
        begun = float(inputs.now_ms) - inputs.heard.get(TIME_MS, 0.0) if name == _TIME else 0.0
        positions = np.array([point["at"] for point in points]) * scale - begun
        here = inputs.heard.get(unit, 0.0)
        if unit == MS and inputs.hours is None:
            return Proposal(None, memory, "hours are not known: the workers count chunks")
        if here < positions[0]:
            said = f"before the first point, at {_text(points[0], name)}"
            return Proposal(None, memory, said, next_at={unit: float(positions[0])})
        ready = dict(zip(inputs.categories, inputs.ready.tolist(), strict=True))
        place, target = read_curve(points, positions, parameters["between"], here, ready)
        next_at = {unit: place.next_at} if place.next_at < math.inf else {}
        evidence = f"point {place.point + 1} of {len(points)}, from {_text(points[place.point], name)}"
        if place.steps > 1:
            evidence += f", step {place.step} of {place.steps} to the next"
        if target is None:
            return Proposal(None, memory, f"{evidence}: none of its categories is there", next_at=next_at)
        return Proposal(target, memory, evidence, next_at=next_at)


def _text(point: Mapping[str, Any], unit: str) -> str:
    """Write where a point is."""
    return position_text(point["at"], unit) + ("" if unit == _TIME else f" {unit.replace('_', ' ')}")
