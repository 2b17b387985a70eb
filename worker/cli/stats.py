"""What `stats` does: print what was drawn, and how it fits the weights."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from worker.adapters.redis.sessions import RedisSessions
from worker.adapters.redis.stats import RedisStats
from worker.cli.context import Opened, open_redis
from worker.cli.doubts import Doubts, dataset_title, look_for_doubts
from worker.cli.near import near_session
from worker.cli.output import complain
from worker.cli.printing import print_json, print_table, print_text
from worker.cli.words import REPEATS, Score, Share, counted, known
from worker.core.draw.session_shown import session_repeats
from worker.core.draw.sessions import session_counts
from worker.core.keys import CHECK
from worker.core.stats import CategoryCount, Counts
from worker.core.stats.repeats import Repeats, repeats_of
from worker.core.workers.ready import Ready
from worker.errors import SettingsError, UnreadableError
from worker.weights.in_use import try_to_find_ready

_WATCH_EVERY_S = 1.0
_READY_EVERY_S = 5.0
_MIXED = (
    "some of these counts were drawn by WORKER_WEIGHT_UNIT=chunks and some by seconds, so that shares say nothing; "
    "accepted: the same on all workers of a prefix, and `stats --clear`"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is asked for, by the options of the same names."""

    session: str | None
    clear: bool
    watch: bool
    with_checks: bool
    as_json: bool


@dataclass(frozen=True, slots=True)
class _Found:
    """Counts, the number of datasets of `check` that they leave out, and the hash of their session."""

    counts: Counts
    hidden: int
    session: Mapping[str, bytes] | None = None

    def repeats(self, ready: Ready) -> list[Repeats]:
        """Return how often the chunks of each row's category were heard."""
        if self.session is not None:
            of_session = session_repeats(self.session, ready)
            return [of_session[row.category] for row in self.counts.categories]
        return [repeats_of(row.count, ready.count(row.category)) for row in self.counts.categories]


_Read = Callable[[bool], Awaitable[_Found]]


def show_stats(wanted: Wanted) -> None:
    """Print counts, once or again and again.

    Args:
        wanted: What is asked for.

    Raises:
        SettingsError: The options do not go together.
    """
    if wanted.session is not None and wanted.with_checks:
        raise SettingsError("--all is not for --session, which has no datasets; accepted: one of both")
    if wanted.session is not None and wanted.clear:
        raise SettingsError(
            "--clear and --session do not go together; accepted: sampling-worker session end, to begin anew"
        )
    asyncio.run(_show(wanted))


async def _show(wanted: Wanted) -> None:
    async with open_redis() as opened:
        read = _reader(opened, wanted)
        found = await read(wanted.clear)
        doubts = await look_for_doubts(opened, None if wanted.session else found.counts)
        if wanted.session is not None and not found.session:
            complain(f"there is no session {wanted.session!a}{await near_session(opened, wanted.session)}")
        _print_found(found, doubts, wanted)
        if wanted.watch:
            await _watch(opened, read, found, wanted)


async def _watch(opened: Opened, read: _Read, last: _Found, wanted: Wanted) -> None:
    """Print counts again: people see those that differ from the last, programs each."""
    from worker.live.pace import Pace  # noqa: PLC0415 - where somebody watches

    pace, doubts = Pace(_READY_EVERY_S), Doubts()
    while True:
        await asyncio.sleep(_WATCH_EVERY_S)
        found = await read(False)  # noqa: FBT003 - whether to clear
        if found != last or wanted.as_json:
            last = found
            if pace.is_due:  # all keys of the database are looked through for workers
                with pace.timed():
                    doubts = Doubts(ready=await try_to_find_ready(opened.client, opened.keys, None))
            _print_found(found, doubts, wanted)


def _reader(opened: Opened, wanted: Wanted) -> _Read:
    """Make what reads the counts that are asked for."""
    sessions, stats = RedisSessions(opened.client, opened.keys), RedisStats(opened.client, opened.keys)

    async def read(clear: bool) -> _Found:  # noqa: FBT001 - see `_Read`
        if wanted.session is not None:
            fields = await _read_session(sessions, wanted.session)
            return _Found(session_counts(fields), 0, fields)
        found = await stats.read(clear=clear)
        counts = found if wanted.with_checks else found.without(CHECK)
        return _Found(counts, len(found.requests) - len(counts.requests))

    return read


async def _read_session(sessions: RedisSessions, name: str) -> Mapping[str, bytes]:
    """Read what a session counts; empty where there is none.

    Raises:
        UnreadableError: Another type stands under its key.
    """
    fields = await sessions.read(name)
    if fields is None:
        raise UnreadableError(f"session {name!a} is unreadable: its key holds no hash; accepted: session end, or DEL")
    return fields


def _print_found(found: _Found, doubts: Doubts, wanted: Wanted) -> None:
    """Print counts; what is doubtful about them goes to standard error."""
    if found.counts.is_mixed:
        complain(_MIXED)
    for sentence in (*doubts.warnings, *found.counts.problems):
        complain(sentence)
    repeats = found.repeats(doubts.ready)
    if wanted.as_json:
        print_json({**_document(found.counts, repeats), **doubts.document, "checks_left_out": found.hidden})
        return
    _print_counts(found.counts, repeats, "the session began" if wanted.session else "the last `stats --clear`")
    if found.hidden:
        print_text(f"left out: {counted(found.hidden, 'dataset')} of `check`; --all shows them")


def _print_counts(counts: Counts, repeats: Sequence[Repeats], since: str) -> None:
    requests, errors = sum(counts.requests.values()), sum(counts.errors.values())
    of_them = f"{errors:,} of them {'an error' if errors == 1 else 'errors'}"
    print_text(f"{counted(requests, 'request')}, {of_them}, {counted(counts.chunks, 'chunk')}; since {since}")
    for (dataset, code), count in sorted(counts.errors.items()):
        print_text(f"  {count:,} {code}{f' in {dataset}' if dataset else ''}", "wrong")
    for split, got in counts.splits.items():
        print_text(f"  split {split}: {counted(got.requests, 'request')}, {counted(got.chunks, 'chunk')} of these")
    repeated = dict(zip(counts.categories, repeats, strict=True))
    for dataset, rows in counts.datasets():
        print_table(dataset_title(dataset), *_distribution({row: repeated[row] for row in rows}))


def _distribution(rows: Mapping[CategoryCount, Repeats]) -> tuple[Sequence[str], list[tuple[Any, ...]]]:
    """Lay out a distribution: in chunks, in seconds as well where weights are shares of time, and how often heard."""
    total = sum(row.amount for row in rows) or 1
    by_seconds = any(row.seconds is not None for row in rows)
    are_repeated = any(one.most_repeats is not None for one in rows.values())
    cells = [
        (
            row.category,
            row.count,
            *((row.seconds or 0.0,) if by_seconds else ()),
            Share(row.amount / total),
            Share(row.expected / total),
            Score(row.z),
            *(map(known, one[1:]) if are_repeated else ()),
        )
        for row, one in rows.items()
    ]
    columns = ("category", "count", *(("seconds",) if by_seconds else ()), "share", "expected share", "z")
    return (*columns, *(REPEATS if are_repeated else ())), cells


def _document(counts: Counts, repeats: Sequence[Repeats]) -> dict[str, Any]:
    return {
        "requests": sum(counts.requests.values()),
        "errors": sum(counts.errors.values()),
        "chunks": counts.chunks,
        "mixed": counts.is_mixed,
        "problems": list(counts.problems),
        "splits": {name: got._asdict() for name, got in counts.splits.items()},
        "requests_by_dataset": dict(counts.requests),
        "errors_by_code": [
            {"dataset": dataset or None, "error": code, "count": count}
            for (dataset, code), count in sorted(counts.errors.items())
        ],
        "categories": [
            {
                "dataset": row.dataset or None,
                "category": row.category,
                "count": row.count,
                "seconds": row.seconds,
                "expected": row.expected,
                "z": row.z,
                **one._asdict(),
            }
            for row, one in zip(counts.categories, repeats, strict=True)
        ],
    }
