"""`session list`, `show`, `release` and `end`."""

from typing import Annotated, Any

import typer

from worker.adapters.redis.sessions import RedisSessions
from worker.cli.context import AsJson, open_desk, print_json, print_table, print_text, run_async, shares_text
from worker.cli.output import complain
from worker.cli.words import counted, span_text
from worker.core.draw.sessions import Fields, Session, read_session, session_counts
from worker.errors import SettingsError

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
_LONGEST = 128

Name = Annotated[str, typer.Argument(metavar="SESSION", help="What requests give as `session`.")]


def check_session(name: str) -> str:
    """Refuse what is not a session's name.

    Raises:
        SettingsError: The sentence says what is accepted.
    """
    if not 1 <= len(name) <= _LONGEST or not name.isprintable():
        raise SettingsError(f"session {name[:_LONGEST]!a} is not accepted; accepted: 1 to 128 printable characters")
    return name


@app.command("list", epilog="Example: sampling-worker session list")
def list_(*, as_json: AsJson = False) -> None:
    """List the sessions there are; this looks at every key of the database."""

    async def work() -> list[str]:
        async with open_desk() as desk:
            return await RedisSessions(desk.client, desk.keys).names()

    names = run_async(work)
    if as_json:
        print_json(names)
    else:
        for name in names or ["no session"]:
            print_text(name)


@app.command(epilog="Example: sampling-worker session show run-7")
def show(name: Name, *, as_json: AsJson = False) -> None:
    """Show the weights that a session is pinned to, its passes, and what it heard."""
    check_session(name)

    async def work() -> tuple[Fields, int]:
        async with open_desk() as desk:
            sessions = RedisSessions(desk.client, desk.keys)
            return await sessions.read(name), await sessions.idle_left_s(name)

    fields, left_s = run_async(work)
    if fields == {}:
        complain(f"there is no session {name!a}; sampling-worker session list names those")
        raise typer.Exit(1)
    document = _document(name, fields, left_s)
    if as_json:
        print_json(document)
    else:
        _print_shown(document)


@app.command(epilog="Example: sampling-worker session release run-7")
def release(name: Name) -> None:
    """Release a session from the weights that it is pinned to: its next pinned request pins it anew."""
    check_session(name)

    async def work() -> bool:
        async with open_desk() as desk:
            return await RedisSessions(desk.client, desk.keys).release(name)

    print_text("released" if run_async(work) else "it was not pinned")


@app.command(epilog="Example: sampling-worker session end run-7")
def end(name: Name) -> None:
    """End a session: its pinned weights, its passes and its counts are gone."""
    check_session(name)

    async def work() -> bool:
        async with open_desk() as desk:
            return await RedisSessions(desk.client, desk.keys).end(name)

    print_text("ended" if run_async(work) else "there was none")


def _document(name: str, fields: Fields, left_s: int) -> dict[str, Any]:
    session: Session = read_session(fields)
    counts = session_counts(fields or {})
    pinned = session.pinned
    return {
        "session": name,
        "problem": session.problem or None,
        "pinned": None if pinned is None else {"version": pinned.version, "weights": dict(pinned.shares)},
        "passes": {category: cursor.number for category, cursor in sorted(session.cursors.items())},
        "requests": sum(counts.requests.values()),
        "chunks": {row.category: row.count for row in counts.categories},
        "ends_in_s": left_s,
    }


def _print_shown(document: dict[str, Any]) -> None:
    if document["problem"]:
        print_text(f"it cannot be used, {document['problem']}")
    pinned = document["pinned"]
    print_text(f"pinned to {pinned['version']}  {shares_text(pinned['weights'])}" if pinned else "not pinned")
    rows = [(name, document["passes"].get(name, ""), document["chunks"].get(name, 0)) for name in _categories(document)]
    left = span_text(document["ends_in_s"])
    title = f"{counted(document['requests'], 'request')}; ends in {left} if nobody asks for it"
    print_table(title, ("category", "pass", "chunks"), rows)


def _categories(document: dict[str, Any]) -> list[str]:
    return sorted({*document["passes"], *document["chunks"]})
