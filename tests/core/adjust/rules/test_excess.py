"""DoReMi: one step as worked by hand, its fixed point, and what it does where a reference is missing."""

import math

import numpy as np
import pytest

from tests.support.losses import Dataset
from worker.core.adjust.evidence import Smoothed
from worker.core.adjust.rules import RULES
from worker.core.adjust.rules.excess import excess_of, excess_step, running_mean
from worker.errors import AdjustError


def test_a_step_is_as_worked_by_hand() -> None:
    """Shares 1/2, 1/4, 1/4 and excess ln 2, 0, ln 4: the terms are 1, 1/4 and 1, and their sum is 9/4."""
    step = excess_step(np.array([0.5, 0.25, 0.25]), np.array([math.log(2), 0.0, math.log(4)]), 1.0, 0.0)
    assert step == pytest.approx([4 / 9, 1 / 9, 4 / 9])
    smoothed = excess_step(np.array([0.5, 0.25, 0.25]), np.array([math.log(2), 0.0, math.log(4)]), 1.0, 0.03)
    assert smoothed == pytest.approx([0.97 * 4 / 9 + 0.01, 0.97 / 9 + 0.01, 0.97 * 4 / 9 + 0.01])


def test_published_defaults() -> None:
    parameters = RULES["excess"].check({"reference": {"*": 1.0}})
    assert (parameters["rate"], parameters["smoothing"], parameters["answer"]) == (1.0, 1e-4, "current")


def test_equal_excess_leaves_the_shares_but_for_the_smoothing() -> None:
    shares = np.array([0.7, 0.2, 0.1])
    assert excess_step(shares, np.full(3, 5.0), 1.0, 0.0) == pytest.approx(shares)


def test_below_the_reference_there_is_no_excess() -> None:
    losses = Smoothed(np.array([2.0, 0.5, 3.0, 4.0]), np.array([0.0, 0.0, 0.0, -1.0]))
    assert excess_of(losses, np.array([1.5, 1.0, np.nan, 1.0])).tolist() == [0.5, 0.0, 0.0, 0.0]


def test_the_mean_of_all_steps_is_answered_and_the_path_goes_on_from_itself() -> None:
    """The path is 1/4, 1/10 and 1/28 of music, as if its shares had been in force; the answer is their mean."""
    mean = np.zeros(2)
    for step, shares in enumerate([[0.2, 0.8], [0.4, 0.6], [0.9, 0.1]], 1):
        mean = running_mean(mean, np.array(shares), step)
    assert mean == pytest.approx([0.5, 0.5])
    current, asked = (
        Dataset("excess", {"music": 0.5, "voice": 0.5}, reference={"*": 1.0}, smoothing=0.0, answer=answer)
        for answer in ("current", "mean")
    )
    path = []
    for expected in (0.25, 0.1, 1 / 28):
        for data in (current, asked):
            data.hear(1.0, 1.0 + math.log(3))
        path.append(current.share("music"))
        assert path[-1] == pytest.approx(expected)
        assert asked.share("music") == pytest.approx(np.mean(path))


def test_a_category_that_joins_later_is_not_averaged_with_steps_that_it_had_no_part_in() -> None:
    data = Dataset("excess", {"a": 0.4, "b": 0.4, "c": 0.2}, reference={"*": 9.0}, smoothing=0.0, answer="mean")
    both, data.prior = data.prior, np.array([0.5, 0.5, 0.0])
    data.weights = data.prior
    for _ in range(20):
        data.hear(1.0, 1.0, math.nan)
    data.prior = data.weights = both
    data.hear(1.0, 1.0, 1.0)
    assert data.weights == pytest.approx(both)


def test_the_smoothing_keeps_a_category_from_vanishing() -> None:
    data = Dataset("excess", {"music": 0.5, "voice": 0.5}, reference={"*": 1.0}, stuck_after=0)
    for _ in range(40):
        data.hear(1.0, 3.0)
    assert data.share("music") == pytest.approx(0.5e-4, rel=0.2)


@pytest.mark.parametrize("reference", [None, {}, 1.0, {"voice": "high"}, {"voice": math.nan}, {"voice": math.inf}, []])
def test_a_reference_that_is_none_is_refused(reference: object) -> None:
    with pytest.raises(AdjustError, match="reference"):
        RULES["excess"].check({"reference": reference})
