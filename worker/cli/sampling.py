"""`sample` and `stats`."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import anyio
import typer

from worker.adapters.redis.requests import RedisRequests, Words
from worker.adapters.redis.sessions import RedisSessions
from worker.adapters.redis.stats import RedisStats
from worker.cli.context import (
    AsJson,
    Dataset,
    check_dataset,
    open_desk,
    print_json,
    print_table,
    print_text,
    run_async,
)
from worker.cli.doubts import Doubts, dataset_title, look_for_doubts
from worker.cli.numbers import LONGEST_S, decimal, whole
from worker.cli.output import complain
from worker.cli.words import Share, counted
from worker.core.draw.sessions import session_counts
from worker.core.keys import CHECK
from worker.core.stats import CategoryCount, Counts
from worker.core.wire import LARGEST_SEED, Reply, asks_for_packed, encode_request
from worker.core.wire.seeds import seed_of
from worker.errors import SettingsError, UnreadableError

_WATCH_EVERY_S = 1.0
_SEED = "seed"
_MOST_DIGITS = 20
[_REQUEST_ID] = encode_request(request_id="")[:1]
_MIXED = (
    "some of these counts were drawn by WORKER_WEIGHT_UNIT=chunks and some by seconds, so that shares say nothing; "
    "accepted: the same on all workers of a prefix, and `stats --clear`"
)


def sample(
    size: Annotated[int, typer.Option(parser=whole(0, 10**12), metavar="NUMBER", help="Chunk ids a request.")] = 1,
    count: Annotated[int, typer.Option(parser=whole(1, 100_000), metavar="NUMBER", help="How many requests.")] = 1,
    field: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Any further field, such as pin=1; of seed=7 --count makes one each."),
    ] = None,
    method: Annotated[str | None, typer.Option(help="random, stratified or epoch.")] = None,
    dataset: Dataset = None,
    timeout: Annotated[
        float, typer.Option(parser=decimal(0.1, LONGEST_S), metavar="SECONDS", help="Longest wait, in seconds.")
    ] = 10.0,
    *,
    preset: Annotated[str | None, typer.Option(help="balanced, voice-heavy, music-heavy, or one of your own.")] = None,
    session: Annotated[str | None, typer.Option(help="The training session that asks.")] = None,
    category: Annotated[str | None, typer.Option(help="Draw from this category alone, whatever the weights.")] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            parser=whole(0, LARGEST_SEED),
            metavar="NUMBER",
            help="The same seed gives the same ids; of it --count makes one each.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Send sample requests and print their results; status 1 when one is missing or an error."""
    check_dataset(dataset)
    given = {"method": method, "dataset": dataset, "preset": preset, "session": session, "category": category}
    request = _request(encode_request(size=size, seed=seed, **given), field or [])
    results = run_async(lambda: _draw(_requests(request, count), timeout))
    for result in results.values():
        _print_result(result, as_json=as_json)
    errors = sum(result.error is not None for result in results.values())
    if len(results) < count:
        came = f"{len(results):,} of {counted(count, 'result')}" if results else "no result"
        complain(f"{came} came within {timeout:g} s; is a worker running?")
    elif errors:
        complain(f"{errors:,} of {counted(count, 'request')} got an error result, printed above")
    if len(results) < count or errors:
        raise typer.Exit(1)


def stats(
    session: Annotated[str | None, typer.Option(help="One training session alone, since it began.")] = None,
    *,
    clear: Annotated[bool, typer.Option("--clear", help="Print, and start counting anew in the same step.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Print again every second, until interrupted.")] = False,
    all_: Annotated[bool, typer.Option("--all", help="Show what `check` has drawn as well.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show exact counts over all workers, and the distribution against the weights."""
    if session is not None and clear:
        raise SettingsError(
            "--clear and --session do not go together; accepted: sampling-worker session end, to begin anew"
        )

    async def work() -> None:
        async with open_desk() as desk:
            reader = RedisStats(desk.client, desk.keys)
            sessions = RedisSessions(desk.client, desk.keys)

            async def read(*, clear: bool = False) -> tuple[Counts, int]:
                if session is not None:
                    return session_counts(await _read_session(sessions, session)), 0
                found = await reader.read(clear=clear)
                counts = found if all_ else found.without(CHECK)
                return counts, len(found.requests) - len(counts.requests)

            counts, hidden = await read(clear=clear)
            doubts = await look_for_doubts(desk, None if session else counts)
            _print_counts(counts, doubts, hidden=hidden, as_json=as_json)
            while watch:
                await anyio.sleep(_WATCH_EVERY_S)
                counts, hidden = await read()
                _print_counts(counts, Doubts(), hidden=hidden, as_json=as_json)

    run_async(work)


async def _draw(requests: Sequence[Words], timeout_s: float) -> dict[str, Reply]:
    """Send requests, wait for their results, and take back what is not answered."""
    async with open_desk() as desk:
        streams = RedisRequests(desk.client, desk.keys, "sample", packed=asks_for_packed(requests[0]))
        try:
            return await streams.sample(requests, timeout_s=timeout_s)
        finally:
            await streams.withdraw()
            await streams.close()


def _request(words: Words, further: list[str]) -> Words:
    """Put a request together; the worker is the one who judges it."""
    given: list[str | int] = list(words)
    for word in further:
        name, equals, value = word.partition("=")
        if not equals or name in encode_request(reply_to=""):
            raise SettingsError(f"--field {word!r} is not accepted; accepted: NAME=VALUE, and reply_to is taken")
        given += (name, value)
    return given


def _requests(request: Words, count: int) -> list[Words]:
    """Make so many requests of one: of its seed one for each, as a stream does.

    Raises:
        SettingsError: It says what can be said of one request alone.
    """
    if count == 1:
        return [request]
    fields = list(zip(request[0::2], request[1::2], strict=True))
    names = [name for name, _ in fields]
    if _REQUEST_ID in names:
        raise SettingsError(f"--field {_REQUEST_ID} names one request; accepted: with --count 1, or none")
    if _SEED not in names:
        return [request] * count
    place = names.index(_SEED)
    text = str(fields[place][1])
    if not (text.isascii() and text.isdecimal() and len(text) < _MOST_DIGITS):  # the worker is the one who judges it
        return [request] * count
    seeds = (seed_of(int(text), number) for number in range(count))
    return [(*request[: 2 * place], _SEED, seed, *request[2 * place + 2 :]) for seed in seeds]


def _print_result(result: Reply, *, as_json: bool) -> None:
    if as_json:
        print_json(result.as_dict())
    elif result.error is None:
        counts = "  ".join(f"{name} {count}" for name, count in result.counts.items())
        ids = "packed" if isinstance(result.chunk_ids, bytes) else ",".join(map(str, result.chunk_ids))
        missing = f"  left out, without READY chunks: {', '.join(result.left_out)}" if result.left_out else ""
        print_text(f"{result.request_id}  {result.weights_version}  {counts}  {ids}{missing}")
    else:
        print_text(f"{result.request_id}  {result.error}: {result.message}")


async def _read_session(sessions: RedisSessions, name: str) -> Mapping[str, bytes]:
    """Read what a session counts; empty where there is none.

    Raises:
        UnreadableError: Another type stands under its key.
    """
    fields = await sessions.read(name)
    if fields is None:
        raise UnreadableError(f"session {name!a} is unreadable: its key holds no hash; accepted: session end, or DEL")
    return fields


def _print_counts(counts: Counts, doubts: Doubts, *, hidden: int, as_json: bool) -> None:
    """Print counts; what is doubtful about them goes to stderr.

    Args:
        counts: What to print.
        doubts: What is doubtful.
        hidden: How many datasets of `check` are left out.
        as_json: Whether to print JSON.
    """
    if counts.is_mixed:
        complain(_MIXED)
    for sentence in (*doubts.warnings, *counts.problems):
        complain(sentence)
    if as_json:
        print_json({**_counts_document(counts), **doubts.document, "checks_left_out": hidden})
        return
    requests, errors = sum(counts.requests.values()), sum(counts.errors.values())
    of_them = f"{errors:,} of them {'an error' if errors == 1 else 'errors'}"
    print_text(f"{counted(requests, 'request')}, {of_them}, {counted(counts.chunks, 'chunk')}")
    for (dataset, code), count in sorted(counts.errors.items()):
        print_text(f"  {count:,} {code}{f' in {dataset}' if dataset else ''}")
    for dataset, rows in counts.datasets():
        print_table(dataset_title(dataset), *_distribution(rows))
    if hidden:
        print_text(f"left out: {counted(hidden, 'dataset')} of `check`; --all shows them")


def _distribution(rows: Sequence[CategoryCount]) -> tuple[Sequence[str], list[tuple[Any, ...]]]:
    """Lay out a distribution: in chunks, or in seconds as well where weights are shares of audio time."""
    total = sum(row.amount for row in rows) or 1
    by_seconds = any(row.seconds is not None for row in rows)
    cells = [
        (
            row.category,
            row.count,
            *((row.seconds or 0.0,) if by_seconds else ()),
            Share(row.amount / total),
            Share(row.expected / total),
            round(row.z, 2),
        )
        for row in rows
    ]
    return ("category", "count", *(("seconds",) if by_seconds else ()), "share", "expected share", "z"), cells


def _counts_document(counts: Counts) -> dict[str, Any]:
    return {
        "requests": sum(counts.requests.values()),
        "errors": sum(counts.errors.values()),
        "chunks": counts.chunks,
        "mixed": counts.is_mixed,
        "problems": list(counts.problems),
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
            }
            for row in counts.categories
        ],
    }
