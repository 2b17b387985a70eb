"""The window: what was drawn in about the last minute, or since the weights changed if that is shorter."""

from collections import deque
from typing import Final

from worker.core.live.evidence import NOTHING_DRAWN, Fit, fit_of
from worker.core.live.growth import Growth, Look, grew

WINDOW_S: Final = 60.0
_SPACING_S: Final = 5.0
_WIDE: Final = 1_000  # categories: of more, fewer looks are kept
_WIDE_SPACING_S: Final = 20.0


class Window:
    """A few looks of the last minute; the oldest of them and the newest say what was drawn.

    Attributes:
        growth: What was drawn; None before the second look.
        fit: How well that fits.
    """

    def __init__(self) -> None:
        """Begin without a look."""
        self._looks: deque[Look] = deque()
        self._newest: Look | None = None
        self.growth: Growth | None = None
        self.fit: Fit = NOTHING_DRAWN

    def __repr__(self) -> str:
        """Return the state in one line, for logs and tests."""
        return f"<Window of {self.length_s:.1f} s, {len(self._looks)} looks>"

    @property
    def length_s(self) -> float:
        """Return how many seconds it covers."""
        return 0.0 if self.growth is None else self.growth.length_s

    def restart(self) -> None:
        """Forget all looks: what was drawn before them belongs to other weights."""
        self._looks.clear()
        self.growth, self.fit = None, NOTHING_DRAWN

    def add(self, look: Look) -> None:
        """Add a look, and drop those that are too old; counts that fell begin the window anew."""
        spacing_s = _WIDE_SPACING_S if len(look.rows) > _WIDE else _SPACING_S
        while len(self._looks) > 1 and self._looks[1].at_s <= look.at_s - WINDOW_S:
            self._looks.popleft()
        newest, self._newest = self._newest, look
        if newest is None or not self._looks or not grew(newest, look):
            self.restart()
            self._looks.append(look)
            return
        self.growth = Growth(self._looks[0], look)
        self.fit = fit_of(self.growth)
        if look.at_s >= self._looks[-1].at_s + spacing_s:
            self._looks.append(look)
