"""Shares in proportion to smoothed losses."""

import numpy as np
import pytest

from tests.support.losses import Dataset
from worker.core.adjust.evidence import Smoothed
from worker.core.adjust.rules.proportional import proportional_shares


def test_shares_are_in_proportion_to_losses() -> None:
    data = Dataset("proportional", {"a": 1, "b": 1, "c": 1})
    proposal = data.hear(1.0, 2.0, 5.0)
    assert data.weights == pytest.approx([0.125, 0.25, 0.625])
    assert proposal.evidence.startswith("c 33.3% to 62.5%, loss 5 ± 0.001; a 33.3% to 12.5%")


def test_losses_are_smoothed() -> None:
    data = Dataset("proportional", {"a": 1, "b": 1}, smoothing=0.5)
    data.hear(1.0, 1.0)
    data.hear(1.0, 3.0)
    assert data.weights == pytest.approx([1 / 3, 2 / 3])


def test_a_category_that_nobody_reports_keeps_its_share() -> None:
    data = Dataset("proportional", {"a": 0.2, "b": 0.3, "c": 0.5})
    data.hear(1.0, 3.0, np.nan)
    assert data.weights == pytest.approx([0.125, 0.375, 0.5])


def test_a_loss_below_zero_counts_as_zero_and_without_any_above_it_nothing_moves() -> None:
    assert Dataset("proportional", {"a": 1, "b": 1}).hear(-1.0, -2.0).target is None
    losses = Smoothed(np.array([-1.0, 2.0, 2.0]), np.zeros(3))
    found = proportional_shares(losses, np.full(3, 1 / 3))
    assert found is not None
    assert found[0] == pytest.approx([0.0, 0.5, 0.5])
