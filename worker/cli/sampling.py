"""What `sample` does: send requests, and print their results."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import click

from worker.adapters.redis.requests import RedisRequests, Words
from worker.cli.context import check_dataset, open_redis
from worker.cli.output import complain
from worker.cli.printing import print_json, print_table, print_text
from worker.cli.words import counted
from worker.core.wire import Reply, asks_for_packed, encode_request
from worker.core.wire.seeds import seed_of
from worker.errors import SettingsError

_SEED = "seed"
_MOST_DIGITS = 20
[_REQUEST_ID] = encode_request(request_id="")[:1]


@dataclass(frozen=True, slots=True)
class Asking:
    """How requests are sent.

    Attributes:
        count: How many.
        timeout_s: Longest wait for their results.
        as_json: Whether to print JSON.
    """

    count: int
    timeout_s: float
    as_json: bool = False


def draw_samples(fields: Mapping[str, str | int | None], further: Sequence[str], asking: Asking) -> None:
    """Send requests, and print their results.

    Args:
        fields: Fields of a request, by their names in the contract; None leaves a field out.
        further: Fields as words such as `pin=1`.
        asking: How many, and how long.

    Raises:
        SettingsError: What is given makes no request.
    """
    dataset = fields.get("dataset")
    check_dataset(None if dataset is None else str(dataset))
    given = {name: int(value) if isinstance(value, bool) else value for name, value in fields.items()}
    requests = _requests(_request(encode_request(**given), further), asking.count)
    results = asyncio.run(_draw(requests, asking.timeout_s))
    for result in results.values():
        _print_result(result, as_json=asking.as_json)
    _complain_of(results, asking)


def _complain_of(results: Mapping[str, Reply], asking: Asking) -> None:
    """End with status 1 where a result is missing or an error."""
    errors = sum(result.error is not None for result in results.values())
    if len(results) < asking.count:
        came = f"{len(results):,} of {counted(asking.count, 'result')}" if results else "no result"
        complain(f"{came} came within {asking.timeout_s:g} s; is a worker running?")
    elif errors:
        complain(f"{errors:,} of {counted(asking.count, 'request')} got an error result, printed above")
    if len(results) < asking.count or errors:
        raise click.exceptions.Exit(1)


async def _draw(requests: Sequence[Words], timeout_s: float) -> dict[str, Reply]:
    """Send requests, wait for their results, and take back what is not answered."""
    async with open_redis() as opened:
        streams = RedisRequests(opened.client, opened.keys, "sample", packed=asks_for_packed(requests[0]))
        try:
            return await streams.sample(requests, timeout_s=timeout_s)
        finally:
            await streams.withdraw()
            await streams.close()


def _request(words: Words, further: Sequence[str]) -> Words:
    """Put a request together; the worker is the one who judges it."""
    given: list[str | int] = list(words)
    for word in further:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise SettingsError(f"--field {word!r} is not accepted; accepted: NAME=VALUE, such as pin=1")
        if name in encode_request(reply_to=""):
            raise SettingsError(f"--field {word!r} is not accepted: results come to a reply stream of this command")
        given += (name, value)
    return given


def _requests(request: Words, count: int) -> list[Words]:
    """Make several requests of one; each has its own seed, made from the given one as streams do.

    Raises:
        SettingsError: A field belongs to one request alone.
    """
    if count == 1:
        return [request]
    fields = list(zip(request[0::2], request[1::2], strict=True))
    names = [name for name, _ in fields]
    if _REQUEST_ID in names:
        raise SettingsError(f"{_REQUEST_ID} names one request; accepted: with --count 1, or none")
    if _SEED not in names:
        return [request] * count
    at = names.index(_SEED)
    text = str(fields[at][1])
    if not (text.isascii() and text.isdecimal() and len(text) < _MOST_DIGITS):  # the worker is the one who judges it
        return [request] * count
    seeds = (seed_of(int(text), number) for number in range(count))
    return [(*request[: 2 * at], _SEED, seed, *request[2 * at + 2 :]) for seed in seeds]


def _print_result(result: Reply, *, as_json: bool) -> None:
    """Print a result: what it is on one line, its ids on the next."""
    if as_json:
        print_json(result.as_dict())
    elif result.error is None:
        counts = "  ".join(f"{name} {count:,}" for name, count in result.counts.items())
        split = f"split {result.split}  " if result.split else ""
        title = f"{result.request_id}  {split}weights {result.weights_version}  {counts}"
        if result.columns and not isinstance(result.chunk_ids, bytes):
            _print_columns(title, result)
        else:
            print_text(title)
            print_text(f"  ids: {_ids_text(result.chunk_ids)}")
        if result.left_out:
            print_text(f"  left out, without READY chunks: {', '.join(result.left_out)}", "waits")
    else:
        print_text(f"{result.request_id}  {result.error}: {result.message}", "wrong")


def _ids_text(ids: Sequence[int | str] | bytes) -> str:
    return "packed" if isinstance(ids, bytes) else ", ".join(map(str, ids))


def _print_columns(title: str, result: Reply) -> None:
    """Print a line for each chunk: its id, and what was asked for of it."""
    rows = zip(map(str, result.chunk_ids), *result.columns.values(), strict=True)
    print_table(title, ("id", *result.columns), [["" if cell is None else cell for cell in row] for row in rows])
