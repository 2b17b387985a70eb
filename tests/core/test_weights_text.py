"""Weights that people type are read as meant or refused with a sentence; what is written, workers accept."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.weights import parse_weights
from worker.core.weights_text import values_from_words, weights_json
from worker.errors import WeightsError

names = st.from_regex(r"[a-z0-9_-]{1,64}", fullmatch=True)
numbers = st.floats(0, 1e308)


def test_words_are_read() -> None:
    assert values_from_words(["voice=0.7", "music=2", "a-b_1=1e-3"]) == {"voice": 0.7, "music": 2.0, "a-b_1": 0.001}
    assert values_from_words([]) == {}


@given(st.dictionaries(names, numbers))
def test_words_give_back_what_was_written(values: dict[str, float]) -> None:
    assert values_from_words([f"{name}={number!r}" for name, number in values.items()]) == values


@pytest.mark.parametrize("word", ["", "voice", "voice=", "voice=much", "voice:0.7", "voice=0.7,music=0.3", "a=b=1"])
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
