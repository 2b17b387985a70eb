"""Weights that people type are read as meant or refused with a sentence; what is written, workers accept."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.cli.typed_weights import span_ms, values_from_words, weights_json
from worker.core.weights.values import parse_weights
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
