"""What the verbs of `dead` do."""

import asyncio
import re
from collections.abc import Sequence

import click

from worker.adapters.redis.clock import redis_now_ms
from worker.adapters.redis.dead_letters import DeadLetter, RedisDeadLetters
from worker.cli.context import open_redis
from worker.cli.letters import fields_text, message_text, value_text
from worker.cli.output import complain
from worker.cli.printing import print_json, print_text
from worker.cli.progress import counting
from worker.cli.words import ago_text, counted
from worker.core.wire import FIELDS_OF_LETTER
from worker.errors import SettingsError

_NUMBER = re.compile("[0-9]{1,9}")
_ID = re.compile(r"[0-9]{1,20}-[0-9]{1,20}")
_ENTRY, _ERROR, _MESSAGE, _DELIVERIES = FIELDS_OF_LETTER
_LEFT_OUT = "fields_left_out"
_MOST_NAMED = 3


def show_letters(count: int, *, as_json: bool) -> None:
    """Print the newest dead letters.

    Args:
        count: At most this many.
        as_json: Whether to print JSON.
    """

    async def work() -> tuple[int, int, list[DeadLetter]]:
        async with open_redis() as opened:
            dead = RedisDeadLetters(opened.client, opened.keys)
            now_ms = await redis_now_ms(opened.client, opened.keys.dead)
            return now_ms, await dead.count(), await dead.newest(count)

    now_ms, existing, letters = asyncio.run(work())
    if as_json:
        print_json([{"id": letter.id, "fields": dict(letter.fields)} for letter in letters])
        return
    for letter in letters:
        _print_letter(letter, now_ms)
    print_text(counted(existing, "dead letter") if existing else "no dead letter")


def requeue_letters(ids: Sequence[str], *, every: bool, as_json: bool) -> None:
    """Send the requests of dead letters again, and print how many.

    Args:
        ids: The letters.
        every: Whether every letter is meant; then without ids.
        as_json: Whether to print JSON.

    Raises:
        SettingsError: The ids are none, or both or neither are given.
    """
    if bool(ids) == every:
        raise SettingsError("nothing or too much is named; accepted: ids of dead letters, or --all")
    for letter in ids:
        if not _ID.fullmatch(letter):
            raise SettingsError(
                f"{letter!a} is not accepted; accepted: ids as dead show lists them, such as 1795376986739-0"
            )
    sent = asyncio.run(_requeue(ids))
    if as_json:
        print_json({letter: entry for letter, entry in sent.items() if entry})
    else:
        print_text(f"{counted(sum(map(bool, sent.values())), 'request')} sent again")
    _complain_of_rest(sent, ids)


async def _requeue(ids: Sequence[str]) -> dict[str, str]:
    """Send the requests of some letters again, or of all; return their new entries."""
    async with open_redis() as opened:
        dead = RedisDeadLetters(opened.client, opened.keys)
        if ids:
            return await dead.requeue(ids)
        sent: dict[str, str] = {}
        with counting("sending again", "requests", total=await dead.count()) as advance:
            async for part in dead.requeue_all():
                sent |= part
                advance(len(part))
        return sent


def _complain_of_rest(sent: dict[str, str], wanted: Sequence[str]) -> None:
    """Name the letters that were not sent, and end with status 1."""
    problems = []
    if unreadable := [letter for letter, entry in sent.items() if not entry]:
        listed, number = ", ".join(unreadable[:_MOST_NAMED]), len(unreadable)
        stay = "is of no worker and stays" if number == 1 else "are of no worker and stay"
        problems.append(f"unreadable: {counted(number, 'dead letter')} {stay}, such as {listed}")
    if missing := [letter for letter in wanted if letter not in sent]:
        problems.append(f"there is no dead letter {', '.join(missing)}")
    if problems:
        complain("; ".join(problems))
        raise click.exceptions.Exit(1)


def _print_letter(letter: DeadLetter, now_ms: int) -> None:
    """Print a letter as a block: when and why its request was given up, then what was asked for."""
    asked, why = _split(letter.fields)
    age = ago_text(int(letter.id.partition("-")[0]), now_ms)
    print_text(f"{letter.id}  {age}  {value_text(why.get(_ERROR, 'unreadable: of no worker'))}", "wrong")
    if message := why.get(_MESSAGE):
        print_text(f"  why:      {message_text(message)}")
    print_text(f"  request:  {fields_text(asked, int(why.get(_LEFT_OUT, 0)))}")
    if entry := why.get(_ENTRY):
        deliveries = why[_DELIVERIES]
        times = "once" if deliveries == "1" else f"{value_text(deliveries)} times"
        print_text(f"  entry:    {value_text(entry)}, delivered {times}")


def _split(fields: Sequence[tuple[str, str]]) -> tuple[Sequence[tuple[str, str]], dict[str, str]]:
    """Part the request from what a worker has added at its end; a letter of other programs has no such end."""
    own, left_out = list(fields), {}
    if own and own[-1][0] == _LEFT_OUT and _NUMBER.fullmatch(own[-1][1]):
        left_out = dict([own.pop()])
    end = own[len(own) - len(FIELDS_OF_LETTER) :]
    if [name for name, _ in end] != list(FIELDS_OF_LETTER):
        return fields, {}
    return own[: -len(end)], {**dict(end), **left_out}
