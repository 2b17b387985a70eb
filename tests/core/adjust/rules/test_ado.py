"""ADO: the fit recovers known power laws, and shares follow from the laws as in the paper."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.losses import Dataset
from worker.core.adjust.rules.ado import MOST_POINTS, Curve, ado_shares, learning_speeds, moved_mean, preferred_shares
from worker.core.adjust.rules.power_law import STEEPEST, PowerLaws, fit_power_laws

HEARD = np.linspace(20_000, 1_000_000, 60)
IRREDUCIBLE, SCALE, EXPONENT = (
    np.array([1.0, 2.0, 0.5, 3.0]),
    np.array([20.0, 50, 5, 200]),
    np.array([0.3, 0.4, 0.15, 0.6]),
)
LOSSES = IRREDUCIBLE[:, None] + SCALE[:, None] * HEARD ** -EXPONENT[:, None]


def test_the_fit_recovers_known_laws() -> None:
    laws = fit_power_laws(HEARD, LOSSES, np.ones_like(LOSSES))
    assert laws.irreducible == pytest.approx(IRREDUCIBLE, abs=0.005)
    assert laws.exponent == pytest.approx(EXPONENT, abs=0.001)
    assert laws.scale * laws.unit**laws.exponent == pytest.approx(SCALE, rel=0.01)
    assert learning_speeds(laws, 5e5) == pytest.approx(EXPONENT * SCALE * 5e5 ** -(EXPONENT + 1), rel=0.01)


def test_speeds_are_right_to_their_errors_when_losses_are_noisy() -> None:
    """The speeds of 400 noisy curves are within two standard errors about as often as a normal number."""
    rng = np.random.default_rng(5)
    noisy = np.repeat(LOSSES, 100, axis=0) * np.exp(0.002 * rng.standard_normal((400, 60)))
    laws = fit_power_laws(HEARD, noisy, np.ones_like(noisy))
    truth = np.repeat(EXPONENT * SCALE * 1e6**-EXPONENT, 100)
    off = np.abs(laws.exponent * laws.reducible(1e6) - truth) / laws.errors
    assert 0.85 < np.mean(off < 2.0) < 0.995
    assert laws.exponent.reshape(4, 100).mean(axis=1) == pytest.approx(EXPONENT, rel=0.15)


def test_wild_points_do_little_harm() -> None:
    wild = LOSSES.copy()
    wild[:, 20::13] *= 3
    laws = fit_power_laws(HEARD, wild, np.ones_like(wild))
    assert laws.exponent == pytest.approx(EXPONENT, rel=0.2)


def test_a_flat_loss_has_no_speed_and_a_short_curve_no_law() -> None:
    flat = fit_power_laws(HEARD, np.full((1, 60), 4.0), np.ones((1, 60)))
    assert learning_speeds(flat, 1e6) == pytest.approx([0.0], abs=1e-12)
    assert flat.irreducible == pytest.approx([4.0], abs=1e-6)
    short = fit_power_laws(HEARD[:3], LOSSES[:, :3], np.ones((4, 3)))
    assert np.isinf(short.errors).all()
    assert short.scale.tolist() == [0.0] * 4


@given(
    st.lists(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=8, max_size=8), min_size=1, max_size=4)
)
def test_any_finite_losses_give_finite_laws(rows: list[list[float]]) -> None:
    losses = np.clip(np.array(rows), -1e12, 1e12)
    laws = fit_power_laws(np.arange(1.0, 9.0), losses, np.ones_like(losses))
    assert np.isfinite(np.stack(laws[:3])).all()
    assert (laws.irreducible >= 0).all()
    assert (laws.scale >= 0).all()
    assert ((laws.exponent >= 0) & (laws.exponent <= STEEPEST)).all()
    assert not np.isnan(laws.errors).any()


def test_preferred_shares_are_as_worked_by_hand() -> None:
    """Prior 1/2, 1/4, 1/4, credit 4/9, 1/9, 4/9 and speeds 3, 6, 0: terms 1, 1/2, 0, with a floor of 0.01."""
    prior, credit = np.array([0.5, 0.25, 0.25]), np.array([4, 1, 4]) / 9
    shares = preferred_shares(np.array([3.0, 6.0, 0.0]), prior, credit)
    assert shares == pytest.approx(np.array([2 / 3, 1 / 3, 0.01]) / 1.01)
    assert preferred_shares(np.zeros(3), prior, credit).tolist() == prior.tolist()


def test_the_mix_and_its_mean_are_as_published() -> None:
    mean, preferred = np.array([0.5, 0.5]), np.array([0.9, 0.1])
    assert ado_shares(mean, preferred) == pytest.approx([0.54, 0.46])
    assert moved_mean(mean, preferred, 1) == pytest.approx([0.7, 0.3])
    assert moved_mean(mean, preferred, 3) == pytest.approx([0.6, 0.4])


def test_speeds_have_a_least_exponent() -> None:
    laws = PowerLaws(np.zeros(1), np.ones(1), np.array([0.01]), np.zeros(1), 1.0)
    assert learning_speeds(laws, 1.0) == pytest.approx([0.05])


def test_a_long_curve_is_joined_and_keeps_its_means() -> None:
    curve = Curve(np.zeros(0), np.zeros((1, 0)), np.zeros((1, 0)))
    for number in range(1, 1001):
        curve = curve.with_point(float(number), np.array([float(number)]), np.array([2.0]))
        assert len(curve.heard) <= MOST_POINTS
    assert curve.counts.sum() == 2000.0
    assert (curve.losses * curve.counts).sum() / curve.counts.sum() == pytest.approx(500.5)
    assert (np.diff(curve.heard) > 0).all()


def test_the_rule_prefers_what_learns_fastest() -> None:
    data = Dataset("ado", {"fast": 1, "flat": 1, "slow": 1}, stuck_after=0)
    for step in range(1, 101):
        heard = 1000.0 * step
        data.hear(1 + 30 * heard**-0.4, 5.0, 1 + 2 * heard**-0.1, deviation=0.005)
    assert data.share("fast") > data.share("slow") > data.share("flat") > 0.005
    assert data.memory["columns"]["law"][0][2] == pytest.approx(0.4, abs=0.02)


def test_before_its_start_it_moves_nothing_and_says_so() -> None:
    data = Dataset("ado", {"a": 1, "b": 1}, start=6)
    said = [data.hear(1 + 1 / step, 2.0).evidence for step in range(1, 6)]
    assert said[-1] == "the fit begins after 6 steps, this is number 5"
    assert data.hear(1.1, 2.0).target is not None
