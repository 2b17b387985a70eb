"""A catalog without a list is the catalog that was built without it, and draws as that one does."""

import json
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.drawing import catalog_of, lasting_catalog
from worker.core.catalog import Catalog, Columns, build_catalog, refer_to_paths, without
from worker.core.catalog.rendering import UUID
from worker.core.wire.exclusions import ExclusionList, pack_ids, read_id, read_list

READY = {"voice": 30, "music": 12, "custom+val": 5}


def rebuilt(catalog: Catalog, kept: np.ndarray) -> Catalog:
    """Build a catalog of some chunks of another one."""
    names = list(catalog.parts)
    codes = np.repeat(np.arange(len(names), dtype=np.uint16), np.diff(catalog.bounds))
    rows = catalog.rows.take(kept)
    return build_catalog(rows.ids, codes[kept], names, rows.durations, rows.columns)


def list_of(catalog: Catalog, positions: list[int]) -> ExclusionList:
    ids = catalog.ids[positions].tolist() if positions else []
    if catalog.ids.dtype == UUID:
        return pack_ids(read_id(one.ljust(16, b"\0").hex()) for one in ids)
    return pack_ids(ids)


def held_catalog() -> Catalog:
    count = 20
    paths, texts = refer_to_paths([f"/a/{i}.wav".encode() for i in range(count)])
    columns = Columns(np.arange(count), {"start_s": np.arange(count) / 2}, paths, texts)
    codes = (np.arange(count) % 2).astype(np.uint16)
    return build_catalog(np.arange(1, count + 1), codes, ["voice", "music"], None, columns)


CATALOGS = {
    "numbers": catalog_of(READY),
    "uuids": catalog_of(READY, uuids=True),
    "durations": lasting_catalog({"voice": 30, "music": 17}, {"voice": 3, "music": 9}),
    "columns": held_catalog(),
}


@pytest.mark.parametrize("name", CATALOGS)
@given(st.data())
def test_it_is_the_catalog_that_was_built_without_them(name: str, data: st.DataObject) -> None:
    catalog = CATALOGS[name]
    positions = data.draw(st.lists(st.integers(0, len(catalog) - 1), unique=True, max_size=len(catalog) - 1))
    kept = np.ones(len(catalog), np.bool_)
    kept[positions] = False
    found, expected = without(catalog, list_of(catalog, positions)), rebuilt(catalog, kept)
    assert found.equals(expected)
    assert found.ready == expected.ready
    assert found.ids.tolist() == expected.ids.tolist()
    if found.columns is not None and expected.columns is not None:
        texts = [one.texts.read(one.paths) for one in (found.columns, expected.columns) if one.paths is not None]
        assert texts[0] == texts[1]


def test_all_may_go_and_ids_of_no_chunk_do_nothing() -> None:
    catalog = CATALOGS["numbers"]
    assert len(without(catalog, list_of(catalog, list(range(len(catalog)))))) == 0
    others = pack_ids([2**63 - 1, -(2**63), 5])
    assert without(catalog, others) is catalog or without(catalog, others).equals(catalog)
    assert without(catalog, pack_ids([])) is catalog


@pytest.mark.parametrize(("name", "one"), [("numbers", "0" * 31 + "7"), ("uuids", "7")])
def test_ids_of_another_kind_are_refused(name: str, one: str) -> None:
    with pytest.raises(ValueError, match="and those of the library are"):
        without(CATALOGS[name], pack_ids([read_id(one)]))


@given(st.sets(st.integers(-(2**63), 2**63 - 1), max_size=50) | st.sets(st.uuids(), min_size=1, max_size=20))
def test_a_list_survives_being_stored(ids: set[int]) -> None:
    made = pack_ids(ids)
    assert (made.size, set(made.ids())) == (len(ids), ids)
    assert read_list(made.head, made.packed) == made


@given(st.binary(max_size=60), st.none() | st.binary(max_size=40))
def test_what_is_no_list_is_refused(head: bytes, packed: bytes | None) -> None:
    made = pack_ids([1, 2])
    for one, other in ((head, packed), (made.head, packed), (head, made.packed), (made.head, None)):
        with pytest.raises(ValueError, match=r".+"):
            read_list(one, other)


def test_a_list_has_an_end() -> None:
    assert pack_ids(range(1_000_000)).size == 1_000_000
    with pytest.raises(ValueError, match="would have 1,000,001 ids; accepted: at most 1,000,000"):
        pack_ids(range(1_000_001))


_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda part: st.lists(part) | st.dictionaries(st.text(), part),
)


@given(
    _ANYTHING
    | st.fixed_dictionaries({}, optional=dict.fromkeys(("version", "kind", "ids"), _ANYTHING | st.just("uuid"))),
    st.none() | st.binary(max_size=40),
)
@example({"kind": {}}, b"")
@example({"kind": []}, b"")
@example({"kind": "uuid", "version": {}, "ids": [[]]}, b"")
def test_whatever_stands_in_redis_is_a_list_or_refused(head: Any, packed: bytes | None) -> None:
    with suppress(ValueError):
        assert read_list(json.dumps(head).encode(), packed).packed == packed
