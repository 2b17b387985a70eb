"""An id is found in results of every encoding, exactly as often as it is there."""

import json
import struct
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.wire.sought import find_sought, read_sought

NUMBERS = st.one_of(st.integers(-50, 50), st.integers(-(2**63), 2**63 - 1))


def times(chunk: int | str, raw: bytes, count: int) -> int:
    counts = json.dumps({"voice": count}).encode()
    words = [b"request_id", b"r", b"entry_id", b"5-0", b"chunk_ids", raw, b"counts", counts]
    found = find_sought(read_sought(str(chunk)), b"9-1", words, "s")
    return 0 if found is None else found.times


@given(st.lists(NUMBERS, min_size=1, max_size=40), NUMBERS, st.integers(0, 21))
def test_numbers(ids: list[int], other: int, width: int) -> None:
    padded = f"[{','.join(f'{one:>{width}}' for one in ids)}]".encode()
    packed = struct.pack(f"<{len(ids)}q", *ids)
    for one in (*ids, other):
        assert times(one, padded, len(ids)) == ids.count(one)
        assert times(one, packed, len(ids)) == ids.count(one)


@given(st.lists(st.uuids(), min_size=1, max_size=20), st.uuids())
def test_uuids(ids: list[UUID], other: UUID) -> None:
    text = json.dumps([str(one) for one in ids]).encode()
    packed = b"".join(one.bytes for one in ids)
    for one in (*ids, other):
        assert times(str(one), text, len(ids)) == ids.count(one)
        assert times(str(one).upper(), packed, len(ids)) == ids.count(one)


@given(st.binary(max_size=80), st.binary(max_size=30), st.integers(-9, 99))
def test_what_is_no_result_has_no_chunk(raw: bytes, counts: bytes, chunk: int) -> None:
    words = [b"chunk_ids", raw + str(chunk).encode(), b"counts", counts]
    assert find_sought(read_sought(str(chunk)), b"9-1", words, "s") is None
    assert find_sought(read_sought(str(chunk)), b"9-1", words[:3], "s") is None


@pytest.mark.parametrize("text", ["", "x", "1.5", "9" * 19, "1" * 20, "\u0661", "00000000-0000"])
def test_what_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no chunk id; accepted: a whole number of 64 bits, or a uuid"):
        read_sought(text)
