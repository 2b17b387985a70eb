"""Reports of losses are read exactly by the contract, whatever bytes come."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.contract import is_name, is_printable
from worker.core.wire.feedback import (
    FIELDS_OF_REFUSED,
    REPORT_FIELDS,
    Report,
    encode_refused,
    encode_report,
    read_report,
)
from worker.core.wire.losses import LARGEST_COUNT, LARGEST_SUM, MAX_BYTES, MAX_CATEGORIES, LossSum
from worker.errors import RequestError

ENTRY_ID = "1700000000000-7"
LOSSES = {
    "dataset": is_name,
    "session": is_printable,
    "reporter": is_printable,
    "weights_version": lambda value: re.fullmatch(rb"[0-9a-f]{12}", value) is not None,
    "step": lambda value: re.fullmatch(rb"[0-9]{1,4300}", value) is not None and int(value) < 2**63,
    "kind": (b"train", b"eval", b"score").__contains__,
}
"""Field -> which values it accepts: once more, from worker/PROTOCOL.md and not from the code."""


def read(losses: object, **fields: str) -> Report | RequestError:
    """Read a report of losses that are JSON, or bytes as they are."""
    value = losses if isinstance(losses, bytes) else json.dumps(losses).encode()
    more = [word.encode() for pair in fields.items() for word in pair]
    return read_report(ENTRY_ID, [b"losses", value, *more])


def accepted(losses: object, **fields: str) -> Report:
    report = read(losses, **fields)
    assert isinstance(report, Report), report
    return report


def refused(losses: object, **fields: str) -> str:
    """Return the sentence, which is complete and safe to print."""
    error = read(losses, **fields)
    assert isinstance(error, RequestError), error
    return checked(error)


def checked(error: RequestError) -> str:
    assert error.code == "invalid_request"
    assert error.message.isascii()
    assert error.message.isprintable()
    assert "; accepted: " in error.message
    assert len(error.message) <= 400
    return error.message


def test_every_field_is_read() -> None:
    report = accepted(
        {"voice": 1.5, "music": {"sum": 31, "count": 20, "squares": 55.2, "note": "x"}, "none": {"sum": 0, "count": 0}},
        dataset="d",
        session="run 7",
        weights_version="0123456789ab",
        step="12",
        kind="eval",
        reporter="rank 3",
        unknown="ignored",
    )
    losses = {"voice": LossSum(1.5, 1, 2.25), "music": LossSum(31, 20, 55.2)}
    assert report == Report(ENTRY_ID, losses, "d", "run 7", "0123456789ab", 12, "eval", "rank 3")
    assert (report.at_ms, report.who) == (1_700_000_000_000, "rank 3")
    assert {*REPORT_FIELDS} == {"losses", *LOSSES}


def test_a_session_reports_if_nobody_else_says_so() -> None:
    assert [accepted({"a": 1}, **more).who for more in ({}, {"session": "s"}, {"session": "s", "reporter": "r"})] == [
        "",
        "s",
        "r",
    ]


def test_without_squares_all_losses_of_a_report_are_alike() -> None:
    assert accepted({"voice": {"sum": 6, "count": 3}}).losses["voice"] == LossSum(6, 3, 12)
    rounded = accepted({"voice": {"sum": 6, "count": 3.0, "squares": 11.999}}).losses["voice"]
    assert rounded == LossSum(6, 3, 12)  # added up in few bits


@pytest.mark.parametrize(
    ("losses", "sentence"),
    [
        (b"", "losses is '', which is no JSON"),
        (b"\xff", r"losses is '\\xff', which is no JSON"),
        (b"[" * 100_000, "which is no JSON"),
        (b'{"a":' * 100_000, "which is no JSON"),
        (b'{"a": ' + b"9" * 5000 + b"}", "which is no JSON"),
        (b"[1]", "losses is '[1]'; accepted: an object of category names"),
        (b"{}", "losses is '{}'"),
        (b"null", "losses is 'null'"),
        (b'{"a": 1, "a": 2}', "'a' is given twice in losses"),
        (b'{"a": {"sum": 1, "sum": 2, "count": 1}}', "sum of 'a' is given twice"),
        ({"A": 1}, "'A' in losses is not a category name"),
        ({"": 1}, "'' in losses is not a category name"),
        ({"\ud800": 1}, "is not a category name"),
        ({"a": math.nan}, "the loss of 'a' is nan; accepted: a number, or an object with sum and count"),
        ({"a": -math.inf}, "the loss of 'a' is -inf"),
        (b'{"a": 1e999}', "the loss of 'a' is inf"),
        (b'{"a": 1' + b"0" * 400 + b"}", "the loss of 'a' is inf"),
        ({"a": 2 * LARGEST_SUM}, "the loss of 'a' is 2e+18"),
        ({"a": "1"}, "the loss of 'a' is not a number"),
        ({"a": True}, "the loss of 'a' is not a number"),
        ({"a": None}, "the loss of 'a' is not a number"),
        ({"a": [1]}, "the loss of 'a' is not a number"),
        ({"a": {}}, "sum of 'a' is missing"),
        ({"a": {"sum": 1}}, "count of 'a' is missing"),
        ({"a": {"count": 1}}, "sum of 'a' is missing"),
        ({"a": {"sum": math.nan, "count": 1}}, "sum of 'a' is nan"),
        ({"a": {"sum": 1, "count": -1}}, "count of 'a' is -1; accepted: a whole number from 0 to"),
        ({"a": {"sum": 1, "count": 1.5}}, "count of 'a' is 1.5"),
        ({"a": {"sum": 1, "count": math.nan}}, "count of 'a' is nan"),
        ({"a": {"sum": 1, "count": math.inf}}, "count of 'a' is inf"),
        ({"a": {"sum": 1, "count": LARGEST_COUNT + 1}}, "count of 'a' is 1000000000001"),
        ({"a": {"sum": 1, "count": True}}, "count of 'a' is not a number"),
        ({"a": {"sum": 1, "count": 0}}, "count of 'a' is 0, and its sum is not"),
        ({"a": {"sum": 6, "count": 3, "squares": 11}}, "squares of 'a' is 11; accepted: the sum of squares, here at"),
        ({"a": {"sum": 6, "count": 3, "squares": -1}}, "squares of 'a' is -1"),
        ({"a": {"sum": 6, "count": 3, "squares": math.nan}}, "squares of 'a' is nan"),
        ({"a": {"sum": 6, "count": 3, "squares": 2e36}}, "squares of 'a' is 2e+36"),
        ({f"c{number}": 1 for number in range(MAX_CATEGORIES + 1)}, "losses has 10001 categories"),
        (b" " * MAX_BYTES + b"{}", "losses has 1048578 bytes; accepted: at most 1048576"),
    ],
)
def test_what_is_refused_is_named(losses: object, sentence: str) -> None:
    assert sentence in refused(losses)


def test_losses_have_to_be_there_once() -> None:
    for fields, sentence in (([], "losses is missing"), ([b"losses", b'{"a":1}'] * 2, "losses is given twice")):
        error = read_report(ENTRY_ID, fields)
        assert isinstance(error, RequestError)
        assert sentence in checked(error)


def test_as_many_categories_as_may_be_are_accepted() -> None:
    assert len(accepted({f"c{number}": number for number in range(MAX_CATEGORIES)}).losses) == MAX_CATEGORIES


words = st.binary(max_size=150) | st.text(max_size=150).map(str.encode)
words |= st.sampled_from([b"train", b"eval", b"0123456789ab", b"12", str(2**63).encode(), b"d", b"rank 3", b"-1", b""])


@given(st.lists(st.tuples(st.sampled_from([*LOSSES, "step ", "LOSSES"]), words), max_size=6))
@example([("step", b"9" * 5000)])
def test_other_fields_are_accepted_exactly_when_they_are_right(fields: Sequence[tuple[str, bytes]]) -> None:
    known = [(name, value) for name, value in fields if name in LOSSES]
    is_right = len({name for name, _ in known}) == len(known) and all(LOSSES[name](value) for name, value in known)
    flat = [word for name, value in fields for word in (name.encode(), value)]
    report = read_report(ENTRY_ID, [b"losses", b'{"a": 1}', *flat])
    assert isinstance(report, Report) == is_right
    if isinstance(report, RequestError):
        checked(report)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["sum", "count", "squares"]) | st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=8,
)


@given(st.binary(max_size=300) | st.dictionaries(st.text(max_size=3), json_values, max_size=4))
def test_whatever_comes_is_a_report_of_finite_numbers_or_a_sentence(losses: Any) -> None:
    report = read(losses)
    if isinstance(report, RequestError):
        checked(report)
        return
    for name, loss in report.losses.items():
        assert re.fullmatch(r"[a-z0-9_-]{1,64}", name)
        assert abs(loss.sum) <= LARGEST_SUM
        assert 1 <= loss.count <= LARGEST_COUNT
        assert loss.squares >= loss.sum**2 / loss.count >= 0


sums = st.builds(
    lambda values: {"sum": sum(values), "count": len(values), "squares": sum(value * value for value in values)},
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=9),
)


@given(st.dictionaries(st.sampled_from(["voice", "music", "x-1_2"]), st.floats(-1e18, 1e18) | sums, min_size=1))
def test_what_is_written_is_read(losses: Mapping[str, Any]) -> None:
    written = [str(word).encode() for word in encode_report(losses, dataset="d", step=3, session=None)]
    report = read_report(ENTRY_ID, written)
    assert isinstance(report, Report)
    assert (report.dataset, report.step, report.session) == ("d", 3, None)
    for name, loss in losses.items():
        parts = loss if isinstance(loss, dict) else {"sum": loss, "count": 1}
        assert (report.losses[name].sum, report.losses[name].count) == (parts["sum"], parts["count"])
    again = [str(word).encode() for word in encode_report(report.losses)]
    assert read_report(ENTRY_ID, again) == Report(ENTRY_ID, report.losses)


@given(st.lists(st.binary(max_size=20_000), max_size=12).filter(lambda words: len(words) % 2 == 0))
@example([b""] * 100_000)
@example([b"losses", b"x" * 1_000_000])
def test_what_is_kept_of_a_refused_report_is_small(words: Sequence[bytes]) -> None:
    error = RequestError("invalid_request", "why")
    kept = encode_refused(ENTRY_ID, words, error)
    assert len(kept) % 2 == 0
    assert kept[-6:] == [part for pair in zip(FIELDS_OF_REFUSED, (ENTRY_ID, "invalid_request", "why")) for part in pair]  # noqa: B905
    own = kept[:-6]
    left_out = 0
    if "fields_left_out" in own:
        left_out = int(own.pop())
        own.pop()
    assert len(own) // 2 + left_out == len(words) // 2
    assert sum(len(word) for word in own if isinstance(word, bytes)) <= 16_384
    assert len(own) <= 2050
    assert all(word.startswith(short) for word, short in zip(words, own, strict=False) if isinstance(short, bytes))
