"""Requests: what a stream entry asks for, read field by field, and written by those who ask."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal

from worker.core.keys import NAME_PATTERN
from worker.errors import RequestError

Method = Literal["random", "stratified"]
Encoding = Literal["json", "packed"]

LARGEST_SIZE = 65_536
LARGEST_SEED = 2**63 - 1
_SHOWN_LENGTH = 64
_LONGEST_TEXT = 128
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
class Refused:
    """Hold a request that departs from the contract.

    Attributes:
        entry_id: Its stream entry.
        request_id: Echoed, where it is valid; else the entry's id.
        reply_to: Whose result stream the error goes to, where that is valid.
        error: What was wrong.
    """

    entry_id: str
    request_id: str
    reply_to: str | None
    error: RequestError


def read_request(entry: Entry, max_size: int) -> Request | Refused:
    """Read a request.

    Args:
        entry: The stream entry.
        max_size: Largest `size` accepted.

    Returns:
        The request, or what is wrong with it.
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
        return _refuse(entry, values, problem)
    values.pop("pin", None)
    return Request(entry.id, values.pop("request_id", entry.id), **values)  # type: ignore[arg-type]


def encode_request(**fields: str | int | None) -> tuple[str | int, ...]:
    """Write a request.

    Args:
        fields: By their names in the contract; None leaves a field out.

    Returns:
        Fields and values in turn.
    """
    return tuple(word for name, value in fields.items() if value is not None for word in (name, value))


def asks_for_packed(words: Sequence[str | int]) -> bool:
    """Tell whether a request's fields and values in turn ask for packed ids."""
    return ("encoding", "packed") in zip(words[0::2], words[1::2], strict=True)


def shown(value: bytes) -> str:
    """Show a stranger's bytes within a sentence: quoted, ASCII only, cut after 64 characters."""
    text = ascii(value[:_SHOWN_LENGTH].decode(errors="backslashreplace"))
    return text if len(text) <= _SHOWN_LENGTH else f"{text[:_SHOWN_LENGTH]}..."


def _refuse(entry: Entry, values: Mapping[str, object], problem: RequestError) -> Refused:
    request_id, reply_to = values.get("request_id"), values.get("reply_to")
    return Refused(
        entry.id,
        request_id if isinstance(request_id, str) else entry.id,
        reply_to if isinstance(reply_to, str) else None,
        problem,
    )


def _invalid(message: str) -> RequestError:
    return RequestError("invalid_request", message)


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
