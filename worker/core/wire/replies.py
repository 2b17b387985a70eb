"""Results as their receiver reads them. Anybody may have written to a result stream, so everything is checked."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final

from worker.core.wire.columns import INDEXES, RESULT_COLUMNS, Column, read_columns
from worker.core.wire.fields import shown
from worker.core.wire.json_text import read_json

_LARGEST_COUNT = 2**63 - 1
_LARGEST_NUMBER = 1e300
_COLUMNS = frozenset(RESULT_COLUMNS)
_LISTS = ("left_out", "counts", "seconds", "passes", "weights", "ready")
_REST = frozenset(
    {"status", "weights_source", "catalog_version", "split", "dataset", "session", "traceparent", INDEXES}
)


@dataclass(frozen=True, slots=True)
class Reply:
    """A result as its receiver reads it; what an error result leaves out is empty.

    Attributes:
        entry_id: The request's stream entry.
        request_id: Echoed.
        error: Its error code; None when it is ok.
        message: The sentence of an error.
        chunk_ids: Numbers or texts; bytes if packed ids were asked for.
        counts: Category -> how many of the ids.
        weights_version: Version of the weights that it was drawn under.
        weights: Effective weights, if they were asked for.
        ready: READY counts, if they were asked for.
        fields: All fields, as they came.
        columns: Field -> a value for each id, of the columns that were asked for; see `worker.core.wire.columns`.
    """

    entry_id: str
    request_id: str
    error: str | None
    message: str
    chunk_ids: list[int | str] | bytes
    counts: Mapping[str, int]
    weights_version: str
    weights: Mapping[str, float]
    ready: Mapping[str, int]
    fields: Mapping[str, bytes] = field(repr=False)
    columns: Mapping[str, Column] = field(default_factory=dict, repr=False)

    @property
    def left_out(self) -> list[str]:
        """List the weighted categories that had no READY chunk."""
        return _names(self.fields)

    @property
    def seconds(self) -> dict[str, float]:
        """Return the seconds of its chunks, by category; empty unless weights are shares of audio time."""
        return _table(self.fields, "seconds", _is_number)

    @property
    def passes(self) -> dict[str, dict[int, int]]:
        """Return the passes of its chunks: category -> pass -> how many; empty unless drawn by `method=epoch`."""
        passes = _table(self.fields, "passes", _is_table_of_counts)
        return {name: {int(number): count for number, count in spans.items()} for name, spans in passes.items()}

    @property
    def weights_source(self) -> str:
        """Return the source of the weights."""
        return _text(self.fields.get("weights_source", b""))

    @property
    def catalog_version(self) -> str:
        """Return the version of the catalog that it was drawn from."""
        return _text(self.fields.get("catalog_version", b""))

    @property
    def split(self) -> str | None:
        """Return the split that was asked for; None if none was named."""
        return _text(self.fields["split"]) if "split" in self.fields else None

    @property
    def traceparent(self) -> str | None:
        """Return the trace context of the request; None if it had none."""
        return _text(self.fields["traceparent"]) if "traceparent" in self.fields else None

    @property
    def extra(self) -> dict[str, str]:
        """Return the fields that the contract of this version does not name."""
        return {name: _text(value) for name, value in self.fields.items() if name not in _NAMES}

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data; packed ids are in hex."""
        plain: dict[str, Any] = {name: _text(value) for name, value in self.fields.items() if name not in _DECODED}
        plain |= self.columns
        plain |= {name: getattr(self, name) for name in _LISTS if name in self.fields}
        if "chunk_ids" in self.fields:
            plain["chunk_ids"] = self.chunk_ids.hex() if isinstance(self.chunk_ids, bytes) else self.chunk_ids
        return {name: plain[name] for name in self.fields if name in plain}


_DECODED: Final = frozenset((*_LISTS, *RESULT_COLUMNS, INDEXES))
_NAMES: Final = _DECODED | _REST | {one.name for one in fields(Reply)} - {"fields", "columns"}


def decode_result(words: Sequence[bytes], *, packed: bool = False) -> Reply:
    """Read a result.

    Args:
        words: Fields and values in turn, as they came.
        packed: Whether packed ids were asked for.

    Raises:
        ValueError: The words are not a result. The sentence says which field is wrong.
    """
    found = _fields(words)
    error = _text(found["error"]) if "error" in found else None
    counts = _table(found, "counts", _is_count)
    reply = Reply(
        entry_id=_id(found, "entry_id"),
        request_id=_id(found, "request_id"),
        error=error,
        message=_text(found.get("message", b"")),
        chunk_ids=found.get("chunk_ids", b"") if packed and error is None else _ids(found),
        counts=counts,
        weights_version=_text(found.get("weights_version", b"")),
        weights=_table(found, "weights", _is_number),
        ready=_table(found, "ready", _is_count),
        columns={} if _COLUMNS.isdisjoint(found) else read_columns(found, sum(counts.values())),
        fields=found,
    )
    _ = reply.left_out, reply.seconds, reply.passes  # read once, so that an invalid field is refused here
    return reply


def decode_any(words: Sequence[bytes], *, packed: bool = False) -> Reply | None:
    """Read an entry of a result stream.

    Args:
        words: Fields and values in turn, as they came.
        packed: Whether packed ids were asked for.

    Returns:
        The result. If it cannot be read: an error result, or None if it does not even name its request.
    """
    try:
        return decode_result(words, packed=packed)
    except ValueError as error:
        problem = f"the result cannot be read: {error}; accepted: the same request, asked again"
    found = _fields(words)
    try:
        entry_id, request_id = _id(found, "entry_id"), _id(found, "request_id")
    except ValueError:
        return None
    told = {"entry_id": entry_id, "request_id": request_id, "error": "internal", "message": problem}
    own = {name: text.encode() for name, text in told.items()}
    return Reply(entry_id, request_id, "internal", problem, [], {}, "", {}, {}, own)


def _fields(words: Sequence[bytes]) -> dict[str, bytes]:
    return {_text(name): value for name, value in zip(words[0::2], words[1::2], strict=True)}


def _text(value: bytes) -> str:
    return value.decode(errors="replace")


def _id(found: Mapping[str, bytes], name: str) -> str:
    try:
        return found[name].decode()
    except (KeyError, UnicodeDecodeError):
        raise ValueError(f"it has no {name}") from None


def _table(found: Mapping[str, bytes], name: str, is_value: Callable[[Any], bool]) -> dict[str, Any]:
    """Read an object of values of one kind; empty if the result has no such field."""
    if name not in found:
        return {}
    table = read_json(name, found[name])
    if type(table) is not dict or not all(map(is_value, table.values())):
        raise ValueError(f"{name} is {shown(found[name])}, which is no table of numbers by category")
    return table


def _names(found: Mapping[str, bytes]) -> list[str]:
    if "left_out" not in found:
        return []
    names = read_json("left_out", found["left_out"])
    if type(names) is not list or not all(type(name) is str for name in names):
        raise ValueError(f"left_out is {shown(found['left_out'])}, which is no list of names")
    return names


def _ids(found: Mapping[str, bytes]) -> list[int | str]:
    """Read ids in JSON: all numbers, or all texts."""
    if "chunk_ids" not in found or "error" in found:
        return []
    return read_ids(found["chunk_ids"])


def read_ids(value: bytes) -> list[int | str]:
    """Read a JSON array of ids.

    Raises:
        ValueError: It is not a list of 64-bit numbers or of texts.
    """
    ids = read_json("chunk_ids", value)
    kinds = set(map(type, ids)) if type(ids) is list else set()
    if kinds == {str} or (kinds == {int} and min(ids) >= ~_LARGEST_COUNT and max(ids) <= _LARGEST_COUNT):
        found: list[int | str] = ids
        return found
    raise ValueError("chunk_ids are no list of ids")


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _LARGEST_COUNT


def _is_number(value: Any) -> bool:
    return type(value) in {int, float} and 0 <= value <= _LARGEST_NUMBER


def _is_table_of_counts(value: Any) -> bool:
    return type(value) is dict and all(map(_is_count, value.values())) and all(map(_is_pass, value))


def _is_pass(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= len(str(_LARGEST_COUNT))
