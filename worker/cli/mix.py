"""What verbs say about weights: who set them, and until when."""

from worker.cli.words import ago_text, span_text
from worker.core.weights.changes import version_by_key
from worker.core.weights.history import Change
from worker.core.weights.temporary import Return
from worker.weights.change import time_text


def set_text(change: Change | None) -> str:
    """Write who set some weights, when and why, as far as the history has it."""
    if change is None:
        return ""
    why = f" ({change.reason})" if change.reason else ""
    return f"set by {change.who} {ago_text(change.at_ms)}, at {time_text(change.at_ms)}{why}"


def until_text(until_ms: int, left_ms: int, pending: Return | None, name: str | None) -> str:
    """Write until when temporary weights last, and what comes then.

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
