"""Weights as shares of audio time: the expected seconds of the categories are in proportion to them."""

import json
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.drawing import lasting_catalog, weights_of
from worker.core.catalog import build_catalog
from worker.core.mixture import Mixture, make_mixture

categories = st.lists(
    st.tuples(st.floats(1e-6, 1), st.lists(st.integers(1, 2**32 - 1), min_size=1, max_size=8)), min_size=1, max_size=9
)


def _mix(parts: list[tuple[float, list[int]]]) -> Mixture:
    names = [f"c{i}" for i in range(len(parts))]
    codes = np.repeat(np.arange(len(parts), dtype=np.uint8), [len(durations) for _, durations in parts])
    durations = np.array([one for _, own in parts for one in own], dtype=np.uint32)
    catalog = build_catalog(np.arange(len(codes)), codes, names, durations)
    mixture = make_mixture(
        weights_of({name: weight for name, (weight, _) in zip(names, parts, strict=True)}), catalog.view
    )
    assert mixture is not None
    return mixture


@given(categories)
def test_expected_seconds_are_in_proportion_to_the_weights(parts: list[tuple[float, list[int]]]) -> None:
    mixture, total = _mix(parts), math.fsum(weight for weight, _ in parts)
    assert mixture.times is not None
    means_s = [float(Fraction(sum(durations), 1000 * len(durations))) for _, durations in parts]
    expected_s = [p * mean for p, mean in zip(mixture.probabilities.tolist(), means_s, strict=True)]
    wanted = [weight / total for weight, _ in parts]
    assert math.fsum(mixture.probabilities) == pytest.approx(1, abs=1e-12)
    assert [one / math.fsum(expected_s) for one in expected_s] == pytest.approx(wanted, abs=2e-9)
    assert mixture.times.shares == pytest.approx(wanted, abs=2e-9)
    assert mixture.times.mean_s == pytest.approx(math.fsum(expected_s), rel=1e-9)
    assert mixture.cumulative[-1] == 1.0


def test_chunks_that_last_alike_are_drawn_as_by_chunks() -> None:
    ids, codes = np.arange(6), np.array([0, 0, 0, 1, 1, 2], dtype=np.uint8)
    weights = weights_of({"a": 0.5, "b": 0.3, "c": 0.2})
    plain = make_mixture(weights, build_catalog(ids, codes, ("a", "b", "c")).view)
    lasting = make_mixture(weights, build_catalog(ids, codes, ("a", "b", "c"), np.full(6, 10_000, np.uint32)).view)
    assert plain is not None
    assert lasting is not None
    assert plain.times is None
    assert lasting.probabilities.tolist() == pytest.approx(plain.probabilities.tolist(), rel=1e-15)


def test_the_text_of_a_mixture_is_of_time_and_does_not_move_with_durations() -> None:
    """With many categories it names a field of the counts, and each change of the catalog would add one."""
    weights = weights_of({"voice": 0.5, "music": 0.5, "nobody": 1.0})
    ready = {"voice": 7, "music": 9}
    mixtures = [
        make_mixture(weights, lasting_catalog(ready, means_s).view)
        for means_s in ({"voice": 1, "music": 9}, dict(ready))
    ]
    assert all(mixture is not None and json.loads(mixture.text) == {"music": 0.5, "voice": 0.5} for mixture in mixtures)
