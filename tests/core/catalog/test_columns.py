"""Columns follow their chunks through every change of the catalog, and their texts do not pile up."""

import json
from collections.abc import Mapping, Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from worker.core.catalog import Catalog, Columns, apply_changes, build_catalog, compare, refer_to_paths
from worker.core.catalog.columns import LONGEST_PATH, NO_TEXTS

NAMES = ("music", "voice")
Row = tuple[str, float | None, str | None]

starts = st.none() | st.floats(0, 1e6)
paths = st.none() | st.text(st.characters(codec="utf-8"), max_size=12) | st.text('"\\\n\t/é ', max_size=9)
rows = st.tuples(st.sampled_from(NAMES), starts, paths)
libraries = st.dictionaries(st.integers(-(2**63), 2**63 - 1), rows, max_size=30)
changes = st.lists(st.dictionaries(st.integers(-9, 9), st.none() | rows, max_size=12), max_size=6)


def columns_of(known: Sequence[Row | None]) -> Columns:
    """Make columns; a mark stands for what they hold, as PostgreSQL's hash does."""
    found = [row[1:] if row else (None, None) for row in known]
    marks = np.array([hash(one) for one in found], np.int64)
    numbers = {"start_s": np.array([np.nan if start is None else start for start, _ in found], np.float64)}
    return Columns(marks, numbers, *refer_to_paths([None if path is None else path.encode() for _, path in found]))


def build(library: Mapping[int, Row | None]) -> Catalog:
    ready = {chunk: row for chunk, row in library.items() if row}
    codes = np.array([NAMES.index(row[0]) for row in ready.values()], np.uint8)
    return build_catalog(np.array(list(ready), np.int64), codes, NAMES, columns=columns_of(list(ready.values())))


def change(catalog: Catalog, told: Mapping[int, Row | None]) -> Catalog:
    parts = [row and row[0] for row in told.values()]
    changed, _ = apply_changes(catalog, np.array(list(told), np.int64), parts, None, columns_of(list(told.values())))
    return changed


def contents(catalog: Catalog) -> dict[int, Row]:
    """Read everything back; texts as a result shows them."""
    assert catalog.columns is not None
    assert catalog.columns.paths is not None
    names = [name for name, ids in catalog.segments() for _ in ids]
    starts_s = [None if np.isnan(one) else one for one in catalog.columns.numbers["start_s"].tolist()]
    texts = [json.loads(text) for text in catalog.columns.texts.read(catalog.columns.paths)]
    assert catalog.columns.fingerprint == catalog.columns.hash_marks(catalog.ids)
    return dict(zip(catalog.ids.tolist(), zip(names, starts_s, texts, strict=True), strict=True))


@given(libraries, changes)
def test_columns_follow_their_chunks(library: Mapping[int, Row], told: Sequence[Mapping[int, Row | None]]) -> None:
    catalog, known = build(library), dict[int, Row | None](library)
    for change_told in told:
        before, catalog, known = catalog, change(catalog, change_told), {**known, **change_told}
        wanted = {chunk: row for chunk, row in known.items() if row}
        assert contents(catalog) == wanted
        assert catalog.equals(build(known))
        assert catalog.equals(before) == (contents(before) == wanted)
        assert catalog.version == build(known).version


def test_a_changed_path_is_a_change_and_leaves_the_version_as_it_is() -> None:
    one, other = build({1: ("voice", None, "a.flac")}), build({1: ("voice", None, "b.flac")})
    assert (compare(one, other).added, one.version) == (1, other.version)
    assert not one.equals(other)
    assert change(one, {1: ("voice", None, "a.flac")}) is one


def test_what_the_catalog_no_longer_refers_to_is_dropped() -> None:
    catalog = build({chunk: ("voice", None, f"{chunk:05}" * 40) for chunk in range(20_000)})
    assert catalog.columns is not None
    whole = catalog.columns.texts.size
    for turn in range(6):
        told: dict[int, Row | None] = {i: ("music", 1.0, f"{i + turn:05}" * 40) for i in range(turn, 20_000, 2)}
        catalog = change(catalog, told)
        assert catalog.columns is not None
        assert catalog.columns.texts.size < 2 * whole + (1 << 21)
        held = contents(catalog)
        assert {chunk: held[chunk] for chunk in told} == told
    emptied = change(catalog, dict.fromkeys(range(20_000)))
    assert emptied.columns is not None
    assert (len(emptied), emptied.columns.texts.size) == (0, NO_TEXTS.size)


def test_small_changes_do_not_make_many_blocks() -> None:
    catalog = build({0: ("voice", None, "first")})
    for chunk in range(1, 300):
        catalog = change(catalog, {chunk: ("voice", None, f"path {chunk}")})
    assert catalog.columns is not None
    assert len(catalog.columns.texts.blocks) <= 3
    assert contents(catalog)[299] == ("voice", None, "path 299")


def test_a_path_that_no_file_can_have_counts_as_none() -> None:
    longest = "x" * (LONGEST_PATH - 2)
    catalog = build({1: ("voice", None, longest), 2: ("voice", None, f"{longest}x"), 3: ("voice", None, "")})
    assert [path for _, _, path in contents(catalog).values()] == [longest, None, ""]
