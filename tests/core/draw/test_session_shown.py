"""What people see of a session: how often chunks were heard in it, and what is told of its limit."""

import pytest

from worker.core.draw.session_limits import near_limit
from worker.core.draw.session_shown import read_limit, session_document, session_repeats
from worker.core.events import MixRepeats
from worker.core.workers.ready import UNKNOWN, Ready


def test_a_session_says_how_often_its_chunks_were_heard() -> None:
    """Passes say it of theirs, the one that is further of two splits; of others draws say what is to be expected."""
    heard = {"chunks::a": b"25", "chunks::b": b"40", "chunks::c": b"7", "epoch:a": b"3::", "epoch:a+val": b"2::"}
    ready = Ready({"a": 10, "b": 1, "c": 0})
    assert session_repeats(heard, ready) == {
        "a": (10, 2.5, 3.0),
        "b": (1, 40.0, 40.0),
        "c": (0, None, None),
    }
    assert session_document("s", heard, 5, ready)["repeats"]["a"] == {"ready": 10, "repeats": 2.5, "most_repeats": 3.0}
    assert session_repeats({"epoch:a": b"2::"}, UNKNOWN) == {"a": (None, None, 0.0)}
    assert session_repeats(None, ready) == {}


def test_passes_by_length_count_on_top_of_those_of_whole_categories() -> None:
    fields = {"epoch:a~1024": b"2::", "epoch:a~5311": b"4::", "epoch:a": b"3::", "epoch:a+val~1024": b"6::"}
    fields |= {"epoch:b~1024": b"1::", "epoch:~0123abcd": b"700::"}
    fields |= {"chunks::a": b"40", "chunks::b": b"5"}
    assert session_document("s", fields, 5, UNKNOWN)["passes"] == {"a": 7, "a+val": 6, "b": 1}
    assert {name: one.most_repeats for name, one in session_repeats(fields, Ready({"a": 9, "b": 9})).items()} == {
        "a": 7.0,
        "b": 1.0,
    }


@pytest.mark.parametrize("text", [b"", b"x", b"nan", b"inf", b"-1", b"0", b"1e10", b"\xff"])
def test_a_limit_that_nobody_can_mean_is_none(text: bytes) -> None:
    assert read_limit({"repeats_limit": text}) is None
    assert near_limit("s", {"repeats_limit": text, "chunks::a": b"9"}, {"a": 1}) == []


def test_a_limit_is_told_when_it_nears_and_when_it_is_reached_once_each() -> None:
    fields = {"repeats_limit": b"2.5", "chunks::a": b"19", "chunks::b": b"25", "chunks::gone": b"9", "chunks::c": b"20"}
    ready = {"a": 10, "b": 10, "c": 10}
    near, reached = (
        MixRepeats(
            dataset=None,
            session="s",
            category=category,
            repeats=drawn / 10,
            limit=2.5,
            drawn=drawn,
            ready=10,
            is_reached=is_reached,
        )
        for category, drawn, is_reached in (("c", 20, False), ("b", 25, True))
    )
    told = near_limit("s", fields, ready)
    assert [one.event for one in told] == [reached, near]
    assert [one.field for one in told] == ["told:2.5:reached:b", "told:2.5:near:c"]
    noted = {**fields, **{one.field: b"1" for one in told}}
    assert near_limit("s", noted, ready) == []
    assert len(near_limit("s", {**noted, "repeats_limit": b"2"}, ready)) == 3
    assert [one.event.is_reached for one in near_limit("s", {**noted, "chunks::c": b"25"}, ready)] == [True]
    assert session_document("s", noted, 5, UNKNOWN)["repeats_limit"] == 2.5
    assert session_document("s", None, 5, UNKNOWN)["repeats_limit"] is None
