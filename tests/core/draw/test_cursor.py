"""A cursor is read as it was written; other texts are refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.draw.cursor import Cursor


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
