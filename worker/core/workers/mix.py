"""Weights beside what live workers have READY: the weighted categories that cannot be drawn."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from worker.core.weights.left_out import left_out, sentences
from worker.core.workers.ready import Ready


@dataclass(frozen=True, slots=True)
class Mix:
    """The categories of some weights that cannot be drawn.

    Attributes:
        left_out: Category -> weight, of those without a READY chunk; None where that is not known.
        warnings: The same in sentences.
    """

    left_out: Mapping[str, float] | None
    warnings: tuple[str, ...]

    @property
    def document(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)


def look_at_mix(shares: Mapping[str, float], ready: Ready) -> Mix:
    """Compare weights with what is READY.

    Args:
        shares: Category -> weight, each > 0, summing to 1.
        ready: Which categories have READY chunks.
    """
    named = ready.categories or {}
    if not ready.is_whole and any(name not in named for name in shares):
        unchecked = "whether every weighted category has READY chunks could not be checked"
        return Mix(None, (f"{unchecked}: {ready.problem}",))
    missing = {name: round(share, 6) for name, share in left_out(shares, named).items()}
    return Mix(missing, tuple(sentences(shares, named)))
