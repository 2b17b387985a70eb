"""Feedback in Redis: reports are added, read in pages after a cursor, refused, and dropped when old.

Theory. Any number of readers go through the stream, each with a cursor of its own. A reader stores it together with
what it has made of the reports. Reading removes nothing. Only a report that breaks the contract is removed: the script
that moves it to the refused reports finds it once. So it is reported once, whichever reader finds it, however often and
from whichever cursor.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from worker.adapters.redis.client import Client, redis_errors, redis_refusals
from worker.adapters.redis.replies import check_ids, closing_if_misread
from worker.adapters.redis.script_texts import read_script
from worker.core.keys import Keys
from worker.core.wire.feedback import RefusedReport, Report, encode_refused, read_report
from worker.errors import RequestError

MOST_REPORTS: Final = 100_000
MOST_REFUSED: Final = 1000
MOST_BYTES: Final = 64 << 20
PAGE: Final = 100
BEGINNING: Final = "0-0"
"""The cursor before the first report."""

_LARGEST_ID: Final = f"{2**64 - 1}-{2**64 - 1}"  # nothing can come after it, and Redis refuses to look there
_REFUSE: Final = read_script("feedback_refuse.lua")
_TRIM: Final = read_script("feedback_trim.lua")
_SAMPLED_NODES: Final = 64
_MOVED_AT_ONCE: Final = 50
_HEAVY_BYTES: Final = 1 << 16  # of reports, which take some milliseconds to read


async def add_report(client: Client, keys: Keys, words: Sequence[str | int]) -> str:
    """Add a report, and drop the oldest ones beyond the bound.

    Args:
        client: The connection.
        keys: Names in Redis.
        words: Its fields and values in turn.

    Returns:
        Id of its entry.

    Raises:
        RefusedError: Redis refused it, and will again.
        RedisError: Redis did not answer, so that the report may be there or not.
    """
    with redis_refusals(f"adding a report to {keys.feedback}"):
        entry: bytes = await client.execute_command("XADD", keys.feedback, "MAXLEN", "~", MOST_REPORTS, "*", *words)
    return entry.decode()


async def read_reports(
    client: Client, keys: Keys, cursor: str, count: int = PAGE
) -> tuple[Sequence[Report | RefusedReport], str]:
    """Read the reports after a cursor, the oldest first, and move those that are refused.

    Args:
        client: The connection.
        keys: Names in Redis.
        cursor: The last entry that was read; empty or `BEGINNING`: none.
        count: At most this many entries, >= 1.

    Returns:
        The valid reports and the refused ones, and the new cursor. A refused one is returned by one read only, over all
        readers. The cursor stays as it is once there is nothing more.

    Raises:
        RefusedError: Redis refused, and will again.
        RedisError: Redis did not answer.
    """
    if cursor == _LARGEST_ID:
        return (), cursor
    with redis_refusals(f"reading the reports in {keys.feedback}"):
        reply = await client.execute_command("XRANGE", keys.feedback, f"({cursor or BEGINNING}", "+", "COUNT", count)
        async with closing_if_misread(client):
            entries = _entries(reply)
    is_heavy = sum(len(word) for _, fields in entries for word in fields) > _HEAVY_BYTES
    read = await asyncio.to_thread(_read_all, entries) if is_heavy else _read_all(entries)
    refused = [RefusedReport(*one) for one in read if isinstance(one[2], RequestError)]  # type: ignore[arg-type]
    moved = await _refuse(client, keys, refused)
    reports = [report for _, _, report in read if isinstance(report, Report)]
    return [*reports, *(one for one in refused if one.entry_id in moved)], entries[-1][0] if entries else cursor


async def newest_reports(
    client: Client, keys: Keys, count: int, *, dead: bool = False
) -> list[tuple[str, list[bytes]]]:
    """Return the newest reports as they were written, or those that were refused, the newest first.

    Args:
        client: The connection.
        keys: Names in Redis.
        count: At most this many.
        dead: Whether to return refused ones.

    Returns:
        Entry, and its fields and values in turn.

    Raises:
        RedisError: Redis did not answer, or refused.
    """
    key = keys.dead_feedback if dead else keys.feedback
    with redis_errors(f"reading the reports in {key}"):
        reply = await client.execute_command("XREVRANGE", key, "+", "-", "COUNT", count)
        async with closing_if_misread(client):
            return _entries(reply)


async def count_reports(client: Client, keys: Keys) -> tuple[int, int]:
    """Count the reports and the refused ones.

    Raises:
        RedisError: Redis did not answer, or refused.
    """
    with redis_errors(f"counting the reports in {keys.feedback}"):
        return int(await client.xlen(keys.feedback)), int(await client.xlen(keys.dead_feedback))


async def trim_reports(
    client: Client, keys: Keys, *, most_reports: int = MOST_REPORTS, most_bytes: int = MOST_BYTES
) -> int:
    """Drop the oldest reports beyond the bounds, as programs may add some without any; return how many are left.

    Args:
        client: The connection.
        keys: Names in Redis.
        most_reports: About this many stay.
        most_bytes: Those that stay take about this many bytes.

    Raises:
        RefusedError: Redis refused, and will again.
        RedisError: Redis did not answer.
    """
    with redis_refusals(f"dropping old reports in {keys.feedback}"):
        return int(
            await client.execute_command("EVAL", _TRIM, 1, keys.feedback, most_reports, most_bytes, _SAMPLED_NODES)
        )


async def _refuse(client: Client, keys: Keys, refused: Sequence[RefusedReport]) -> set[str]:
    """Move refused reports, and return the entries of those that nobody else has moved."""
    moved: set[str] = set()
    for start in range(0, len(refused), _MOVED_AT_ONCE):
        words: list[Any] = []
        for one in refused[start : start + _MOVED_AT_ONCE]:
            kept = encode_refused(one.entry_id, one.fields, one.error)
            words += (one.entry_id, len(kept), *kept)
        with redis_refusals(f"moving reports of {keys.feedback} to {keys.dead_feedback}"):
            reply = await client.execute_command(
                "EVAL", _REFUSE, 2, keys.feedback, keys.dead_feedback, MOST_REFUSED, *words
            )
            async with closing_if_misread(client):
                moved |= {entry.decode() for entry in reply}
    return moved


def _read_all(
    entries: Sequence[tuple[str, list[bytes]]],
) -> list[tuple[str, list[bytes], Report | RequestError]]:
    return [(entry_id, fields, read_report(entry_id, fields)) for entry_id, fields in entries]


def _entries(reply: Any) -> list[tuple[str, list[bytes]]]:
    """Read entries of a stream.

    Raises:
        TypeError, ValueError: They are none.
    """
    check_ids([entry_id for entry_id, _ in reply])
    return [(entry_id.decode(), list(fields)) for entry_id, fields in reply]
