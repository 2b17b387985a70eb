"""Numbers that people type: plain decimal digits; what Python's own readers take beside these is refused."""

import re
from collections.abc import Collection
from typing import Final

import click

LONGEST_S: Final = 31_536_000
"""Longest wait that can be asked for, in seconds: a year."""

_WHOLE: Final = re.compile(r"-?[0-9]{1,18}")
_DECIMAL: Final = re.compile(r"-?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)")
_POWER: Final = re.compile(r"e-?[0-9]{1,3}")


class Whole(click.ParamType[int]):
    """A whole number within bounds."""

    name = "N"

    def __init__(self, least: int, most: int) -> None:
        """Set the bounds.

        Args:
            least: The smallest number that is accepted.
            most: The largest.
        """
        self._least = least
        self._most = most

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read a number.

        Raises:
            BadParameter: It is not accepted; the sentence says what is.
        """
        text = str(value)
        if not _WHOLE.fullmatch(text) or not self._least <= int(text) <= self._most:
            self.fail(
                f"{text!a} is not accepted; accepted: a whole number from {self._least} to {self._most}", param, ctx
            )
        return int(text)


class Decimal(click.ParamType[float]):
    """A decimal number within bounds."""

    name = "N"

    def __init__(self, least: float, most: float, *, with_power: bool = False) -> None:
        """Set the bounds.

        Args:
            least: The smallest number that is accepted.
            most: The largest.
            with_power: Whether a power of ten may follow, as in 1e-6.
        """
        self._least = least
        self._most = most
        self._with_power = with_power

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read a number.

        Raises:
            BadParameter: It is not accepted; the sentence says what is.
        """
        text = str(value)
        plain = _POWER.sub("", text, count=1) if self._with_power else text
        if not is_decimal(plain) or not self._least <= float(text) <= self._most:
            self.fail(
                f"{text!a} is not accepted; accepted: a number from {self._least:,.10g} to {self._most:,.10g}",
                param,
                ctx,
            )
        return float(text)


class DecimalOr(click.ParamType[float | str]):
    """A decimal number within bounds, or one of some words."""

    name = "N"

    def __init__(self, number: Decimal, words: Collection[str]) -> None:
        """Set what is accepted.

        Args:
            number: Reads numbers.
            words: What else is accepted.
        """
        self._number = number
        self._words = words

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float | str:
        """Read a number or a word.

        Raises:
            BadParameter: It is not accepted; the sentence says what is.
        """
        text = str(value)
        if text in self._words:
            return text
        try:
            return self._number.convert(value, param, ctx)
        except click.BadParameter as error:
            self.fail(f"{error.message}, or {' or '.join(self._words)}", param, ctx)


def is_decimal(text: str) -> bool:
    """Return whether a text is a number as people write it: ASCII digits and perhaps a point, such as 0.7."""
    return _DECIMAL.fullmatch(text) is not None
