"""Results and dead letters, as they are written."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, NamedTuple
from weakref import WeakKeyDictionary

from worker.core.wire.requests import LARGEST_SIZE, Entry, Refused, Request, RequestReader

EXPIRED: Final = "expired"
ERROR_CODES: Final = (
    "invalid_request",
    "unknown_category",
    "no_ready_chunks",
    "too_few_chunks",
    "unknown_preset",
    "unknown_exclude",
    EXPIRED,
    "catalog_unavailable",
    "too_many_deliveries",
    "internal",
)
FIELDS_OF_LETTER: Final = ("entry_id", "error", "message", "deliveries")
"""The fields at the end of a dead letter, after the request's own; `fields_left_out` may follow."""

_LONGEST_LETTER = 7_000  # words; a Redis script can pass no more than about 7,990 to a command


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Template:
    """The fields and values that many results share; see `ok_template`.

    Attributes:
        words: Fields and values in turn. None marks a slot that each result fills: first its request id, then its
            entry's id, then its `values`.
        slots: Where the slots are.
    """

    words: tuple[str | None, ...]
    slots: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Find the slots."""
        object.__setattr__(self, "slots", tuple(place for place, word in enumerate(self.words) if word is None))


_TRACED: Final[WeakKeyDictionary[Template, Template]] = WeakKeyDictionary()


class Result(NamedTuple):
    """The answer to one request, ready to be written. It is a named tuple, as one is made for each request.

    Attributes:
        entry_id: The request's stream entry.
        request_id: Echoed.
        reply_to: The result stream that it goes to; None for the shared one.
        error: Its error code; None when it is ok.
        template: What it shares with other results.
        values: What fills the template after the two ids, in its order.
    """

    entry_id: str
    request_id: str
    reply_to: str | None
    error: str | None
    template: Template
    values: tuple[str | bytes, ...] = ()

    @property
    def fields(self) -> list[str | bytes]:
        """Return fields and values in turn."""
        words: list[Any] = list(self.template.words)
        for place, word in zip(self.template.slots, (self.request_id, self.entry_id, *self.values), strict=True):
            words[place] = word
        return words

    @property
    def message(self) -> str:
        """Return the sentence of an error; empty when it is ok."""
        return self._text("message")

    @property
    def weights_version(self) -> str:
        """Return the version of the weights that it was drawn under; empty if it needed none."""
        return self._text("weights_version")

    @property
    def counts(self) -> str:
        """Return how many of its ids are of each category, as JSON; empty if it has none."""
        return self._text("counts")

    @property
    def traceparent(self) -> str | None:
        """Return the trace context of its request; None if it had none."""
        return self._text("traceparent") or None

    def traced(self, traceparent: str) -> "Result":
        """Return the result with the trace context of its request, which it lacks so far."""
        return self._replace(template=_traced(self.template), values=(*self.values, traceparent))

    def _text(self, name: str) -> str:
        fields = self.fields
        value = dict(zip(fields[0::2], fields[1::2], strict=True)).get(name, "")
        return value if isinstance(value, str) else value.decode()


class Decoder:
    """Reads entries as requests. Entries like earlier ones are read faster."""

    def __init__(self, max_size: int = LARGEST_SIZE) -> None:
        self._reader = RequestReader(max_size)

    def decode(self, entry: Entry) -> Request | Result:
        """Read a request.

        Args:
            entry: The stream entry.

        Returns:
            The request; if it breaks the contract, its error result.
        """
        request = self._reader.read(entry)
        if isinstance(request, Request):
            return request
        return encode_error(request, request.error.code, request.error.message)


def ok_slots(*, has_seconds: bool, has_passes: bool) -> tuple[str, ...]:
    """Return the slots of ok results beside `chunk_ids` and `counts`.

    Args:
        has_seconds: Whether results say how long their chunks last.
        has_passes: Whether results say which passes their chunks are of.
    """
    return (*(("seconds",) if has_seconds else ()), *(("passes",) if has_passes else ()))


def ok_template(common: Sequence[str], slots: Sequence[str] = ()) -> Template:
    """Make the template of ok results. Its slots are `chunk_ids`, `counts`, and others.

    Args:
        common: Fields that every result of the same weights and catalog shares, see `encode_common`.
        slots: The other slots, in the order in which results fill them.
    """
    own: list[str | None] = ["chunk_ids", None, "counts", None]
    for name in slots:
        own += (name, None)
    return Template(("request_id", None, "entry_id", None, "status", "ok", *own, *common))


def encode_error(request: Request | Refused | Result, code: str, message: str, common: Sequence[str] = ()) -> Result:
    """Write an error result.

    Args:
        request: The request, a refused one, or its earlier result.
        code: One of `ERROR_CODES`.
        message: One sentence: what was wrong, what is accepted.
        common: What is known of weights and catalog, see `encode_common`.
    """
    reply_to = request.terms.reply_to if isinstance(request, Request) else request.reply_to
    echoed = ("request_id", None, "entry_id", None, "status", "error")
    template = Template((*echoed, "error", code, "message", message, *common))
    result = Result(request.entry_id, request.request_id, reply_to, code, template)
    return result if request.traceparent is None else result.traced(request.traceparent)


def _traced(template: Template) -> Template:
    """Return a template with a slot for a trace context at its end; one object serves all results of a template."""
    found = _TRACED.get(template)
    if found is None:
        found = _TRACED[template] = Template((*template.words, "traceparent", None))
    return found


def encode_dead_letter(entry: Entry, code: str, message: str) -> Sequence[str | bytes]:
    """Write the dead letter of a request that is given up on: its own fields, the first 3,500 at most, and why."""
    why = ("entry_id", entry.id, "error", code, "message", message, "deliveries", str(entry.deliveries))
    left_out = len(entry.fields[_LONGEST_LETTER:]) // 2
    return (*entry.fields[:_LONGEST_LETTER], *why, *(("fields_left_out", str(left_out)) if left_out else ()))


def encode_common(
    *,
    weights_version: str,
    weights_source: str,
    catalog_version: str,
    left_out: Sequence[str] = (),
    named: Mapping[str, str | None] = MappingProxyType({}),
) -> tuple[str, ...]:
    """Write the fields that all results of the same weights, catalog and terms share.

    Args:
        weights_version: Version of the weights.
        weights_source: Where they come from.
        catalog_version: Version of the catalog.
        left_out: Weighted categories without a READY chunk.
        named: Fields of the request that are echoed; None: it did not name them.
    """
    versions = ("weights_version", weights_version, "weights_source", weights_source)
    missing = ("left_out", _compact(list(left_out))) if left_out else ()
    echoed = (word for name, value in named.items() if value is not None for word in (name, value))
    return (*versions, "catalog_version", catalog_version, *missing, *echoed)


def encode_probabilities(weights: Mapping[str, float], ready: Mapping[str, int]) -> tuple[str, ...]:
    """Write the fields of `probabilities=1`. A chunk of category c is drawn with probability weights[c] / ready[c]."""
    return ("weights", _compact(dict(weights)), "ready", _compact(dict(ready)))


def encode_passes(passes: Mapping[str, Sequence[tuple[int, int]]]) -> str:
    """Write which passes a result's chunks are of.

    Args:
        passes: Category -> (pass, how many of its chunks are of that pass).
    """
    return _compact({name: dict(spans) for name, spans in passes.items()})


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
