"""`dead show` and `dead requeue`."""

import re
from collections.abc import Sequence
from typing import Annotated

import typer

from worker.adapters.redis.clock import redis_now_ms
from worker.adapters.redis.dead_letters import DeadLetter, RedisDeadLetters
from worker.cli.context import AsJson, open_desk, print_json, print_text, run_async
from worker.cli.numbers import whole
from worker.cli.output import complain
from worker.cli.words import counted, span_text
from worker.core.wire import FIELDS_OF_LETTER
from worker.errors import SettingsError

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
_NUMBER = re.compile("[0-9]{1,9}")
_ID = re.compile(r"[0-9]{1,20}-[0-9]{1,20}")
_VALUE_LENGTH, _MESSAGE_LENGTH, _MOST_FIELDS = 100, 1000, 20
_ENTRY, _ERROR, _MESSAGE, _DELIVERIES = FIELDS_OF_LETTER
_LEFT_OUT = "fields_left_out"
_MOST_NAMED = 3
_MS_A_SECOND = 1000


@app.command(epilog="Example: sampling-worker dead show --count 5")
def show(
    count: Annotated[int, typer.Option(parser=whole(1, 100_000), metavar="NUMBER", help="At most this many.")] = 20,
    *,
    as_json: AsJson = False,
) -> None:
    """Show requests that were given up on and why, newest first."""

    async def work() -> tuple[int, int, list[DeadLetter]]:
        async with open_desk() as desk:
            dead = RedisDeadLetters(desk.client, desk.keys)
            now_ms = await redis_now_ms(desk.client, desk.keys.dead)
            return now_ms, await dead.count(), await dead.newest(count)

    now_ms, there, letters = run_async(work)
    if as_json:
        print_json([{"id": letter.id, "fields": dict(letter.fields)} for letter in letters])
        return
    for letter in letters:
        _print_letter(letter, now_ms)
    print_text(counted(there, "dead letter") if there else "no dead letter")


@app.command(epilog="Example: sampling-worker dead requeue 1795376986739-0")
def requeue(
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID...]", help="Dead letters, as dead show lists them.")
    ] = None,
    *,
    all_: Annotated[bool, typer.Option("--all", help="Every dead letter there is.")] = False,
    as_json: AsJson = False,
) -> None:
    """Send requests that were given up on again, and remove their dead letters; status 1 when one is not there."""
    if bool(ids) == all_:
        raise SettingsError("nothing or too much is named; accepted: ids of dead letters, or --all")
    for letter in ids or []:
        if not _ID.fullmatch(letter):
            raise SettingsError(
                f"{letter!a} is not accepted; accepted: ids as dead show lists them, such as 1795376986739-0"
            )

    async def work() -> dict[str, str]:
        async with open_desk() as desk:
            dead = RedisDeadLetters(desk.client, desk.keys)
            if ids:
                return await dead.requeue(ids)
            return {letter: entry async for part in dead.requeue_all() for letter, entry in part.items()}

    sent = run_async(work)
    if as_json:
        print_json({letter: entry for letter, entry in sent.items() if entry})
    else:
        print_text(f"{counted(sum(map(bool, sent.values())), 'request')} sent again")
    _tell_what_stays(sent, ids or [])


def _tell_what_stays(sent: dict[str, str], wanted: Sequence[str]) -> None:
    """Say which letters were not sent: status 1."""
    problems = []
    if unreadable := [letter for letter, entry in sent.items() if not entry]:
        listed, number = ", ".join(unreadable[:_MOST_NAMED]), len(unreadable)
        stay = "is of no worker and stays" if number == 1 else "are of no worker and stay"
        problems.append(f"unreadable: {counted(number, 'dead letter')} {stay}, such as {listed}")
    if missing := [letter for letter in wanted if letter not in sent]:
        problems.append(f"there is no dead letter {', '.join(missing)}")
    if problems:
        complain("; ".join(problems))
        raise typer.Exit(1)


def _print_letter(letter: DeadLetter, now_ms: int) -> None:
    """Print a letter as a block: when and why it was given up on, then what was asked for."""
    asked, why = _split(letter.fields)
    age = span_text(max(0, now_ms - int(letter.id.partition("-")[0])) / _MS_A_SECOND)
    print_text(f"{letter.id}  {age} ago  {_shown(why.get(_ERROR, 'unreadable: of no worker'), _VALUE_LENGTH)}")
    if message := why.get(_MESSAGE):
        print_text(f"  why:      {_shown(message, _MESSAGE_LENGTH)}")
    shown = [f"{_shown(name, _VALUE_LENGTH)}={_shown(value, _VALUE_LENGTH)}" for name, value in asked[:_MOST_FIELDS]]
    left_out = len(asked) - len(shown) + int(why.get(_LEFT_OUT, 0))
    more = [f"and {counted(left_out, 'more field')}"] if left_out else []
    print_text(f"  request:  {'  '.join([*shown, *more]) or 'no field'}")
    if entry := why.get(_ENTRY):
        deliveries = why[_DELIVERIES]
        times = "once" if deliveries == "1" else f"{_shown(deliveries, _VALUE_LENGTH)} times"
        print_text(f"  entry:    {_shown(entry, _VALUE_LENGTH)}, delivered {times}")


def _split(fields: Sequence[tuple[str, str]]) -> tuple[Sequence[tuple[str, str]], dict[str, str]]:
    """Part what was asked for from what a worker has added at the end; a stranger's letter has no such end."""
    own, left_out = list(fields), {}
    if own and own[-1][0] == _LEFT_OUT and _NUMBER.fullmatch(own[-1][1]):
        left_out = dict([own.pop()])
    end = own[len(own) - len(FIELDS_OF_LETTER) :]
    if [name for name, _ in end] != list(FIELDS_OF_LETTER):
        return fields, {}
    return own[: -len(end)], {**dict(end), **left_out}


def _shown(text: str, most: int) -> str:
    """Show a stranger's text on one line, in ASCII."""
    shown = ascii(text)[1:-1]
    return shown if len(shown) <= most else f"{shown[:most]}..."
