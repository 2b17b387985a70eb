"""Field values of requests: what each field accepts, and the error sentence for other values."""

import re
from collections.abc import Callable, Mapping
from typing import Final

from worker.core.keys import NAME_PATTERN
from worker.errors import RequestError

_SHOWN_LENGTH = 64
_LONGEST_TEXT = 128

_TRACEPARENT: Final = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}|"
    r"(?!ff|00)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}-[!-~]{0,72}"
)
"""A trace context. A version above 00 may have more behind it.

Source: W3C, "Trace Context", section 3.2, the header field traceparent.
"""

LARGEST_BUDGET_S: Final = 1_000_000
_DECIMAL: Final = re.compile(rb"[0-9]{1,7}(\.[0-9]{1,20})?")
_MS_A_SECOND: Final = 1000

_PRESETS = "balanced, voice-heavy, music-heavy, or one that was stored"

Reader = Callable[[str, bytes], object]


def shown(value: bytes) -> str:
    """Write bytes of a stranger for a sentence: quoted, ASCII only, cut after 64 characters."""
    text = ascii(value[:_SHOWN_LENGTH].decode(errors="backslashreplace"))
    return text if len(text) <= _SHOWN_LENGTH else f"{text[:_SHOWN_LENGTH]}..."


def invalid(message: str) -> RequestError:
    """Make the error of a field that breaks the contract."""
    return RequestError("invalid_request", message)


def whole_number(least: int, largest: int) -> Callable[[str, bytes], int]:
    """Make a reader of whole numbers from `least` to `largest`, in digits alone."""
    accepted = f"a whole number from {least} to {largest}"
    digits = len(str(largest))

    def read(name: str, value: bytes) -> int:
        if value.isdigit() and len(value) <= digits and least <= (number := int(value)) <= largest:
            return number
        raise invalid(f"{name} is {shown(value)}; accepted: {accepted}")

    return read


def budget_seconds(name: str, value: bytes) -> float:
    """Read a budget in seconds. What is finer than a millisecond is cut off, as a batch lasts at most its budget.

    Raises:
        RequestError: The value is not one.
    """
    if _DECIMAL.fullmatch(value):
        whole, _, decimals = value.decode().partition(".")
        milliseconds = int(whole) * _MS_A_SECOND + int(f"{decimals}000"[:3])
        if 1 <= milliseconds <= LARGEST_BUDGET_S * _MS_A_SECOND:
            return milliseconds / _MS_A_SECOND
    raise invalid(f"{name} is {shown(value)}; accepted: seconds from 0.001 to {LARGEST_BUDGET_S}, such as 600 or 0.5")


def one_of(choices: Mapping[bytes, object]) -> Reader:
    """Make a reader that accepts one of some words."""
    accepted = " or ".join(choice.decode() for choice in choices)

    def read(name: str, value: bytes) -> object:
        if value in choices:
            return choices[value]
        raise invalid(f"{name} is {shown(value)}; accepted: {accepted}")

    return read


def printable(name: str, value: bytes) -> str:
    """Read a text of 1 to 128 printable characters.

    Raises:
        RequestError: The value is not one.
    """
    try:
        text = value.decode()
    except UnicodeDecodeError:
        text = ""
    if not 1 <= len(text) <= _LONGEST_TEXT or not text.isprintable():
        raise invalid(f"{name} is {shown(value)}; accepted: 1 to {_LONGEST_TEXT} printable characters")
    return text


def matching(pattern: re.Pattern[str]) -> Reader:
    """Make a reader of names: ASCII that matches a pattern from end to end; others raise a RequestError."""

    def read(name: str, value: bytes) -> str:
        text = value.decode("ascii", errors="replace")
        if not pattern.fullmatch(text):
            raise invalid(f"{name} is {shown(value)}; accepted: {pattern.pattern}")
        return text

    return read


def traceparent(_name: str, value: bytes) -> str | None:
    """Read a trace context; None if it is not valid, for then it counts as none."""
    text = value.decode("ascii", errors="replace")
    return text if _TRACEPARENT.fullmatch(text) else None


def preset(_name: str, value: bytes) -> str:
    """Read the name of a preset. A name that nobody can store counts as an unknown preset.

    Raises:
        RequestError: The value is not one.
    """
    text = value.decode("ascii", errors="replace")
    if NAME_PATTERN.fullmatch(text):
        return text
    raise unknown_preset(value)


def unknown_preset(value: bytes) -> RequestError:
    """Make the error of a preset that is neither built in nor stored."""
    return RequestError("unknown_preset", f"preset {shown(value)} is not known; accepted: {_PRESETS}")
