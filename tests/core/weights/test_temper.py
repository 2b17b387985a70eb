"""Temperature: weights, or sizes, raised to a power."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.weights.values import normalise, parse_weights, temper
from worker.errors import WeightsError

names = st.from_regex(r"[a-z0-9_-]{1,64}", fullmatch=True)
numbers = st.floats(0, 1e308)
weighed = st.dictionaries(names, numbers, min_size=1, max_size=8)
temperatures = st.floats(0, 50)


@given(weighed)
def test_at_temperature_one_the_shares_stay(values: dict[str, float]) -> None:
    before, after = normalise(values, "redis"), normalise(temper(values, 1.0), "redis")
    assert (before is None) == (after is None)
    if before and after:
        for name, share in after.shares.items():
            assert share == pytest.approx(before.shares.get(name, 0.0), abs=1e-12)


@given(weighed)
def test_at_temperature_zero_all_that_weighs_anything_weighs_the_same(values: dict[str, float]) -> None:
    assert temper(values, 0.0) == {name: 1.0 if value else 0.0 for name, value in values.items()}


@given(weighed, temperatures)
def test_no_temperature_makes_something_of_nothing_or_nothing_of_something(
    values: dict[str, float], temperature: float
) -> None:
    tempered = temper(values, temperature)
    assert {name for name, value in tempered.items() if value} == {name for name, value in values.items() if value}
    parse_weights(json.dumps(tempered).encode(), "redis")


@given(weighed, temperatures)
def test_no_temperature_changes_the_order(values: dict[str, float], temperature: float) -> None:
    tempered = temper(values, temperature)
    ordered = sorted(values, key=values.__getitem__)
    assert all(tempered[light] <= tempered[heavy] for light, heavy in pairwise(ordered))


@given(st.dictionaries(names, st.floats(0.01, 100), min_size=1, max_size=8), st.floats(0, 3), st.floats(0, 3))
def test_temperatures_one_after_the_other_multiply(values: dict[str, float], first: float, second: float) -> None:
    twice, once = temper(temper(values, first), second), temper(values, first * second)
    assert twice == pytest.approx(once, rel=1e-6)


@pytest.mark.parametrize("temperature", [-0.1, float("nan"), float("inf")])
def test_other_temperatures_are_refused(temperature: float) -> None:
    with pytest.raises(WeightsError, match="accepted: a finite number >= 0"):
        temper({"voice": 1.0}, temperature)
