"""What all rules that learn have in common: simplexes from anything, the gate, the alarm, and a memory that is JSON."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.losses import Dataset, loss_reports
from worker.core.adjust.rules import RULES
from worker.core.events import AdjustStuck
from worker.errors import AdjustError

NEEDS: dict[str, dict[str, Any]] = {
    "ado": {"start": 4, "refit": 1},
    "bandit": {},
    "excess": {"reference": {"*": 0.5}},
    "proportional": {},
}
by_each_rule = pytest.mark.parametrize("rule", NEEDS)

finite = st.floats(allow_nan=False, allow_infinity=False)
anything = finite | st.sampled_from([0.0, 1e308, -1e308, 5e-324, 1e12, 2.0])
rounds = st.lists(
    st.lists(st.tuples(anything, st.floats(0, 1e300), st.integers(0, 10**12)), min_size=4, max_size=4),
    min_size=1,
    max_size=9,
)


def test_the_rules_that_learn_are_these() -> None:
    assert {name for name, rule in RULES.items() if rule.learns} == set(NEEDS)


@by_each_rule
@given(rounds, st.lists(st.floats(0, 1), min_size=4, max_size=4).filter(lambda row: sum(row) > 0.01))
def test_any_finite_input_gives_a_simplex(rule: str, told: list[Any], prior: list[float]) -> None:
    data = Dataset(rule, dict(zip("abcd", prior, strict=True)), **NEEDS[rule], stuck_after=3)
    for row in told:
        means, deviations, counts = (np.array(column, dtype=np.float64) for column in zip(*row, strict=True))
        with np.errstate(over="ignore", invalid="ignore"):
            losses = loss_reports("abcd", np.tile(means, (9, 1)), deviations, counts)
            proposal = data.step(losses)
        assert len(proposal.evidence) <= 200
        assert proposal.evidence
        assert (data.weights >= 0).all()
        assert data.weights.sum() == pytest.approx(1.0, abs=1e-9)
        assert (data.weights[data.prior == 0] == 0).all()
        assert json.loads(json.dumps(proposal.memory, allow_nan=False)) == proposal.memory


@by_each_rule
def test_the_memory_goes_on_after_json(rule: str) -> None:
    """Another worker takes the next step: it knows the memory as it was written."""
    one, other = (Dataset(rule, {"a": 0.5, "b": 0.3, "c": 0.2}, **NEEDS[rule]) for _ in range(2))
    rng = np.random.default_rng(1)
    for step in range(1, 30):
        means = 1 + np.array([3.0, 5.0, 9.0]) * step**-0.5 + 0.01 * rng.standard_normal(3)
        for data in (one, other):
            data.hear(*means)
        other.memory = json.loads(json.dumps(other.memory))
    assert one.weights.tolist() == other.weights.tolist()
    assert one.weights.tolist() != one.prior.tolist()


@by_each_rule
def test_few_reports_move_nothing_and_are_kept_until_they_are_enough(rule: str) -> None:
    data = Dataset(rule, {"a": 1, "b": 1}, **NEEDS[rule], reports=8)
    said = []
    for _ in range(7):
        proposal = data.hear(1.0, 3.0, reports=1)
        assert proposal.target is None
        said.append(proposal.evidence)
    assert said[-1] == "not enough reports: a has 7 of 8"
    data.hear(1.0, 3.0, reports=1)
    assert data.memory["step"] == 1


@by_each_rule
def test_noise_alone_moves_nothing_far(rule: str) -> None:
    """All categories are alike, and reports differ by chance."""
    data = Dataset(rule, {"a": 1, "b": 1, "c": 1, "d": 1}, **NEEDS[rule], within=3.0)
    rng = np.random.default_rng(4)
    for _ in range(60):
        means = 2.0 + 0.5 * rng.standard_normal((10, 4)) / math.sqrt(10)
        data.step(loss_reports("abcd", means, np.array(0.5), np.array(10)))
    assert data.moves <= 6
    assert np.abs(data.weights - 0.25).max() < 0.1


@by_each_rule
def test_a_category_outside_the_prior_stays_outside(rule: str) -> None:
    data = Dataset(rule, {"a": 0.5, "b": 0.5, "c": 0.0}, **NEEDS[rule])
    for step in range(1, 30):
        data.hear(1 + 1 / step, 2 + 2 / step, 50.0)
    assert data.share("c") == 0.0
    assert data.share("b") != 0.5


@by_each_rule
def test_one_category_alone_never_moves(rule: str) -> None:
    data = Dataset(rule, {"a": 1.0, "b": 0.0}, **NEEDS[rule])
    assert data.hear(1.0, 2.0).evidence == "the prior weighs fewer than two categories"


def test_a_stuck_category_goes_back_to_its_prior_and_that_is_said() -> None:
    """One category's reports are broken: they say 0, so the rule starves it."""
    data = Dataset("proportional", {"broken": 0.4, "music": 0.3, "voice": 0.3}, smoothing=0.5, stuck_after=10)
    shares, alarms = [], []
    for step in range(60):
        proposal = data.hear(0.0, 2.0, 2.0 + 0.1 * (step % 2))
        shares.append(data.share("broken"))
        alarms += [(step, event) for event in proposal.events]
    assert min(shares) < 0.01
    assert [step for step, _ in alarms] == [10, 30, 50]
    assert all(shares[step] == pytest.approx(0.4) for step in range(10, 20))
    [first, *_] = [event for _, event in alarms]
    assert isinstance(first, AdjustStuck)
    assert (first.rule, first.category, first.prior_share, first.steps, first.loss) == (
        "proportional",
        "broken",
        0.4,
        10,
        0.0,
    )


def test_the_alarm_can_be_turned_off() -> None:
    data = Dataset("proportional", {"broken": 0.4, "music": 0.3, "voice": 0.3}, smoothing=0.5, stuck_after=0)
    assert [event for _ in range(100) for event in data.hear(0.0, 2.0, 2.1).events] == []
    assert data.share("broken") < 0.001


def test_one_lying_reporter_of_three_is_outvoted() -> None:
    data = Dataset("proportional", {"a": 1, "b": 1})
    means = np.array([[1.0, 3.0], [1e9, 3.0], [1.0, 3.0]] * 4)
    data.step(loss_reports("ab", means, np.array(0.01), np.array(10), reporters=[0, 1, 2] * 4))
    assert data.share("a") == pytest.approx(0.25)


@by_each_rule
@pytest.mark.parametrize(
    "name", ["reports", "within", "starved", "stuck_after", "smoothing", "floor", "scale", "nothing"]
)
@pytest.mark.parametrize("value", [math.nan, math.inf, -1, "8", None, [], 1e300, True])
def test_parameters_that_are_none_are_refused(rule: str, name: str, value: object) -> None:
    with pytest.raises(AdjustError, match=f"{name}|{rule}"):
        RULES[rule].check({**NEEDS[rule], name: value})


@by_each_rule
def test_parameters_are_complete_and_checked_twice_alike(rule: str) -> None:
    parameters = RULES[rule].check(NEEDS[rule])
    assert RULES[rule].check(parameters) == parameters
    assert json.loads(json.dumps(parameters)) == parameters
    assert {"reports", "within", "starved", "stuck_after"} <= set(parameters)


@by_each_rule
def test_ten_thousand_categories_fit_the_state(rule: str) -> None:
    """Redis holds the memory with the state of the rule, which may have 8 MiB; each category takes as much of it."""
    names = [f"category-{number:05}" for number in range(1000)]
    data = Dataset(rule, dict.fromkeys(names, 1.0), **NEEDS[rule])
    rng = np.random.default_rng(1)
    for step in range(1, 13):
        means = 2.0 + rng.random(1000) + 1.0 / step
        data.step(loss_reports(data.categories, np.tile(means, (8, 1)), np.array(0.1), np.array(10)))
    assert data.weights.sum() == pytest.approx(1.0)
    assert 10 * len(json.dumps(data.memory)) < 5 << 20
