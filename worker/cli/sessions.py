"""What the verbs of `session` do."""

import asyncio
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from worker.adapters.redis.sessions import RedisSessions
from worker.cli.context import Opened, check_session, open_redis
from worker.cli.near import near_session
from worker.cli.output import complain
from worker.cli.printing import print_json, print_table, print_text, shares_text
from worker.cli.typed_weights import span_ms
from worker.cli.words import REPEATS, counted, known, listed, span_text
from worker.core.draw.session_shown import LEAST_LIMIT, MOST_LIMIT, WARN_AT, session_document
from worker.core.draw.sessions import Fields, Session, read_session, session_counts
from worker.core.stats.fields import MS
from worker.core.workers.mix import look_at_mix
from worker.core.workers.ready import UNKNOWN, Ready, ready_of
from worker.errors import AdjustError, SettingsError
from worker.weights.in_use import live_workers, try_to_find_ready, unit_of

if TYPE_CHECKING:
    from worker.core.draw.session_schedules import SessionSchedule


class _Listed(NamedTuple):
    """A session: its name, its hash, in how many seconds it ends if nobody asks for it, and what is READY."""

    name: str
    fields: Fields
    left_s: int
    ready: Ready = UNKNOWN


class Wanted(NamedTuple):
    """A schedule as it is typed: its points, their unit, what is between them, and how long an idle session is kept."""

    points: str
    unit: str
    between: str
    keep: str


def list_sessions(*, as_json: bool) -> None:
    """Print the sessions: their names alone for programs, what they counted for people."""

    async def work() -> list[_Listed]:
        async with open_redis() as opened:
            sessions = RedisSessions(opened.client, opened.keys)
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
    """Print the weights that a session is pinned to, its schedule, its passes, what it heard, and how often."""
    check_session(name)

    async def work() -> tuple[_Listed | None, str]:
        async with open_redis() as opened:
            listed = await _look(opened, name)
            told = "; sampling-worker session list names those that exist"
            return listed, "" if listed else await _missing(opened, name, told)

    listed, missing = asyncio.run(work())
    if listed is None:
        complain(missing)
        raise click.exceptions.Exit(1)
    _print_session(listed, as_json=as_json)


def schedule_session(name: str, wanted: Wanted, *, as_json: bool) -> None:
    """Let a session follow a schedule, and print the session.

    Raises:
        AdjustError: The points are not accepted.
        WeightsError: The time span is not accepted.
    """
    check_session(name)
    keep_s = max(1, span_ms(wanted.keep) // 1000)

    async def work() -> tuple[_Listed | None, Sequence[str]]:
        async with open_redis() as opened:
            schedule = await _read_wanted(opened, wanted)
            sessions = RedisSessions(opened.client, opened.keys)
            new = await _new(opened, name)
            await sessions.set_schedule(name, schedule.text, keep_s)
            return await _look(opened, name), [*new, *await _warnings(opened, schedule)]

    listed, warnings = asyncio.run(work())
    for sentence in warnings:
        complain(sentence)
    if listed is not None:
        _print_session(listed, as_json=as_json)


def limit_session(name: str, repeats: float, keep: str, *, as_json: bool) -> None:
    """Limit how often chunks shall be repeated in a session, and print the session.

    Raises:
        SettingsError: The limit is not accepted.
        WeightsError: The time span is not accepted.
    """
    check_session(name)
    if repeats and not LEAST_LIMIT <= repeats <= MOST_LIMIT:
        accepted = f"{LEAST_LIMIT:g} to {MOST_LIMIT:,.0f}, or 0 for no limit"
        raise SettingsError(f"{repeats:g} repeats are not accepted; accepted: {accepted}")
    keep_s = max(1, span_ms(keep) // 1000)

    async def work() -> tuple[_Listed | None, Sequence[str]]:
        async with open_redis() as opened:
            new = await _new(opened, name) if repeats else []
            await RedisSessions(opened.client, opened.keys).set_limit(name, repeats, keep_s)
            listed = await _look(opened, name)
            near = "" if listed else await near_session(opened, name)
            return listed, [*new, *filter(None, [near])]

    listed, said = asyncio.run(work())
    if listed is None:
        print_text(f"there is no session {name!a}, and so no limit{''.join(said)}")
        return
    for sentence in said:
        complain(sentence)
    _print_session(listed, as_json=as_json)


def release_session(name: str) -> None:
    """Unpin a session from its weights, remove its schedule, and print whether it had any."""
    check_session(name)

    async def work() -> str:
        async with open_redis() as opened:
            sessions = RedisSessions(opened.client, opened.keys)
            if await sessions.release(name):
                return "released"
            return await _missing(opened, name) if await sessions.read(name) == {} else "it was not pinned"

    print_text(asyncio.run(work()))


def end_session(name: str) -> None:
    """Delete a session, and print whether there was one."""
    check_session(name)

    async def work() -> str:
        async with open_redis() as opened:
            is_ended = await RedisSessions(opened.client, opened.keys).end(name)
            return "ended" if is_ended else await _missing(opened, name)

    print_text(asyncio.run(work()))


async def _missing(opened: Opened, name: str, told: str = "") -> str:
    """Write that there is no such session, what else is to say, and which name is similar."""
    return f"there is no session {name!a}{told}{await near_session(opened, name)}"


async def _new(opened: Opened, name: str) -> list[str]:
    """Return a warning if no training has asked for a session yet: its name may be mistyped."""
    if await RedisSessions(opened.client, opened.keys).read(name) != {}:
        return []
    return [f"session {name!a} is new: no training has asked for it yet{await near_session(opened, name)}"]


async def _look(opened: Opened, name: str) -> _Listed | None:
    """Look at a session and at what is READY; None: there is no such session."""
    sessions = RedisSessions(opened.client, opened.keys)
    fields = await sessions.read(name)
    if fields == {}:
        return None
    ready = await try_to_find_ready(opened.client, opened.keys, None)
    return _Listed(name, fields, await sessions.idle_left_s(name), ready)


async def _read_wanted(opened: Opened, wanted: Wanted) -> "SessionSchedule":
    """Read a typed schedule, with the weights that stored presets have now.

    Raises:
        AdjustError: It is not accepted.
    """
    try:
        points = json.loads(wanted.points)
    except (ValueError, RecursionError):
        points = wanted.points
    # numpy, where there is a schedule
    from worker.core.draw.session_schedules import read_schedule  # noqa: PLC0415
    from worker.weights.points import fill_points  # noqa: PLC0415

    filled = await fill_points(opened.client, opened.keys, points)
    parameters = {"points": filled, "unit": wanted.unit, "between": wanted.between}
    typed = read_schedule(json.dumps(parameters, separators=(",", ":")).encode())
    return read_schedule(typed.text)  # as workers read it, which may be longer than what was typed


async def _warnings(opened: Opened, schedule: "SessionSchedule") -> list[str]:
    """Return warnings: categories of a schedule that have no READY chunk, and workers that do not count its unit."""
    workers = await live_workers(opened.client, opened.keys)
    ready = ready_of(workers)
    said = []
    if schedule.goes_by == MS and unit_of(workers) == "chunks":
        said.append("workers count chunks: requests are refused until they have WORKER_WEIGHT_UNIT=seconds")
    said += [sentence for weights in schedule.weights for sentence in look_at_mix(weights, ready).warnings]
    return list(dict.fromkeys(said))


def _print_session(listed: _Listed, *, as_json: bool) -> None:
    document = session_document(*listed)
    if as_json:
        print_json(document)
        return
    session = read_session(listed.fields)
    _print_shown(document, _schedule_text(session) if session.schedule else "")


def _schedule_text(session: Session) -> str:
    """Write the schedule of a session for people."""
    from worker.core.draw.session_schedules import read_schedule  # noqa: PLC0415 - numpy, where there is one

    try:
        return read_schedule(session.schedule or b"").text_at(session.position)
    except AdjustError as error:
        return f"which cannot be used: {error}"


def _row(one: _Listed) -> tuple[Any, ...]:
    """Lay out a session as cells."""
    session, counts = read_session(one.fields), session_counts(one.fields or {})
    pinned = "unreadable" if session.problem else session.pinned.version if session.pinned else ""
    return one.name, sum(counts.requests.values()), counts.chunks, pinned, span_text(one.left_s)


def _print_limit(limit: float, repeats: dict[str, Any]) -> None:
    """Print a limit of repeats, and the categories that are near it or have reached it."""
    print_text(f"limit: {limit:g} repeats of a category; mix.repeats tells when it nears")
    known = {name: one["repeats"] for name, one in repeats.items() if one["repeats"] is not None}
    reached = [f"{name} {most:.3g}" for name, most in known.items() if most >= limit]
    near = [f"{name} {most:.3g}" for name, most in known.items() if WARN_AT * limit <= most < limit]
    if reached:
        print_text(f"reached by {listed(reached, 8)}", "wrong")
    if near:
        print_text(f"near in {listed(near, 8)}", "waits")


def _print_shown(document: dict[str, Any], schedule: str) -> None:
    if document["problem"]:
        print_text(f"it cannot be used, {document['problem']}", "wrong")
    pinned = document["pinned"]
    print_text(f"pinned to {pinned['version']}  {shares_text(pinned['weights'])}" if pinned else "not pinned")
    if schedule:
        print_text(f"schedule of requests with pin=1, {schedule}")
    if document["repeats_limit"]:
        _print_limit(document["repeats_limit"], document["repeats"])
    passes, chunks, repeats = document["passes"], document["chunks"], document["repeats"]
    names = sorted({*passes, *chunks})
    rows = [
        (
            name,
            passes.get(name, ""),
            chunks.get(name, "" if "+" in name else 0),
            *(known(repeats.get(name, {}).get(part)) for part in ("repeats", "most_repeats")),
        )
        for name in names
    ]
    left = span_text(document["ends_in_s"])
    title = f"{counted(document['requests'], 'request')}; ends in {left} if nobody asks for it"
    if rows:
        print_table(title, ("category", "pass", "chunks", *REPEATS), rows)
    else:
        print_text(title)
