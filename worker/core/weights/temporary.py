"""Temporary weights: what they give way to, and when.

Whoever sets weights for a time stores a *return* beside them. Every worker's housekeeping looks for returns that are
due. Redis holds returns as JSON, and anybody may have written there, so everything that is read is checked.
"""

import json
from dataclasses import asdict, dataclass
from typing import Any

from worker.core.weights.values import parse_weights
from worker.errors import WeightsError

_LATEST_MS = 2**53  # no clock shows a later time, and JSON of every language holds it exactly


@dataclass(frozen=True, slots=True)
class Return:
    """What temporary weights give way to, and when.

    Attributes:
        due_ms: Unix time in ms by the clock of Redis.
        mark: Mark of the temporary value. If the key holds another, somebody has changed the weights meanwhile.
        back: The value before the temporary one; None: the key was absent.
        who: Who set the temporary weights.
        lasts: How long they last, as typed.
    """

    due_ms: int
    mark: str
    back: str | None
    who: str
    lasts: str

    @property
    def text(self) -> str:
        """Write the return as JSON, as Redis holds it."""
        return json.dumps(asdict(self))


def read_return(text: bytes) -> Return | None:
    """Read a return as Redis holds it.

    Returns:
        The return; None if the text is not one, or would bring back a value that workers refuse.
    """
    try:
        found: Any = json.loads(text.decode())
        read = Return(*(found[name] for name in ("due_ms", "mark", "back", "who", "lasts")))
        _check(read)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError, WeightsError):
        return None
    return read


def _check(found: Return) -> None:
    """Refuse values of wrong types, and texts that UTF-8 cannot hold.

    Raises:
        TypeError: A value has a wrong type.
        ValueError: A value is out of range, or cannot be encoded.
        WeightsError: Workers would refuse the value that returns.
    """
    if type(found.due_ms) is not int or not all(type(one) is str for one in (found.mark, found.who, found.lasts)):
        raise TypeError("a value is of another type")
    if not 0 <= found.due_ms <= _LATEST_MS:
        raise ValueError("due_ms is no time")
    for text in (found.mark, found.who, found.lasts, found.back or ""):
        text.encode()
    if found.back is not None:
        parse_weights(found.back.encode(), "redis")
