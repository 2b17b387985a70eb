"""Find one chunk id in results, JSON or packed, without reading the others' ids.

A result does not say how its ids are encoded, because whoever asked knows. A JSON array is read as one if it has as
many ids as the result's counts add up to. Any other value is read by the number of its bytes. One search for the bytes
of the id in either form passes over nearly all results.
"""

import json
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from worker.core.wire.exclusions import read_id
from worker.core.wire.json_text import read_json
from worker.core.wire.replies import read_ids


class Sought(NamedTuple):
    """A chunk id, as it stands in results.

    Attributes:
        id: The id: a number, or a text where ids are uuids.
        text: Its JSON.
        packed: Its packed bytes.
    """

    id: int | str
    text: bytes
    packed: bytes


class Drawn(NamedTuple):
    """A result that holds the chunk.

    Attributes:
        at_ms: When it was written: Unix time in ms by the clock of Redis.
        stream: The stream that holds it.
        request_id: Echoed.
        entry_id: The request's stream entry, which begins with when it was added.
        session: The training session that asked; None: the request named none.
        dataset: The dataset; None: the request named none.
        weights_version: Version of the weights that it was drawn under.
        times: How often the result has the chunk.
    """

    at_ms: int
    stream: str
    request_id: str
    entry_id: str
    session: str | None
    dataset: str | None
    weights_version: str
    times: int


def read_sought(text: str) -> Sought:
    """Read the id of a chunk as it is typed.

    Raises:
        ValueError: It is none; the sentence says what is accepted.
    """
    chunk = read_id(text)
    if isinstance(chunk, int):
        return Sought(chunk, str(chunk).encode(), chunk.to_bytes(8, "little", signed=True))
    return Sought(str(chunk), json.dumps(str(chunk)).encode(), chunk.bytes)


def find_sought(sought: Sought, record_id: bytes, words: Sequence[bytes], stream: str) -> Drawn | None:
    """Return what a result says of its draw; None if it has not the chunk, or is no result.

    Args:
        sought: The chunk.
        record_id: The result's own entry.
        words: Fields and values in turn, as they came.
        stream: The stream that holds it.
    """
    found = dict(zip(words[0::2], words[1::2], strict=False))
    raw = found.get(b"chunk_ids", b"")
    if sought.text not in raw and sought.packed not in raw:
        return None
    times = _times(sought, raw, found.get(b"counts", b""))
    if not times:
        return None

    def text(name: bytes) -> str:
        return found.get(name, b"").decode(errors="replace")

    at_ms = int(record_id.partition(b"-")[0])
    names = (text(b"session") or None, text(b"dataset") or None)
    return Drawn(at_ms, stream, text(b"request_id"), text(b"entry_id"), *names, text(b"weights_version"), times)


def _times(sought: Sought, raw: bytes, counts: bytes) -> int:
    """Count how often a value of `chunk_ids` has the id; 0 if it cannot be read."""
    with suppress(ValueError, TypeError, AttributeError):
        count = sum(read_json("counts", counts).values())
        with suppress(ValueError):
            if raw[:1] == b"[" and len(ids := read_ids(raw)) == count:
                return ids.count(sought.id)
        width = len(sought.packed)
        if count and len(raw) == count * width:
            return sum(raw[start : start + width] == sought.packed for start in range(0, len(raw), width))
    return 0
