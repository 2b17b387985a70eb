"""What `sample` does: send requests, and print their results."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import click

from worker.adapters.redis.requests import RedisRequests, Words
from worker.cli.context import Opened, check_dataset, open_redis
from worker.cli.near import near_category, near_dataset, near_list, near_preset
from worker.cli.output import complain
from worker.cli.printing import print_json, print_table, print_text
from worker.cli.words import counted
from worker.core.wire import REQUEST_FIELDS, Reply, asks_for_packed, encode_request
from worker.core.wire.seeds import seed_of
from worker.core.wording import did_you_mean
from worker.errors import RedisError, SettingsError

Fields = Mapping[str, str]
_SEED = "seed"
_MOST_DIGITS = 20
_SHARED_SOURCES = {"redis", "default"}
_NEAR = {
    "unknown_category": ("category", near_category),
    "unknown_exclude": ("exclude", near_list),
    "unknown_preset": ("preset", near_preset),
}
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
    request = _request(encode_request(**given), further)
    results, notes = asyncio.run(_draw(_requests(request, asking.count), asking.timeout_s))
    for result in results.values():
        _print_result(result, _fields_of(request), as_json=asking.as_json)
    for sentence in (*_ignored(request), *notes):
        complain(sentence)
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


async def _draw(requests: Sequence[Words], timeout_s: float) -> tuple[dict[str, Reply], list[str]]:
    """Send requests, wait for their results, take back what is not answered, and look for names that nothing has."""
    async with open_redis() as opened:
        streams = RedisRequests(opened.client, opened.keys, "sample", packed=asks_for_packed(requests[0]))
        async with _cleaned_up(streams):
            results = await streams.sample(requests, timeout_s=timeout_s)
        return results, await _mistyped(opened, _fields_of(requests[0]), results)


@asynccontextmanager
async def _cleaned_up(streams: RedisRequests) -> AsyncIterator[None]:
    """Take back what is not answered, and remove the reply stream; what failed before that is the error that is told.

    Raises:
        RedisError: Redis did not answer, or refused.
    """
    failed = False
    try:
        yield
    except RedisError:
        failed = True
        raise
    finally:
        try:
            await streams.withdraw()
            await streams.close()
        except RedisError:
            if not failed:  # the first error is the cause, and says more
                raise


def _fields_of(request: Words) -> Fields:
    """Return the fields of a request by their names."""
    return {str(name): str(value) for name, value in zip(request[0::2], request[1::2], strict=True)}


async def _mistyped(opened: Opened, request: Fields, results: Mapping[str, Reply]) -> list[str]:
    """Return what results do not say: which names of a request nothing has, and which names are similar."""
    codes = {result.error for result in results.values()}
    sources = {result.weights_source for result in results.values()}
    if "dataset" in request and sources & _SHARED_SOURCES:
        name = request["dataset"]
        near = await near_dataset(opened, name)
        return [f"dataset {name} has no weights of its own: the global ones are in force for it{near}"]
    asked = [(request[field], near) for code, (field, near) in _NEAR.items() if code in codes]
    said = [(name, await near(opened, name)) for name, near in asked]
    return [f"nothing has the name {name}{near}" for name, near in said if near]


def _ignored(request: Words) -> list[str]:
    """Return sentences about fields of a request that workers ignore, as no field has these names."""
    unknown = [str(name) for name in request[0::2] if name not in REQUEST_FIELDS]
    fields = [*REQUEST_FIELDS]
    return [f"field {name!a} is ignored: there is none of this name{did_you_mean(name, fields)}" for name in unknown]


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


def _print_result(result: Reply, request: Fields, *, as_json: bool) -> None:
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
            outside = f" outside exclusion list {request['exclude']}" if "exclude" in request else ""
            left_out = f"left out, without READY chunks{outside}: {', '.join(result.left_out)}"
            print_text(f"  {left_out}; the others get the share", "waits")
    else:
        print_text(f"{result.request_id}  {result.error}: {result.message}", "wrong")


def _ids_text(ids: Sequence[int | str] | bytes) -> str:
    return "packed" if isinstance(ids, bytes) else ", ".join(map(str, ids))


def _print_columns(title: str, result: Reply) -> None:
    """Print a line for each chunk: its id, and what was asked for of it."""
    rows = zip(map(str, result.chunk_ids), *result.columns.values(), strict=True)
    print_table(title, ("id", *result.columns), [[_cell(cell) for cell in row] for row in rows])


def _cell(value: object) -> object:
    """Return a value as a table takes it: numbers with all of their digits, as they are data here."""
    return "" if value is None else f"{value:.12g}" if isinstance(value, float) else value
