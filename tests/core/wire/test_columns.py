"""Columns of a result are read in every encoding, and anything else is refused in a sentence."""

import json
import math
import re
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.wire import COLUMNS, Decoder, Entry, Request, Result, column_slots, decode_result

PROTOCOL = Path(__file__).parents[3] / "worker" / "PROTOCOL.md"
numbers = st.none() | st.floats(allow_nan=False, allow_infinity=False)
names = st.text(st.characters(codec="utf-8"), max_size=9)
rows = st.lists(st.tuples(names, numbers, numbers, st.none() | names), min_size=1, max_size=30)
Row = tuple[str, float | None, float | None, str | None]


def _packed(values: list[float | None]) -> bytes:
    return struct.pack(f"<{len(values)}d", *(math.nan if one is None else one for one in values))


def _fields(table: list[Row], *, packed: bool) -> dict[str, bytes]:
    categories, durations, starts, paths = map(list, zip(*table, strict=True))
    if not packed:
        columns = {"categories": categories, "durations_s": durations, "starts_s": starts, "paths": paths}
        return {name: json.dumps(column).encode() for name, column in columns.items()}
    known = sorted(set(categories))
    return {
        "categories": json.dumps({"names": known}).encode(),
        "category_indexes": struct.pack(f"<{len(table)}h", *map(known.index, categories)),
        "durations_s": _packed(durations),
        "starts_s": _packed(starts),
        "paths": json.dumps(paths).encode(),
    }


def _decoded(fields: Mapping[str, bytes], count: int) -> Mapping[str, Any]:
    told = {"request_id": b"r", "entry_id": b"1-0", "chunk_ids": b"", "counts": json.dumps({"voice": count}).encode()}
    return decode_result(
        [word.encode() if isinstance(word, str) else word for pair in {**told, **fields}.items() for word in pair],
        packed=True,
    ).columns


@given(rows, st.booleans())
def test_columns_are_read_back(table: list[Row], packed: bool) -> None:  # noqa: FBT001 - drawn
    expected = dict(
        zip(("categories", "durations_s", "starts_s", "paths"), map(list, zip(*table, strict=True)), strict=True)
    )
    assert _decoded(_fields(table, packed=packed), len(table)) == expected


@given(rows)
def test_the_reader_of_the_protocol_reads_them(table: list[Row]) -> None:
    [example] = re.findall(r"```python\n(import json, struct.*?)```", PROTOCOL.read_text(), re.DOTALL)
    body = example[example.index("    columns = {}") :]
    assert len(body.splitlines()) <= 10
    scope: dict[str, Any] = {}
    exec(example, scope)  # noqa: S102 - the example as printed
    fields = _fields(table, packed=True)
    assert scope["read_columns"](fields, len(table)) == _decoded(fields, len(table))


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"categories": b'["a"]'}, "no list of 2 values"),
        ({"categories": b'["a", 1]'}, "no list of 2 values"),
        ({"categories": b'{"names": ["a", "b"]}'}, "no list of 2 values"),
        ({"categories": b'{"names": ["a"]}', "category_indexes": b"\0\0\1\0"}, "an index of no name"),
        ({"categories": b'{"names": ["a"]}', "category_indexes": b"\0\0\xff\xff"}, "an index of no name"),
        ({"categories": b'{"names": ["a"]}', "category_indexes": b"\0"}, "no names of 2 categories"),
        ({"categories": b'{"names": [1]}', "category_indexes": b"\0\0\0\0"}, "no names of 2 categories"),
        ({"categories": b"[]", "category_indexes": b"\0\0\0\0"}, "no names of 2 categories"),
        ({"durations_s": b"[1, NaN]"}, "no list of 2 values|no JSON"),
        ({"durations_s": b'[1, "2"]'}, "no list of 2 values"),
        ({"starts_s": b"[1, true]"}, "no list of 2 values"),
        ({"paths": b"[1, null]"}, "no list of 2 values"),
        ({"paths": b"\xff"}, "no JSON"),
    ],
)
def test_other_columns_are_refused(fields: dict[str, bytes], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        _decoded(fields, 2)


def test_packed_numbers_that_begin_like_json_are_read_as_packed() -> None:
    raw = b"[1, 234]" + b"[5,6, 7]"
    assert _decoded({"durations_s": raw}, 2)["durations_s"] == list(struct.unpack("<2d", raw))


def _request(columns: bytes) -> Request | Result:
    return Decoder().decode(Entry("1-0", [b"columns", columns]))


@given(st.permutations(COLUMNS), st.integers(1, 4))
def test_a_list_of_columns_in_any_order_makes_the_same_terms(order: list[str], count: int) -> None:
    request = _request(",".join(order[:count]).encode())
    assert isinstance(request, Request)
    assert request.terms.columns == tuple(name for name in COLUMNS if name in order[:count])


@pytest.mark.parametrize(
    "value", [b"", b",", b"path,", b"category,category", b"Path", b"category path", b"id", b"\xff"]
)
def test_other_lists_of_columns_are_refused(value: bytes) -> None:
    result = _request(value)
    assert isinstance(result, Result)
    assert result.error == "invalid_request"
    accepted = "accepted: some of category, duration_s, start_s, path, each once, with commas between"
    assert result.message.startswith("columns is ")
    assert result.message.endswith(accepted)


def test_slots_are_fields_of_the_contract() -> None:
    assert column_slots(COLUMNS, packed=False) == ("categories", "durations_s", "starts_s", "paths")
    assert column_slots(("category",), packed=True) == ("categories", "category_indexes")
