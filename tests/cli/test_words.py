"""Amounts are written in one form each."""

import pytest

from worker.cli.words import ago_text, clock_text, counted, listed, number_text, p_text, share_text, span_text


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


@pytest.mark.parametrize(
    ("past_ms", "text"),
    [
        (-5000, "just now"),
        (0, "just now"),
        (999, "just now"),
        (1000, "1 s ago"),
        (200_000, "3 min ago"),
        (86_400_000, "24 h ago"),
    ],
)
def test_the_past_is_told_by_how_long_ago_it_was(past_ms: int, text: str) -> None:
    assert ago_text(1_000_000_000, 1_000_000_000 + past_ms) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00:00"), (2.5, "0:00:02"), (61, "0:01:01"), (113_429, "31:30:29"), (4e7, "11,111:06:40")],
)
def test_audio_is_told_by_hours_minutes_and_seconds(seconds: float, text: str) -> None:
    assert clock_text(seconds) == text


@pytest.mark.parametrize(
    ("p_value", "text"),
    [(1.0, "1"), (0.99996, ">0.9999"), (0.5, "0.5000"), (0.0918, "0.0918"), (1e-7, "1.0e-07"), (0.0, "0.0e+00")],
)
def test_a_probability_below_one_is_never_one(p_value: float, text: str) -> None:
    assert p_text(p_value) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [(0.0, "0.0"), (0.012345, "0.0123"), (2.384, "2.38"), (33.33, "33.3"), (-12_345.67, "-12,345.7")],
)
def test_a_small_number_keeps_the_digits_that_tell(number: float, text: str) -> None:
    assert number_text(number) == text
