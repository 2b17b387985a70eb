"""`dead show` and `dead requeue`."""

import re
from typing import Annotated

import typer

from worker.adapters.redis_dead import DeadLetter, RedisDead
from worker.cli.context import AsJson, open_desk, print_json, print_text, run_async
from worker.cli.numbers import whole
from worker.cli.output import complain
from worker.errors import SettingsError

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
_ID = re.compile(r"[0-9]{1,20}-[0-9]{1,20}")
_SHOWN_LENGTH = 100
_MOST_NAMED = 3


@app.command(epilog="Example: sampling-worker dead show --count 5")
def show(
    count: Annotated[int, typer.Option(parser=whole(1, 100_000), metavar="NUMBER", help="At most this many.")] = 20,
    *,
    as_json: AsJson = False,
) -> None:
    """Show requests that were given up on and why, newest first."""

    async def work() -> tuple[int, list[DeadLetter]]:
        async with open_desk() as desk:
            dead = RedisDead(desk.client, desk.keys)
            return await dead.count(), await dead.newest(count)

    there, letters = run_async(work)
    if as_json:
        print_json([{"id": letter.id, "fields": dict(letter.fields)} for letter in letters])
        return
    for letter in letters:
        print_text("  ".join((letter.id, *(f"{_shown(name)}={_shown(value)}" for name, value in letter.fields))))
    print_text(f"{there:,} dead letters" if there else "no dead letter")


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

    async def work() -> tuple[list[str], dict[str, str]]:
        async with open_desk() as desk:
            dead = RedisDead(desk.client, desk.keys)
            wanted = ids or await dead.ids()
            return wanted, await dead.requeue(wanted)

    wanted, sent = run_async(work)
    unreadable = [letter for letter, entry in sent.items() if not entry]
    if as_json:
        print_json({letter: entry for letter, entry in sent.items() if entry})
    else:
        print_text(f"{len(sent) - len(unreadable):,} requests sent again")
    if unreadable:
        listed = ", ".join(unreadable[:_MOST_NAMED])
        complain(f"unreadable: {len(unreadable):,} dead letters are of no worker and stay, such as {listed}")
        raise typer.Exit(1)
    if missing := [letter for letter in wanted if letter not in sent]:
        complain(f"there is no dead letter {', '.join(missing)}")
        raise typer.Exit(1)


def _shown(text: str) -> str:
    """Show a stranger's text on one line, in ASCII."""
    shown = ascii(text)[1:-1]
    return shown if len(shown) <= _SHOWN_LENGTH else f"{shown[:_SHOWN_LENGTH]}..."
