"""The contract's table of a request's fields once more, from worker/PROTOCOL.md and not from the code."""

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Final


def is_printable(value: bytes) -> bool:
    """Check whether bytes are 1 to 128 printable characters."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return False
    return 1 <= len(text) <= 128 and text.isprintable()


def is_name(value: bytes) -> bool:
    """Check whether bytes are a name that may be part of a key."""
    return re.fullmatch(rb"[A-Za-z0-9_.-]{1,64}", value) is not None


def _is_split(value: bytes) -> bool:
    return re.fullmatch(rb"[a-z0-9_-]{1,32}", value) is not None


def _are_columns(value: bytes) -> bool:
    """Check whether bytes are some of the columns of chunks, each once, with commas between."""
    names = value.split(b",")
    return len(names) == len(set(names)) and {*names} <= {b"category", b"duration_s", b"start_s", b"path"}


def _is_number(least: int, largest: int) -> Callable[[bytes], bool]:
    """Make what tells whether digits are a number between two; Python reads no more than 4,300 of them."""
    return lambda value: re.fullmatch(rb"[0-9]{1,4300}", value) is not None and least <= int(value) <= largest


def _is_budget(value: bytes) -> bool:
    """Check whether a text is a decimal number of seconds, from a millisecond on, up to a million."""
    if re.fullmatch(rb"[0-9]{1,7}(\.[0-9]{1,20})?", value) is None:
        return False
    return Decimal("0.001") <= Decimal(value.decode()) < Decimal("1000000.001")


ACCEPTS: Final[Mapping[bytes, Callable[[bytes], bool]]] = {
    b"request_id": is_printable,
    b"size": _is_number(1, 65_536),
    b"category": is_printable,
    b"dataset": is_name,
    b"preset": is_name,
    b"session": is_printable,
    b"pin": (b"0", b"1").__contains__,
    b"replace": (b"0", b"1").__contains__,
    b"method": (b"random", b"stratified", b"epoch").__contains__,
    b"seed": _is_number(0, 2**63 - 1),
    b"reply_to": is_name,
    b"expires_at": _is_number(0, 2**63 - 1),
    b"encoding": (b"json", b"packed").__contains__,
    b"probabilities": (b"0", b"1").__contains__,
    b"split": _is_split,
    b"columns": _are_columns,
    b"exclude": is_name,
    b"budget_s": _is_budget,
    b"budget": (b"padded", b"sum").__contains__,
    b"buckets": _is_number(1, 64),
    b"traceparent": lambda _: True,  # ignored if it is not valid
}
"""Field -> which values it accepts."""
NEEDS: Final[Sequence[tuple[tuple[bytes, bytes], bytes, bool]]] = [
    ((b"pin", b"1"), b"session", True),
    ((b"method", b"epoch"), b"session", True),
    ((b"method", b"epoch"), b"seed", False),
]
"""Which fields go together: a value, another field, and whether that has to be there, or must not be."""


def go_together(given: Sequence[tuple[bytes, bytes]]) -> bool:
    """Check whether fields, each right by itself, do not contradict each other."""
    names, values = [name for name, _ in given], dict(given)
    if any(needing in given and (other in names) != is_wanted for needing, other, is_wanted in NEEDS):
        return False
    if b"budget_s" not in names:
        return b"budget" not in names and b"buckets" not in names
    adds_up, several = values.get(b"budget") == b"sum", int(values.get(b"buckets", b"1")) > 1
    if b"size" in names:
        return False
    is_independent = values.get(b"method", b"random") == b"random" and values.get(b"replace") != b"0"
    return is_independent or several or not adds_up
