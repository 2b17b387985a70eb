"""The categories that are shown: weighted ones first, then READY ones, then those that somebody asks for."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from heapq import nlargest, nsmallest
from typing import Any, Final

from worker.core.live.evidence import drawn_of
from worker.core.live.growth import Growth
from worker.core.stats.repeats import Repeats, repeats_of
from worker.core.workers.ready import Ready

MOST_ROWS: Final = 64
MOST_NAMED: Final = 64
_HOUR_S: Final = 3600.0
_SHORTEST_S: Final = 2.0  # of a window that says something about an hour


@dataclass(frozen=True, slots=True)
class Strips:
    """What rows are made of.

    Attributes:
        shares: The weights in force, category -> share.
        stored: The weights as they were written, category -> number; empty if that is not known.
        ready: What is READY.
        growth: What was drawn in the window; None: there is none yet.
        shadow: What a rule in shadow would have set, category -> share; empty without one.
        heard: Category -> chunks drawn since the counts were cleared; None: they were not read yet.
    """

    shares: Mapping[str, float]
    stored: Mapping[str, float]
    ready: Ready
    growth: Growth | None = None
    shadow: Mapping[str, float] = field(default_factory=dict)
    heard: Mapping[str, int] | None = None

    def names_as(self, other: "Strips") -> bool:
        """Return whether the same categories are chosen: those of the same weights, with as many chunks READY."""
        is_same = self.shares is other.shares and self.stored is other.stored
        return is_same and self.ready.categories == other.ready.categories


def choose(strips: Strips, most: int = MOST_ROWS) -> list[str]:
    """Choose the categories to show, the heaviest first, then the largest ones without a weight.

    Args:
        strips: What there is.
        most: How many.
    """
    shares = strips.shares
    heaviest = nlargest(most, shares, key=lambda name: (shares[name], name))
    muted = sorted(name for name in strips.stored if name not in shares)[: most - len(heaviest)]
    ready = strips.ready.categories or {}
    others = [name for name in ready if name not in shares and name not in strips.stored]
    return heaviest + muted + nlargest(most - len(heaviest) - len(muted), others, key=lambda name: (ready[name], name))


def count_categories(strips: Strips, told: int) -> int:
    """Count the categories that have a weight or READY chunks; where not all are known, at least so many.

    Args:
        strips: What there is.
        told: How many categories have READY chunks, as a worker says.
    """
    return max(told, len({*strips.shares, *strips.stored, *(strips.ready.categories or {})}))


def row_of(name: str, strips: Strips) -> dict[str, Any]:
    """Write one category as plain data.

    Args:
        name: Its name.
        strips: What there is.
    """
    ready, share = strips.ready, strips.shares.get(name, 0.0)
    drawn = None if strips.growth is None else drawn_of(strips.growth, name)
    chunks = ready.count(name)
    return {
        "name": name,
        "weight": strips.stored.get(name, share),
        "share": share,
        "shadow": strips.shadow.get(name, 0.0) if strips.shadow else None,
        **_repeated(strips.heard, name, chunks),
        "drawn": None if drawn is None else asdict(drawn),
        "repeats_per_hour": _hourly(strips.growth, name, chunks),
    }


def missing_and_unweighted(strips: Strips) -> dict[str, list[str]]:
    """Name the first weighted categories without READY chunks, and the first READY ones without a weight.

    Args:
        strips: What there is.
    """
    named = strips.ready.categories or {}
    empty = [name for name in strips.shares if name not in named] if strips.ready.is_whole else []
    unweighted = [name for name in named if name not in strips.shares]
    return {"empty": nsmallest(MOST_NAMED, empty), "unweighted": nsmallest(MOST_NAMED, unweighted)}


def _repeated(heard: Mapping[str, int] | None, name: str, chunks: int | None) -> dict[str, float | None]:
    """Return how often the chunks of a category were drawn since the counts were cleared."""
    return (Repeats(chunks, None, None) if heard is None else repeats_of(heard.get(name, 0), chunks))._asdict()


def _hourly(growth: Growth | None, name: str, chunks: int | None) -> float | None:
    """Return how often each chunk is drawn an hour at the rate of the window; None where that is not known."""
    if growth is None or not chunks or growth.length_s < _SHORTEST_S:
        return None
    return growth.row(name).count * _HOUR_S / growth.length_s / chunks
