"""Amounts are written in one form each."""

import pytest

from worker.cli.words import counted, listed, share_text, span_text


def test_counts_have_commas_and_the_right_number() -> None:
    assert [counted(number, "request") for number in (0, 1, 2, 1200)] == [
        "0 requests",
        "1 request",
        "2 requests",
        "1,200 requests",
    ]
    assert counted(2, "category", "categories") == "2 categories"


@pytest.mark.parametrize(
    ("share", "text"), [(0.8333, "83.3%"), (1.0, "100.0%"), (0.0, "0.0%"), (0.0004, "<0.1%"), (0.0006, "0.1%")]
)
def test_shares_are_per_cent_with_one_digit(share: float, text: str) -> None:
    assert share_text(share) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.008, "8 ms"),
        (1, "1 s"),
        (20, "20 s"),
        (60, "1 min"),
        (90, "90 s"),
        (200, "3 min"),
        (3600, "1 h"),
        (86_397, "24 h"),
        (86_400, "24 h"),
        (7 * 86_400, "7 d"),
        (31_536_000, "365 d"),
    ],
)
def test_spans_of_time_are_in_words(seconds: float, text: str) -> None:
    assert span_text(seconds) == text


def test_lists_are_cut_and_say_so() -> None:
    assert [listed(["a", "b", "c", "d", "e"][:length]) for length in range(6)] == [
        "",
        "a",
        "a and b",
        "a, b and c",
        "a, b, c and 1 other",
        "a, b, c and 2 others",
    ]
