"""How verbs write amounts for people: one form each for counts, shares, durations, times and lists."""

import time
from collections.abc import Sequence
from typing import Final

from worker.core.wording import plural

_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"))
_SECOND_MS: Final = 1000
_NEVER_ZERO: Final = 0.0005  # half of the last digit shown
_SURE: Final = 0.99995
_SMALL: Final = 10


REPEATS: Final = ("repeats", "most")
"""Columns of how often chunks were heard: each on average, and the one that was heard most."""


class Share(float):
    """A share, 0 to 1, that a table shows in per cent."""


class Score(float):
    """A z score: standard deviations from what was expected."""


class Clock(float):
    """Seconds of audio that a table shows as h:min:s."""


def known(amount: float | None) -> float | str:
    """Return an amount as a table takes it; one that is not known is empty."""
    return "" if amount is None else amount


def counted(number: int, noun: str, several: str = "") -> str:
    """Write a count with its noun: `1 request`, `1,200 requests`.

    Args:
        number: How many.
        noun: One of them.
        several: Several of them; empty: the noun and an s.
    """
    return f"{number:,} {several}" if several and number != 1 else plural(number, noun)


def share_text(share: float) -> str:
    """Write a share, 0 to 1, in per cent with one digit: `83.3%`; one above zero never reads as zero."""
    return "<0.1%" if 0 < share < _NEVER_ZERO else f"{share:.1%}"


def number_text(number: float) -> str:
    """Write a number with one decimal, and a small one with three significant digits: `1,234.5`, `0.0123`."""
    return f"{number:,.1f}" if abs(number) >= _SMALL or not number else f"{number:.3g}"


def span_text(seconds: float) -> str:
    """Write a duration in the largest unit that is precise enough: `8 ms`, `20 s`, `3 min`, `24 h`, `7 d`."""
    if seconds < 1:
        return f"{seconds * _SECOND_MS:.0f} ms"
    for unit_s, name in _UNITS:
        if round(seconds) >= 2 * unit_s or (name != "d" and round(seconds) == unit_s):
            return f"{seconds / unit_s:.0f} {name}"
    return f"{seconds:.0f} s"


def clock_text(seconds: float) -> str:
    """Write a duration as h:min:s: `61:33:20`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60:,}:{minutes % 60:02}:{rest:02}"


def ago_text(at_ms: int, now_ms: int | None = None) -> str:
    """Write how long ago a moment was: `3 min ago`; one that has just been, or is to come by another clock: `just now`.

    Args:
        at_ms: Unix time in ms.
        now_ms: The same of now; None: by the clock of this machine.
    """
    now_ms = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    past_s = (now_ms - at_ms) / _SECOND_MS
    return "just now" if past_s < 1 else f"{span_text(past_s)} ago"


def p_text(p_value: float) -> str:
    """Write a probability; one below 1 never reads as 1."""
    if p_value > _SURE:
        return "1" if p_value == 1 else ">0.9999"
    return f"{p_value:.4f}" if p_value >= 1 - _SURE else f"{p_value:.1e}"


def listed(names: Sequence[str], most: int = 3) -> str:
    """Write a list of names: `voice, music and 4 others`."""
    if len(names) <= most:
        return " and ".join(part for part in (", ".join(names[:-1]), names[-1] if names else "") if part)
    return f"{', '.join(names[:most])} and {counted(len(names) - most, 'other')}"
