"""What a desk shows ahead is what a preview of the whole catalog says."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.catalog import build_catalog
from worker.core.draw.preview import preview
from worker.core.weights.values import normalise
from worker.core.workers.outlook import look_ahead
from worker.core.workers.ready import Ready

NAMES = ("voice", "music", "documentary", "conference")


@given(
    weights=st.dictionaries(st.sampled_from(NAMES), st.integers(1, 100), min_size=1),
    counts=st.dictionaries(st.sampled_from(NAMES), st.integers(1, 50), min_size=1),
    size=st.integers(1, 10_000),
)
def test_it_says_what_a_preview_says(weights: dict[str, float], counts: dict[str, int], size: int) -> None:
    chosen = normalise(weights, "redis")
    assert chosen is not None
    names = tuple(counts)
    owners = np.repeat(np.arange(len(names)), [counts[name] for name in names])
    catalog = build_catalog(np.arange(len(owners)), owners, names)
    rows = look_ahead(chosen, Ready(counts), size=size, chunks_per_s=size / 3600, unit="chunks")
    wanted = preview(chosen, catalog, size)
    assert [(row.name, row.ready) for row in rows] == [(row.category, row.ready) for row in wanted]
    for row, other in zip(rows, wanted, strict=True):
        assert row.expected is not None
        assert row.spread is not None
        assert math.isclose(row.share, other.share, abs_tol=1e-8)
        assert math.isclose(row.expected, other.expected, rel_tol=1e-6, abs_tol=1e-6)
        assert math.isclose(row.spread, other.spread, rel_tol=1e-4, abs_tol=1e-3)
        assert row.ready == 0 or math.isclose(row.repeats_per_hour or 0.0, other.plays, rel_tol=1e-6)


@pytest.mark.parametrize("unit", ["chunks", "seconds"])
def test_what_is_not_known_is_not_said(unit: str) -> None:
    weights = normalise({"voice": 3, "podcast": 1}, "redis")
    assert weights is not None
    rows = look_ahead(weights, Ready({"voice": 10}, is_whole=False), size=4, chunks_per_s=None, unit=unit)
    assert [(row.name, row.ready, row.share) for row in rows] == [("voice", 10, 0.75), ("podcast", None, 0.25)]
    assert [row.expected for row in rows] == ([3.0, 1.0] if unit == "chunks" else [None, None])
    assert all(row.repeats_per_hour is None for row in rows)


def test_where_nothing_is_ready_nothing_is_drawn() -> None:
    weights = normalise({"voice": 1}, "redis")
    assert weights is not None
    [row] = look_ahead(weights, Ready({"music": 1}), size=4, chunks_per_s=10, unit="chunks")
    assert (row.ready, row.share, row.expected, row.repeats_per_hour) == (0, 0.0, 0.0, None)
