"""A request's trace context goes into its result, whatever that is; an invalid one is ignored."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.drawing import catalog_of, weights_of
from worker.core.draw.answer import answer
from worker.core.draw.derived import Derived
from worker.core.draw.prepare import Snapshots
from worker.core.weights.in_force import InForce
from worker.core.wire import Decoder, Entry, Request, Result, decode_result, encode_error, ok_template

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
ZEROS = "0" * 32
hexes = st.text("0123456789abcdef", min_size=32, max_size=32).filter(lambda digits: digits[:16].strip("0") != "")


def _decode(*fields: tuple[str, str], number: int = 1) -> Request | Result:
    return Decoder().decode(Entry(f"{number}-0", [word.encode() for pair in fields for word in pair]))


def _trace_of(text: str) -> str | None:
    return _decode(("traceparent", text)).traceparent


@given(hexes, hexes, st.sampled_from(["00", "01", "ff", "a7"]))
def test_every_valid_context_is_taken_by_the_letter(trace: str, parent: str, flags: str) -> None:
    assert _trace_of(text := f"00-{trace}-{parent[:16]}-{flags}") == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x" * 55,
        TRACE[:-1],
        f"{TRACE}-",
        f"{TRACE}-more",
        f" {TRACE}",
        f"{TRACE}\n",
        TRACE.upper(),
        f"ff{TRACE[2:]}",
        f"0{TRACE[1:].replace('-', '_')}",
        TRACE.replace("4bf92f3577b34da6a3ce929d0e0e4736", ZEROS),
        TRACE.replace("00f067aa0ba902b7", ZEROS[:16]),
        f"cc{TRACE[2:]}-{'x' * 73}",
        f"cc{TRACE[2:]}.more",
        f"cc{TRACE[2:]}-a b",
        "00-\uff14bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    ],
)
def test_one_that_is_not_valid_is_none_and_the_request_is_read(text: str) -> None:
    request = _decode(("traceparent", text), ("size", "3"))
    assert isinstance(request, Request)
    assert (request.traceparent, request.terms.size) == (None, 3)


@pytest.mark.parametrize("text", [f"cc{TRACE[2:]}", f"cc{TRACE[2:]}-what-will-be", f"01{TRACE[2:]}"])
def test_later_versions_may_say_more(text: str) -> None:
    assert _trace_of(text) == text


def test_two_are_an_error_as_of_every_field() -> None:
    result = _decode(("traceparent", TRACE), ("traceparent", TRACE))
    assert isinstance(result, Result)
    assert "given twice" in result.message


def _answers(requests: Sequence[Request | Result]) -> dict[str, Result]:
    catalog = catalog_of({"voice": 9, "music": 9})
    snapshots = Snapshots(Derived(catalog), {None: InForce(None, weights_of({"voice": 1.0}), ())}, 10**6)
    results = answer(requests, snapshots, np.random.default_rng(1)).results
    assert len({id(one.template) for one in results if one.error is None}) <= 4  # as settling looks at each of them
    return {one.entry_id: one for one in results}


def _trace_in(result: Result) -> str | None:
    words = [word.encode() if isinstance(word, str) else word for word in result.fields]
    reply = decode_result(words, packed=True)
    assert reply.traceparent == result.traceparent
    assert reply.as_dict().get("traceparent") == result.traceparent
    assert reply.extra == {}
    return reply.traceparent


def test_results_of_a_batch_have_each_its_own_and_others_none() -> None:
    own = {number: f"00-{number:032x}-00f067aa0ba902b7-01" for number in range(1, 20)}
    kinds: Sequence[list[tuple[str, str]]] = (
        [],
        [("size", "4")],
        [("category", "nothing")],
        [("size", "wrong")],
        [("expires_at", "5")],
        [("seed", "2")],
    )
    requests = [
        _decode(*kinds[number % 6], *([("traceparent", own[number])] if number % 2 else []), number=number)
        for number in own
    ]
    results = _answers(requests)
    assert {number: _trace_in(results[f"{number}-0"]) for number in own} == {
        number: trace if number % 2 else None for number, trace in own.items()
    }
    assert {one.error for one in results.values()} == {None, "unknown_category", "invalid_request", "expired"}


@pytest.mark.parametrize("encoding", ["json", "packed"])
def test_the_result_of_a_request_alone_has_it(encoding: str) -> None:
    [result] = _answers([_decode(("traceparent", TRACE), ("encoding", encoding))]).values()
    assert _trace_in(result) == TRACE


def test_an_error_in_the_place_of_an_earlier_result_has_it() -> None:
    earlier = Result("1-0", "r", None, None, ok_template(()), ("[1]", '{"voice":1}')).traced(TRACE)
    assert earlier.counts == '{"voice":1}'
    for request in (earlier, _decode(("traceparent", TRACE)), _decode(("traceparent", TRACE), ("size", "x"))):
        assert encode_error(request, "internal", "a sentence").traceparent == TRACE
