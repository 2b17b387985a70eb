"""Texts of strangers in a view: anybody may have written a reason of a megabyte."""

from typing import Final

LONGEST_TEXT: Final = 256
"""Longest text of a stranger in a view, in characters."""


def cut(text: str) -> str:
    """Return a text without what is beyond 256 characters."""
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 1]}…"
