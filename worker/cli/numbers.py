"""Numbers that people type: plain decimal digits; what Python's own readers take beside these is refused."""

import re
from collections.abc import Callable
from typing import Final

import typer

from worker.cli.typed_weights import is_decimal

_WHOLE: Final = re.compile(r"-?[0-9]{1,18}")
LONGEST_S: Final = 31_536_000
"""Longest wait that can be asked for, in seconds: a year."""

_POWER: Final = re.compile(r"e-?[0-9]{1,3}")


def whole(least: int, most: int) -> Callable[[object], int]:
    """Make what reads an option that is a whole number.

    Args:
        least: The smallest that is accepted.
        most: The largest.
    """

    def read(typed: object) -> int:
        text = str(typed)
        if not _WHOLE.fullmatch(text) or not least <= int(text) <= most:
            raise typer.BadParameter(f"{text!a} is not accepted; accepted: a whole number from {least} to {most}")
        return int(text)

    return read


def decimal(least: float, most: float, *, with_power: bool = False) -> Callable[[object], float]:
    """Make what reads an option that is a decimal number.

    Args:
        least: The smallest that is accepted.
        most: The largest.
        with_power: Whether a power of ten may follow, as in 1e-6.
    """

    def read(typed: object) -> float:
        text = str(typed)
        plain = _POWER.sub("", text, count=1) if with_power else text
        if not is_decimal(plain) or not least <= float(text) <= most:
            raise typer.BadParameter(f"{text!a} is not accepted; accepted: a number from {least:g} to {most:g}")
        return float(text)

    return read
