"""What verbs say of a mix: which weighted categories have no READY chunk, who set the weights, and until when."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from worker.admin.weights import time_text
from worker.cli.words import span_text
from worker.core.weights.changes import version_by_key
from worker.core.weights.history import Change
from worker.core.weights.left_out import left_out, sentences
from worker.core.weights.temporary import Return
from worker.core.workers.ready import Ready


@dataclass(frozen=True, slots=True)
class Mix:
    """Hold what weights leave out of what is drawn.

    Attributes:
        left_out: Category -> weight, of those without a READY chunk; None where that is not known.
        warnings: The same in sentences.
    """

    left_out: Mapping[str, float] | None
    warnings: tuple[str, ...]

    @property
    def document(self) -> dict[str, Any]:
        """Write it as plain data."""
        return asdict(self)


def look_at_mix(shares: Mapping[str, float], ready: Ready) -> Mix:
    """Hold weights against what is READY.

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


def set_text(change: Change | None) -> str:
    """Say who set some weights, when and why, as far as the history has it."""
    if change is None:
        return ""
    why = f" ({change.reason})" if change.reason else ""
    return f"set by {change.who} at {time_text(change.at_ms)}{why}"


def until_text(until_ms: int, left_ms: int, pending: Return | None, name: str | None) -> str:
    """Say until when temporary weights last, and what comes then.

    Args:
        until_ms: Unix time in ms.
        left_ms: How long that is from now on, in ms.
        pending: The return that is to come.
        name: Whose weights they are, see `worker.core.weights.changes.StoredWeights`.
    """
    text = f"until {time_text(until_ms)}, for {span_text(max(left_ms, 0) / 1000)}"
    if pending is None:
        return text
    version = "" if pending.back is None else version_by_key(name, pending.back.encode())
    return f"{text}, then {f'back to {version}' if version else 'none are set, as before'}"
