"""Text for people: counts with their nouns, and the known name that an unknown name may have meant."""

from collections.abc import Collection
from typing import Final

MOST_COMPARED: Final = 2_000
"""Names that one is compared with, at most: ten thousand would take a second."""

_ALIKE: Final = 0.6  # half of the letters or so in the same order: a typing error or two, also in short names


def plural(count: int, noun: str) -> str:
    """Write a count with its noun: `1 request`, `1,200 requests`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def nearest(name: str, known: Collection[str]) -> str | None:
    """Find the name that may have been meant by one that nothing has; None if there is none.

    Args:
        name: What was typed.
        known: The names that there are. The first 2,000 in their order are compared.
    """
    from difflib import get_close_matches  # noqa: PLC0415 - for a name that nothing has, here alone

    found = get_close_matches(name, sorted(known)[:MOST_COMPARED], n=1, cutoff=_ALIKE)
    return found[0] if found else None


def did_you_mean(name: str, known: Collection[str]) -> str:
    """Ask for the name that may have been meant, at the end of a sentence; empty if none is near.

    Args:
        name: What was typed, which nothing has.
        known: As for `nearest`.
    """
    near = nearest(name, [one for one in known if one != name])
    return f"; did you mean {near}?" if near else ""
