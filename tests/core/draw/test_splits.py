"""A request gets chunks of its split alone, by whatever method, and says so in result and counts."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.support.drawing import FALSE_ALARM, weights_of
from worker.core.catalog import Catalog, build_catalog, part_name
from worker.core.draw.answer import answer
from worker.core.draw.derived import MOST_KEPT, Derived
from worker.core.draw.prepare import Snapshots
from worker.core.draw.sessions import Session, read_session
from worker.core.stats import Counts, read_counts
from worker.core.weights.in_force import InForce
from worker.core.wire import Request, Terms, decode_result

WEIGHTS = weights_of({"voice": 0.5, "music": 0.3, "noise": 0.2})
SIZES = {
    ("music", ""): 300,
    ("music", "train"): 200,
    ("music", "val"): 40,
    ("noise", "test"): 7,
    ("voice", "train"): 900,
    ("voice", "val"): 90,
    ("voice", "test"): 11,
}
ACCEPTED = "accepted: weights or a category with READY chunks"
TEST = "noise, voice of split test"
SPLITS = [None, "train", "val", "test"]
METHODS: list[dict[str, Any]] = [
    {"method": "random"},
    {"method": "stratified"},
    {"method": "epoch"},
    {"replace": False},
    {"method": "stratified", "replace": False},
    {"method": "epoch", "replace": False},
]


def _catalog(*, with_durations: bool) -> Catalog:
    parts = sorted(part_name(*key) for key in SIZES)
    sizes = {part_name(*key): size for key, size in SIZES.items()}
    codes = np.repeat(np.arange(len(parts), dtype=np.uint8), [sizes[name] for name in parts])
    durations = (1000 + np.arange(len(codes)) % 777).astype(np.uint32) if with_durations else None
    return build_catalog(np.arange(1, len(codes) + 1), codes, parts, durations)


def _owners() -> dict[int, tuple[str, str]]:
    """List category and split of each id, without the code under test."""
    ordered = sorted(SIZES, key=lambda key: (key[0], {"": 0, "train": 1}.get(key[1], 2), key[1]))
    return dict(enumerate((key for key in ordered for _ in range(SIZES[key])), start=1))


OWNERS = _owners()


def _snapshots(catalog: Catalog, sessions: dict[str, Session] | None = None) -> Snapshots:
    return Snapshots(Derived(catalog), {None: InForce(None, WEIGHTS, ())}, 0, sessions or {"s": read_session({})})


def _requests(count: int, **terms: Any) -> list[Request]:
    shared = Terms(**terms)
    return [Request(f"{number}-0", f"r{number}", shared) for number in range(count)]


def _replies(requests: list[Request], snapshots: Snapshots, seed: int = 0) -> Iterator[Any]:
    for result in answer(requests, snapshots, np.random.default_rng(seed)).results:
        words = [word.encode() if isinstance(word, str) else word for word in result.fields]
        yield decode_result(words)


def _accepted(split: str | None) -> set[str]:
    return {"", "train"} if split is None else {split}


@pytest.mark.parametrize("unit", ["chunks", "seconds"])
def test_a_million_draws_get_none_of_another_split(unit: str) -> None:
    snapshots = _snapshots(_catalog(with_durations=unit == "seconds"))
    drawn: Counter[int] = Counter()
    for split in SPLITS:
        seen: Counter[int] = Counter()
        for terms in METHODS:
            size = 18 if terms.get("replace") is False else 430
            session = "s" if terms.get("method") == "epoch" else None
            requests = _requests(24_000 // 18 if size == 18 else 140, split=split, size=size, session=session, **terms)
            for reply in _replies(requests, snapshots):
                assert reply.split == split
                got = Counter(OWNERS[chunk] for chunk in reply.chunk_ids)
                assert {own for _, own in got} <= _accepted(split)
                by_category: Counter[str] = Counter()
                for (category, _), count in got.items():
                    by_category[category] += count
                assert by_category == reply.counts
                seen.update(reply.chunk_ids)
        wanted = {chunk for chunk, (_, own) in OWNERS.items() if own in _accepted(split)}
        assert set(seen) == wanted
        drawn.update(seen)
    assert sum(drawn.values()) > 10**6


def test_categories_without_chunks_of_the_split_are_left_out_and_the_rest_fits_the_weights() -> None:
    tallied: dict[str | None, Counts] = {}
    for split in SPLITS:
        answers = answer(
            _requests(50, split=split, size=400), _snapshots(_catalog(with_durations=False)), np.random.default_rng(1)
        )
        tallied[split] = read_counts(answers.tally.fields)
    assert {split: {row.category for row in counts.categories} for split, counts in tallied.items()} == {
        None: {"music", "voice"},
        "train": {"music", "voice"},
        "val": {"music", "voice"},
        "test": {"noise", "voice"},
    }
    assert all(abs(row.z) < 6 for counts in tallied.values() for row in counts.categories)
    for split, counts in tallied.items():
        assert dict(counts.splits) == ({} if split is None else {split: (50, 20_000)})
    assert FALSE_ALARM > 2e-9  # what |z| >= 6 has


def test_a_single_request_is_counted_by_split_as_well() -> None:
    answers = answer(
        _requests(1, split="val", size=9), _snapshots(_catalog(with_durations=False)), np.random.default_rng(1)
    )
    counts = read_counts(answers.tally.fields)
    assert isinstance(counts, Counts)
    assert (dict(counts.splits), counts.requests, counts.chunks) == ({"val": (1, 9)}, {"": 1}, 9)


@pytest.mark.parametrize(
    ("terms", "code", "message"),
    [
        (
            {"split": "dev"},
            "no_ready_chunks",
            "no READY chunk is of split dev; accepted: test, train, val, or no split",
        ),
        (
            {"split": "val", "category": "noise"},
            "no_ready_chunks",
            f"no chunk of noise of split val is READY; {ACCEPTED}",
        ),
        (
            {"category": "noise"},
            "no_ready_chunks",
            f"no chunk of noise without a split or of split train is READY; {ACCEPTED}",
        ),
        (
            {"split": "test", "size": 19, "replace": False},
            "too_few_chunks",
            f"size is 19 with replace=0; accepted: at most the 18 READY chunks of {TEST}, or replace=1",
        ),
        ({"split": "val", "category": "nobody"}, "unknown_category", None),
    ],
)
def test_errors_name_the_split(terms: dict[str, Any], code: str, message: str | None) -> None:
    (reply,) = _replies(_requests(1, **terms), _snapshots(_catalog(with_durations=False)))
    assert reply.error == code
    assert message is None or reply.message == message


def test_without_any_split_the_sentence_says_how_to_ask() -> None:
    plain = build_catalog(np.arange(5), np.zeros(5, np.uint8), ("voice",))
    (reply,) = _replies(_requests(1, split="val"), _snapshots(plain))
    assert reply.message == "no READY chunk is of split val; accepted: a request without a split"


def test_probabilities_are_those_of_the_split() -> None:
    (reply,) = _replies(_requests(1, split="test", probabilities=True), _snapshots(_catalog(with_durations=False)))
    assert reply.ready == {"noise": 7, "voice": 11}
    assert reply.weights == pytest.approx({"noise": 2 / 7, "voice": 5 / 7})


def test_passes_of_a_split_leave_those_of_others_alone() -> None:
    catalog, session = _catalog(with_durations=False), read_session({})
    heard: dict[str | None, list[int]] = {split: [] for split in SPLITS}
    for turn in range(30):
        split = SPLITS[turn % 3]
        answers = answer(
            _requests(2, split=split, size=30, method="epoch", session="s", category="voice"),
            _snapshots(catalog, {"s": session}),
            np.random.default_rng(turn),
        )
        for result in answers.results:
            heard[split] += json.loads(dict(zip(result.fields[0::2], result.fields[1::2], strict=True))["chunk_ids"])
        stored = answers.visits["s"].change.stored
        assert set(stored) == {"epoch:voice" if split is None else f"epoch:voice+{split}"}
        session = answers.visits["s"].after
    sizes = {None: 900, "train": 900, "val": 90}
    for split, size in sizes.items():
        times = Counter(Counter(heard[split]).values())
        assert len(heard[split]) == 600
        assert max(times) - min(times) <= 1  # each chunk once a pass
        assert len(set(heard[split])) == min(600, size)
    assert heard[None] != heard["train"]
    assert set(read_session(session.fields).cursors) == {"voice", "voice+train", "voice+val"}


def test_made_up_splits_leave_little_behind() -> None:
    snapshots = _snapshots(_catalog(with_durations=False))
    derived = snapshots.derived
    assert derived is not None
    for number in range(MOST_KEPT + 100):
        (reply,) = _replies(_requests(1, split=f"s{number}"), snapshots)
        assert reply.error == "no_ready_chunks"
    assert derived.kept <= MOST_KEPT
    assert set(derived._views) == {None}
