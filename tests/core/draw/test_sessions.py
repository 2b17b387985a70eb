"""Sessions: what a batch is drawn under, and how it changes the session's hash."""

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from tests.support.drawing import catalog_of, weights_of
from worker.core.catalog import Catalog
from worker.core.draw.answer import answer
from worker.core.draw.derived import Derived
from worker.core.draw.groups import Answers
from worker.core.draw.prepare import Snapshots, pin_sessions
from worker.core.draw.sessions import NEW_SESSION, Session, read_session
from worker.core.keys import PINNED, SCHEDULE
from worker.core.stats import read_counts
from worker.core.weights.in_force import InForce
from worker.core.weights.values import normalise
from worker.core.wire import Request, Result, Terms, encode_error

CATALOG = catalog_of({"music": 30, "voice": 50})
WEIGHTS: Mapping[str | None, InForce] = {
    None: InForce(None, weights_of({"voice": 0.7, "music": 0.3}), ((None, b"1"),)),
    "d": InForce("d", weights_of({"music": 1}, "dataset"), (("d", b"2"),)),
    "preset:nope": InForce("preset:nope", weights_of({"voice": 1}), ()),
}


def _request(number: int, **terms: Any) -> Request:
    return Request(f"{number}-0", f"r{number}", Terms(**{"session": "s", **terms}))


def _answer(*requests: Request | Result, known: Session = NEW_SESSION, catalog: Catalog | None = CATALOG) -> Answers:
    asked = [request.terms for request in requests if isinstance(request, Request)]
    derived = None if catalog is None else Derived(catalog)
    sessions = pin_sessions(asked, WEIGHTS, {"s": known}, derived)
    return answer(requests, Snapshots(derived, WEIGHTS, 0, sessions), np.random.default_rng(1))


def _fields(result: Result) -> dict[str, str]:
    words = [word if isinstance(word, str) else word.decode() for word in result.fields]
    return dict(zip(words[0::2], words[1::2], strict=True))


def _settled(known: Session, answers: Answers) -> Session:
    """Read the session's hash as it is once the batch is settled."""
    change = answers.visits["s"].change
    assert all(known.fields.get(name, b"") == value for name, value in change.expected.items())
    return read_session({**known.fields, **change.stored})


# -- pin -------------------------------------------------------------------------------------------------------


def test_the_first_pinned_request_decides_for_the_session() -> None:
    answers = _answer(_request(1), _request(2, pin=True, dataset="d"), _request(3, pin=True), _request(4))
    sources = [_fields(result)["weights_source"] for result in answers.results]
    assert sorted(sources) == ["redis", "redis", "session", "session"]
    fields = [_fields(result) for result in answers.results]
    versions = {one["weights_version"] for one in fields if one["weights_source"] == "session"}
    assert [(one["session"], one.get("dataset")) for one in fields].count(("s", "d")) == 1
    assert versions == {WEIGHTS["d"].weights.version}
    change = answers.visits["s"].change
    assert change.expected == {PINNED: b"", SCHEDULE: b""}
    assert json.loads(change.stored[PINNED]) == {"music": 1.0}


def test_a_pinned_session_holds_its_weights_and_what_it_holds_is_fenced() -> None:
    first = _answer(_request(1, pin=True, dataset="d"))
    session = _settled(NEW_SESSION, first)
    assert session.pinned is not None
    assert session.pinned.version == WEIGHTS["d"].weights.version
    second = _answer(_request(2, pin=True), known=session)
    assert _fields(second.results[0])["weights_version"] == session.pinned.version
    assert second.visits["s"].change.expected == {
        PINNED: first.visits["s"].change.stored[PINNED],
        SCHEDULE: b"",
    }
    assert second.visits["s"].change.stored == {}
    assert second.visits["s"].after == session


def test_weights_survive_being_pinned_to_the_last_digit() -> None:
    rng = np.random.default_rng(3)
    for width in (2, 3, 7, 100, 3000):
        weights = normalise({f"c{i}": share for i, share in enumerate(rng.random(width).tolist())}, "redis")
        assert weights is not None
        session = read_session({PINNED: weights.exact_text.encode()})
        assert session.pinned is not None
        assert session.pinned.text == weights.text
        assert session.pinned.exact_text == weights.exact_text


@pytest.mark.parametrize(
    "request_", [_request(1, pin=True, size=2000, replace=False), _request(1, pin=True, category="x")]
)
def test_a_request_that_cannot_be_answered_pins_all_the_same(request_: Request) -> None:
    answers = _answer(request_)
    assert answers.results[0].error is not None
    assert PINNED in answers.visits["s"].change.stored


def test_a_request_that_is_not_pinned_neither_pins_nor_waits_for_the_session() -> None:
    assert _answer(_request(1)).visits["s"].change[:2] == ({}, {})
    expired = _request(1, pin=True)._replace(expires_at=0)
    assert _answer(expired).visits["s"].change[:2] == ({}, {})


@pytest.mark.parametrize(
    "fields",
    [
        None,
        {PINNED: b"no JSON"},
        {PINNED: b'{"voice": 0}'},
        {"epoch:voice": b"7"},
        {"epoch:voice": b"\xff"},
    ],
)
def test_what_no_worker_wrote_makes_a_session_unusable_and_is_not_touched(fields: Mapping[str, bytes] | None) -> None:
    answers = _answer(_request(1, pin=True), _request(2, method="epoch"), known=read_session(fields))
    assert {result.error for result in answers.results} == {"invalid_request"}
    assert all("session 's' cannot be used" in result.message for result in answers.results)
    assert all("; accepted: another session" in result.message for result in answers.results)
    assert answers.visits == {}


# -- epoch -----------------------------------------------------------------------------------------------------


def _drawn(result: Result) -> list[int]:
    drawn: list[int] = json.loads(_fields(result)["chunk_ids"])
    return drawn


def test_every_chunk_comes_once_a_pass_and_the_result_says_which() -> None:
    category_of = {int(i): name for name, ids in CATALOG.segments() for i in ids.tolist()}
    session, seen = NEW_SESSION, Counter[tuple[str, int, int]]()
    for batch in range(40):
        requests = [_request(batch * 3 + i, method="epoch", size=size) for i, size in enumerate((7, 1, 16))]
        answers = _answer(*requests, known=session)
        for result in answers.results:
            fields = _fields(result)
            passes = {
                name: iter(sorted((int(n), c) for n, c in spans.items()))
                for name, spans in json.loads(fields["passes"]).items()
            }
            counts = json.loads(fields["counts"])
            assert {name: sum(spans.values()) for name, spans in json.loads(fields["passes"]).items()} == counts
            left = {name: next(spans) for name, spans in passes.items()}
            for chunk in _drawn(result):
                name = category_of[chunk]
                number, count = left[name]
                seen[name, number, chunk] += 1
                left[name] = (number, count - 1) if count > 1 else next(passes[name], (0, 0))
        session = _settled(session, answers)
    assert set(seen.values()) == {1}
    per_pass = Counter((name, number) for name, number, _ in seen)
    assert all(per_pass["voice", number] == 50 for number in range(1, session.cursors["voice"].number))
    assert all(per_pass["music", number] == 30 for number in range(1, session.cursors["music"].number))
    assert session.cursors["voice"].number > 10


def test_what_is_fenced_and_stored_is_the_categories_drawn_from() -> None:
    change = _answer(_request(1, method="epoch", size=3, category="music")).visits["s"].change
    assert change.expected == {"epoch:music": b""}
    assert change.stored.keys() == {"epoch:music"}


def test_requests_of_all_kinds_go_on_in_one_session() -> None:
    """Requests that are packed or not, pinned or not, by preset or category share one set of passes."""
    kinds: list[dict[str, Any]] = [{}, {"pin": True}, {"category": "voice"}, {"dataset": "d"}, {"replace": False}]
    requests = [_request(i, method="epoch", size=4, **kind) for i, kind in enumerate(kinds * 2)]
    answers = _answer(*requests)
    drawn = Counter(chunk for result in answers.results for chunk in _drawn(result))
    assert len(answers.results) == len(requests)
    assert max(drawn.values()) == 1


def test_a_request_wants_no_chunk_twice_though_a_pass_ends_within_it() -> None:
    session = NEW_SESSION
    for number in range(60):
        answers = _answer(_request(number, method="epoch", size=70, replace=False), known=session)
        drawn = _drawn(answers.results[0])
        assert len(set(drawn)) == 70
        session = _settled(session, answers)


def test_the_mix_is_that_of_the_weights() -> None:
    answers = _answer(*[_request(i, method="epoch", size=100) for i in range(100)])
    rows = {row.category: row for row in read_counts(answers.tally.fields).categories}
    assert rows["voice"].expected == pytest.approx(7000)
    assert abs(rows["voice"].z) < 5
    assert rows["music"].count + rows["voice"].count == 10_000


# -- counts ----------------------------------------------------------------------------------------------------


def test_a_session_has_counts_of_its_own() -> None:
    refused = encode_error(_request(9), "invalid_request", "a sentence")
    answers = _answer(_request(1, size=8), _request(2, dataset="d", size=4), _request(3, category="nope"), refused)
    counts = read_counts(answers.visits["s"].change.growth)
    assert counts.requests == {"": 3}
    assert counts.errors == {("", "unknown_category"): 1}
    assert sum(row.count for row in counts.categories) == 12
    assert read_counts(answers.tally.fields).requests == {"": 3, "d": 1}


def test_a_session_costs_no_field_a_category_where_there_are_many() -> None:
    catalog = catalog_of({f"c{i}": 2 for i in range(500)})
    wide: Mapping[str | None, InForce] = {None: InForce(None, weights_of({f"c{i}": 1 for i in range(500)}), ())}
    snapshots = Snapshots(Derived(catalog), wide, 0, {"s": NEW_SESSION})
    answers = answer([_request(1, size=1000)], snapshots, np.random.default_rng(1))
    assert answers.visits["s"].change.growth == {"requests:": 1}
