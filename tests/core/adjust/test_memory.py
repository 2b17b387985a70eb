"""Memory and state of a rule stand in Redis: what a stranger writes there is read, or refused by a sentence."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.adjust.test_learning import NEEDS, by_each_rule
from tests.support.losses import Dataset, loss_reports
from worker.core.adjust.guards import guard
from worker.core.adjust.notes import Notes
from worker.core.adjust.rule import Inputs
from worker.core.adjust.rules import RULES
from worker.core.adjust.settings import read_settings
from worker.core.adjust.state import State, read_state
from worker.errors import AdjustError

NAMES = ("a", "b", "c")
PARAMETERS: dict[str, dict[str, Any]] = {
    **NEEDS,
    "cap": {"times": 2},
    "cooldown": {"over": 1000},
    "schedule": {"points": [{"at": 0, "weights": {"a": 1, "b": 2}}]},
}

wild = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5)
)
values = st.recursive(
    wild | st.sampled_from([10**400, -(10**400), 1e308, -1e308, 5e-324, 0, -1, "1"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["columns", "a", "x"]), inner),
    max_leaves=12,
)


def inputs() -> Inputs:
    shares, whole = np.array([0.5, 0.3, 0.2]), np.array([10, 20, 30])
    heard = {"chunks": 500.0, "time_ms": 500.0}
    losses = loss_reports(NAMES, np.tile([1.0, 2.0, 3.0], (10, 1)), np.array(0.1), np.array(10))
    return Inputs(None, 1, NAMES, shares, shares, whole, None, heard, whole, losses)


def memory_of(rule: str) -> dict[str, Any]:
    """Return a memory as the rule writes it, with all that it ever has, and evidence that was not used."""
    if rule not in NEEDS:
        return {"told": {"a": 1, "b": 2}}
    data = Dataset(rule, dict.fromkeys(NAMES, 1.0), **PARAMETERS[rule])
    for step in range(1, 14):
        data.hear(1.0 + 1.0 / step, 2.0 + 3.0 / step, 4.0 + 1.0 / step)
    data.hear(1.0, 2.0, 3.0, reports=1)
    found: dict[str, Any] = json.loads(json.dumps(data.memory))
    return found


def places(found: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the way to each value within a JSON value, the value itself included."""
    yield path
    if isinstance(found, dict | list):
        for key in found if isinstance(found, dict) else range(len(found)):
            yield from places(found[key], (*path, key))


def with_value(found: Any, path: tuple[Any, ...], value: Any) -> Any:
    """Return a copy with another value at one place."""
    if not path:
        return value
    copied = found.copy()
    copied[path[0]] = with_value(found[path[0]], path[1:], value)
    return copied


MEMORIES = {rule: memory_of(rule) for rule in PARAMETERS}
PLACES = {rule: list(places(memory)) for rule, memory in MEMORIES.items()}


def takes(rule: str, memory: Any) -> None:
    """Propose with a memory: it is refused, or what comes of it is a simplex and a memory that is JSON."""
    settings = read_settings(json.dumps({"rule": rule, "parameters": PARAMETERS[rule], "mode": "on"}).encode())
    known = inputs()
    try:
        proposal = RULES[rule].propose(settings.parameters, known, memory)
    except AdjustError:
        return
    json.dumps(proposal.memory, allow_nan=False)
    if proposal.target is None:
        return
    shares = guard(
        settings, NAMES, proposal.target, weights=known.weights, prior=known.prior, gate=proposal.gate
    ).shares
    assert (shares >= 0).all()
    assert shares.sum() == pytest.approx(1.0, abs=1e-9)


def test_each_rule_is_tested() -> None:
    assert set(PARAMETERS) == set(RULES)


@pytest.mark.parametrize("rule", PARAMETERS)
def test_a_memory_that_the_rule_wrote_is_taken(rule: str) -> None:
    proposal = RULES[rule].propose(RULES[rule].check(PARAMETERS[rule]), inputs(), MEMORIES[rule])
    assert proposal.memory.keys() == MEMORIES[rule].keys()


@pytest.mark.parametrize("rule", PARAMETERS)
@given(st.data())
def test_a_memory_with_another_value_anywhere_is_taken_or_refused(rule: str, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from([place for place in PLACES[rule] if place]))
    takes(rule, with_value(MEMORIES[rule], path, data.draw(values)))


@pytest.mark.parametrize("rule", PARAMETERS)
@given(st.dictionaries(st.sampled_from(["columns", "categories", "pending", "step", "heard", "told"]), values))
def test_any_memory_is_taken_or_refused(rule: str, memory: dict[str, Any]) -> None:
    takes(rule, memory)


@by_each_rule
@pytest.mark.parametrize("value", [None, "1", True, [], {}, [1], 10**400, -(10**400), 1e300])
def test_a_value_that_no_rule_writes_is_refused_wherever_the_rule_reads_it(rule: str, value: Any) -> None:
    memory = MEMORIES[rule]
    numbers = [place for place in PLACES[rule] if _is_number(_at(memory, place))]
    assert len(numbers) > 20
    for place in numbers:
        with pytest.raises(AdjustError, match="the memory of a rule has"):
            RULES[rule].propose(RULES[rule].check(PARAMETERS[rule]), inputs(), with_value(memory, place, value))


def _at(found: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        found = found[key]
    return found


def _is_number(value: Any) -> bool:
    return type(value) in {int, float}


@pytest.mark.parametrize(
    "memory",
    [
        {"columns": 1},
        {"columns": {"x": [[1.0]]}},
        {"columns": {"x": [[1.0]]}, "categories": [1]},
        {"columns": {"x": [[1.0], [2.0]]}, "categories": ["a", "a"]},
        {"columns": {"x": [[1.0]]}, "categories": ["a", "b"]},
        {"columns": {"x": [[1.0], [1.0, 2.0]]}, "categories": ["a", "b"]},
        {"columns": {"x": [[float("nan")]]}, "categories": ["a"]},
    ],
)
def test_columns_of_another_shape_are_refused(memory: dict[str, Any]) -> None:
    with pytest.raises(AdjustError, match="the memory of a rule has"):
        Notes(memory, ("a", "b")).column("x", 0.0)


GOOD = json.loads(State("mark", shadow={"a": 0.5, "b": 0.5}, next_at={"chunks": 5.0}).text)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("shadow", {"a": share}) for share in (-0.1, 1.1, 0, 10**400, True, "1", None)),
        *(("shadow", shares) for shares in ([], None, [0.5])),
        *(("next_at", {"chunks": at}) for at in (10**400, -(10**400), "1", None)),
    ],
)
def test_a_state_with_shares_or_positions_that_are_none_is_refused(name: str, value: Any) -> None:
    assert read_state(json.dumps(GOOD).encode()).shadow == {"a": 0.5, "b": 0.5}
    with pytest.raises(AdjustError, match=f"the state of a rule has {name}"):
        read_state(json.dumps({**GOOD, name: value}).encode())
