"""The history shows what changed, and a rollback finds its way back, however weights were changed and undone."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.weights.history import Change, Target, Undo, Versions, moves, moves_text, read_change
from worker.core.weights.values import default_weights, parse_weights

A, B, C, D = '{"voice": 1}', '{"music": 1}', '{"voice": 1, "music": 3}', '{"custom": 1}'


def version(text: str) -> str:
    weights = parse_weights(text.encode(), "redis")
    assert weights is not None
    return weights.version


class Course:
    """A key that is changed and rolled back as the commands do it."""

    def __init__(self) -> None:
        self.held = ""
        self.changes: list[Change] = []
        self._ms = 0

    def set(self, text: str, **more: str) -> None:
        self._ms += 1
        record = {"before": self.held, "after": text, "who": "ann", **more}
        self.changes.insert(0, read_change(f"{self._ms}-0", record))
        self.held = text

    def set_past_us(self, text: str) -> None:
        self.held = text

    def undo(self) -> bool:
        search = Undo(None, self.held)
        targets = (search.look_at(change) for change in self.changes)
        found = next((target for target in targets if target is not None), None) or search.target
        if found is None:
            return False
        self.set(found.value or "", undone_from=found.undone_from)
        return True

    def undone(self) -> list[str]:
        """Undo all changes, and return what was in force after each."""
        held = []
        while self.undo():
            held.append(self.held)
        return held


def test_undoing_goes_further_back_and_never_toggles() -> None:
    course = Course()
    for text in (A, B, C):
        course.set(text)
    assert course.undone() == [B, A, ""]


def test_what_is_set_after_a_rollback_is_undone_first() -> None:
    course = Course()
    for text in (A, B):
        course.set(text)
    course.undo()
    course.set(C)
    assert course.undone() == [A, ""]


def test_a_rollback_to_a_version_is_a_change_that_can_be_undone() -> None:
    course = Course()
    for text in (A, B, C, A):
        course.set(text)
    assert course.undone() == [C, B, A, ""]


def test_a_change_past_the_history_is_undone_like_any_other() -> None:
    course = Course()
    course.set(A)
    course.set_past_us(B)
    course.set(C)
    course.set_past_us(A)
    assert course.undone() == [C, B, A, ""]


def test_a_change_that_changed_nothing_is_passed_over() -> None:
    course = Course()
    for text in (A, B, B, B):
        course.set(text)
    assert course.undone() == [A, ""]


def test_temporary_weights_that_gave_way_have_undone_themselves() -> None:
    course = Course()
    course.set(A)
    course.set(B, until="9")
    course.set(C, until="10")
    course.set(A, returned="10")
    course.set(A, until="11")
    course.set(A, returned="11")
    assert course.undone() == [""]


def test_temporary_weights_that_stand_are_undone() -> None:
    course = Course()
    course.set(A)
    course.set(B, until="9")
    assert course.undone() == [A, ""]


@pytest.mark.parametrize("last", [{"until": "10"}, {"lapsed": "9"}])
def test_nothing_goes_back_to_temporary_weights(last: dict[str, str]) -> None:
    course = Course()
    course.set(A)
    course.set(B, until="9")
    course.set(C, **last)
    assert course.undone() == [A, ""]


def test_temporary_weights_that_somebody_else_has_overwritten_are_not_gone_back_to() -> None:
    course = Course()
    course.set(A)
    course.set(B, until="9")
    course.set(C, until="10")
    course.set_past_us(D)
    assert course.undone() == [A, ""]


def test_temporary_weights_that_were_the_first_give_way_to_none() -> None:
    course = Course()
    course.set(B, until="9")
    course.set(C, until="10")
    assert course.undone() == [""]


def test_weights_that_were_temporary_and_then_set_for_good_are_gone_back_to() -> None:
    course = Course()
    course.set(B, until="9")
    course.set(B, lapsed="9")
    course.set(C)
    assert course.undone() == [B, ""]


@given(st.lists(st.sampled_from([A, B, C, "past us", "undo", "for a time", "until"]), max_size=12))
def test_undoing_always_ends_where_it_began(steps: list[str]) -> None:
    course = Course()
    back: str | None = None  # what temporary weights that stand give way to
    for step in steps:
        before = course.held if back is None else back
        back = before if step == "until" else None
        if step == "undo":
            course.undo()
        elif step == "past us":
            course.set_past_us(C)
        elif step == "for a time":
            course.set(B, until="1")
            course.set(before, returned="1")
        elif step == "until":
            course.set(D, until="1")
        else:
            course.set(step)
    held = course.undone()
    assert D not in held, "temporary weights are there for good"
    assert len(held) <= 2 * len(steps)
    assert not held or course.held == course.changes[-1].before
    assert not course.undo()


def test_a_version_stands_for_the_weights_before_or_after_a_change() -> None:
    course = Course()
    for text in (A, B, C):
        course.set(text)
    for text in (A, B, C):
        assert _find(course, version(text)) == Target(text, version(text))
    assert _find(course, default_weights().version) == Target(None, default_weights().version)


def test_versions_that_were_seen_are_named() -> None:
    course = Course()
    for text in (A, B):
        course.set(text)
    search = Versions("0" * 12)
    assert [search.look_at(change) for change in course.changes] == [None, None]
    assert list(search.seen) == [version(B), version(A), default_weights().version]


def _find(course: Course, wanted: str) -> Target | None:
    search = Versions(wanted)
    return next((target for change in course.changes if (target := search.look_at(change))), None)


def test_an_entry_is_read_and_versions_that_are_missing_are_made_up_for() -> None:
    plain = read_change("5-1", {"before": "", "after": A, "dataset": "d", "who": "ann", "reason": "why"})
    assert (plain.name, plain.at_ms, plain.who, plain.reason) == ("d", 5, "ann", "why")
    assert (plain.version_before, plain.version_after) == ("", version(A))
    own = read_change(
        "5-1", {"version_before": "x", "version_after": "y", "until": "7", "lapsed": "8", "returned": "9"}
    )
    assert (own.version_before, own.version_after) == ("x", "y")
    assert (own.until_ms, own.lapsed_ms, own.returned_ms) == (7, 8, 9)
    strange = read_change("5-1", {"until": "soon", "before": "no JSON"})
    assert (strange.name, strange.until_ms, strange.version_before) == (None, None, "")
    assert strange.version_after == default_weights().version


@pytest.mark.parametrize(
    ("name", "before", "after", "expected"),
    [
        (None, A, C, "music +75, voice -75"),
        (None, "", A, "voice +60, music -30, documentary -20, conference -10"),
        ("d", "", A, "voice +100"),
        ("d", A, "", "voice -100"),
        ("d", "refused", B, "music +100"),
        (None, A, '{"voice": 2}', "nothing"),
        (None, '{"voice": 1, "music": 2}', '{"voice": 1, "music": 1}', "music -16.7, voice +16.7"),
    ],
)
def test_moves_are_in_points_and_the_largest_comes_first(
    name: str | None, before: str, after: str, expected: str
) -> None:
    change = read_change("1-0", {"dataset": name or "", "before": before, "after": after})
    assert moves_text(change) == expected


def test_of_many_moves_the_largest_are_shown() -> None:
    many = json.dumps({f"c{i}": i for i in range(1, 10)})
    change = read_change("1-0", {"dataset": "d", "after": many})
    assert moves_text(change) == "c9 +20, c8 +17.8, c7 +15.6, c6 +13.3, c5 +11.1, c4 +8.9, and 3 more"
    assert len(moves(change)) == 9
