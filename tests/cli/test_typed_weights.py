"""Weights that people type are read as meant or refused with a sentence; what is written, workers accept."""

import json
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.cli.typed_weights import span_ms, temper, values_from_words, weights_json
from worker.core.weights.values import normalise, parse_weights
from worker.errors import WeightsError

names = st.from_regex(r"[a-z0-9_-]{1,64}", fullmatch=True)
numbers = st.floats(0, 1e308)


def test_words_are_read() -> None:
    assert values_from_words(["voice=0.7", "music=2", "a-b_1=.001"]) == {"voice": 0.7, "music": 2.0, "a-b_1": 0.001}
    assert values_from_words([]) == {}


@given(st.dictionaries(names, numbers))
def test_words_give_back_what_was_written(values: dict[str, float]) -> None:
    assert values_from_words([f"{name}={Decimal(number):f}" for name, number in values.items()]) == values


@pytest.mark.parametrize(
    "word",
    [
        "",
        "voice",
        "voice=",
        "voice=much",
        "voice:0.7",
        "voice=0.7,music=0.3",
        "a=b=1",
        # What Python's float takes beside plain digits, and what people write elsewhere.
        "voice=1_0",
        "voice=\uff11",
        "voice=\u0663",
        "voice=0x1",
        "voice=1e3",
        "voice=nan",
        "voice=inf",
        "voice=-inf",
        "voice=+1",
        "voice= 1",
        "voice=1 ",
        "voice=1\n",
        "voice=.",
        "voice=0,7",
        "voice=70%",
        "voice=1/3",
    ],
)
def test_other_words_are_refused_with_what_is_accepted(word: str) -> None:
    with pytest.raises(WeightsError, match=r"accepted: category=weight, such as voice=0\.7") as refusal:
        values_from_words(["music=1", word])
    assert repr(word) in str(refusal.value)


def test_a_category_given_twice_is_refused() -> None:
    with pytest.raises(WeightsError, match="'voice' is given twice; accepted: each category once"):
        values_from_words(["voice=1", "voice=1"])


@given(st.dictionaries(names, numbers, max_size=20))
def test_what_is_written_is_what_workers_read(values: dict[str, float]) -> None:
    text = weights_json(values)
    assert json.loads(text) == values
    parse_weights(text.encode(), "redis")


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf"), -0.1])
def test_what_workers_would_refuse_is_not_written(number: float) -> None:
    with pytest.raises(WeightsError, match="accepted: finite numbers >= 0"):
        weights_json({"voice": number})


@pytest.mark.parametrize("name", ["", "Voice", "a b", "é", "x" * 65])
def test_names_that_workers_would_refuse_are_not_written(name: str) -> None:
    with pytest.raises(WeightsError, match="is not a category name; accepted"):
        weights_json({name: 1.0})


# -- temperature -----------------------------------------------------------------------------------------------

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
    parse_weights(weights_json(tempered).encode(), "redis")


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


# -- time spans ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("90s", 90_000),
        ("30m", 1_800_000),
        ("2h", 7_200_000),
        ("1d", 86_400_000),
        ("0.5s", 500),
        ("366d", 31_622_400_000),
    ],
)
def test_time_spans_are_read(text: str, milliseconds: int) -> None:
    assert span_ms(text) == milliseconds


@pytest.mark.parametrize(
    "text", ["", "2", "h", "2 h", "-1h", "0s", "0.0001s", "367d", "1h30m", "2w", "\u0662h", "1e3s", "2h\n"]
)
def test_what_is_no_time_span_is_refused(text: str) -> None:
    with pytest.raises(WeightsError, match="is no time span; accepted: "):
        span_ms(text)
