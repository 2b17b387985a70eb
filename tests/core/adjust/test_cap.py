"""The rule `cap`: a category that was repeated so many times gives its share to the others."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.adjust.rule import Inputs
from worker.core.adjust.rules import RULES
from worker.core.events import MixRepeats
from worker.errors import AdjustError

RULE = RULES["cap"]
NAMES = ("a", "b", "c")
PRIOR = (0.5, 0.3, 0.2)


def inputs(drawn: Any, *, ready: Any = (100, 10, 10), prior: Any = PRIOR) -> Inputs:
    shares = np.array([0.2, 0.2, 0.6])
    heard = {"time_ms": 1.0} | {f"chunks:{name}": float(one) for name, one in zip(NAMES, drawn, strict=True)}
    return Inputs("d", 0, NAMES, shares, np.array(prior), np.array(ready), None, heard, np.array(drawn))


def _repeats(repeats: float, drawn: int, *, is_reached: bool) -> MixRepeats:
    return MixRepeats(
        dataset="d",
        session=None,
        category="b",
        repeats=repeats,
        limit=2.0,
        drawn=drawn,
        ready=10,
        is_reached=is_reached,
    )


def test_a_category_is_told_of_and_then_passes_its_share_on() -> None:
    parameters = RULE.check({"times": 2})
    first = RULE.propose(parameters, inputs((0, 0, 0)), {})
    assert first.target is not None
    assert first.target.tolist() == pytest.approx(list(PRIOR))
    assert (first.events, first.next_at) == ((), {"chunks:a": 160, "chunks:b": 16, "chunks:c": 16})
    near = RULE.propose(parameters, inputs((20, 16, 8)), first.memory)
    assert near.next_at == {"chunks:a": 160, "chunks:b": 20, "chunks:c": 16}
    assert near.events == (_repeats(1.6, 16, is_reached=False),)
    assert RULE.propose(parameters, inputs((20, 17, 8)), near.memory).events == ()
    reached = RULE.propose(parameters, inputs((30, 21, 12)), near.memory)
    assert reached.target is not None
    assert reached.target.tolist() == pytest.approx([5 / 7, 0, 2 / 7])
    assert reached.events == (_repeats(2.1, 21, is_reached=True),)
    assert reached.evidence == "repeated 2 times: b"
    assert RULE.propose(parameters, inputs((30, 21, 12)), reached.memory).events == ()


def test_more_chunks_give_a_category_its_share_back() -> None:
    parameters = RULE.check({"times": 2})
    memory = {"told": {"b": 2}}
    found = RULE.propose(parameters, inputs((0, 21, 0), ready=(100, 100, 10)), memory)
    assert found.target is not None
    assert found.target.tolist() == pytest.approx(list(PRIOR))
    assert (found.events, found.memory) == ((), {"told": {}})


def test_when_nothing_is_left_the_weights_stay() -> None:
    parameters = RULE.check({"times": 1, "warn_at": 1})
    found = RULE.propose(parameters, inputs((100, 10, 0), ready=(100, 10, 0)), {})
    assert (found.target, found.next_at) == (None, {})
    assert [event.category for event in found.events if isinstance(event, MixRepeats)] == ["a", "b"]


counts = st.tuples(*[st.integers(0, 2**40)] * 3)


@given(counts, counts, st.tuples(*[st.floats(0, 1)] * 3).filter(any), st.floats(0.001, 1e9), st.floats(0, 1))
def test_it_gives_a_simplex_and_bounds_that_are_ahead(
    drawn: Any, ready: Any, prior: Any, times: float, warn_at: float
) -> None:
    parameters = RULE.check({"times": times, "warn_at": warn_at})
    known = inputs(drawn, ready=ready, prior=np.array(prior) / sum(prior))
    found = RULE.propose(parameters, known, {})
    reached = {name for name, one, of in zip(NAMES, drawn, ready, strict=True) if of and one >= times * of}
    if found.target is not None:
        assert found.target.min() >= 0
        assert found.target.sum() == pytest.approx(1)
        assert not [name for name, share in zip(NAMES, found.target, strict=True) if share and name in reached]
    assert all(known.heard[unit] < at for unit, at in found.next_at.items())
    assert not reached & {unit.partition(":")[2] for unit in found.next_at}


@pytest.mark.parametrize("parameters", [{}, {"times": 0}, {"times": "4"}, {"times": 4, "warn_at": 2}, {"time": 4}])
def test_parameters_that_are_not_accepted(parameters: dict[str, Any]) -> None:
    with pytest.raises(AdjustError, match="accepted: "):
        RULE.check(parameters)
