"""The auditors: a right run passes all of them, and each error is found by its own auditor."""

import json
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from tests.faults.audit import AUDITORS, audit
from tests.faults.records import (
    UNWRITTEN,
    Answer,
    Asked,
    Chunk,
    Left,
    Run,
    Stay,
    WeightsChange,
    read_answer,
    version_of,
)

MS = 1_000_000
READY = {"voice": range(100, 120), "music": range(200, 220)}
WEIGHTS = {"voice": 3.0, "music": 1.0}
OLDER = {"voice": 1.0, "music": 1.0}
VERSION = version_of(WEIGHTS)
STAYS = [Stay(chunk, name) for name, chunks in READY.items() for chunk in chunks]
CHANGES = [WeightsChange(None, OLDER, 10 * MS, 11 * MS), WeightsChange(None, WEIGHTS, 500 * MS, 501 * MS)]


def asked_and_answered(number: int, rng: random.Random) -> tuple[Asked, Answer]:
    names = rng.choices(list(WEIGHTS), list(WEIGHTS.values()), k=8)
    chunks = [rng.choice(READY[name]) for name in names]
    asked = Asked(f"{1000 + number}-0", {"size": "8"}, (999 + number) * MS)
    return asked, answer_to(asked, chunks, Counter(names))


def answer_to(asked: Asked, chunks: Sequence[Chunk], counts: Mapping[str, int], **parts: Any) -> Answer:
    entry_id = asked.entry_id or "9999-9"
    fields = {"status": "error" if parts.get("error") else "ok", "message": "why", **parts.pop("fields", {})}
    return Answer(
        entry_id,
        asked.fields.get("request_id", entry_id),
        **{
            "at_ms": asked.sent_ns // MS + 2,
            "chunk_ids": tuple(chunks),
            "counts": counts,
            "version": VERSION,
            "source": "redis",
            "fields": fields,
            **parts,
        },
    )


def right_run(requests: int = 400) -> Run:
    rng = random.Random(7)
    pairs = [asked_and_answered(number, rng) for number in range(requests)]
    drawn: Counter[str] = sum((Counter(answer.counts) for _, answer in pairs), Counter())
    stats = {"requests:": requests, **{f"chunks::{name}": count for name, count in drawn.items()}, "expected::x": 4}
    return Run(
        [asked for asked, _ in pairs],
        [answer for _, answer in pairs],
        changes=CHANGES,
        stays=STAYS,
        stats=stats,
        left=Left(0, 0, requests),
    )


RIGHT = right_run()
STATS: Mapping[str, int] = RIGHT.stats or {}


def redrawn(draw: Callable[[Answer], Sequence[Chunk]]) -> Run:
    """Make a run in which other chunks are drawn; what is counted fits them."""
    answers = []
    for answer in RIGHT.answers:
        chunks = tuple(draw(answer))
        counts = Counter("voice" if int(chunk) < 200 else "music" for chunk in chunks)
        answers.append(answer._replace(chunk_ids=chunks, counts=counts))
    return replace(RIGHT, answers=answers, stats=None)


def with_pair(asked: Asked, answer: Answer | None, **parts: Any) -> Run:
    """Make a run of one request more; its counts are not audited."""
    answers = [*RIGHT.answers, *([answer] if answer else ())]
    return replace(RIGHT, asked=[*RIGHT.asked, asked], answers=answers, **{"stats": None, "left": None, **parts})


def asked(entry_id: str | None = "5000-0", sent_ms: int = 5000, /, **fields: str) -> Asked:
    return Asked(entry_id, fields, sent_ms * MS)


def one(**parts: Any) -> Run:
    """Make a run whose extra request asks for one chunk and gets it, but for `parts` of the result."""
    request = asked()
    return with_pair(request, answer_to(request, [100], {"voice": 1})._replace(**parts))


def drawing(fields: Mapping[str, str], *draws: tuple[Sequence[Chunk], Mapping[str, Any]]) -> Run:
    """Make a run of requests with the same fields; each draw is its chunks and the other fields of the result."""
    requests = [asked(f"{i}-0", i, size=str(len(chunks)), **fields) for i, (chunks, _) in enumerate(draws, 5000)]
    answers = [
        answer_to(request, chunks, Counter("voice" if int(c) < 200 else "music" for c in chunks), fields=more)
        for request, (chunks, more) in zip(requests, draws, strict=True)
    ]
    return Run(requests, answers, changes=CHANGES, stays=STAYS)


def pinned(*versions: tuple[str, str]) -> Run:
    requests = [asked(f"{5000 + i}-0", 5000 + i, session="s", pin="1") for i in range(len(versions))]
    answers = [
        answer_to(request, [100], {"voice": 1}, source=source, version=version)
        for request, (source, version) in zip(requests, versions, strict=True)
    ]
    return Run(requests, answers, changes=CHANGES, stays=STAYS)


EPOCH = {"session": "s", "method": "epoch", "category": "voice"}
FIRST, SECOND = list(READY["voice"][:12]), list(READY["voice"][12:])


def passing(*draws: tuple[Sequence[Chunk], Mapping[str, int]]) -> Run:
    run = drawing(EPOCH, *((chunks, {"passes": {"voice": spans}}) for chunks, spans in draws))
    by_category = [answer._replace(source="category", version=version_of({"voice": 1.0})) for answer in run.answers]
    return replace(run, answers=by_category)


ALL_VOICE = RIGHT.answers[0]._replace(counts={"voice": 8}, chunk_ids=(*range(100, 108),))

WRONG: dict[str, tuple[str, Run]] = {
    "a result is lost": ("one result each", with_pair(asked(), None)),
    "a result is doubled": ("one result each", replace(RIGHT, answers=[*RIGHT.answers, RIGHT.answers[3]], stats=None)),
    "a result nobody asked for": (
        "one result each",
        replace(RIGHT, answers=[*RIGHT.answers, ALL_VOICE._replace(entry_id="1-1")], stats=None, left=None),
    ),
    "a doubtful request is answered twice": (
        "one result each",
        replace(
            RIGHT,
            asked=[*RIGHT.asked, asked(None, request_id="m")],
            answers=[
                *RIGHT.answers,
                *(answer_to(asked(f"500{i}-0", request_id="m"), [100], {"voice": 1}) for i in "01"),
            ],
            stats=None,
            left=None,
        ),
    ),
    "a worker without a catalog while PostgreSQL is there": (
        "outcomes",
        with_pair(asked(), answer_to(asked(), [], {}, error="catalog_unavailable"), outages=[(6000 * MS, 7000 * MS)]),
    ),
    "an entry nobody noted is gone": ("all entries answered", replace(RIGHT, left=Left(0, 0, 401))),
    "an error for nothing": ("outcomes", one(error="internal", chunk_ids=(), counts={}, fields={"status": "error"})),
    "an error without a sentence": (
        "outcomes",
        with_pair(
            asked()._replace(accepted=frozenset({"expired"})),
            answer_to(asked(), [], {}, error="expired", source="", fields={"message": ""}),
        ),
    ),
    "a result in another stream": ("addresses", one(reply_to="somewhere")),
    "another request id": ("addresses", one(request_id="other")),
    "a dead letter with a good result": (
        "dead letters",
        replace(RIGHT, dead=[{"entry_id": RIGHT.answers[0].entry_id, "error": "internal"}]),
    ),
    "a dead letter without a result": (
        "dead letters",
        with_pair(asked(None), None, dead=[{"entry_id": "5000-0", "error": "internal"}]),
    ),
    "a chunk too few": ("chunks as asked", one(chunk_ids=(), counts={})),
    "a category nobody asked for": (
        "chunks as asked",
        with_pair(asked(category="music"), answer_to(asked(), [100], {"voice": 1})),
    ),
    "a chunk twice in a request": ("chunks as asked", drawing({"replace": "0"}, ([100, 100], {}))),
    "a count beyond its ceiling": (
        "chunks as asked",
        drawing({"method": "stratified"}, ([100, 101, 200, 201], {"weights": {"voice": 0.75, "music": 0.25}})),
    ),
    "a chunk that is unknown": ("chunks READY", one(chunk_ids=(99,))),
    "a chunk of another category": ("chunks READY", one(counts={"music": 1})),
    "a chunk long gone": (
        "chunks READY",
        replace(one(), stays=[*STAYS[1:], Stay(100, "voice", 0, 1 * MS)], stale_ns=3 * MS, changes=CHANGES),
    ),
    "older weights": ("weights in force", one(version=version_of(OLDER))),
    "weights nobody set": ("weights in force", one(version=version_of({"voice": 1.0}))),
    "defaults though there are weights": (
        "weights in force",
        one(source="default", version=version_of({"voice": 4, "music": 3, "documentary": 2, "conference": 1})),
    ),
    "last known weights though none were refused": ("weights in force", one(source="last_known")),
    "a session that changes its weights": (
        "pinned weights",
        pinned(("session", VERSION), ("session", version_of(OLDER))),
    ),
    "a session that is not pinned": ("pinned weights", pinned(("redis", VERSION))),
    "a session pinned to older weights": ("pinned weights", pinned(("session", version_of(OLDER)))),
    "a chunk twice in a pass": ("passes", passing((FIRST, {"1": 12}), (FIRST[:1], {"1": 1}))),
    "a pass that ends early": ("passes", passing((FIRST, {"1": 12}), (FIRST, {"2": 12}))),
    "a pass left out": ("passes", passing((FIRST + SECOND, {"1": 20}), (FIRST, {"3": 12}))),
    "passes that do not add up": ("passes", passing((FIRST, {"1": 11}))),
    "a seed that gives other ids": ("seeds", drawing({"seed": "7"}, ([100], {}), ([101], {}))),
    "stats that count one too many": ("stats equal results", replace(RIGHT, stats={**STATS, "requests:d": 1})),
    "stats that miss a chunk": ("stats equal results", replace(RIGHT, stats={**STATS, "chunks::voice": 1})),
    "a session's counts that are off": (
        "stats equal results",
        replace(pinned(("session", VERSION)), sessions={"s": {"requests:": 2, "chunks::voice": 1}}),
    ),
    "something pending": ("nothing left", replace(RIGHT, left=Left(1, 0, 400))),
    "something waiting": ("nothing left", replace(RIGHT, left=Left(0, 1, 400))),
    "voice for ever": ("mix", redrawn(lambda answer: random.Random(answer.at_ms).choices(READY["voice"], k=8))),
    "the first chunks of a category for ever": (
        "evenness",
        redrawn(lambda answer: [READY[name][0] for name in answer.counts for _ in range(answer.counts[name])]),
    ),
}
"""What goes wrong -> the one auditor that sees it, and a run in which it does."""


def test_a_right_run_passes_every_auditor() -> None:
    assert audit(RIGHT) == {name: [] for name in AUDITORS}


@pytest.mark.parametrize(("name", "run"), WRONG.values(), ids=WRONG)
def test_a_wrong_run_is_seen_by_the_auditor_whose_it_is(name: str, run: Run) -> None:
    found = {auditor: sentences for auditor, sentences in audit(run).items() if sentences}
    assert found.keys() == {name}


def test_every_auditor_has_something_that_it_sees() -> None:
    assert {name for name, _ in WRONG.values()} == AUDITORS.keys()


RIGHT_TOO: dict[str, Run] = {
    "a doubtful request that was added": with_pair(
        asked(None, request_id="m"), answer_to(asked("5000-0", request_id="m"), [100], {"voice": 1})
    ),
    "a doubtful request that was not": with_pair(asked(None, request_id="m"), None),
    "a result that could not be written": with_pair(
        asked()._replace(accepted=frozenset({UNWRITTEN})),
        None,
        dead=[{"entry_id": "5000-0", "error": "too_many_deliveries"}],
        stats={**STATS, "requests:": 401, "errors::too_many_deliveries": 1},
    ),
    "a result of a doubtful request that could not be written": with_pair(
        asked(None, request_id="m")._replace(accepted=frozenset({UNWRITTEN})),
        None,
        dead=[{"entry_id": "5000-0", "request_id": "m", "error": "too_many_deliveries"}],
        stats={**STATS, "requests:": 401, "errors::too_many_deliveries": 1},
    ),
    "an error that was expected": with_pair(
        asked()._replace(accepted=frozenset({"expired"})),
        answer_to(asked(), [], {}, error="expired"),
    ),
    "a worker without a catalog while PostgreSQL is away": with_pair(
        asked(), answer_to(asked(), [], {}, error="catalog_unavailable"), outages=[(4000 * MS, 5000 * MS)]
    ),
    "weights that changed while it waited": one(at_ms=5100),
    "a chunk that is gone for a moment": replace(
        one(), stays=[*STAYS[1:], Stay(100, "voice", 0, 4998 * MS)], stale_ns=3 * MS
    ),
    "a chunk that is gone while nobody could know": replace(
        one(), stays=[*STAYS[1:], Stay(100, "voice", 0, 1000 * MS)], stale_ns=3 * MS, outages=[(900 * MS, 5000 * MS)]
    ),
    "a change that may have been lost": replace(one(), changes=[*CHANGES, WeightsChange(None, OLDER, 4000 * MS, None)]),
    "a change that may have been made": replace(
        one(version=version_of(OLDER)), changes=[*CHANGES, WeightsChange(None, OLDER, 4000 * MS, None)]
    ),
    "weights that were refused": replace(
        one(source="last_known"), changes=[*CHANGES, WeightsChange(None, None, 4000 * MS, 4001 * MS, refused=True)]
    ),
    "a pass that ends and another that begins": passing(
        (FIRST, {"1": 12}), (SECOND + FIRST[:4], {"1": 8, "2": 4}), (FIRST[4:], {"2": 8})
    ),
    "a seed that gives the same ids": drawing({"seed": "7"}, ([100], {}), ([100], {})),
}


@pytest.mark.parametrize("run", RIGHT_TOO.values(), ids=RIGHT_TOO)
def test_what_looks_wrong_and_is_right_is_no_violation(run: Run) -> None:
    assert {name: found for name, found in audit(run).items() if found} == {}


def test_results_are_read_as_they_stand_in_redis() -> None:
    packed = b"".join(number.to_bytes(8, "little") for number in (5, 93))
    record = {b"entry_id": b"5-0", b"request_id": b"r", b"status": b"ok", b"counts": b'{"voice":2}'}
    for ids in (packed, b"[  5, 93]"):
        answer = read_answer("77-3", {**record, b"chunk_ids": ids, b"left_out": b'["x"]'}, "me")
        assert (list(answer.chunk_ids), answer.at_ms, answer.reply_to) == ([5, 93], 77, "me")
        assert json.dumps(answer.fields) == '{"status": "ok", "left_out": ["x"]}'
