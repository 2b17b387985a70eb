"""What `catalog who` does: print which sessions drew a chunk, and when."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from worker.adapters.redis.drawn import Looked, RedisDrawn
from worker.cli.context import open_redis
from worker.cli.output import complain
from worker.cli.printing import print_json, print_table, print_text
from worker.cli.words import counted, listed
from worker.core.wire.sought import Drawn, Sought, read_sought
from worker.errors import SettingsError

_SESSIONS: Final = ("session", "dataset", "results", "draws", "first", "last")
_RESULTS: Final = ("at", "session", "dataset", "request", "draws", "stream")
_UNSEEN: Final = (
    "not seen: results that were trimmed, have expired, or were removed by the client that read them",
    "not kept: which worker drew; request.served in the logs names it, for the requests that are logged",
)


def show_who(chunk: str, count: int, *, as_json: bool) -> None:
    """Print who drew a chunk.

    Args:
        chunk: Its id.
        count: Results to show at most, the newest.
        as_json: Whether to print JSON, all results of it.

    Raises:
        SettingsError: It is no id.
    """
    try:
        sought = read_sought(chunk)
    except ValueError as error:
        raise SettingsError(str(error)) from error

    async def work() -> Looked:
        async with open_redis() as opened:
            return await RedisDrawn(opened.client, opened.keys).look_for(sought)

    looked = asyncio.run(work())
    if looked.unreadable:
        complain(f"not looked at, as it is no stream: {listed(looked.unreadable)}")
    if as_json:
        print_json(_document(sought, looked))
    else:
        _print_looked(sought, looked, count)


def _print_looked(sought: Sought, looked: Looked, count: int) -> None:
    drawn = looked.drawn
    if drawn:
        title = f"chunk {sought.id}: {counted(sum(one.times for one in drawn), 'draw')} in what Redis keeps"
        print_table(title, _SESSIONS, [_session_row(found) for found in _by_session(drawn)])
        newest = drawn[-count:]
        title = "results" if len(newest) == len(drawn) else f"the newest {len(newest):,} of {len(drawn):,} results"
        print_table(title, _RESULTS, [_result_row(one) for one in reversed(newest)])
    else:
        print_text(f"chunk {sought.id}: no draw in what Redis keeps")
    span = "" if looked.oldest_ms is None else f"; the oldest is of {_time(looked.oldest_ms)}"
    print_text(f"{counted(looked.results, 'result')} in {counted(looked.streams, 'stream')} looked at{span}", "dim")
    for sentence in _UNSEEN:
        print_text(sentence, "dim")


def _by_session(drawn: Sequence[Drawn]) -> list[list[Drawn]]:
    """Group results by session and dataset; the last that drew comes first."""
    found: dict[tuple[str | None, str | None], list[Drawn]] = {}
    for one in drawn:
        found.setdefault((one.session, one.dataset), []).append(one)
    return sorted(found.values(), key=lambda group: group[-1].at_ms, reverse=True)


def _session_row(group: Sequence[Drawn]) -> tuple[Any, ...]:
    first, last = group[0], group[-1]
    times = sum(one.times for one in group)
    return _named(first.session), first.dataset or "", len(group), times, _time(first.at_ms), _time(last.at_ms)


def _result_row(one: Drawn) -> tuple[Any, ...]:
    return _time(one.at_ms), _named(one.session), one.dataset or "", one.request_id, one.times, one.stream


def _named(session: str | None) -> str:
    return "none named" if session is None else session


def _time(at_ms: int) -> str:
    """Write a time in UTC; anybody may have written an entry, so one beyond the calendar stays a number."""
    try:
        return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S}"
    except (OverflowError, ValueError, OSError):
        return f"{at_ms} ms"


def _document(sought: Sought, looked: Looked) -> dict[str, Any]:
    return {
        "chunk_id": sought.id,
        "drawn": [one._asdict() for one in looked.drawn],
        "results": looked.results,
        "streams": looked.streams,
        "oldest_ms": looked.oldest_ms,
        "unreadable": looked.unreadable,
    }
