"""Mixtures: weights applied to a catalog, renormalised over what is READY, and equal if versions are equal."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.support.drawing import catalog_of, mixture_of, mixtures, narrow_mixtures, weights_of
from worker.core.mixture import Mixture, make_mixture


@given(mixtures)
def test_mixtures_keep_their_promises(mixture: Mixture) -> None:
    assert mixture.cumulative[-1] == 1.0
    assert (mixture.probabilities > 0).all()
    assert mixture.probabilities.sum() == pytest.approx(1, abs=1e-9)
    assert np.diff(mixture.cumulative, prepend=0) == pytest.approx(mixture.probabilities, abs=1e-9)
    assert (np.diff(mixture.cumulative) >= -1e-12).all()
    assert (mixture.ready >= 1).all()
    assert mixture.starts.tolist() == (np.cumsum(mixture.ready) - mixture.ready).tolist()


numbers = st.floats(0, 1, exclude_max=True) | st.sampled_from([0.0, 0.5, 1 - 2**-53])


@given(mixtures, st.lists(numbers, min_size=1, max_size=30), st.sampled_from([0, 600]))
def test_numbers_find_the_category_that_a_search_finds(mixture: Mixture, some: list[float], more: int) -> None:
    """This includes the edges, and each method for few and many numbers and categories."""
    edges = mixture.cumulative[:-1]
    uniforms = np.concatenate((some, edges, np.nextafter(edges, 0), np.repeat(0.25, more)))
    found = mixture.finder.find(uniforms)
    assert found.tolist() == np.searchsorted(mixture.cumulative, uniforms, "right").tolist()


@given(narrow_mixtures, st.lists(numbers, min_size=1, max_size=30))
def test_numbers_find_a_chunk_of_their_category(mixture: Mixture, some: list[float]) -> None:
    """The place within the share picks the chunk: the first at the lower edge, the last at the upper."""
    assume(mixture.finder.finds_positions)
    edges = mixture.cumulative[:-1]
    uniforms = np.concatenate((some, edges, np.nextafter(edges, 0)))
    category = mixture.finder.find(uniforms)
    offsets = mixture.finder.find_positions(uniforms, category) - mixture.starts[category]
    lows = np.concatenate(([0.0], edges))[category]
    exact = (uniforms - lows) / (mixture.cumulative[category] - lows) * mixture.ready[category]
    assert ((offsets >= 0) & (offsets < mixture.ready[category])).all()
    assert (np.abs(offsets + 0.5 - exact) <= 0.5 + 1e-5).all()


@given(st.integers(1, 2**16) | st.integers(1, 2**52), st.sampled_from([0.0, 0.5, 1 - 2**-53]) | numbers)
def test_numbers_of_their_own_pick_a_chunk_of_the_category(ready: int, number: float) -> None:
    """The largest number is not rounded up to the first chunk of the next one."""
    uniform = np.floor(np.array([number] * 2) * 2**53) / 2**53
    mixture = mixture_of({"a": 1, "b": 1}, {"a": 7, "b": ready})
    first, second = mixture.finder.pick_positions(uniform, np.array([0, 1])).tolist()
    assert first == int(Fraction(uniform[0]) * 7)
    assert 7 <= second < 7 + ready
    assert abs(second - 7 - int(Fraction(uniform[1]) * ready)) <= 1


def test_shares_too_narrow_for_one_number_take_a_second() -> None:
    """Otherwise the many chunks of a rare category would not be equally likely."""
    assert mixture_of({"a": 1, "b": 1e-3}, {"a": 5, "b": 10**6}).finder.finds_positions
    assert not mixture_of({"a": 1, "b": 1e-9}, {"a": 5, "b": 10**7}).finder.finds_positions


def test_categories_without_chunks_are_left_out_and_the_rest_renormalised() -> None:
    catalog = catalog_of({"music": 3, "voice": 5, "noise": 2})
    mixture = make_mixture(weights_of({"voice": 0.6, "zebra": 0.1, "music": 0.2, "conference": 0.1}), catalog.view)
    assert mixture is not None
    assert mixture.categories == ("music", "voice")
    assert mixture.probabilities == pytest.approx([0.25, 0.75])
    assert (mixture.starts.tolist(), mixture.ready.tolist()) == ([0, 5], [3, 5])
    assert mixture.left_out == ("conference", "zebra")


@pytest.mark.parametrize("ready", [{}, {"music": 3}])
def test_weights_without_any_chunk_make_no_mixture(ready: dict[str, int]) -> None:
    assert make_mixture(weights_of({"voice": 1, "zebra": 1}), catalog_of(ready).view) is None


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"a": 1, "b": 2}, {"a": 0.333333333, "b": 0.666666667}),
        ({"a": 1, "b": 1e-12, "c": 1e-10}, {"a": 1, "b": 1e-10, "c": 1e-12}),
    ],
)
def test_weights_of_one_version_draw_alike(first: dict[str, float], second: dict[str, float]) -> None:
    """The contract promises it, whichever of them a worker met first and whichever categories are READY."""
    assert weights_of(first).version == weights_of(second).version
    for ready in (dict.fromkeys("abc", 4), dict.fromkeys("bc", 4)):
        one, other = mixture_of(first, ready), mixture_of(second, ready)
        assert one.cumulative.tolist() == other.cumulative.tolist()
