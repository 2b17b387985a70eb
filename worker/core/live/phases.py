"""Phases: what was drawn under each version of the weights that was in force while somebody watched.

A phase is the time between two changes. Its first look is the first at which its weights were in force before the
counts were read. Its last look is the last before other weights were seen. The phase counts what was drawn between
these looks. So all that it counts was drawn under its weights. What was drawn around a change, between two looks, is in
no phase.
"""

from collections import deque
from heapq import nlargest
from typing import Any, Final, NamedTuple

from worker.core.live.evidence import drawn_of, fit_of
from worker.core.live.growth import Growth, Look, grew
from worker.core.live.texts import cut

MOST_PHASES: Final = 20
_MOST_CATEGORIES: Final = 64


class _Phase(NamedTuple):
    """The phase that is under way: its version, its first look and its last one."""

    version: str
    first: Look
    last: Look


class Phases:
    """The last phases, the newest last."""

    def __init__(self) -> None:
        """Begin without a phase."""
        self._ended: deque[dict[str, Any]] = deque(maxlen=MOST_PHASES - 1)
        self._now: _Phase | None = None
        self._written: tuple[_Phase | None, dict[str, Any]] = (None, {})
        self.turn = 0
        """How often a phase began or ended."""

    def __repr__(self) -> str:
        """Return the state in one line, for logs and tests."""
        return f"<Phases, {len(self._ended)} ended, {'one' if self._now else 'none'} under way>"

    def end(self) -> None:
        """End the phase under way with its last look; one in which nothing was drawn is forgotten."""
        if self._now is not None:
            if self._now.last.sums.chunks > self._now.first.sums.chunks:
                self._ended.append(_document(self._now, self._now.last.at_ms))
            self._now = None
            self.turn += 1

    def add(self, version: str, look: Look) -> None:
        """Add a look at which some weights were in force before the counts were read.

        Args:
            version: Their version.
            look: The counts.
        """
        now = self._now
        if now is not None and now.version == version and grew(now.last, look):
            self._now = now._replace(last=look)
            return
        self.end()
        self._now = _Phase(version, look, look)
        self.turn += 1

    def documents(self) -> list[dict[str, Any]]:
        """Return the phases as plain data, the newest last; the one under way has no end."""
        now = self._now
        if now is None:
            return list(self._ended)
        if self._written[0] is not now:
            self._written = (now, _document(now, None))
        return [*self._ended, self._written[1]]


def _document(phase: _Phase, to_ms: int | None) -> dict[str, Any]:
    """Write a phase with its largest categories."""
    growth = Growth(phase.first, phase.last)
    expected = {name: growth.row(name).expected for name in growth.names}
    largest = nlargest(_MOST_CATEGORIES, expected, key=lambda name: (expected[name], name))
    fit = fit_of(growth)
    drawn = {name: found for name in largest if (found := drawn_of(growth, name)) is not None}
    return {
        "version": cut(phase.version),
        "from_ms": phase.first.at_ms,
        "to_ms": to_ms,
        "chunks": fit.chunks,
        "categories": [
            {
                "name": name,
                "count": one.count,
                "share": one.share,
                "expected_share": one.expected_share,
                "z": one.z,
                "is_enough": one.is_enough,
            }
            for name, one in drawn.items()
        ],
        "categories_left_out": len(expected) - len(largest),
        "p": fit.p,
    }
