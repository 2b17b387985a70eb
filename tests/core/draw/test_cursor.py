"""A cursor is read as it was written; other texts are refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.draw.cursor import Cursor, course_name, is_course, is_round, read_course, round_name


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


@pytest.mark.parametrize(
    ("parts", "name"),
    [
        (("voice", None, None), "voice"),
        (("voice", "val", None), "voice+val"),
        (("voice", None, 5311), "voice~5311"),
        (("voice", "val", 5311), "voice+val~5311"),
    ],
)
def test_a_course_is_read_as_it_was_named(parts: tuple[str, str | None, int | None], name: str) -> None:
    category, split, longest_ms = parts
    assert course_name(category, split, longest_ms) == name
    assert is_course(name)
    assert not is_round(name)
    assert read_course(name) == (category, f"+{split}" if split else "", f"~{longest_ms}" if longest_ms else "")


def test_a_round_is_of_those_who_ask_for_the_same() -> None:
    names = [round_name(asked) for asked in (("voice", 600.0), ("voice", 600.5), ("voice", 600.0))]
    assert names[0] == names[2] != names[1]
    assert all(is_round(name) and is_course(name) for name in names)


@pytest.mark.parametrize(
    "name", ["", "~", "voice~", "voice~0", "voice~x", "~0123abc", "~0123ABCD", "voice+~5", "Voice~5"]
)
def test_what_names_no_course_is_none(name: str) -> None:
    assert not is_course(name)
    with pytest.raises(ValueError, match="no category"):
        read_course(name)


def test_a_session_has_few_rounds_whatever_its_requests_ask_for() -> None:
    assert len({round_name(("voice", budget_s / 8)) for budget_s in range(10_000)}) == 256
