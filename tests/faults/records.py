"""What was asked of a run, what was done to it, and what it left behind: plain records for the auditors to count.

Times are Unix times of one machine in ns; an entry's own time, which Redis gives, is in ms.
"""

import hashlib
import json
import math
from array import array
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any, NamedTuple

Chunk = int | str

OK = frozenset({"ok"})
UNWRITTEN = "unwritten"
"""Outcome of a request whose result could not be written: a dead letter alone."""
NOTHING: Mapping[str, Any] = MappingProxyType({})


class Asked(NamedTuple):
    """One request, as whoever asked noted it.

    Attributes:
        entry_id: Its stream entry's id; None where the answer to XADD was lost, so that there may be an entry or not.
        fields: As they were sent.
        sent_ns: Just before it was sent.
        accepted: Outcomes that are right: "ok", error codes, `UNWRITTEN`.
    """

    entry_id: str | None
    fields: Mapping[str, str]
    sent_ns: int
    accepted: frozenset[str] = OK

    @property
    def is_maybe(self) -> bool:
        """Check whether it is unknown if the request was added."""
        return self.entry_id is None


class Answer(NamedTuple):
    """One result, as it stands in its stream.

    Attributes:
        entry_id: The entry that it answers.
        request_id: Echoed.
        reply_to: Name of the reply stream that it stands in; None for the shared one.
        at_ms: When it was written.
        error: Its code; None when it is ok.
        chunk_ids: In the order of the result.
        counts: Category -> how many.
        version: `weights_version`; empty where there is none.
        source: `weights_source`; empty where there is none.
        fields: All other fields, of JSON ones what they hold.
    """

    entry_id: str
    request_id: str
    reply_to: str | None = None
    at_ms: int = 0
    error: str | None = None
    chunk_ids: Sequence[Chunk] = ()
    counts: Mapping[str, int] = NOTHING
    version: str = ""
    source: str = ""
    fields: Mapping[str, Any] = NOTHING

    @property
    def outcome(self) -> str:
        """Return what became of the request: "ok", or the error code."""
        return self.error or "ok"


class WeightsChange(NamedTuple):
    """One change of a weights key.

    A key has one writer, and its changes stand in the order in which they took effect.

    Attributes:
        name: Whose key: a dataset, `preset:<name>`, or None for the global one.
        values: Category -> weight as written; None where the key has none from then on (removed, all zero).
        begun_ns: Just before it was sent.
        acked_ns: Just after it was acknowledged; None where the acknowledgement was lost: it may hold or not.
        refused: Whether what was written is no valid weights, so that the last valid ones stay.
    """

    name: str | None
    values: Mapping[str, float] | None
    begun_ns: int = 0
    acked_ns: int | None = 0
    refused: bool = False


class Stay(NamedTuple):
    """A time in which a chunk was READY in a category.

    Attributes:
        chunk: Its id.
        category: Its category.
        begun_ns: Just before what made it READY was sent.
        ended_ns: Just after the end of it was acknowledged; None while it goes on.
    """

    chunk: Chunk
    category: str
    begun_ns: int = 0
    ended_ns: int | None = None


class Left(NamedTuple):
    """What was left in Redis at the end.

    Attributes:
        pending: Entries pending over all consumers.
        length: Entries in the request stream.
        added: Entries ever added to it; None where the stream was deleted meanwhile.
    """

    pending: int
    length: int
    added: int | None = None


@dataclass(frozen=True)
class Run:
    """The record of a whole run.

    Attributes:
        asked: Every request.
        answers: Every result, of all result streams.
        dead: Every dead letter.
        changes: Every weights change; before the first of a key it has no weights.
        stays: When chunks were READY; None where nobody noted it.
        stats: The stats hash; None where it was not kept (cleared, lost).
        sessions: Session -> the counts in its hash.
        left: What was left in Redis; None where nobody looked.
        stale_ns: How long after a chunk is gone it may be drawn at most.
        outages: (begin, end) of times that do not count for that: workers could not know.
    """

    asked: Sequence[Asked]
    answers: Sequence[Answer]
    dead: Sequence[Mapping[str, str]] = ()
    changes: Sequence[WeightsChange] = ()
    stays: Sequence[Stay] | None = None
    stats: Mapping[str, int] | None = None
    sessions: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    left: Left | None = None
    stale_ns: int = 5_000_000_000
    outages: Sequence[tuple[int, int]] = ()

    @cached_property
    def answers_of(self) -> Mapping[int, Sequence[Answer]]:
        """Find the results of each request, by its place in `asked`; those of nobody's requests are under -1.

        A request whose XADD got no answer is found by its request id.
        """
        by_entry = {one.entry_id: i for i, one in enumerate(self.asked) if one.entry_id is not None}
        maybe = {one.fields.get("request_id"): i for i, one in enumerate(self.asked) if one.is_maybe}
        found: dict[int, list[Answer]] = defaultdict(list)
        for answer in self.answers:
            place = by_entry.get(answer.entry_id)
            found[maybe.get(answer.request_id, -1) if place is None else place].append(answer)
        return found

    @cached_property
    def pairs(self) -> Sequence[tuple[Asked, Answer]]:
        """List every request with each of its results."""
        return [(self.asked[i], answer) for i, answers in self.answers_of.items() if i >= 0 for answer in answers]


def normalised(values: Mapping[str, float]) -> dict[str, float]:
    """Scale weights to sum 1, without zeros."""
    total = math.fsum(values.values())
    return {name: value / total for name, value in sorted(values.items()) if value}


def version_of(values: Mapping[str, float]) -> str:
    """Return the version of weights as the contract defines it."""
    shares = {name: round(share, 9) for name, share in normalised(values).items()}
    return hashlib.sha256(json.dumps(shares, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:12]


def read_answer(record_id: str, record: Mapping[bytes, bytes], reply_to: str | None = None) -> Answer:
    """Read a result.

    Args:
        record_id: The id of its own record.
        record: Its fields.
        reply_to: Name of the reply stream that it stands in.
    """
    raw = {name.decode(): value for name, value in record.items()}
    chunks = read_chunks(raw.pop("chunk_ids", b"[]"))
    fields = {name: value.decode() for name, value in raw.items()}
    counts = json.loads(fields.pop("counts", "{}"))
    json_fields = ("passes", "left_out", "weights", "ready")
    return Answer(
        entry_id=fields.pop("entry_id"),
        request_id=fields.pop("request_id"),
        reply_to=reply_to,
        at_ms=int(record_id.partition("-")[0]),
        error=fields.pop("error", None),
        chunk_ids=chunks,
        counts=counts,
        version=fields.pop("weights_version", ""),
        source=fields.pop("weights_source", ""),
        fields={name: json.loads(text) if name in json_fields else text for name, text in fields.items()},
    )


def read_chunks(value: bytes) -> Sequence[Chunk]:
    """Read chunk ids, packed or JSON: a packed bigint below 2^56 ends in a zero byte, JSON in a bracket.

    Bigints take 8 bytes each: there may be a hundred million of them.
    """
    if not value.endswith(b"]"):
        return array("q", [int.from_bytes(value[i : i + 8], "little", signed=True) for i in range(0, len(value), 8)])
    ids = json.loads(value)
    return tuple(ids) if ids and isinstance(ids[0], str) else array("q", ids)
