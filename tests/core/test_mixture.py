"""Mixtures: weights as they apply to a catalog, renormalised over what is READY, equal where versions are equal."""

import numpy as np
import pytest
from hypothesis import given

from tests.support.drawing import catalog_of, mixture_of, mixtures, weights_of
from worker.core.mixture import Mixture, mix_weights


@given(mixtures)
def test_mixtures_keep_their_promises(mixture: Mixture) -> None:
    assert mixture.cumulative[-1] == 1.0
    assert (mixture.probabilities > 0).all()
    assert mixture.probabilities.sum() == pytest.approx(1, abs=1e-9)
    assert np.diff(mixture.cumulative, prepend=0) == pytest.approx(mixture.probabilities, abs=1e-9)
    assert (np.diff(mixture.cumulative) >= -1e-12).all()
    assert (mixture.ready >= 1).all()
    assert mixture.starts.tolist() == (np.cumsum(mixture.ready) - mixture.ready).tolist()


def test_categories_without_chunks_are_left_out_and_the_rest_renormalised() -> None:
    catalog = catalog_of({"music": 3, "voice": 5, "noise": 2})
    mixture = mix_weights(weights_of({"voice": 0.6, "zebra": 0.1, "music": 0.2, "conference": 0.1}), catalog)
    assert mixture is not None
    assert mixture.categories == ("music", "voice")
    assert mixture.probabilities == pytest.approx([0.25, 0.75])
    assert (mixture.starts.tolist(), mixture.ready.tolist()) == ([0, 5], [3, 5])
    assert mixture.left_out == ("conference", "zebra")


@pytest.mark.parametrize("ready", [{}, {"music": 3}])
def test_weights_without_any_chunk_make_no_mixture(ready: dict[str, int]) -> None:
    assert mix_weights(weights_of({"voice": 1, "zebra": 1}), catalog_of(ready)) is None


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
