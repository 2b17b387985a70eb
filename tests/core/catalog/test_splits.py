"""A category's splits are parts of the catalog, and each request sees the parts of one split alone."""

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.catalog import Catalog, apply_changes, build_catalog, part_name, read_part
from worker.core.catalog.durations import measure_durations
from worker.core.catalog.parts import has_part, is_part

Row = tuple[str, str, int]

names = st.sampled_from(["a", "a-b", "a0", "a_", "aa", "b", "-", "_"])
splits = st.sampled_from(["", "", "train", "val", "test", "0", "-", "zz", "trai", "trainx"])
rows = st.tuples(names, splits, st.integers(1, 10**6))
libraries = st.dictionaries(st.integers(-(2**63), 2**63 - 1), rows, max_size=40)


def build(library: Mapping[int, Row]) -> Catalog:
    parts = sorted({part_name(category, split) for category, split, _ in library.values()})
    codes = np.array([parts.index(part_name(category, split)) for category, split, _ in library.values()], np.uint16)
    durations = np.array([duration for _, _, duration in library.values()], np.uint32)
    return build_catalog(np.array(list(library), np.int64), codes, parts, durations)


def wanted(library: Mapping[int, Row], split: str | None) -> dict[str, dict[int, int]]:
    """List what requests of a split may get: category -> chunk -> duration."""
    accepted = {"", "train"} if split is None else {split}
    found: dict[str, dict[int, int]] = {}
    for chunk, (category, own, duration) in library.items():
        if own in accepted:
            found.setdefault(category, {})[chunk] = duration
    return found


@given(libraries)
def test_view_holds_the_chunks_of_its_split_and_their_durations(library: Mapping[int, Row]) -> None:
    catalog = build(library)
    assert list(catalog.splits) == sorted({split for _, split, _ in library.values()} - {""})
    for split in (None, "train", "val", "test", "nobody"):
        view, expected = catalog.view_of(split), wanted(library, split)
        owned = [slice(*pair) for pair in zip(view.starts.tolist(), view.ends.tolist(), strict=True)]
        assert list(view.categories) == sorted(expected)
        assert [set(catalog.ids[part].tolist()) for part in owned] == [set(expected[name]) for name in view.categories]
        assert sum(view.ready.values()) == sum(map(len, expected.values()))
        assert view.durations is not None
        for at, name in enumerate(view.categories):
            lasting = np.array(list(expected[name].values()), np.uint32)
            alone = measure_durations(lasting, np.array([0, len(lasting)]))
            assert view.durations.means_s[at] == alone.means_s[0]
            assert view.durations.variances_s2[at] == pytest.approx(alone.variances_s2[0], rel=1e-9, abs=1e-9)


@given(libraries, libraries)
def test_chunks_that_change_their_split_make_the_catalog_that_is_built_of_them(
    before: Mapping[int, Row], after: Mapping[int, Row]
) -> None:
    parts = [part_name(category, split) for category, split, _ in after.values()]
    durations = np.array([duration for _, _, duration in after.values()], np.uint32)
    changed, _ = apply_changes(build(before), np.array(list(after), np.int64), parts, durations)
    rebuilt = build({**before, **after})
    assert (changed.version, changed.parts, changed.splits) == (rebuilt.version, rebuilt.parts, rebuilt.splits)
    assert np.array_equal(changed.ids, rebuilt.ids)
    assert changed.ready == rebuilt.ready


@given(st.lists(st.tuples(names, splits)))
def test_parts_of_a_category_are_neighbours_and_read_back(pairs: list[tuple[str, str]]) -> None:
    parts = sorted({part_name(*pair) for pair in pairs})
    assert sorted(map(read_part, parts)) == sorted(set(pairs))
    assert all(map(is_part, parts))
    owners = [category for category, _ in map(read_part, parts)]
    assert owners == sorted(owners)
    assert {name for name in ("a", "a0", "aa", "b", "nobody", "") if has_part(parts, name)} == set(owners) & {
        *("a", "a0", "aa", "b")
    }


@pytest.mark.parametrize(
    "text", ["", "Voice", "voice+", "voice!", "voice!val", "voice+train", "voice+VAL", "voice+a+b", "+val", "a b"]
)
def test_other_texts_are_no_parts(text: str) -> None:
    assert not is_part(text)


def test_splits_change_the_version_and_catalogs_without_any_keep_theirs() -> None:
    """The second is the version of `test_catalog`, from before there were splits."""
    ids, codes = np.array([1, -5, 2**63 - 1]), np.array([1, 0, 1], np.uint8)
    versions = [build_catalog(ids, codes, ("music", name)).version for name in ("voice", "voice!train", "voice+val")]
    assert len(set(versions)) == 3
    assert versions[0] == "79a6122ca30144fa"
