"""How verbs write amounts for people: one form each for counts, shares, spans of time and lists."""

from collections.abc import Sequence
from typing import Final

_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"))
_SECOND_MS: Final = 1000


class Share(float):
    """Be a share, 0 to 1, that a table shows in per cent."""


def counted(number: int, noun: str, plural: str = "") -> str:
    """Write a count with its noun: `1 request`, `1,200 requests`.

    Args:
        number: How many.
        noun: What, one of it.
        plural: What, several of it; empty: the noun and an s.
    """
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def share_text(share: float) -> str:
    """Write a share, 0 to 1, in per cent with one digit: `83.3%`; one above zero never reads as zero."""
    return "<0.1%" if 0 < share < 0.0005 else f"{share:.1%}"  # noqa: PLR2004 - half of the last digit


def span_text(seconds: float) -> str:
    """Write how long something lasts, in its largest unit that says enough: `8 ms`, `20 s`, `3 min`, `24 h`, `7 d`."""
    if seconds < 1:
        return f"{seconds * _SECOND_MS:.0f} ms"
    for unit_s, name in _UNITS:
        if seconds >= 2 * unit_s or (name != "d" and round(seconds) == unit_s):
            return f"{seconds / unit_s:.0f} {name}"
    return f"{seconds:.0f} s"


def listed(names: Sequence[str], most: int = 3) -> str:
    """Write a list of names: `voice, music and 4 others`."""
    if len(names) <= most:
        return " and ".join(part for part in (", ".join(names[:-1]), names[-1] if names else "") if part)
    return f"{', '.join(names[:most])} and {counted(len(names) - most, 'other')}"
