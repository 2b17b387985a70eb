"""Schedules of sessions: weights that go by what one training session has heard.

A schedule stands in the session's hash, in the field `schedule`. Field `position` is how far the session has come: a
count of chunks, of requests, or of milliseconds of audio. Both are compared as the results are written, and the
position grows in that step. So the position is exact, whichever workers serve the session.

A request is drawn at the position that the requests before it left, also within a batch. So the weights of a session's
n-th request do not depend on how workers cut batches.

Weights between two points are those of `worker.core.adjust.rules.curve`. Before the first point the session's pinned
weights hold.
"""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import numpy as np

from worker.core.adjust.rule import AMOUNTS, TIME_MS
from worker.core.adjust.rules import RULES
from worker.core.adjust.rules.curve import Place, read_curve
from worker.core.adjust.rules.points import points_text, position_text
from worker.core.adjust.values import read_object
from worker.core.catalog import Catalog
from worker.core.stats.fields import MS
from worker.core.weights.values import Weights, normalise
from worker.core.wire import shown
from worker.errors import AdjustError, RequestError

MAX_BYTES: Final = 1 << 16
_MOST_KEPT: Final = 32
_SINCE_IT_BEGAN: Final = "seconds"
_UNITS: Final = {name: one for name, one in AMOUNTS.items() if name != _SINCE_IT_BEGAN} | {
    "time": AMOUNTS[_SINCE_IT_BEGAN]
}


class SessionSchedule:
    """A schedule of one session.

    Attributes:
        goes_by: What positions count: `CHUNKS`, `REQUESTS` or `MS`; `TIME_MS` for times, which are not counted.
    """

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        """Lay out a schedule.

        Args:
            parameters: Checked parameters of the rule `schedule`.
        """
        self._points, self._unit, self._between = (parameters[name] for name in ("points", "unit", "between"))
        self.goes_by, scale = _UNITS[self._unit]
        self._positions = np.array([point["at"] for point in self._points]) * scale
        self._scale = scale
        self._names = dict.fromkeys(sorted({name for point in self._points for name in point.get("weights", ())}), 0)
        self._has_presets = not all("weights" in point for point in self._points)
        self._last: tuple[Place, Weights | None] | None = None

    def weights_at(self, here: int, ready: Mapping[str, int]) -> Weights | None:
        """Return the weights of a position; None before the first point.

        Args:
            here: The position, in what `goes_by` counts.
            ready: Category -> READY chunks, which weights of built-in presets go by.
        """
        if here < self._positions[0]:
            return None
        known = {**self._names, **ready} if self._has_presets else self._names
        place, shares = read_curve(self._points, self._positions, self._between, float(here), known)
        if self._last is None or self._last[0] != place or self._has_presets:
            named = {} if shares is None else dict(zip(known, shares.tolist(), strict=True))
            self._last = place, normalise(named, "session")
        return self._last[1]

    @property
    def text(self) -> bytes:
        """Return what a session's hash holds of it."""
        parameters = {"points": self._points, "unit": self._unit, "between": self._between}
        return json.dumps(parameters, separators=(",", ":")).encode()

    @property
    def weights(self) -> list[Mapping[str, float]]:
        """Return the weights of the points that have some of their own, each summing to 1."""
        found = [normalise(point["weights"], "session") for point in self._points if "weights" in point]
        return [one.shares for one in found if one is not None]

    def text_at(self, here: int) -> str:
        """Write the schedule for people, in one line."""
        counted = "" if self.goes_by == TIME_MS else f", now at {position_text(here / self._scale, self._unit)}"
        return f"by {self._unit.replace('_', ' ')}{counted}, {self._between}: {points_text(self._points)}"


@lru_cache(_MOST_KEPT)
def read_schedule(text: bytes) -> SessionSchedule:
    """Read the schedule of a session; the last few are remembered.

    Args:
        text: A JSON object of the parameters of the rule `schedule`.

    Raises:
        AdjustError: It is not accepted. The sentence says why, and what is accepted.
    """
    parameters = RULES["schedule"].check(read_object("schedule", text, MAX_BYTES))
    if parameters["unit"] == _SINCE_IT_BEGAN:
        raise AdjustError(f"unit of a session's schedule is {_SINCE_IT_BEGAN}; accepted: {', '.join(_UNITS)}")
    return SessionSchedule(parameters)


def schedule_of(session: str, text: bytes, catalog: Catalog | None) -> SessionSchedule:
    """Return the schedule that requests of a session go by.

    Args:
        session: Its name.
        text: The schedule as it is stored.
        catalog: The READY chunks; None while they are not known.

    Raises:
        RequestError: It cannot be read, or it goes by audio time where the worker counts chunks.
    """
    whose = f"the schedule of session {shown(session.encode())}"
    try:
        schedule = read_schedule(text)
    except AdjustError as error:
        raise RequestError("invalid_request", f"{whose} cannot be used: {error}") from None
    if schedule.goes_by == MS and catalog is not None and catalog.durations is None:
        accepted = "accepted: one by chunks or requests, or WORKER_WEIGHT_UNIT=seconds"
        raise RequestError("invalid_request", f"{whose} goes by audio time, and this worker counts chunks; {accepted}")
    return schedule
