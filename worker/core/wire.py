"""The wire format of requests and results: every field name, and free of numpy so that clients pay nothing."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from json.encoder import encode_basestring_ascii
from typing import Final, Literal

from worker.core.keys import NAME_PATTERN
from worker.errors import RequestError

Method = Literal["random", "stratified"]
Encoding = Literal["json", "packed"]

ERROR_CODES: Final = (
    "invalid_request",
    "unknown_category",
    "no_ready_chunks",
    "too_few_chunks",
    "unknown_preset",
    "expired",
    "catalog_unavailable",
    "too_many_deliveries",
    "internal",
)
LARGEST_SIZE = 65_536
LARGEST_SEED = 2**63 - 1
_SHOWN_LENGTH = 64
_LONGEST_TEXT = 128
_LONGEST_LETTER = 7_000  # words; Redis hands no more than some 7,990 from a script to a command
_NOT_YET = ("preset", "session")


@dataclass(frozen=True, slots=True)
class Entry:
    """Hold one record of the request stream.

    Attributes:
        id: The stream entry's id.
        fields: Its fields and values in turn, as they came.
        deliveries: How often it was delivered, this time included.
    """

    id: str
    fields: Sequence[bytes]
    deliveries: int = 1


@dataclass(frozen=True, slots=True)
class Request:
    """Hold a valid request; the attributes are the fields of the wire contract."""

    entry_id: str
    request_id: str
    size: int = 1
    category: str | None = None
    dataset: str | None = None
    replace: bool = True
    method: Method = "random"
    seed: int | None = None
    reply_to: str | None = None
    expires_at: int | None = None
    encoding: Encoding = "json"
    probabilities: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """Hold the answer to one request, ready to be written.

    Attributes:
        entry_id: The request's stream entry.
        request_id: Echoed.
        reply_to: Whose result stream it goes to; None for the shared one.
        error: Its error code; None when it is ok.
        fields: Fields and values in turn, as they are written.
    """

    entry_id: str
    request_id: str
    reply_to: str | None
    error: str | None
    fields: Sequence[str | bytes] = field(repr=False)

    @property
    def message(self) -> str:
        """Tell the sentence of an error; empty when it is ok."""
        return self._text("message")

    @property
    def weights_version(self) -> str:
        """Tell the version of the weights it was drawn under; empty when none were needed."""
        return self._text("weights_version")

    def _text(self, name: str) -> str:
        value = dict(zip(self.fields[0::2], self.fields[1::2], strict=True)).get(name, "")
        return value if isinstance(value, str) else value.decode()


@dataclass(frozen=True, slots=True)
class Sample:
    """Hold what an ok result says beyond the request's own fields.

    Attributes:
        chunk_ids: JSON array, or packed bytes.
        counts: Category -> how many of the ids.
        common: Fields that every result of the same weights and catalog shares, see `encode_common`.
    """

    chunk_ids: bytes
    counts: Mapping[str, int]
    common: Sequence[str | bytes]


def decode(entry: Entry, *, max_size: int = LARGEST_SIZE) -> Request | Result:
    """Read a request.

    Args:
        entry: The stream entry.
        max_size: Largest `size` accepted.

    Returns:
        The request; or, where it departs from the contract, the error result it gets.
    """
    values: dict[str, object] = {}
    problem: RequestError | None = None
    readers = _readers(max_size)
    given = iter(entry.fields)
    for raw_name, raw_value in zip(given, given, strict=True):
        read = readers.get(raw_name)
        if read is None:
            continue
        name = raw_name.decode()
        try:
            if name in values:
                raise _invalid(f"{name} is given twice; accepted: each field once")
            values[name] = read(name, raw_value)
        except RequestError as error:
            problem = problem or error
            values.setdefault(name, None)
    if problem is not None:
        return _reject(entry, values, problem)
    values.pop("pin", None)
    return Request(entry.id, values.pop("request_id", entry.id), **values)  # type: ignore[arg-type]


def encode_ok(request: Request, sample: Sample) -> Result:
    """Write an ok result."""
    fields = (
        *("request_id", request.request_id, "entry_id", request.entry_id, "status", "ok"),
        *("chunk_ids", sample.chunk_ids, "counts", encode_counts(sample.counts)),
        *sample.common,
    )
    return Result(request.entry_id, request.request_id, request.reply_to, None, fields)


def encode_error(request: Request | Result, code: str, message: str, common: Sequence[str | bytes] = ()) -> Result:
    """Write an error result.

    Args:
        request: The request, or its earlier result.
        code: One of `ERROR_CODES`.
        message: One sentence: what was wrong, what is accepted.
        common: What is known of weights and catalog, see `encode_common`.
    """
    return _error(request.entry_id, request.request_id, request.reply_to, (code, message, common))


def encode_dead_letter(entry: Entry, code: str, message: str) -> Sequence[str | bytes]:
    """Write the dead letter of a request given up on: all original fields (of freaks the first 3,500), and why."""
    why = ("entry_id", entry.id, "error", code, "message", message, "deliveries", str(entry.deliveries))
    left_out = len(entry.fields[_LONGEST_LETTER:]) // 2
    return (*entry.fields[:_LONGEST_LETTER], *why, *(("fields_left_out", str(left_out)) if left_out else ()))


def encode_common(
    *, weights_version: str, weights_source: str, catalog_version: str, left_out: Sequence[str] = ()
) -> tuple[str | bytes, ...]:
    """Write the fields that every result of the same weights and catalog shares."""
    versions = ("weights_version", weights_version, "weights_source", weights_source)
    missing = ("left_out", _compact(list(left_out))) if left_out else ()
    return (*versions, "catalog_version", catalog_version, *missing)


def encode_probabilities(weights: Mapping[str, float], ready: Mapping[str, int]) -> tuple[str | bytes, ...]:
    """Write the fields of `probabilities=1`: a chunk's draw probability is weights[c] / ready[c]."""
    return ("weights", _compact(dict(weights)), "ready", _compact(dict(ready)))


def encode_counts(counts: Mapping[str, int]) -> str:
    """Write category -> count as a JSON object."""
    return "{" + ",".join([f"{encode_basestring_ascii(name)}:{count}" for name, count in counts.items()]) + "}"


def _error(entry_id: str, request_id: str, reply_to: str | None, why: tuple[str, str, Sequence[str | bytes]]) -> Result:
    code, message, common = why
    echoed = ("request_id", request_id, "entry_id", entry_id, "status", "error")
    fields = (*echoed, "error", code, "message", message, *common)
    return Result(entry_id, request_id, reply_to, code, fields)


def _reject(entry: Entry, values: Mapping[str, object], problem: RequestError) -> Result:
    request_id, reply_to = values.get("request_id"), values.get("reply_to")
    return _error(
        entry.id,
        request_id if isinstance(request_id, str) else entry.id,
        reply_to if isinstance(reply_to, str) else None,
        (problem.code, problem.message, ()),
    )


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _invalid(message: str) -> RequestError:
    return RequestError("invalid_request", message)


def shown(value: bytes) -> str:
    """Show a stranger's bytes within a sentence: quoted, ASCII only, cut after 64 characters."""
    text = ascii(value[:_SHOWN_LENGTH].decode(errors="backslashreplace"))
    return text if len(text) <= _SHOWN_LENGTH else f"{text[:_SHOWN_LENGTH]}..."


def _whole_number(least: int, largest: int) -> Callable[[str, bytes], int]:
    accepted = f"a whole number from {least} to {largest}"
    digits = len(str(largest))

    def read(name: str, value: bytes) -> int:
        if value.isdigit() and len(value) <= digits and least <= (number := int(value)) <= largest:
            return number
        raise _invalid(f"{name} is {shown(value)}; accepted: {accepted}")

    return read


def _one_of(choices: Mapping[bytes, object]) -> Callable[[str, bytes], object]:
    accepted = " or ".join(choice.decode() for choice in choices)

    def read(name: str, value: bytes) -> object:
        if value in choices:
            return choices[value]
        raise _invalid(f"{name} is {shown(value)}; accepted: {accepted}")

    return read


def _printable(name: str, value: bytes) -> str:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        text = ""
    if not 1 <= len(text) <= _LONGEST_TEXT or not text.isprintable():
        raise _invalid(f"{name} is {shown(value)}; accepted: 1 to {_LONGEST_TEXT} printable characters")
    return text


def _name(name: str, value: bytes) -> str:
    text = value.decode("ascii", errors="replace")
    if not NAME_PATTERN.fullmatch(text):
        raise _invalid(f"{name} is {shown(value)}; accepted: {NAME_PATTERN.pattern}")
    return text


def _not_yet(name: str, _value: bytes) -> None:
    raise _invalid(f"{name} is not supported by this version of the worker; accepted: requests without it")


def _pin(name: str, value: bytes) -> None:
    if value == b"1":
        _not_yet(name, value)
    if value != b"0":
        raise _invalid(f"{name} is {shown(value)}; accepted: 0")


def _method(name: str, value: bytes) -> object:
    if value == b"epoch":
        raise _invalid(f"{name} epoch is not supported by this version of the worker; accepted: {_METHODS}")
    return _METHOD(name, value)


_METHODS = "random or stratified"
_METHOD = _one_of({b"random": "random", b"stratified": "stratified"})
_FLAG = _one_of({b"1": True, b"0": False})
_READERS: Final[Mapping[bytes, Callable[[str, bytes], object]]] = {
    b"request_id": _printable,
    b"category": _printable,
    b"dataset": _name,
    b"replace": _FLAG,
    b"method": _method,
    b"seed": _whole_number(0, LARGEST_SEED),
    b"reply_to": _name,
    b"expires_at": _whole_number(0, 2**63 - 1),
    b"encoding": _one_of({b"json": "json", b"packed": "packed"}),
    b"probabilities": _FLAG,
    b"pin": _pin,
    **{name.encode(): _not_yet for name in _NOT_YET},
}


@cache
def _readers(max_size: int) -> Mapping[bytes, Callable[[str, bytes], object]]:
    return {**_READERS, b"size": _whole_number(1, max_size)}
