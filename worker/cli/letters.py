"""How verbs write what other programs sent and no worker took: on one line each, in ASCII, and shortened."""

from collections.abc import Sequence
from typing import Final

from worker.cli.words import counted

_VALUE_LENGTH: Final = 100
_MESSAGE_LENGTH: Final = 1000
_MOST_FIELDS: Final = 20


def value_text(text: str) -> str:
    """Write a name or a value of other programs."""
    return _cut(text, _VALUE_LENGTH)


def message_text(text: str) -> str:
    """Write a sentence that quotes other programs."""
    return _cut(text, _MESSAGE_LENGTH)


def fields_text(fields: Sequence[tuple[str, str]], left_out: int = 0) -> str:
    """Write fields of other programs: the first 20, and how many there are beyond these.

    Args:
        fields: Names and values.
        left_out: How many more there were, which are not known.
    """
    shown = [f"{value_text(name)}={value_text(value)}" for name, value in fields[:_MOST_FIELDS]]
    more = len(fields) - len(shown) + left_out
    return "  ".join([*shown, *([f"and {counted(more, 'more field')}"] if more else [])]) or "no field"


def _cut(text: str, most: int) -> str:
    shown = ascii(text)[1:-1]
    return shown if len(shown) <= most else f"{shown[:most]}..."
