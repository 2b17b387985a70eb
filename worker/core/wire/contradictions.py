"""Fields of a request that are valid by themselves but contradict each other."""

from collections.abc import Mapping

from worker.core.wire.fields import invalid
from worker.errors import RequestError


def contradiction(values: Mapping[str, object]) -> RequestError | None:
    """Find fields that are valid by themselves but contradict each other.

    Args:
        values: What was read of the fields that are given.
    """
    for name, value in (("pin", True), ("method", "epoch")):
        if values.get(name) == value and "session" not in values:
            given = "1" if value is True else value
            return invalid(f"{name} is {given} without a session; accepted: session with 1 to 128 printable characters")
    if values.get("method") == "epoch" and "seed" in values:
        return invalid("seed cannot decide what method epoch draws: what the session has heard does; accepted: no seed")
    return _budget_contradiction(values)


def _budget_contradiction(values: Mapping[str, object]) -> RequestError | None:
    """Find fields that contradict each other about the length of a batch."""
    if "budget_s" not in values:
        name = next((name for name in ("budget", "buckets") if name in values), None)
        if name is None:
            return None
        return invalid(f"{name} is given without budget_s; accepted: budget_s beside it, or neither")
    if "size" in values:
        return invalid("size and budget_s are both given; accepted: one of them")
    if values.get("budget") == "sum" and values.get("buckets", 1) == 1:
        for name, value in (("method", "stratified"), ("method", "epoch"), ("replace", False)):
            if values.get(name) == value:
                given = f"{name} is {value or 0} with budget sum, which draws one chunk after the other, independently"
                return invalid(f"{given}; accepted: {name} left out, budget padded, or buckets of 2 or more")
    return None
