"""Schedules of sessions: each request is drawn at the position that the requests before it left."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.drawing import catalog_of, lasting_catalog, weights_of
from worker.core.catalog import Catalog
from worker.core.draw.answer import answer
from worker.core.draw.derived import Derived
from worker.core.draw.groups import Answers
from worker.core.draw.prepare import Snapshots, pin_sessions
from worker.core.draw.session_schedules import read_schedule
from worker.core.draw.session_shown import session_document
from worker.core.draw.sessions import MOST_HEARD, Session, read_session
from worker.core.keys import PINNED, POSITION, SCHEDULE
from worker.core.weights.in_force import InForce
from worker.core.wire import Request, Terms, decode_result
from worker.core.workers.ready import UNKNOWN
from worker.errors import AdjustError

CATALOG = catalog_of({"music": 300, "voice": 500})
LASTING = lasting_catalog({"music": 300, "voice": 500}, {"music": 2.0, "voice": 2.0}, spread=0.0)
LIVE: Mapping[str | None, InForce] = {None: InForce(None, weights_of({"voice": 0.5, "music": 0.5}), ())}
VOICE_TO_MUSIC = "0 voice=1; 100 music=1"


def _text(points: str, **others: str) -> bytes:
    return json.dumps({"points": points, **others}).encode()


def _session(points: str, *, position: bytes | None = None, **others: str) -> Session:
    fields = {SCHEDULE: _text(points, **others)} | ({} if position is None else {POSITION: position})
    session = read_session(fields)
    assert session.problem == ""
    return session


def _requests(sizes: Sequence[int], **terms: Any) -> list[Request]:
    common = {"session": "s", "pin": True, **terms}
    return [Request(f"{i}-0", f"r{i}", Terms(**{"size": size, **common})) for i, size in enumerate(sizes, 1)]


def _answer(requests: Sequence[Request], session: Session, catalog: Catalog = CATALOG, now_ms: int = 0) -> Answers:
    derived = Derived(catalog)
    sessions = pin_sessions([one.terms for one in requests], LIVE, {"s": session}, derived)
    return answer(requests, Snapshots(derived, LIVE, now_ms, sessions), np.random.default_rng(3))


def _counts(answers: Answers) -> list[Mapping[str, int]]:
    """Return the counts of each request, in order."""
    results = sorted(answers.results, key=lambda one: int(one.entry_id.split("-")[0]))
    decoded = [decode_result([w.encode() if isinstance(w, str) else w for w in one.fields]) for one in results]
    return [dict(one.as_dict()["counts"] or {}) for one in decoded]


def _settled(session: Session, answers: Answers) -> Session:
    """Return the session as its hash is read once the batch is settled."""
    change = answers.visits["s"].change
    assert all(session.fields.get(name, b"") == value for name, value in change.expected.items())
    settled = read_session({**session.fields, **change.stored})
    assert settled.fields == answers.visits["s"].after.fields
    assert settled.position == answers.visits["s"].after.position
    return settled


def test_a_request_is_drawn_at_the_position_that_those_before_it_left() -> None:
    session = _session(VOICE_TO_MUSIC)
    answers = _answer(_requests([60, 39, 1, 5]), session)
    assert _counts(answers) == [{"voice": 60}, {"voice": 39}, {"voice": 1}, {"music": 5}]
    assert answers.visits["s"].change.stored[POSITION] == b"105"


@given(st.lists(st.integers(1, 40), min_size=1, max_size=12), st.data(), st.sampled_from(["step", "linear", "cosine"]))
def test_where_batches_are_cut_changes_no_weights(sizes: Sequence[int], data: st.DataObject, between: str) -> None:
    requests = _requests(sizes, probabilities=True)
    whole = _answer(requests, _session(VOICE_TO_MUSIC, between=between))
    cut = data.draw(st.integers(0, len(sizes)))
    session = _session(VOICE_TO_MUSIC, between=between)
    results = []
    for part in (requests[:cut], requests[cut:]):
        answers = _answer(part, session)
        session = _settled(session, answers)
        results += answers.results
    versions = {one.entry_id: one.template.words for one in whole.results}
    assert {one.entry_id: one.template.words for one in results} == versions
    assert session.position == sum(sizes)


def test_a_schedule_by_requests_does_not_count_errors_and_other_requests() -> None:
    session = _session("0 voice=1; 2 music=1", unit="requests")
    refused = _requests([900], replace=False)
    live = _requests([5, 5, 5], pin=False)
    first = _answer([*refused, *live], session)
    session = _settled(session, first)
    assert session.position == 0
    assert _counts(_answer(_requests([5, 5, 5]), session)) == [{"voice": 5}, {"voice": 5}, {"music": 5}]


def test_before_the_first_point_the_pinned_weights_hold() -> None:
    session = _session("10 music=1")
    answers = _answer(_requests([10, 7]), session)
    assert _counts(answers)[1] == {"music": 7}
    assert json.loads(answers.visits["s"].change.stored[PINNED]) == {"voice": 0.5, "music": 0.5}


def test_a_schedule_by_audio_time_goes_by_what_was_heard() -> None:
    """Each chunk lasts 2 s, so that 10 seconds are over with the fifth."""
    session = _session("0 voice=1; 10 music=1", unit="audio_seconds")
    answers = _answer(_requests([4, 1, 3]), session, LASTING)
    assert _counts(answers) == [{"voice": 4}, {"voice": 1}, {"music": 3}]
    assert answers.visits["s"].change.stored[POSITION] == b"16000"


def test_a_schedule_by_audio_time_is_refused_where_chunks_are_counted() -> None:
    answers = _answer(_requests([4]), _session("0 voice=1", unit="hours"))
    [result] = answers.results
    assert result.error == "invalid_request"
    assert "WORKER_WEIGHT_UNIT=seconds" in "".join(word for word in result.fields if isinstance(word, str))
    assert POSITION not in answers.visits["s"].change.stored


def test_a_schedule_by_time_goes_by_the_clock_and_counts_nothing() -> None:
    session = _session("2026-01-01 voice=1; 2026-01-02 music=1", unit="time")
    midnight = 1_767_312_000_000
    assert _counts(_answer(_requests([4]), session, now_ms=midnight - 1)) == [{"voice": 4}]
    answers = _answer(_requests([4]), session, now_ms=midnight)
    assert _counts(answers) == [{"music": 4}]
    assert answers.visits["s"].change.stored == {}


def test_a_point_of_a_built_in_preset_goes_by_what_is_ready() -> None:
    answers = _answer(_requests([800], method="stratified"), _session("0 balanced"))
    assert _counts(answers) == [{"music": 400, "voice": 400}]


def test_passes_and_a_schedule_go_together() -> None:
    session = _session("0 voice=1; 500 music=1")
    answers = _answer(_requests([250, 250, 300], method="epoch"), session)
    results = sorted(answers.results, key=lambda one: one.entry_id)
    ids = [word for one in results for word in json.loads(_field(one.fields, "chunk_ids"))]
    assert len(ids) == len(set(ids)) == 800


def _field(fields: Sequence[str | bytes], name: str) -> str:
    words = [word if isinstance(word, str) else word.decode() for word in fields]
    return dict(zip(words[0::2], words[1::2], strict=True))[name]


def test_what_a_pinned_request_was_drawn_by_is_compared_also_where_there_is_no_schedule() -> None:
    """So a schedule that is set a moment later holds for the next request, on every worker."""
    without = _answer(_requests([5]), Session()).visits["s"].change
    assert without.expected[SCHEDULE] == b""
    session = _session(VOICE_TO_MUSIC, position=b"40")
    change = _answer(_requests([5]), session).visits["s"].change
    assert change.expected == {SCHEDULE: session.fields[SCHEDULE], POSITION: b"40"}
    unpinned = _answer(_requests([5], pin=False), session).visits["s"].change
    assert (unpinned.expected, unpinned.stored) == ({}, {})


@pytest.mark.parametrize("position", [b"-1", b"\xff", b"1" * 40, b"", b"1.5"])
def test_a_position_that_is_no_count_makes_the_session_unusable(position: bytes) -> None:
    assert "which is no count" in read_session({POSITION: position}).problem


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"{", "not JSON"),
        (b"", "not JSON"),
        (b"[" * 9000, "not JSON"),
        (b"[1]", "not a JSON object"),
        (b"{}", "points is missing"),
        (_text("0 voice=1", unit="seconds"), "accepted: chunks, hours, audio_seconds, requests, time"),
        (_text("0 nope"), "no preset"),
        (_text("0 voice=1" + " " * 70_000), "at most 65536"),
    ],
)
def test_pinned_requests_are_refused_while_the_schedule_cannot_be_read(text: bytes, said: str) -> None:
    """What was wrong is compared, so that a mended schedule holds for the next request."""
    session = read_session({SCHEDULE: text})
    answers = _answer([*_requests([5]), Request("9-0", "r9", Terms(session="s"))], session)
    [refused] = [result for result in answers.results if result.error]
    assert refused.error == "invalid_request"
    assert said in "".join(word if isinstance(word, str) else word.decode() for word in refused.fields)
    assert (answers.visits["s"].change.expected[SCHEDULE], len(answers.results)) == (text, 2)


def test_a_position_ends_at_a_number_that_all_programs_can_hold() -> None:
    session = _session(VOICE_TO_MUSIC, position=b"%d" % (MOST_HEARD - 1))
    assert _settled(session, _answer(_requests([5]), session)).position == MOST_HEARD


def test_a_session_shows_its_schedule() -> None:
    session = _session("0 voice=1; 3 music=1", unit="hours", position=b"1800000")
    shown = session_document("s", session.fields, 5, UNKNOWN)
    assert (shown["schedule"], shown["position"]) == (json.loads(session.fields[SCHEDULE]), 1_800_000)
    assert session_document("s", {SCHEDULE: b"{\xff"}, 5, UNKNOWN)["schedule"] == "{\ufffd"
    schedule = read_schedule(session.fields[SCHEDULE])
    assert schedule.text_at(session.position) == "by hours, now at 0.5, step: 0 voice=1; 3 music=1"
    assert read_schedule(schedule.text).text == schedule.text


def test_a_schedule_that_no_session_can_have_is_refused_in_a_sentence() -> None:
    with pytest.raises(AdjustError, match="unit of a session's schedule is seconds; accepted: chunks"):
        read_schedule(_text("0 voice=1", unit="seconds"))
