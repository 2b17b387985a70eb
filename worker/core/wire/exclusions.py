"""Exclusion lists: chunks that are never drawn for requests that name the list.

Design. A list has two keys in Redis. Its *head* is a short JSON object: the version of its ids, their kind and number.
Its *ids* are packed, sorted, each once: little-endian int64, or the 16 bytes of a uuid. One script writes both, and
nothing else does. So:

1. *At once.* Settling compares the mark of the head, as it does with weights keys: the SHA-1 of its value, or `absent`.
   A batch that was drawn under another list is refused. The list is read again, and the batch is drawn again. So the
   first request after a change is drawn under it. The number of workers does not matter, and no message is needed. As
   with weights, after eight refusals a batch is settled unfenced: its list was read after its requests had come.
2. *Exact.* Requests that name a list are drawn from a catalog without its chunks. Then all that is computed from a
   catalog is right by itself: mixtures, expected counts, passes of epochs, READY counts, seeds. An id without a chunk
   does nothing. It excludes its chunk if that comes later.
3. *Fast.* The short head is all that settling reads. Ids are read when the head has changed: a million are 8 MB. The
   catalog without them is kept for each list, until the catalog or the list changes.

A version is the start of the SHA-256 of the packed ids. Equal lists have equal heads, so nothing is read again.
"""

import hashlib
import json
import re
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal
from uuid import UUID

from worker.core.wire.json_text import read_json

MOST_IDS: Final = 1_000_000
"""Most ids of a list."""

Kind = Literal["number", "uuid"]
Ids = frozenset[int] | frozenset[UUID]

_WIDTHS: Final[Mapping[Kind, int]] = {"number": 8, "uuid": 16}
_NUMBER: Final = re.compile(r"-?[0-9]{1,19}", re.ASCII)
_LARGEST: Final = 2**63
_START: Final = "exclude:"


@dataclass(frozen=True, slots=True)
class ExclusionList:
    """A list as it is stored.

    Attributes:
        kind: Of its ids.
        packed: Its ids, packed, sorted, each once.
    """

    kind: Kind
    packed: bytes

    @property
    def size(self) -> int:
        """Return the number of its ids."""
        return len(self.packed) // _WIDTHS[self.kind]

    @property
    def version(self) -> str:
        """Return 12 hex digits of what it holds."""
        return hashlib.sha256(self.packed).hexdigest()[:12]

    @property
    def head(self) -> bytes:
        """Return its head."""
        head = {"version": self.version, "kind": self.kind, "ids": self.size}
        return json.dumps(head, separators=(",", ":")).encode()

    def ids(self) -> list[int] | list[UUID]:
        """Return its ids, in their order."""
        if self.kind == "number":
            return [number for (number,) in struct.iter_unpack("<q", self.packed)]
        return [UUID(bytes=bytes(raw)) for (raw,) in struct.iter_unpack("16s", self.packed)]


def exclusion_name(name: str) -> str:
    """Return the name of a list among those of weights; no dataset has a colon in its name."""
    return f"{_START}{name}"


def exclusion_of(name: str | None) -> str | None:
    """Return the list of such a name; None for names of weights."""
    return name.removeprefix(_START) if name is not None and name.startswith(_START) else None


def pack_ids(ids: Iterable[int | UUID]) -> ExclusionList:
    """Make a list of ids, all of one kind.

    Raises:
        ValueError: They are of two kinds, or too many.
    """
    each = frozenset(ids)
    if len(each) > MOST_IDS:
        raise ValueError(f"the list would have {len(each):,} ids; accepted: at most {MOST_IDS:,}")
    numbers = sorted(one for one in each if isinstance(one, int))
    uuids = sorted(one.bytes for one in each if isinstance(one, UUID))
    if numbers and uuids:
        raise ValueError("the list would have numbers and uuids; accepted: ids of one kind, as those of the library")
    if uuids:
        return ExclusionList("uuid", b"".join(uuids))
    return ExclusionList("number", struct.pack(f"<{len(numbers)}q", *numbers))


def read_id(text: str) -> int | UUID:
    """Read an id as it is typed.

    Raises:
        ValueError: It is none; the sentence says what is accepted.
    """
    if _NUMBER.fullmatch(text) and -_LARGEST <= (number := int(text)) < _LARGEST:
        return number
    try:
        return UUID(text)
    except ValueError:
        raise ValueError(f"{text[:64]!a} is no chunk id; accepted: a whole number of 64 bits, or a uuid") from None


def read_list(head: bytes, packed: bytes | None) -> ExclusionList:
    """Read a list as Redis holds it; anybody may have written there.

    Raises:
        ValueError: It cannot be read.
    """
    said = read_json("head", head)
    named = said.get("kind") if isinstance(said, dict) else None
    kind = next((one for one in _WIDTHS if one == named), None)  # what stands there may be of any type
    if kind is None or packed is None or len(packed) % _WIDTHS[kind]:
        raise ValueError("its keys hold no list")
    found = ExclusionList(kind, packed)
    if said != json.loads(found.head):
        raise ValueError("its head is of another list than its ids")
    return found
