"""The author of a change is found by the stored value: only who stored it last is named."""

from hypothesis import given
from hypothesis import strategies as st

from worker.core.weights.authors import BEFORE_ALL, AppliedChange, Authors
from worker.core.weights.history import Authorship

_NAMES = st.sampled_from([None, "d", "preset:night"])
_VALUES = st.sampled_from([b"a", b"b", b"c"])


def _entry(number: int, mark: bytes, name: str | None = None) -> Authorship:
    return Authorship(f"{number}-0", name, mark, f"who {number}", f"reason {number}")


def _found(authors: Authors, changes: list[AppliedChange], newest_first: list[Authorship]) -> list[str | None]:
    return [None if one is None else one.entry for one in authors.match(changes, newest_first)]


def _change(mark: bytes, name: str | None = None) -> AppliedChange:
    return AppliedChange(name, mark)


@given(st.lists(st.tuples(_NAMES, _VALUES), min_size=1), st.data())
def test_changes_that_are_all_in_the_history_all_have_their_own_entry(
    stored: list[tuple[str | None, bytes]], data: st.DataObject
) -> None:
    """However many of them are looked up at once, if all came after the worker began to look."""
    entries = [_entry(number, mark, name) for number, (name, mark) in enumerate(stored, 1)]
    authors, start = Authors(BEFORE_ALL), 0
    while start < len(entries):
        end = data.draw(st.integers(start + 1, len(entries)))
        part = entries[start:end]
        changes = [AppliedChange(one.name, one.mark) for one in part]
        after = authors.after(changes)
        newest_first = [one for one in reversed(entries[:end]) if int(one.entry[:-2]) > int(after[:-2])]
        assert authors.match(changes, newest_first) == part
        start = end


def test_a_value_that_was_stored_without_the_history_is_nobodys() -> None:
    authors = Authors(BEFORE_ALL)
    assert _found(authors, [_change(b"a"), _change(b"b")], [_entry(2, b"b"), _entry(1, b"a")]) == ["1-0", "2-0"]
    assert _found(authors, [_change(b"a")], [_entry(2, b"b"), _entry(1, b"a")]) == [None]
    assert authors.after([_change(b"a")]) == "2-0"
    assert authors.unmatched([_change(b"a"), _change(b"a", "d")]) == ["d"]


def test_what_was_in_force_before_the_worker_looked_has_the_newest_entry_or_none() -> None:
    entries = [_entry(2, b"b"), _entry(1, b"a")]
    assert _found(Authors("2-0"), [_change(b"b")], entries) == ["2-0"]
    assert _found(Authors("2-0"), [_change(b"a")], entries) == [None]
    assert _found(Authors("2-0"), [_change(b"b"), _change(b"c")], [_entry(3, b"c"), *entries]) == ["2-0", "3-0"]


def test_an_entry_that_changed_nothing_is_no_change() -> None:
    assert _found(Authors("2-0"), [_change(b"a")], [_entry(2, b""), _entry(1, b"a")]) == ["1-0"]


def test_names_are_not_remembered_for_ever() -> None:
    authors = Authors(BEFORE_ALL)
    for number in range(5000):
        name = f"d{number}"
        assert _found(authors, [_change(b"a", name)], [_entry(number + 1, b"a", name)]) == [f"{number + 1}-0"]
    assert len(authors._last) == 4096
