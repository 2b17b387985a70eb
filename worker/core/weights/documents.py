"""Changes of weights as plain data, for programs that show them."""

from typing import Any

from worker.core.weights.history import Change
from worker.core.weights.in_force import preset_of, source_of


def change_document(change: Change) -> dict[str, Any]:
    """Return a change as plain data; its names are those of `worker.models.WeightsChange`."""
    return {
        "entry": change.id,
        "dataset": change.name if source_of(change.name) == "dataset" else None,
        "preset": preset_of(change.name) or None,
        "who": change.who,
        "reason": change.reason,
        "at_ms": change.at_ms,
        "version": change.version_after or None,
        "version_before": change.version_before or None,
        "before": dict(change.shares_before),
        "after": dict(change.shares_after),
        "until_ms": change.until_ms,
    }
