"""The series: shares, rate, lag and latency in steps of 5 s, of the last 15 minutes."""

from collections import deque
from collections.abc import Collection, Mapping
from typing import Any, Final, NamedTuple

from worker.core.live.growth import Growth, Look, grew

STEP_S: Final = 5.0
MOST_POINTS: Final = 180
_GAP_S: Final = 30.0  # longer than counts of thousands of categories are apart; nobody watched meanwhile


class Level(NamedTuple):
    """What is true of the whole system at one moment; None: not known.

    Attributes:
        requests_per_s: Requests settled a second.
        lag: Requests that nobody has read yet.
        latency_p50_ms: Median latency of the slowest worker.
        latency_p99_ms: The same of 99 in 100.
    """

    requests_per_s: float | None = None
    lag: int | None = None
    latency_p50_ms: float | None = None
    latency_p99_ms: float | None = None


class Series:
    """A ring of points. It is bounded in time, and each point in categories."""

    def __init__(self) -> None:
        """Begin without a point."""
        self._points: deque[dict[str, Any]] = deque(maxlen=MOST_POINTS)
        self._since: Look | None = None
        self.turn = 0
        """How many points there have been."""

    def __repr__(self) -> str:
        """Return the state in one line, for logs and tests."""
        return f"<Series of {len(self._points)} points>"

    def add(self, look: Look, names: Collection[str], shares: Mapping[str, float], level: Level) -> None:
        """Add a look; a point is made of it when its step is over.

        Args:
            look: The counts.
            names: The categories to show.
            shares: Their weights, category -> share. The same object is kept as long as weights stay.
            level: What else is shown.
        """
        since = self._since
        if since is None:
            self._since = look
            return
        if look.at_s < since.at_s + STEP_S:
            return
        drawn: dict[str, float] = {}
        if look.at_s < since.at_s + _GAP_S and grew(since, look) and (grown := Growth(since, look)).sums.amount > 0:
            drawn = {name: round(grown.row(name).amount / grown.sums.amount, 6) for name in names}
        self._points.append({"at_ms": look.at_ms, "shares": drawn, "weights": shares, **level._asdict()})
        self._since = look
        self.turn += 1

    def restart(self) -> None:
        """Forget the last look, because the next one is of other counts."""
        self._since = None

    def newest(self) -> dict[str, Any] | None:
        """Return the newest point; None without points."""
        return self._points[-1] if self._points else None

    def document(self) -> dict[str, Any]:
        """Return all points as plain data, the newest last."""
        return {"step_s": STEP_S, "points": list(self._points)}
