"""Numbers that people type are plain digits: what Python's readers take beside these is no number to a person."""

from collections.abc import Callable
from typing import Any, get_args, get_type_hints

import pytest
import typer
from typer import Typer
from typer.core import TyperGroup

from worker.cli.commands import app, execute
from worker.cli.numbers import decimal, whole

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
    with pytest.raises(typer.BadParameter, match="accepted: a whole number from 1 to 100"):
        whole(1, 100)(text)


@pytest.mark.parametrize("text", [*NO_NUMBERS, "0.0", "100.1", "1e-3", "."])
def test_what_is_no_decimal_number_of_the_range_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match=r"accepted: a number from 0\.5 to 100"):
        decimal(0.5, 100)(text)


def test_numbers_are_read() -> None:
    assert [whole(1, 100)(text) for text in ("1", "007", "100", 20)] == [1, 7, 100, 20]
    assert [decimal(0, 100)(text) for text in ("1", "0.5", ".5", "5.", 0.1)] == [1.0, 0.5, 0.5, 5.0, 0.1]
    assert decimal(1e-12, 0.5, with_power=True)("1e-6") == 1e-6
    with pytest.raises(typer.BadParameter):
        decimal(0, 100, with_power=True)("1_0e1")


def _numeric(group: TyperGroup, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], str]]:
    found: list[tuple[tuple[str, ...], str]] = []
    for name, command in group.commands.items():
        words = (*path, name)
        if isinstance(command, TyperGroup):
            found += _numeric(command, words)
            continue
        found += [(words, option.opts[0]) for option in command.params if option.metavar in {"NUMBER", "SECONDS"}]
    return found


def _commands() -> TyperGroup:
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    return group


@pytest.mark.parametrize(("words", "option"), _numeric(_commands()))
@pytest.mark.parametrize("text", ["1_000", "\uff11\uff10\uff10\uff10"])
def test_no_verb_takes_a_number_that_is_none(
    words: tuple[str, ...], option: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute([*words, option, text]) == 2
    said = capsys.readouterr().err
    assert f"{text!a} is not accepted; accepted: a" in said
    assert len(said.splitlines()) == 1


def _callbacks(group: Typer) -> list[Callable[..., Any]]:
    own = [command.callback for command in group.registered_commands if command.callback is not None]
    of_groups = [one.typer_instance for one in group.registered_groups if one.typer_instance is not None]
    return [*own, *(callback for one in of_groups for callback in _callbacks(one))]


def test_every_option_that_is_a_number_reads_plain_digits() -> None:
    read: list[tuple[str, str]] = []
    unread: list[tuple[str, str]] = []
    for callback in _callbacks(app):
        for name, hint in get_type_hints(callback, include_extras=True).items():
            kinds = {int, float} & {*get_args(hint), *(kind for one in get_args(hint) for kind in get_args(one))}
            if kinds:
                parser = hint.__metadata__[0].parser
                (read if parser is not None else unread).append((callback.__name__, name))
    assert not unread
    assert len(read) >= 12
