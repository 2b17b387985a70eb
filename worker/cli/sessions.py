"""What the verbs of `session` do."""

import asyncio
from typing import Any, NamedTuple

import click

from worker.adapters.redis.sessions import RedisSessions
from worker.cli.context import open_desk
from worker.cli.output import complain
from worker.cli.printing import print_json, print_table, print_text, shares_text
from worker.cli.words import counted, span_text
from worker.core.draw.sessions import Fields, Session, read_session, session_counts
from worker.errors import SettingsError

_LONGEST = 128


class _Listed(NamedTuple):
    """A session: its name, its hash, and in how many seconds it ends if nobody asks for it."""

    name: str
    fields: Fields
    left_s: int


def check_session(name: str) -> str:
    """Return a session's name as it is, if it can be one.

    Raises:
        SettingsError: It cannot; the sentence says what is accepted.
    """
    if not 1 <= len(name) <= _LONGEST or not name.isprintable():
        raise SettingsError(f"session {name[:_LONGEST]!a} is not accepted; accepted: 1 to 128 printable characters")
    return name


def list_sessions(*, as_json: bool) -> None:
    """Print the sessions: their names alone for programs, what they counted for people."""

    async def work() -> list[_Listed]:
        async with open_desk() as desk:
            sessions = RedisSessions(desk.client, desk.keys)
            names = await sessions.names()
            if as_json:
                return [_Listed(name, {}, 0) for name in names]
            return [_Listed(name, await sessions.read(name), await sessions.idle_left_s(name)) for name in names]

    listed = asyncio.run(work())
    if as_json:
        print_json([one.name for one in listed])
    elif listed:
        columns = ("session", "requests", "chunks", "pinned to", "ends in")
        print_table(counted(len(listed), "session"), columns, [_row(one) for one in listed])
    else:
        print_text("no session")


def show_session(name: str, *, as_json: bool) -> None:
    """Print the weights that a session is pinned to, its passes, and what it heard."""
    check_session(name)

    async def work() -> tuple[Fields, int]:
        async with open_desk() as desk:
            sessions = RedisSessions(desk.client, desk.keys)
            return await sessions.read(name), await sessions.idle_left_s(name)

    fields, left_s = asyncio.run(work())
    if fields == {}:
        complain(f"there is no session {name!a}; sampling-worker session list names those that exist")
        raise click.exceptions.Exit(1)
    document = _document(name, fields, left_s)
    if as_json:
        print_json(document)
    else:
        _print_shown(document)


def release_session(name: str) -> None:
    """Unpin a session from its weights, and print whether it was pinned."""
    check_session(name)

    async def work() -> bool:
        async with open_desk() as desk:
            return await RedisSessions(desk.client, desk.keys).release(name)

    print_text("released" if asyncio.run(work()) else "it was not pinned")


def end_session(name: str) -> None:
    """Delete a session, and print whether there was one."""
    check_session(name)

    async def work() -> bool:
        async with open_desk() as desk:
            return await RedisSessions(desk.client, desk.keys).end(name)

    print_text("ended" if asyncio.run(work()) else f"there is no session {name!a}")


def _row(one: _Listed) -> tuple[Any, ...]:
    """Lay out a session as cells."""
    session, counts = read_session(one.fields), session_counts(one.fields or {})
    pinned = "unreadable" if session.problem else session.pinned.version if session.pinned else ""
    return one.name, sum(counts.requests.values()), counts.chunks, pinned, span_text(one.left_s)


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
        print_text(f"it cannot be used, {document['problem']}", "wrong")
    pinned = document["pinned"]
    print_text(f"pinned to {pinned['version']}  {shares_text(pinned['weights'])}" if pinned else "not pinned")
    names = sorted({*document["passes"], *document["chunks"]})
    rows = [
        (name, document["passes"].get(name, ""), document["chunks"].get(name, "" if "+" in name else 0))
        for name in names
    ]
    left = span_text(document["ends_in_s"])
    title = f"{counted(document['requests'], 'request')}; ends in {left} if nobody asks for it"
    print_table(title, ("category", "pass", "chunks"), rows)
