"""Typed numbers are plain digits: the other forms that Python accepts are refused."""

from collections.abc import Iterator

import click
import pytest

from worker.cli.commands import app, execute
from worker.cli.numbers import Decimal, Whole

NO_NUMBERS = [
    "1_0",
    "\uff11",
    "\u0663",
    "0x10",
    "1e3",
    " 5",
    "5 ",
    "+5",
    "",
    "nan",
    "inf",
    "-inf",
    "five",
    "5\n",
    "1,5",
]


@pytest.mark.parametrize("text", [*NO_NUMBERS, "5.0", "0", "101", "9" * 30])
def test_what_is_no_whole_number_of_the_range_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="accepted: a whole number from 1 to 100"):
        Whole(1, 100)(text)


@pytest.mark.parametrize("text", [*NO_NUMBERS, "0.0", "100.1", "1e-3", "."])
def test_what_is_no_decimal_number_of_the_range_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match=r"accepted: a number from 0\.5 to 100"):
        Decimal(0.5, 100)(text)


def test_numbers_are_read() -> None:
    assert [Whole(1, 100)(text) for text in ("1", "007", "100", 20)] == [1, 7, 100, 20]
    assert [Decimal(0, 100)(text) for text in ("1", "0.5", ".5", "5.", 0.1)] == [1.0, 0.5, 0.5, 5.0, 0.1]
    assert Decimal(1e-12, 0.5, with_power=True)("1e-6") == 1e-6
    with pytest.raises(click.BadParameter):
        Decimal(0, 100, with_power=True)("1_0e1")


def _options(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Option]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from _options(command, (*path, name))
        else:
            yield from (((*path, name), param) for param in command.params if isinstance(param, click.Option))


NUMBERS = [(words, one.opts[0]) for words, one in _options(app) if isinstance(one.type, Whole | Decimal)]


@pytest.mark.parametrize(("words", "option"), NUMBERS)
@pytest.mark.parametrize("text", ["1_000", "\uff11\uff10\uff10\uff10"])
def test_no_verb_takes_a_number_that_is_none(
    words: tuple[str, ...], option: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute([*words, option, text]) == 2
    said = capsys.readouterr().err
    assert f"{text!a} is not accepted; accepted: a" in said
    assert len(said.splitlines()) == 1


def test_every_option_that_is_a_number_reads_plain_digits() -> None:
    of_click = (click.types.IntParamType, click.types.FloatParamType)
    assert [one.name for _, one in _options(app) if isinstance(one.type, of_click)] == []
    assert len(NUMBERS) >= 12
