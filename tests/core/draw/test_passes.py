"""Passes: each has an even order of its own, and a cursor is read as it was written."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tests.support.drawing import FALSE_ALARM, catalog_of
from worker.core.draw.passes import Cursor, KeptOrders, Passes


def test_passes_sessions_and_categories_have_orders_of_their_own_and_all_are_even() -> None:
    """First positions over many sessions: each chunk is as likely, and no pair of passes looks alike."""
    catalog, kept = catalog_of({"music": 20, "voice": 20}), KeptOrders()
    firsts: Counter[int] = Counter()
    seconds: Counter[tuple[int, int]] = Counter()
    for session in range(4000):
        passes = Passes(catalog, f"s{session}", "voice", kept)
        one, two = (passes.after(number, -1, 20)[1].tolist() for number in (1, 2))
        firsts[one[0]] += 1
        seconds[one[0] // 5, two[0] // 5] += 1
        assert one != two
        assert Passes(catalog, f"s{session}", "music", kept).after(1, -1, 20)[1].tolist() != one
    assert stats.chisquare([firsts[i] for i in range(20)]).pvalue > FALSE_ALARM
    assert stats.chisquare([seconds[i, j] for i in range(4) for j in range(4)]).pvalue > FALSE_ALARM


@pytest.mark.parametrize(
    "text", ["", "1", "1:2", "0::", "1:xyz:", "1::zz", "-1::", "1:1:", "1:" + "f" * 16 + ":1", "1::1:"]
)
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - int() says its own sentence
        Cursor.parse(text)


@given(
    st.builds(Cursor, st.integers(1, 10**9), st.integers(-1, 2**64 - 1), st.lists(st.integers(0, 2**64 - 1)).map(tuple))
)
def test_a_cursor_survives_its_field(cursor: Cursor) -> None:
    assert Cursor.parse(cursor.text) == cursor


@pytest.mark.parametrize(
    "text",
    [
        *["99999999999999999999999::", "9007199254740993::", "1:fffffffffffffffff:", "1:FFFFFFFFFFFFFFFF:", "\u0661::"],
        *["1:" + "0" * 16, "1::" + "0" * 17, "1::0000000000000001,", "1::" + ",".join(["0" * 16] * 65_537), "1:: "],
        *["01::", "+1::", "1_0::", "1::\n", "9" * 5000 + "::"],
    ],
)
def test_a_cursor_beyond_what_numbers_hold_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^no pass|^a pass"):
        Cursor.parse(text)
