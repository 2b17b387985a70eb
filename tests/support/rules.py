"""Rules that move weights, as people set them and as their driver writes how far they are."""

import json
from typing import Any

from worker.core.adjust.settings import Settings, read_settings
from worker.core.adjust.state import State

SET_MS = 1_700_000_000_000


def rule_settings(mode: str = "on", **more: Any) -> Settings:
    """Make settings of a simple rule that ann has set."""
    wanted = {"rule": "cooldown", "parameters": {"over": 1000}, "mode": mode, "who": "ann", "set_at_ms": SET_MS}
    return read_settings(json.dumps({**wanted, **more}).encode())


def rule_state(told: Settings, **more: Any) -> State:
    """Make the state of a rule, which has just begun unless told otherwise."""
    return State(told.rule_mark, **{"began_ms": SET_MS, "stepped_ms": SET_MS + 5000, **more})
