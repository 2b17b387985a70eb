"""Requests: a stream entry is read field by field; a client writes one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal, NamedTuple

from worker.core.keys import NAME_PATTERN, SPLIT_PATTERN
from worker.core.wire.columns import column_names
from worker.core.wire.contradictions import contradiction
from worker.core.wire.fields import (
    Reader,
    budget_seconds,
    invalid,
    matching,
    one_of,
    preset,
    printable,
    traceparent,
    whole_number,
)
from worker.errors import RequestError

Method = Literal["random", "stratified", "epoch"]
Encoding = Literal["json", "packed"]
Budget = Literal["padded", "sum"]

LARGEST_SIZE = 65_536
MOST_BUCKETS = 64
LARGEST_SEED = 2**63 - 1
_OWN = (b"request_id", b"seed", b"expires_at", b"traceparent")
_MOST_KNOWN = 4096
_LONGEST_KNOWN = 1024  # bytes: large fields of strangers are not kept
_MOST_WORDS_KNOWN = 64  # nor are many fields, even empty ones: the contract has 20


class Entry(NamedTuple):
    """One entry of the request stream. It is a named tuple, as one is made for each request.

    Attributes:
        id: The stream entry's id.
        fields: Its fields and values in turn, as they came.
        deliveries: How often it was delivered, this time included.
    """

    id: str
    fields: Sequence[bytes]
    deliveries: int = 1


class Terms(NamedTuple):
    """What many requests have in common. The attributes are fields of the wire contract.

    With `budget_s`, in seconds and whole milliseconds, `size` is the most chunk ids that the worker gives a request.
    """

    size: int = 1
    category: str | None = None
    dataset: str | None = None
    preset: str | None = None
    session: str | None = None
    pin: bool = False
    replace: bool = True
    method: Method = "random"
    reply_to: str | None = None
    encoding: Encoding = "json"
    probabilities: bool = False
    split: str | None = None
    columns: tuple[str, ...] = ()
    exclude: str | None = None
    budget_s: float | None = None
    budget: Budget = "padded"
    buckets: int = 1


class Request(NamedTuple):
    """A valid request: its terms, and what is its own. It is a named tuple, as one is made for each request."""

    entry_id: str
    request_id: str
    terms: Terms = Terms()
    seed: int | None = None
    expires_at: int | None = None
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """A request that breaks the contract.

    Attributes:
        entry_id: Its stream entry.
        request_id: Echoed if it is valid; else the entry's id.
        reply_to: The result stream that the error goes to, if it is valid.
        error: What was wrong.
        traceparent: Its trace context, if it is valid.
    """

    entry_id: str
    request_id: str
    reply_to: str | None
    error: RequestError
    traceparent: str | None = None


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
                raise invalid(f"{name} is given twice; accepted: each field once")
            values[name] = read(name, raw_value)
        except RequestError as error:
            problem = problem or error
            values.setdefault(name, None)
    problem = problem or contradiction(values)
    if problem is not None:
        return _refuse(entry, values, problem)
    if "budget_s" in values:
        values["size"] = max_size
    own: dict[str, object] = {name: values.pop(name) for raw in _OWN if (name := raw.decode()) in values}
    return Request(entry.id, own.pop("request_id", entry.id), Terms(**values), **own)  # type: ignore[arg-type]


class RequestReader:
    """Reads requests as `read_request` does, and keeps terms that it has read: most requests share theirs."""

    def __init__(self, max_size: int) -> None:
        self._max_size = max_size
        self._known: dict[tuple[bytes, ...], Terms] = {}

    def __repr__(self) -> str:
        """Show how much is kept."""
        return f"<RequestReader: {len(self._known)} of at most {_MOST_KNOWN} terms known>"

    def read(self, entry: Entry) -> Request | Refused:
        """Read a request.

        Args:
            entry: The stream entry.

        Returns:
            The request, or what is wrong with it.
        """
        terms = self._known.get(tuple(entry.fields))
        if terms is not None:
            return Request(entry.id, entry.id, terms)
        shared, own = _split(entry.fields)
        terms = self._known.get(shared)
        if terms is not None and not (terms.method == "epoch" and b"seed" in own):
            try:
                values = {name.decode(): _READERS[name](name.decode(), value) for name, value in own.items()}
                return Request(entry.id, values.pop("request_id", entry.id), terms, **values)  # type: ignore[arg-type]
            except RequestError:
                return read_request(entry, self._max_size)
        request = read_request(entry, self._max_size)
        if isinstance(request, Request) and _is_short(shared):
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[shared] = request.terms
        return request


def encode_request(**fields: str | int | None) -> tuple[str | int, ...]:
    """Write a request.

    Args:
        fields: Field -> value, by its name in the contract; None leaves a field out.

    Returns:
        Fields and values in turn.
    """
    return tuple(word for name, value in fields.items() if value is not None for word in (name, value))


def asks_for_packed(words: Sequence[str | int]) -> bool:
    """Return whether a request asks for packed ids.

    Args:
        words: Its fields and values in turn.
    """
    return ("encoding", "packed") in zip(words[0::2], words[1::2], strict=True)


def _split(fields: Sequence[bytes]) -> tuple[tuple[bytes, ...], dict[bytes, bytes]]:
    """Separate the fields that are a request's own from those that it shares. A repeated field counts as shared."""
    shared: list[bytes] = []
    own: dict[bytes, bytes] = {}
    pairs = iter(fields)
    for name, value in zip(pairs, pairs, strict=True):
        if name in _OWN and name not in own:
            own[name] = value
        else:
            shared += (name, value)
    return tuple(shared), own


def _is_short(words: Sequence[bytes]) -> bool:
    """Return whether fields and values are few and short enough to be kept."""
    return len(words) <= _MOST_WORDS_KNOWN and sum(map(len, words)) <= _LONGEST_KNOWN


def read_field(name: str, value: bytes) -> object:
    """Read one field of a request.

    Args:
        name: One of `REQUEST_FIELDS`.
        value: As it is written in the stream.

    Raises:
        RequestError: The value is not accepted.
    """
    return _readers(LARGEST_SIZE)[name.encode()](name, value)


def _refuse(entry: Entry, values: Mapping[str, object], problem: RequestError) -> Refused:
    texts = {name: value for name, value in values.items() if isinstance(value, str)}
    return Refused(
        entry.id, texts.get("request_id", entry.id), texts.get("reply_to"), problem, texts.get("traceparent")
    )


_FLAG = one_of({b"1": True, b"0": False})
_READERS: Final[Mapping[bytes, Reader]] = {
    b"request_id": printable,
    b"category": printable,
    b"dataset": matching(NAME_PATTERN),
    b"preset": preset,
    b"session": printable,
    b"pin": _FLAG,
    b"replace": _FLAG,
    b"method": one_of({b"random": "random", b"stratified": "stratified", b"epoch": "epoch"}),
    b"seed": whole_number(0, LARGEST_SEED),
    b"reply_to": matching(NAME_PATTERN),
    b"expires_at": whole_number(0, 2**63 - 1),
    b"encoding": one_of({b"json": "json", b"packed": "packed"}),
    b"probabilities": _FLAG,
    b"split": matching(SPLIT_PATTERN),
    b"columns": column_names,
    b"exclude": matching(NAME_PATTERN),
    b"traceparent": traceparent,
    b"budget_s": budget_seconds,
    b"budget": one_of({b"padded": "padded", b"sum": "sum"}),
    b"buckets": whole_number(1, MOST_BUCKETS),
}


REQUEST_FIELDS: Final = ("size", *(name.decode() for name in _READERS))
"""The fields of a request, by their names in the contract."""


@cache
def _readers(max_size: int) -> Mapping[bytes, Reader]:
    return {**_READERS, b"size": whole_number(1, max_size)}
