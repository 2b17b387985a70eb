"""If durations decide the draw, they belong to the catalog: to its rows, its changes and its version."""

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.catalog import Catalog, apply_changes, build_catalog, compare
from worker.core.catalog.durations import measure_durations
from worker.core.catalog.rendering import BIGINT, UUID

NAMES = ("music", "speech", "voice")
Chunk = int | bytes
Known = Mapping[Chunk, tuple[str, int] | None]

kinds = st.sampled_from(
    [(BIGINT, st.integers(-(2**63), 2**63 - 1) | st.integers(-9, 9)), (UUID, st.binary(min_size=16, max_size=16))]
)
rows = st.tuples(st.sampled_from(NAMES), st.integers(1, 4) | st.integers(1, 2**32 - 1))


@st.composite
def libraries(draw: st.DrawFn) -> tuple[np.dtype[np.generic], Known, Known]:
    """Draw a kind of id, and what is known of some chunks before and after a change."""
    kind, ids = draw(kinds)
    before = draw(st.dictionaries(ids, rows, max_size=40))
    changeable = st.sampled_from(sorted(before)) | ids if before else ids
    return kind, before, draw(st.dictionaries(changeable, st.none() | rows, max_size=20))


def build(known: Known, kind: np.dtype[np.generic]) -> Catalog:
    ready = {chunk: row for chunk, row in known.items() if row is not None}
    codes = np.array([NAMES.index(name) for name, _ in ready.values()], dtype=np.uint16)
    durations = np.array([duration for _, duration in ready.values()], dtype=np.uint32)
    return build_catalog(np.array(list(ready), dtype=kind), codes, NAMES, durations)


def change(catalog: Catalog, told: Known, kind: np.dtype[np.generic]) -> tuple[Catalog, tuple[int, int]]:
    durations = np.array([0 if row is None else row[1] for row in told.values()], dtype=np.uint32)
    categories = [None if row is None else row[0] for row in told.values()]
    changed, counted = apply_changes(catalog, np.array(list(told), dtype=kind), categories, durations)
    return changed, (counted.added, counted.removed)


def contents(catalog: Catalog) -> dict[tuple[str, Chunk], int]:
    assert catalog.durations is not None
    assert len(catalog.durations.milliseconds) == len(catalog)
    names = np.repeat(catalog.categories, np.diff(catalog.bounds)).tolist()
    pairs = zip(names, catalog.ids.tolist(), strict=True)
    return dict(zip(pairs, catalog.durations.milliseconds.tolist(), strict=True))


@given(libraries())
def test_change_applied_equals_catalog_rebuilt(library: tuple[np.dtype[np.generic], Known, Known]) -> None:
    kind, before, after = library
    changed, _ = change(build(before, kind), after, kind)
    rebuilt = build({**before, **after}, kind)
    assert contents(changed) == contents(rebuilt)
    assert np.array_equal(changed.ids, rebuilt.ids)
    assert changed.version == rebuilt.version
    assert changed.durations is not None
    assert rebuilt.durations is not None
    assert changed.durations.means_s.tobytes() == rebuilt.durations.means_s.tobytes()
    assert changed.durations.variances_s2.tobytes() == rebuilt.durations.variances_s2.tobytes()
    assert not changed.durations.milliseconds.flags.writeable


@given(libraries())
def test_change_counts_what_comes_and_goes_and_lasts_otherwise(
    library: tuple[np.dtype[np.generic], Known, Known],
) -> None:
    kind, before, after = library
    catalog = build(before, kind)
    changed, counted = change(catalog, after, kind)
    old = set(before.items())
    new = {(chunk, row) for chunk, row in {**before, **after}.items() if row is not None}
    assert counted == (len(new - old), len(old - new))
    compared = compare(catalog, changed)
    assert (compared.added, compared.removed) == counted
    assert (changed.version == catalog.version) == (counted == (0, 0))


def test_means_do_not_drift_however_often_chunks_come_and_go() -> None:
    rng = np.random.default_rng(7)
    known: dict[Chunk, tuple[str, int] | None] = {}
    catalog = build(known, BIGINT)
    for _ in range(300):
        ids = rng.choice(200, 20, replace=False).tolist()
        told: dict[Chunk, tuple[str, int] | None] = {
            one: None if rng.random() < 0.4 else (NAMES[rng.integers(3)], int(rng.integers(1, 10**6))) for one in ids
        }
        catalog, _ = change(catalog, told, BIGINT)
        known |= told
    assert contents(catalog) == contents(build(known, BIGINT))
    assert catalog.durations is not None
    fresh = measure_durations(catalog.durations.milliseconds.copy(), catalog.bounds)
    assert catalog.durations.means_s.tobytes() == fresh.means_s.tobytes()


@pytest.mark.parametrize("kind", [BIGINT, UUID], ids=["bigint", "uuid"])
def test_a_chunk_that_comes_twice_lasts_as_long_as_the_shorter(kind: np.dtype[np.generic]) -> None:
    numbers = [3, 1, 2, 1, 3, 3]
    ids = np.array(numbers if kind == BIGINT else [bytes([9] * 15 + [n]) for n in numbers], dtype=kind)
    durations = np.array([5, 40, 7, 30, 6, 4], dtype=np.uint32)
    catalog = build_catalog(ids, np.array([0, 0, 0, 0, 0, 1], dtype=np.uint8), ("music", "voice"), durations)
    assert catalog.durations is not None
    assert catalog.durations.milliseconds.tolist() == [30, 7, 5, 4]


def test_large_catalogs_are_gathered_sorted_and_changed_in_blocks() -> None:
    rng = np.random.default_rng(17)
    ids, codes = rng.permutation(300_000), rng.integers(0, 3, 300_000)
    durations = rng.integers(1, 10_000, 300_000).astype(np.uint32)
    catalog = build_catalog(ids, codes, NAMES, durations)
    later = np.where(rng.random(300_000) < 0.1, durations + 1, durations).astype(np.uint32)
    told = np.flatnonzero((later != durations) | (rng.random(300_000) < 0.1))
    changed, counted = apply_changes(catalog, ids[told], [NAMES[code] for code in codes[told].tolist()], later[told])
    rebuilt = build_catalog(ids, codes, NAMES, later)
    assert contents(changed) == contents(rebuilt)
    assert changed.version == rebuilt.version
    assert counted.added == counted.removed == np.count_nonzero(later != durations)


def test_the_version_without_durations_stays_what_it_was_and_is_another() -> None:
    ids, codes = np.array([1, 2, 3]), np.array([0, 0, 1], dtype=np.uint8)
    plain = build_catalog(ids, codes, NAMES)
    assert plain.durations is None
    lasting = [build_catalog(ids, codes, NAMES, np.array(ms, dtype=np.uint32)) for ms in ([1, 2, 3], [2, 1, 3])]
    assert len({plain.version, *(catalog.version for catalog in lasting)}) == 3


def test_the_version_with_durations_is_the_same_on_every_platform() -> None:
    assert build({1: ("voice", 10_000), -5: ("music", 1)}, BIGINT).version == "c29a80f04445a385"


def test_a_duration_takes_four_bytes() -> None:
    catalog = build({1: ("voice", 10_000), -5: ("music", 1)}, BIGINT)
    assert catalog.durations is not None
    assert catalog.durations.milliseconds.nbytes == 4 * len(catalog)
