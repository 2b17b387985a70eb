"""Counts in words, and names that were probably meant."""

import pytest

from worker.core.wording import MOST_COMPARED, did_you_mean, nearest, plural


@pytest.mark.parametrize(("count", "said"), [(0, "0 ids"), (1, "1 id"), (1200, "1,200 ids")])
def test_a_count_has_its_noun(count: int, said: str) -> None:
    assert plural(count, "id") == said


@pytest.mark.parametrize(
    ("name", "known", "near"),
    [
        ("voic", ["music", "voice"], "voice"),
        ("run-8", ["run-7"], "run-7"),
        ("heldout", ["nodoc"], None),
        ("", ["voice"], None),
        ("voice", [], None),
    ],
)
def test_a_near_name_is_found_and_a_far_one_is_not(name: str, known: list[str], near: str | None) -> None:
    assert nearest(name, known) == near
    assert did_you_mean(name, known) == (f"; did you mean {near}?" if near else "")


def test_a_name_is_not_asked_for_itself() -> None:
    assert did_you_mean("voice", ["voice"]) == ""


def test_only_so_many_names_are_compared() -> None:
    many = [f"a-{number:05}" for number in range(MOST_COMPARED)]
    assert nearest("zebr", [*many[1:], "zebra"]) == "zebra"
    assert nearest("zebr", [*many, "zebra"]) is None
