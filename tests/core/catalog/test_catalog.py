"""A change applied equals a catalog rebuilt; a catalog is a function of the set of its chunks alone."""

import json
import random
import uuid
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from worker.core.catalog import (
    Block,
    Catalog,
    Rows,
    apply_changes,
    build_catalog,
    empty_catalog,
    fingerprint_of,
    gather_catalog,
)
from worker.core.catalog.rendering import BIGINT, UUID, cut_rendered

NAMES = ("conference", "custom", "documentary", "music", "voice")
Chunk = int | bytes
Known = Mapping[Chunk, str | None]

bigints = st.integers(-(2**63), 2**63 - 1) | st.integers(-12, 12)
uuids = st.binary(min_size=16, max_size=16) | st.sampled_from([bytes(16), bytes(15) + b"\1", b"\1" + bytes(15)])
kinds = st.sampled_from([(BIGINT, bigints), (UUID, uuids)])


@st.composite
def libraries(draw: st.DrawFn) -> tuple[np.dtype[np.generic], Known, Known]:
    """Draw a kind of id, and what is known of some chunks before and after a change."""
    kind, ids = draw(kinds)
    before = draw(st.dictionaries(ids, st.sampled_from(NAMES), max_size=40))
    changeable = st.sampled_from(sorted(before)) | ids if before else ids
    after = draw(st.dictionaries(changeable, st.none() | st.sampled_from(NAMES), max_size=20))
    return kind, before, after


def as_ids(chunks: Sequence[Chunk], kind: np.dtype[np.generic]) -> NDArray[np.generic]:
    return np.array(chunks, dtype=kind)


def build(known: Known, kind: np.dtype[np.generic]) -> Catalog:
    ready = {chunk: name for chunk, name in known.items() if name is not None}
    codes = np.array([NAMES.index(name) for name in ready.values()], dtype=np.uint16)
    return build_catalog(as_ids(list(ready), kind), codes, NAMES)


def as_json(ids: NDArray[np.generic]) -> list[int | str]:
    """Write ids as a result shows them, one by one and without the code under test."""
    if ids.dtype == UUID:
        return [str(uuid.UUID(bytes=chunk.ljust(16, b"\0"))) for chunk in ids.tolist()]
    return [int(chunk) for chunk in ids.tolist()]


def assert_sound(catalog: Catalog) -> None:
    """Compare a catalog with what its docstring promises."""
    assert list(catalog.categories) == sorted(set(catalog.categories))
    assert catalog.bounds.dtype == np.int64
    assert catalog.bounds[0] == 0
    assert catalog.bounds[-1] == len(catalog) == len(catalog.ids)
    for _, ids in catalog.segments():
        shown = as_json(ids)
        assert shown
        (text,) = cut_rendered(ids, catalog.width, np.arange(len(ids)), np.array([len(ids)]))
        assert json.loads(text) == shown
        assert (ids[1:] > ids[:-1]).all()  # type: ignore[operator]
    assert not catalog.ids.flags.writeable


def assert_equal(one: Catalog, other: Catalog) -> None:
    assert one.categories == other.categories
    assert one.bounds.tolist() == other.bounds.tolist()
    assert one.kind == other.kind
    assert one.ids.tolist() == other.ids.tolist()  # after a change, perhaps in more bytes than they need
    assert one.version == other.version
    assert one.ready == other.ready


@given(libraries())
def test_change_applied_equals_catalog_rebuilt(library: tuple[np.dtype[np.generic], Known, Known]) -> None:
    kind, before, after = library
    changed, _ = apply_changes(build(before, kind), as_ids(list(after), kind), list(after.values()))
    assert_sound(changed)
    assert_equal(changed, build({**before, **after}, kind))


@given(libraries())
def test_change_counts_pairs_that_come_and_go(library: tuple[np.dtype[np.generic], Known, Known]) -> None:
    kind, before, after = library
    _, change = apply_changes(build(before, kind), as_ids(list(after), kind), list(after.values()))
    old = set(before.items())
    new = {(chunk, name) for chunk, name in {**before, **after}.items() if name is not None}
    assert (change.added, change.removed) == (len(new - old), len(old - new))


@given(libraries())
def test_change_leaves_its_snapshot_alone(library: tuple[np.dtype[np.generic], Known, Known]) -> None:
    kind, before, after = library
    catalog, twin = build(before, kind), build(before, kind)
    apply_changes(catalog, as_ids(list(after), kind), list(after.values()))
    assert_equal(catalog, twin)
    assert np.array_equal(catalog.ids, twin.ids)


@pytest.mark.parametrize("share", [1e-5, 0.1, 0.9])
def test_change_of_a_large_catalog_equals_one_rebuilt(share: float) -> None:
    """Large catalogs are copied and searched in blocks."""
    rng = np.random.default_rng(17)
    ids, before = rng.permutation(300_000), rng.integers(0, len(NAMES) + 1, 300_000)
    after = np.where(rng.random(300_000) < share, rng.integers(0, len(NAMES) + 1, 300_000), before)
    known = before < len(NAMES)
    catalog = build_catalog(ids[known], before[known], NAMES)
    told = np.flatnonzero((after != before) | (rng.random(300_000) < share))
    changed, _ = apply_changes(catalog, ids[told], [[*NAMES, None][code] for code in after[told].tolist()])
    known = after < len(NAMES)
    assert_sound(changed)
    assert_equal(changed, build_catalog(ids[known], after[known], NAMES))


@given(libraries())
def test_change_that_is_known_already_keeps_the_snapshot(
    library: tuple[np.dtype[np.generic], Known, Known],
) -> None:
    kind, before, after = library
    once, _ = apply_changes(build(before, kind), as_ids(list(after), kind), list(after.values()))
    twice, change = apply_changes(once, as_ids(list(after), kind), list(after.values()))
    assert (change.added, change.removed) == (0, 0)
    assert_equal(once, twice)


@given(libraries(), st.randoms(use_true_random=False))
def test_order_of_rows_does_not_matter(
    library: tuple[np.dtype[np.generic], Known, Known], shuffler: random.Random
) -> None:
    kind, before, _ = library
    rows = list(before.items())
    shuffler.shuffle(rows)
    catalog = build(dict(rows), kind)
    assert_sound(catalog)
    assert_equal(catalog, build(before, kind))


@given(libraries())
def test_row_that_comes_twice_counts_once(library: tuple[np.dtype[np.generic], Known, Known]) -> None:
    kind, before, _ = library
    codes = np.array([NAMES.index(str(name)) for name in before.values()] * 2, dtype=np.uint16)
    twice = build_catalog(as_ids(list(before) * 2, kind), codes, NAMES)
    assert_equal(twice, build(before, kind))


@given(kinds.flatmap(lambda kind: st.tuples(st.just(kind[0]), st.lists(kind[1], unique=True, max_size=30))))
def test_fingerprint_is_a_sum_over_pairs(case: tuple[np.dtype[np.generic], list[Chunk]]) -> None:
    kind, chunks = case
    apart = sum(fingerprint_of(as_ids([chunk], kind), "voice") for chunk in chunks) % 2**64
    assert fingerprint_of(as_ids(chunks, kind), "voice") == apart
    assert fingerprint_of(as_ids(chunks[::-1], kind), "voice") == apart


@pytest.mark.parametrize("kind", [BIGINT, UUID], ids=["bigint", "uuid"])
def test_chunk_may_be_in_two_categories(kind: np.dtype[np.generic]) -> None:
    ids = as_ids([7, 7, 8] if kind == BIGINT else [bytes(15) + b"\7", bytes(15) + b"\7", bytes(16)], kind)
    catalog = build_catalog(ids, np.array([0, 1, 0], dtype=np.uint16), ("music", "voice"))
    assert_sound(catalog)
    assert catalog.ready == {"music": 2, "voice": 1}


@given(libraries())
def test_other_chunks_have_another_version(library: tuple[np.dtype[np.generic], Known, Known]) -> None:
    kind, before, after = library
    catalog = build(before, kind)
    changed, change = apply_changes(catalog, as_ids(list(after), kind), list(after.values()))
    assert (changed.version == catalog.version) == (change.added == change.removed == 0)


def test_version_tells_categories_apart() -> None:
    one = build({1: "voice", 2: "music"}, BIGINT)
    other = build({1: "music", 2: "voice"}, BIGINT)
    assert one.version != other.version


def test_version_is_the_same_on_every_platform() -> None:
    """Workers of different versions share a stream, so the version of a catalog is part of the contract."""
    assert build({1: "voice", -5: "music", 2**63 - 1: "voice"}, BIGINT).version == "79a6122ca30144fa"
    assert build({bytes(range(16)): "voice", bytes(16): "music"}, UUID).version == "09f234a601b78a2c"


@pytest.mark.parametrize("kind", [BIGINT, UUID], ids=["bigint", "uuid"])
def test_empty_catalog(kind: np.dtype[np.generic]) -> None:
    catalog = empty_catalog(kind)
    assert_sound(catalog)
    assert (len(catalog), catalog.ready, catalog.kind) == (0, {}, kind)
    assert catalog.version == "0" * 16


def test_ids_take_half_the_memory_until_one_is_ready_that_needs_more() -> None:
    catalog = build({1: "voice", 2**31 - 1: "music", -(2**31): "music"}, BIGINT)
    same, _ = apply_changes(catalog, np.array([10**12, -(2**63)]), [None, None])
    wider, _ = apply_changes(catalog, np.array([10**12, -(2**63)]), ["voice", None])
    assert_sound(wider)
    assert (catalog.ids.itemsize, same.ids.itemsize, wider.ids.itemsize) == (4, 4, 8)
    assert wider.width > catalog.width


def test_blocks_of_narrow_and_wide_ids_make_one_catalog() -> None:
    blocks = [Block(np.zeros(1, np.uint8), Rows(np.array([7], kind))) for kind in (np.int32, BIGINT)]
    blocks[1].rows.ids[0] = 2**40
    catalog = gather_catalog(blocks, ("voice",))
    assert_sound(catalog)
    assert catalog.ids.tolist() == [7, 2**40]
