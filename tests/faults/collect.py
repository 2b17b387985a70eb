"""Collect what a run left in Redis, by commands that any client has."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.faults.records import Answer, Left, read_answer
from worker.core.keys import GROUP, Keys

if TYPE_CHECKING:
    import redis

_PAGE = 2_000


class Remains(NamedTuple):
    """What is in Redis at the end of a run; the names are those of `Run`."""

    answers: list[Answer]
    dead: list[Mapping[str, str]]
    stats: Mapping[str, int]
    sessions: Mapping[str, Mapping[str, int]]
    left: Left


def collect(client: "redis.Redis", keys: Keys) -> Remains:
    """Read everything that the auditors count.

    Args:
        client: One that answers in bytes.
        keys: The names in Redis.
    """
    own = f"{keys.results}:"
    answers = [
        read_answer(record_id, fields, None if name == keys.results else name.removeprefix(own))
        for name in _names(client, keys.results, "stream")
        for record_id, fields in records(client, name)
    ]
    dead: list[Mapping[str, str]] = [
        {name.decode(errors="replace"): value.decode(errors="replace") for name, value in fields.items()}
        for _, fields in records(client, keys.dead)
    ]
    start = keys.session("")
    sessions = {name.removeprefix(start): _counts(client, name) for name in _names(client, start, "hash")}
    return Remains(answers, dead, _counts(client, keys.stats), sessions, look_at_requests(client, keys))


def look_at_requests(client: "redis.Redis", keys: Keys) -> Left:
    """Count what is pending, what waits, and what was ever added."""
    raw: Any = client
    if not raw.exists(keys.requests):
        return Left(0, 0, 0)
    about = raw.xinfo_stream(keys.requests)
    groups = raw.xinfo_groups(keys.requests)
    pending = sum(group["pending"] for group in groups if group["name"] == GROUP.encode())
    return Left(pending, about["length"], about["entries-added"])


def records(client: "redis.Redis", name: str) -> Iterator[tuple[str, Mapping[bytes, bytes]]]:
    """Read a stream from its start, page by page."""
    raw: Any = client
    start = "-"
    while page := raw.xrange(name, start, "+", count=_PAGE):
        for record_id, fields in page:
            yield record_id.decode(), fields
        start = f"({page[-1][0].decode()}"


def _names(client: "redis.Redis", start: str, kind: str) -> list[str]:
    return [bytes(name).decode() for name in client.scan_iter(f"{start}*", count=1_000, _type=kind)]


def _counts(client: "redis.Redis", name: str) -> dict[str, int]:
    """Read the fields of a hash that are counts."""
    raw: Any = client
    fields = {field.decode(): value for field, value in raw.hgetall(name).items()}
    return {field: int(value) for field, value in fields.items() if ":" in field and value.lstrip(b"-").isdigit()}
