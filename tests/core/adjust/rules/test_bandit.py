"""Hedge keeps its regret bound against adversaries, and Online Data Mixing explores by its schedule."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from tests.support.losses import Dataset
from worker.core.adjust.evidence import Smoothed
from worker.core.adjust.rules.bandit import add_rewards, bandit_shares, exploration_rate, weighted_rewards
from worker.core.mixture import Floats

ARMS, ROUNDS = 5, 600
NAMES = "abcde"
BOUND = 2 * math.sqrt(ROUNDS / 2 * math.log(ARMS)) + math.sqrt(math.log(ARMS) / 8)
"""Cesa-Bianchi and Lugosi 2006, theorem 2.3, for rewards from 0 to 1."""

AT_REST = 1e-3 * ROUNDS
"""What it costs that shares stay where none changes by more than a thousandth of it."""


def _switching(rng: np.random.Generator) -> Floats:
    """Make rewards whose best arm of the first part is the worst of the second, slightly longer part."""
    means = np.full((ROUNDS, ARMS), 0.4)
    means[: ROUNDS * 2 // 5, 0], means[ROUNDS * 2 // 5 :, 0] = 0.8, 0.1
    means[ROUNDS * 2 // 5 :, 1] = 0.9
    return (rng.random((ROUNDS, ARMS)) < means).astype(np.float64)


def _close(rng: np.random.Generator) -> Floats:
    """Make rewards with one slightly better arm; the rest are alike."""
    means = np.full((ROUNDS, ARMS), 0.5)
    means[:, 3] += 0.05
    return (rng.random((ROUNDS, ARMS)) < means).astype(np.float64)


def _periodic(_rng: np.random.Generator) -> Floats:
    """Make rewards without chance: each arm pays in a period of its own."""
    beats: Floats = np.arange(ROUNDS, dtype=np.float64)[:, None] % np.array([2.0, 3.0, 5.0, 7.0, 11.0])
    return np.where(beats == 0, 1.0, 0.0)


def _regret(rewards: Floats, **parameters: object) -> float:
    """Let the rule move a dataset; return by how much the best arm alone would have been better."""
    data = Dataset("bandit", dict.fromkeys(NAMES, 1.0), rewards="sum", within=0, stuck_after=0, **parameters)
    gained = 0.0
    for reward in rewards:
        gained += float(data.weights @ reward)
        data.hear(*reward, deviation=0.0)
    return float(rewards.sum(axis=0).max()) - gained


@pytest.mark.parametrize("adversary", [_switching, _close, _periodic])
def test_regret_of_the_rule_is_below_the_bound(adversary: Callable[[np.random.Generator], Floats]) -> None:
    assert _regret(adversary(np.random.default_rng(7))) <= BOUND + AT_REST


def test_equal_shares_break_the_bound() -> None:
    assert _regret(_switching(np.random.default_rng(7)), exploration=1.0) > BOUND + AT_REST


def test_an_arm_that_is_not_seen_keeps_its_part() -> None:
    """Its reward is the mean of the others by their shares. So is the sum of an arm never seen."""
    shares, used = np.array([0.2, 0.6, 0.2]), np.array([True, True, False])
    before = Smoothed(np.array([4.0, 0.0, 2.0]), np.array([0.0, -1.0, 0.0]))
    found = add_rewards(before, np.array([1.0, 5.0, 0.0]), np.zeros(3), used, shares)
    assert found.means.tolist() == [5.0, 3.0 + 5.0, 2.0 + 4.0]
    assert found.known.all()


def test_in_a_round_without_reports_of_an_arm_its_share_does_not_fall() -> None:
    data = Dataset("bandit", dict.fromkeys("abc", 1.0), rewards="sum", scale=10.0, stuck_after=0)
    for _ in range(20):
        data.hear(1.0, 9.0, math.nan)
    assert data.share("c") == pytest.approx(1 / 3)
    assert data.share("b") > 0.5


def test_the_first_reward_is_not_mixed_with_a_0() -> None:
    data = Dataset("bandit", {"a": 0.5, "b": 0.5}, smoothing=0.9)
    data.hear(1.0, 3.0)
    assert [row[0] for row in data.memory["columns"]["score"]] == pytest.approx([2.0, 6.0])


def test_exploration_follows_its_schedule() -> None:
    """min(1/k, sqrt(ln k / (k t))): for k = 4 the second is smaller from t = 6 on."""
    rates = [exploration_rate(4, step) for step in range(8)]
    assert rates[:6] == [0.25] * 6
    assert rates[6] == pytest.approx(math.sqrt(math.log(4) / 24))
    assert exploration_rate(4, 600) == pytest.approx(rates[6] / 10)
    assert exploration_rate(1, 50) == 1.0


def test_each_arm_has_at_least_the_exploration_rate() -> None:
    shares = bandit_shares(np.array([0.0, 1e6, -1e9]), 0.2, 0.02)
    assert shares == pytest.approx([0.02, 0.96, 0.02])


def test_a_step_is_as_worked_by_hand() -> None:
    """With e(1) = 1/2, e(8) = sqrt(ln 2 / 16) and rewards 1/p of 2 and 6: softmax of (1, 3) at the rate 1/2."""
    shares = bandit_shares(np.array([2.0, 6.0]), 0.5, 0.1)
    grown = 1 / (1 + math.exp(-2))
    assert shares == pytest.approx([0.8 * (1 - grown) + 0.1, 0.8 * grown + 0.1])


def test_a_rare_arm_counts_for_more() -> None:
    assert weighted_rewards(np.array([1.0, 1.0]), np.array([0.1, 0.9])) == pytest.approx([10.0, 1 / 0.9])


def test_the_rule_is_online_data_mixing_step_by_step() -> None:
    data = Dataset("bandit", {"a": 0.5, "b": 0.5}, smoothing=0.5)
    data.hear(1.0, 3.0)  # t = 1: e = 1/2, so shares are equal; scores 2 and 6
    assert data.weights == pytest.approx([0.5, 0.5])
    data.hear(1.0, 3.0)  # t = 2: e(1) = 1/2, e(2) = sqrt(ln 2 / 4)
    rate = math.sqrt(math.log(2) / 4)
    low = 1 / (1 + math.exp(0.5 * 4))
    assert data.weights == pytest.approx([(1 - 2 * rate) * low + rate, (1 - 2 * rate) * (1 - low) + rate])
    scores = [row[0] for row in data.memory["columns"]["score"]]
    data.hear(2.0, 2.0)
    expected = [0.5 * score + 0.5 * 2.0 / share for score, share in zip(scores, data_before(rate, low), strict=True)]
    assert [row[0] for row in data.memory["columns"]["score"]] == pytest.approx(expected)


def data_before(rate: float, low: float) -> list[float]:
    return [(1 - 2 * rate) * low + rate, (1 - 2 * rate) * (1 - low) + rate]


def test_sums_go_on_where_means_forget() -> None:
    summed = Dataset("bandit", {"a": 0.5, "b": 0.5}, rewards="sum", scale=10.0)
    for _ in range(60):
        summed.hear(1.0, 9.0)
    assert summed.share("b") > 0.85
