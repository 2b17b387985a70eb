"""The rule `cooldown`: from raised small categories to shares in proportion to sizes, in steps."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.adjust.rule import Inputs
from worker.core.adjust.rules import RULES
from worker.core.adjust.rules.cooldown import temper_sizes

RULE = RULES["cooldown"]


def inputs(heard: Mapping[str, float], *, hours: Any = (1.0, 4.0, 9.0), prior: Any = (0.5, 0.5, 0.0)) -> Inputs:
    of_hours = None if hours is None else np.array(hours)
    some = np.array([0.5, 0.25, 0.25])
    ready = np.array([16, 81, 1000])
    return Inputs(None, 0, ("a", "b", "c"), some, np.array(prior), ready, of_hours, heard, np.zeros(3, np.int64))


def test_shares_at_the_ends_worked_by_hand() -> None:
    parameters = RULE.check({"over": 100, "from": 4, "to": 1, "steps": 3})
    first = RULE.propose(parameters, inputs({"chunks": 0}), {})
    assert first.target is not None
    assert np.allclose(first.target, [2 / 5, 3 / 5, 0])  # 16^(1/4) = 2, 81^(1/4) = 3, and nobody wanted c
    assert first.next_at == {"chunks": pytest.approx(100 / 3)}
    last = RULE.propose(parameters, inputs({"chunks": 100}), {})
    assert last.target is not None
    assert np.allclose(last.target, [16 / 97, 81 / 97, 0])
    assert last.next_at == {}
    assert last.evidence == "temperature 1 after 3 of 3 steps over 100 chunks"


def test_hours_are_sizes_and_a_budget() -> None:
    parameters = RULE.check({"over": 10, "from": 2, "to": 1, "unit": "hours", "by": "hours", "steps": 1})
    found = RULE.propose(parameters, inputs({"ms": 3_600_000 * 10 - 1}), {})
    assert found.target is not None
    assert np.allclose(found.target, [1 / 3, 2 / 3, 0])
    assert found.next_at == {"ms": 36_000_000}


def test_without_durations_or_chunks_there_is_nothing_to_do() -> None:
    parameters = RULE.check({"over": 10, "by": "hours"})
    assert RULE.propose(parameters, inputs({"chunks": 0}, hours=None), {}).target is None
    parameters = RULE.check({"over": 10})
    nothing = inputs({"chunks": 0}, prior=(0.0, 0.0, 0.0))
    assert RULE.propose(parameters, nothing, {}).target is None


@given(st.floats(1, 1e15), st.integers(1, 1000), st.sampled_from(["chunks", "hours", "requests", "seconds"]))
def test_a_step_that_is_due_is_made_at_its_bound_and_the_next_one_comes_later(
    over: float, steps: int, unit: str
) -> None:
    parameters = RULE.check({"over": over, "steps": steps, "unit": unit})
    [key] = RULE.units(parameters)
    heard, seen = 0.0, 0
    while (proposal := RULE.propose(parameters, inputs({key: heard}), {})).next_at and seen < 50:
        assert proposal.next_at[key] > heard
        heard, seen = proposal.next_at[key], seen + 1
    assert seen == min(steps, 50)


@given(
    st.lists(st.one_of(st.just(0.0), st.floats(1e-300, 1e300)), min_size=1, max_size=20),
    st.floats(0.01, 1000.0),
)
def test_any_sizes_give_shares(sizes: list[float], temperature: float) -> None:
    found = temper_sizes(np.array(sizes), temperature)
    if not any(sizes):
        assert found is None
        return
    assert found is not None
    assert abs(found.sum() - 1.0) < 1e-12
    assert (found >= 0).all()
    assert not found[np.array(sizes) == 0].any()
