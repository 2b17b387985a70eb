"""`sample`, `stats` and `check`."""

import time
from collections.abc import Sequence
from typing import Annotated, Any

import anyio
import typer

from worker.adapters.redis_requests import RedisRequests, Words
from worker.adapters.redis_sessions import RedisSessions
from worker.adapters.redis_stats import RedisStats
from worker.check import Report, disagreement, run_check
from worker.cli.context import (
    AsJson,
    Dataset,
    check_dataset,
    complain,
    open_desk,
    print_json,
    print_table,
    print_text,
    run_async,
)
from worker.core.seeds import seed_of
from worker.core.sessions import session_counts
from worker.core.tally import CategoryCount, Counts
from worker.core.weights import preset_name
from worker.core.wire import Reply, asks_for_packed, encode_request
from worker.errors import RedisError, SettingsError

_WATCH_EVERY_S = 1.0
_SEED = "seed"
_MOST_DIGITS = 20
[_REQUEST_ID] = encode_request(request_id="")[:1]
_MIXED = (
    "some of these counts were drawn by WORKER_WEIGHT_UNIT=chunks and some by seconds, so that shares say nothing; "
    "accepted: the same on all workers of a prefix, and `stats --clear`"
)


def sample(
    size: Annotated[int, typer.Option(help="Chunk ids a request.")] = 1,
    count: Annotated[int, typer.Option(min=1, max=100_000, help="How many requests.")] = 1,
    field: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="Any further field, such as category=voice; of seed=7 --count makes one each.",
        ),
    ] = None,
    method: Annotated[str | None, typer.Option(help="random, stratified or epoch.")] = None,
    dataset: Dataset = None,
    timeout: Annotated[float, typer.Option(min=0.1, help="Longest wait, in seconds.")] = 10.0,
    *,
    preset: Annotated[str | None, typer.Option(help="balanced, voice-heavy, music-heavy, or one of your own.")] = None,
    session: Annotated[str | None, typer.Option(help="The training session that asks.")] = None,
    as_json: AsJson = False,
) -> None:
    """Send sample requests and print their results; status 1 when one is missing or an error."""
    words = encode_request(size=size, method=method, dataset=check_dataset(dataset), preset=preset, session=session)
    request = _request(words, field or [])
    each = _requests(request, count)

    async def work() -> dict[str, Reply]:
        async with open_desk() as desk:
            requests = RedisRequests(desk.client, desk.keys, "sample", packed=asks_for_packed(request))
            try:
                return await requests.sample(each, timeout_s=timeout)
            finally:
                await requests.close()

    results = run_async(work)
    for result in results.values():
        _print_result(result, as_json=as_json)
    if len(results) < count:
        missing = f"{count - len(results)} of {count} results did not come within {timeout:g} s; is a worker running?"
        complain(missing)
        raise typer.Exit(1)
    if errors := sum(result.error is not None for result in results.values()):
        complain(f"{errors} of {count} requests got an error result, printed above")
        raise typer.Exit(1)


def stats(
    session: Annotated[str | None, typer.Option(help="One training session alone, since it began.")] = None,
    *,
    clear: Annotated[bool, typer.Option("--clear", help="Print, and start counting anew in the same step.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Print again every second, until interrupted.")] = False,
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

            async def read(*, clear: bool = False) -> Counts:
                if session is None:
                    return await reader.read(clear=clear)
                return session_counts(await sessions.read(session) or {})

            problem = await _find_disagreement(reader)
            _print_counts(await read(clear=clear), problem, as_json=as_json)
            while watch:
                await anyio.sleep(_WATCH_EVERY_S)
                _print_counts(await read(), None, as_json=as_json)

    run_async(work)


def check(
    samples: Annotated[int, typer.Option(min=1000, max=10_000_000, help="Chunks drawn in each round.")] = 100_000,
    significance: Annotated[float, typer.Option(min=1e-12, max=0.5, help="False alarms accepted.")] = 1e-4,
    timeout: Annotated[float, typer.Option(min=1, help="Longest wait of a round, in seconds.")] = 60.0,
    *,
    as_json: AsJson = False,
) -> None:
    """Test this installation: set weights, draw, change them, draw again, and hold the counts against them.

    It works on a dataset of its own, which it removes again: live jobs never notice.
    """

    async def work() -> Report:
        async with open_desk() as desk:
            return await run_check(desk.client, desk.keys, samples=samples, timeout_s=timeout)

    started = time.monotonic()
    report = run_async(work)
    fits = report.problem is None and all(entry.p_value >= significance for entry in report.rounds)
    if as_json:
        print_json({**report.as_dict(), "significance": significance, "fits": fits})
    else:
        _print_report(report, significance, fits=fits, seconds=time.monotonic() - started)
    if not fits:
        raise typer.Exit(1)


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
        print_text(f"{result.request_id}  {result.weights_version}  {counts}  {ids}")
    else:
        print_text(f"{result.request_id}  {result.error}: {result.message}")


async def _find_disagreement(reader: RedisStats) -> str | None:
    """Tell what is wrong with live workers; counts may be looked at by whoever may not look at these."""
    try:
        return disagreement(await reader.workers())
    except RedisError as error:
        return f"whether live workers agree in WORKER_WEIGHT_UNIT is not known: {error}"


def _print_counts(counts: Counts, problem: str | None, *, as_json: bool) -> None:
    """Print counts; what is doubtful about them goes to stderr."""
    if counts.is_mixed:
        complain(_MIXED)
    if problem:
        complain(problem)
    if as_json:
        print_json(_counts_document(counts))
        return
    requests, errors = sum(counts.requests.values()), sum(counts.errors.values())
    print_text(f"{requests:,} requests, {errors:,} of them errors, {counts.chunks:,} chunks")
    for (dataset, code), count in sorted(counts.errors.items()):
        print_text(f"  {count:,} {code}{f' in {dataset}' if dataset else ''}")
    for dataset, rows in counts.datasets():
        print_table(_title(dataset), *_distribution(rows))


def _distribution(rows: Sequence[CategoryCount]) -> tuple[Sequence[str], list[tuple[Any, ...]]]:
    """Lay out a distribution: in chunks, or in seconds as well where weights are shares of audio time."""
    total = sum(row.amount for row in rows) or 1
    by_seconds = any(row.seconds is not None for row in rows)
    cells = [
        (
            row.category,
            row.count,
            *((row.seconds or 0.0,) if by_seconds else ()),
            row.amount / total,
            row.expected / total,
            round(row.z, 2),
        )
        for row in rows
    ]
    return ("category", "count", *(("seconds",) if by_seconds else ()), "share", "expected", "z"), cells


def _title(dataset: str) -> str:
    """Say whose weights were drawn under; those of a session have no name of their own."""
    preset = dataset.removeprefix(preset_name(""))
    if preset != dataset:
        return f"preset {preset}"
    return f"dataset {dataset}" if dataset else "global weights"


def _counts_document(counts: Counts) -> dict[str, Any]:
    return {
        "requests": sum(counts.requests.values()),
        "errors": sum(counts.errors.values()),
        "chunks": counts.chunks,
        "mixed": counts.is_mixed,
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


def _print_report(report: Report, significance: float, *, fits: bool, seconds: float) -> None:
    for number, entry in enumerate(report.rounds, 1):
        by_seconds = any(row.seconds is not None for row in entry.rows)
        amounts = [row.count if row.seconds is None else row.seconds for row in entry.rows]
        rows = [
            (row.category, row.target, amount / entry.total, amount, round(row.z, 2))
            for row, amount in zip(entry.rows, amounts, strict=True)
        ]
        title = f"round {number}: weights {entry.version}, {entry.drawn:,} chunks, p = {entry.p_value:.4g}"
        print_table(title, ("category", "target", "actual", "seconds" if by_seconds else "count", "z"), rows)
    if report.problem:
        complain(report.problem)
    verdict = "fits" if fits else "does NOT fit"
    print_text(f"the distribution {verdict} the weights (significance {significance:g}, {seconds:.1f} s)")
