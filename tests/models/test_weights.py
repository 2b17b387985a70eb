"""Weights as a model are accepted exactly when workers accept them, and mean the same."""

import json
import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from worker.core.weights.values import BUILT_IN, DEFAULTS, Weights, default_weights, parse_weights
from worker.errors import WeightsError
from worker.models import CategoryWeights

names = st.sampled_from([*BUILT_IN, "jazz", "copy", "version", "model_dump", "_x", "-", "Voice", "a b", "", "x" * 65])
numbers = st.sampled_from(
    ["0", "1", "0.7", "-1", "1e999", "NaN", "Infinity", "-0.0", "5e-324", "true", "null", '"1"', "[]"]
)
pairs = st.lists(st.tuples(names | st.text(max_size=5), numbers | st.integers().map(str)), max_size=5)


def read(value: bytes) -> tuple[Weights | None, str]:
    """Read a text as workers do; return also why they refuse it."""
    try:
        return parse_weights(value, "redis"), ""
    except WeightsError as error:
        return None, str(error)


def check(value: bytes) -> None:
    """A worker and the model say the same of a text."""
    found, sentence = read(value)
    if sentence:
        with pytest.raises(ValidationError) as refused:
            CategoryWeights.model_validate_json(value)
        assert [one["msg"] for one in refused.value.errors()] == [sentence]
        return
    model, meant = CategoryWeights.model_validate_json(value), found or default_weights()
    assert (model.shares, model.version) == (dict(meant.shares), meant.version)
    again = CategoryWeights.model_validate_json(model.model_dump_json())
    assert (again, again.version, model.normalised().version) == (model, meant.version, meant.version)


@given(pairs)
def test_a_text_is_accepted_exactly_when_workers_accept_it(given_pairs: list[tuple[str, str]]) -> None:
    check(("{%s}" % ", ".join(f"{json.dumps(name)}: {number}" for name, number in given_pairs)).encode())  # noqa: UP031


@given(st.binary(max_size=40) | st.text(max_size=20).map(str.encode))
@example(b"[" * 100_000)
@example(b'{"voice": 1' + b"0" * 5000 + b"}")
@example(b" " * 2_000_000 + b"{}")
def test_any_bytes_are_refused_as_workers_refuse_them(value: bytes) -> None:
    check(value)


values = st.floats() | st.integers() | st.booleans() | st.none() | st.text(max_size=3)


@given(st.dictionaries(names, values, max_size=5))
def test_an_object_is_accepted_exactly_when_workers_accept_its_text(weights: dict[str, Any]) -> None:
    found, sentence = read(json.dumps(weights).encode())
    if sentence:
        with pytest.raises(ValidationError):
            CategoryWeights.model_validate(weights)
        return
    model = CategoryWeights.model_validate(weights)
    assert model.version == (found or default_weights()).version
    if any(weights.values()):
        assert {name: weight for name, weight in dict(model).items() if weight} == {
            name: weight for name, weight in weights.items() if weight
        }


def test_without_any_category_they_are_the_defaults() -> None:
    assert CategoryWeights() == CategoryWeights.default() == CategoryWeights(**DEFAULTS)
    assert CategoryWeights().model_dump() == dict(DEFAULTS)
    assert CategoryWeights().version == default_weights().version
    assert CategoryWeights(voice=0.0).version == default_weights().version


def test_what_is_not_given_weighs_nothing() -> None:
    weights = CategoryWeights(voice=7, music=3)
    assert (weights.voice, weights.documentary) == (7.0, 0.0)
    assert weights.shares == {"music": 0.3, "voice": 0.7}
    assert weights.normalised().model_dump() == {
        "voice": 0.7,
        "music": 0.3,
        "documentary": 0.0,
        "conference": 0.0,
        "custom": 0.0,
    }
    assert math.fsum(CategoryWeights(voice=1e308, music=1e308).shares.values()) == 1


@pytest.mark.parametrize("given_value", [[1], "voice", 7, None, {1: 1}])
def test_what_is_no_object_of_names_is_refused(given_value: Any) -> None:
    with pytest.raises(ValidationError, match="accepted: "):
        CategoryWeights.model_validate(given_value)
