"""`cap`: no category's chunks repeat more than so many times.

The *repeats* of a category are its chunks drawn since the rule began, over its READY chunks. They are counted exactly,
see `worker.core.stats.heard`. The batch that reaches the limit is the last one that is drawn under weights with this
category: its bound stops the next batch until the step is made. Then its share passes on to the others, in the
proportions of the prior. If more of its chunks become READY, it gets its share back. When every category has reached
the limit, the last weights stay.

Source: Chung et al., "UniMax", ICLR 2023: no source is repeated more than N times, and its share goes to the others.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from worker.core.adjust.rule import DRAWN, Floats, Inputs, Notice, Proposal
from worker.core.adjust.values import number, refuse_unknown, shown
from worker.core.events import MixRepeats
from worker.core.stats.fields import CHUNKS
from worker.errors import AdjustError

_PARAMETERS: Final = ("times", "warn_at")
_NAMED: Final = 5
_TOLD: Final = "told"
_NEAR, _REACHED = _LEVELS = 1, 2


class Cap:
    """The rule `cap`.

    Parameters: `times` (the most repeats), `warn_at` (the part of them at which people are told, by default 0.8).
    """

    learns = False

    def units(self, parameters: Mapping[str, Any]) -> frozenset[str]:  # noqa: ARG002 - of every rule
        """Return what it goes by: chunks drawn of each category."""
        return frozenset({DRAWN})

    def check(self, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the parameters with defaults for those that are missing.

        Raises:
            AdjustError: One is not accepted.
        """
        refuse_unknown(parameters, _PARAMETERS, "rule cap")
        return {
            "times": number(parameters, "times", None, least=0.001, most=1e9),
            "warn_at": number(parameters, "warn_at", 0.8, least=0.0, most=1.0),
        }

    def propose(self, parameters: Mapping[str, Any], inputs: Inputs, memory: Mapping[str, Any]) -> Proposal:
        """Propose the shares of the prior, without the categories that have reached the limit.

        Raises:
            AdjustError: The rule cannot have written this memory.
        """
        limits = parameters["times"] * inputs.ready
        warnings = parameters["warn_at"] * limits
        counted = (inputs.prior > 0) & (inputs.ready > 0)
        reached = counted & (inputs.drawn >= limits)
        near = counted & ~reached & (inputs.drawn >= warnings)
        ahead = np.where(near, limits, warnings)
        next_at = {
            f"{CHUNKS}:{inputs.categories[place]}": float(ahead[place])
            for place in np.flatnonzero(counted & ~reached & (ahead > inputs.drawn))
        }
        told = _read_told(memory)
        events = _tell(parameters["times"], inputs, near * _NEAR + reached * _REACHED, told)
        target = _without(inputs.prior, reached, inputs.ready > 0)
        if not counted.any():
            evidence = "no category that is weighed has READY chunks"
        elif target is None:
            evidence = f"every category has been repeated {parameters['times']:g} times, so the weights stay"
        else:
            evidence = _evidence(parameters["times"], inputs, reached)
        return Proposal(target, {_TOLD: told}, evidence, events, next_at)


def _read_told(memory: Mapping[str, Any]) -> dict[str, int]:
    """Read what was told: category -> level. Redis holds it, so anybody may have written it."""
    found = memory.get(_TOLD, {})
    if not isinstance(found, dict) or not all(type(one) is int and one in _LEVELS for one in found.values()):
        raise AdjustError(f"the memory of a rule has {_TOLD} {shown(found)}; accepted: once the rule is set again")
    return dict(found)


def _without(prior: Floats, reached: NDArray[np.bool_], is_ready: NDArray[np.bool_]) -> Floats | None:
    """Pass on the shares of some categories; None if nothing is left that can be drawn."""
    left = np.where(reached, 0.0, prior)
    if not left[is_ready].any():
        return None
    left /= left.sum()
    return left


def _evidence(times: float, inputs: Inputs, reached: NDArray[np.bool_]) -> str:
    names = [inputs.categories[place] for place in np.flatnonzero(reached)]
    if not names:
        return f"no category has been repeated {times:g} times"
    shown = ", ".join(name[:24] for name in names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")
    return f"repeated {times:g} times: {shown}"


def _tell(times: float, inputs: Inputs, levels: NDArray[np.int64], told: dict[str, int]) -> tuple[Notice, ...]:
    """Return the events that have to be logged, and note them.

    Args:
        times: The most repeats.
        inputs: What is known.
        levels: int64, shape (k,): 0, near the limit, or at it.
        told: Category -> level that was told; changed here. A category that is below again may be told again.
    """
    events = []
    for place, name in enumerate(inputs.categories):
        level, drawn, ready = int(levels[place]), int(inputs.drawn[place]), int(inputs.ready[place])
        if level > told.get(name, 0):
            events.append(
                MixRepeats(
                    dataset=inputs.dataset,
                    session=None,
                    category=name,
                    repeats=drawn / ready,
                    limit=times,
                    drawn=drawn,
                    ready=ready,
                    is_reached=level == _REACHED,
                )
            )
        if level:
            told[name] = level
        else:
            told.pop(name, None)
    return tuple(events)
