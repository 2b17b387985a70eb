"""The weights in force follow from what the keys hold; a value that is refused leaves the last valid weights."""

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.weights.in_force import ABSENT, UNREAD, WRONG_TYPE, Held, in_force, mark_of, observe
from worker.core.weights.values import normalise


def _observe(held: Held, value: bytes | None, source: str = "redis") -> tuple[Held, str | None]:
    return observe(held, mark_of(value), value, source)


def test_a_key_read_first_gives_its_weights() -> None:
    held, refused = _observe(UNREAD, b'{"voice": 1}')
    assert refused is None
    assert held.weights is not None
    assert (dict(held.weights.shares), held.weights.source) == ({"voice": 1.0}, "redis")


@pytest.mark.parametrize("value", [None, b"{}", b'{"voice": 0}'])
def test_no_weights_leave_the_defaults_in_force(value: bytes | None) -> None:
    held, refused = _observe(_observe(UNREAD, b'{"voice": 1}')[0], value)
    assert refused is None
    assert held.weights is None
    assert in_force(None, None, held).weights.source == "default"


@pytest.mark.parametrize("value", [b"junk", None], ids=["not valid", "not text"])
def test_what_is_refused_leaves_the_last_valid_weights(value: bytes | None) -> None:
    valid, _ = _observe(UNREAD, b'{"voice": 1}')
    mark = mark_of(value) if value else WRONG_TYPE
    refused, sentence = observe(valid, mark, value, "redis")
    assert sentence is not None
    assert "accepted: " in sentence
    assert refused.mark == mark
    assert refused.weights is not None
    assert (dict(refused.weights.shares), refused.weights.source) == ({"voice": 1.0}, "last_known")
    again, _ = _observe(refused, b"other junk")
    assert again.weights is not None
    assert (dict(again.weights.shares), again.weights.source) == ({"voice": 1.0}, "last_known")
    assert again.weights.version == refused.weights.version


def test_what_is_refused_at_first_leaves_the_defaults() -> None:
    held, sentence = _observe(UNREAD, b"junk")
    assert sentence is not None
    assert held.weights is None
    assert in_force(None, None, held).weights.source == "default"


def test_a_key_deleted_after_a_refusal_gives_the_defaults() -> None:
    held = UNREAD
    for value in (b'{"voice": 1}', b"junk", None):
        held, _ = _observe(held, value)
    assert held == Held(ABSENT, None)


def test_a_refusal_is_followed_by_the_next_valid_weights() -> None:
    held, _ = _observe(UNREAD, b'{"voice": 1}')
    held, _ = _observe(held, b"junk")
    held, refused = _observe(held, b'{"music": 1}')
    assert refused is None
    assert held.weights is not None
    assert (dict(held.weights.shares), held.weights.source) == ({"music": 1.0}, "redis")


values_read = st.sampled_from([None, b"{}", b"junk", b'{"voice": 1}', b'{"music": 2}', b'{"voice": NaN}'])


@given(st.lists(values_read))
def test_a_value_read_twice_changes_and_says_nothing(read: list[bytes | None]) -> None:
    held = UNREAD
    for value in read:
        held, _ = _observe(held, value)
        assert _observe(held, value) == (held, None)
        assert held.mark == mark_of(value)


@given(st.lists(values_read))
def test_the_state_follows_from_what_was_last_valid(read: list[bytes | None]) -> None:
    held, last = UNREAD, None
    for value in read:
        held, _ = _observe(held, value)
        if value is None or value == b"{}":
            last = None
        elif b"junk" not in value and b"NaN" not in value:
            last = json.loads(value)
        assert (held.weights and set(held.weights.shares)) == (last and set(last))


@given(st.binary(max_size=50))
def test_marks_tell_values_apart(value: bytes) -> None:
    assert mark_of(value) == hashlib.sha1(value, usedforsecurity=False).hexdigest().encode()
    assert mark_of(value) not in (ABSENT, WRONG_TYPE, UNREAD.mark)
    assert mark_of(None) == ABSENT


def _held(name: str) -> Held:
    return Held(name.encode(), normalise({name: 1}, "redis"))


def test_global_weights_are_in_force_by_the_global_key() -> None:
    found = in_force(None, None, _held("voice"))
    assert (found.dataset, dict(found.weights.shares)) == (None, {"voice": 1.0})
    assert found.marks == ((None, b"voice"),)


def test_a_dataset_with_weights_of_its_own_depends_on_its_key_alone() -> None:
    found = in_force("speech", _held("music"), _held("voice"))
    assert (found.dataset, dict(found.weights.shares)) == ("speech", {"music": 1.0})
    assert found.marks == (("speech", b"music"),)


@pytest.mark.parametrize("shared", [_held("voice"), Held(ABSENT, None)], ids=["global", "defaults"])
def test_a_dataset_without_weights_falls_back_and_depends_on_both_keys(shared: Held) -> None:
    found = in_force("speech", Held(ABSENT, None), shared)
    assert found.dataset is None
    assert found.weights.version == in_force(None, None, shared).weights.version
    assert found.marks == (("speech", ABSENT), (None, shared.mark))
