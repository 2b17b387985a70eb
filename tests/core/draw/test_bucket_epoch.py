"""Length buckets in passes: each chunk comes once a pass of its length class, and the mix stays that of the weights."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.batches import ask, ids_of, library_of, score_of_mix, snapshots_of
from tests.support.drawing import FALSE_ALARM, chance_of_z, lasting_catalog, weights_of, with_durations_held
from worker.core.catalog import Catalog, build_catalog, part_name, without
from worker.core.draw.answer import answer
from worker.core.draw.bucket_epoch import Listener, _next_numbers
from worker.core.draw.buckets import Buckets
from worker.core.draw.cursor import is_round
from worker.core.draw.derived import Derived, Prepared
from worker.core.draw.groups import Answers
from worker.core.draw.length_classes import BOUNDS_MS, class_of
from worker.core.draw.lengths import milliseconds_of
from worker.core.draw.prepare import Excluded, Snapshots, prepare
from worker.core.draw.sessions import Session, Visit, read_session
from worker.core.stats import read_counts
from worker.core.weights.in_force import InForce
from worker.core.weights.values import Weights
from worker.core.wire import Result, decode_result
from worker.core.wire.exclusions import pack_ids

LASTING = lasting_catalog(
    {"voice": 160, "music": 90, "noise": 70}, {"voice": 3.0, "music": 12.0, "noise": 1.0}, spread=0.5
)
LIBRARIES = {"of seconds": LASTING, "of chunks": with_durations_held(LASTING)}
WEIGHTS = weights_of({"voice": 0.5, "music": 0.2, "noise": 0.3})
of_both_units = pytest.mark.parametrize("catalog", LIBRARIES.values(), ids=LIBRARIES)
Heard = list[tuple[int, str, int]]
"""(chunk, category, pass) of a result, in its order."""


def test_classes_are_eight_to_an_octave_and_hold_every_duration() -> None:
    bounds = BOUNDS_MS.tolist()
    assert bounds[0] == 1
    assert bounds[-1] >= 10**9
    assert {2**i for i in range(30)} <= set(bounds)
    assert all(high <= (low + 1) * 2 ** (1 / 8) for low, high in pairwise(bounds))
    ms = np.array([1, 2, 3, 1000, 5792, 5793, 10**9])
    classes = class_of(ms)
    assert (BOUNDS_MS[classes] >= ms).all()
    assert (BOUNDS_MS[np.maximum(classes, 1) - 1] < ms)[1:].all()


class Hearing:
    """A session that hears batch after batch."""

    def __init__(self, catalog: Catalog, **terms: Any) -> None:
        self.session = Session()
        self.derived = Derived(catalog)
        self.terms = {"method": "epoch", "session": "s", "budget_s": 400.0, "buckets": 5, **terms}
        self.rng = np.random.default_rng(7)

    def snapshots(self, weights: Weights) -> Snapshots:
        return Snapshots(self.derived, {None: InForce(None, weights, ())}, 0, {"s": self.session})

    def hear(self, requests: int, weights: Weights = WEIGHTS) -> tuple[Answers, list[Heard]]:
        """Draw a batch, and read the session again from what settling would write."""
        asked = [ask(number, **self.terms) for number in range(requests)]
        answers = answer(asked, self.snapshots(weights), self.rng)
        fields = {**self.session.fields, **answers.visits["s"].change.stored}
        self.session = read_session(fields)
        ordered = sorted(answers.results, key=lambda result: int(result.entry_id.partition("-")[0]))
        return answers, [_heard(result, self.derived.catalog) for result in ordered]


def _heard(result: Result, catalog: Catalog) -> Heard:
    """Read the pass of each id: within a category, those of a pass come before those of the next."""
    words = [word.encode() if isinstance(word, str) else word for word in result.fields]
    owner = {chunk: name for name, ids in catalog.segments() for chunk in ids.tolist()}
    passes = {
        name: [number for number, count in sorted(spans.items()) for _ in range(count)]
        for name, spans in decode_result(words).passes.items()
    }
    rests: dict[str, Iterator[int]] = {name: iter(numbers) for name, numbers in passes.items()}
    heard = [(chunk, owner[chunk], next(rests[owner[chunk]])) for chunk in ids_of(result)]
    assert Counter(name for _, name, _ in heard) == {name: len(numbers) for name, numbers in passes.items()}
    return heard


def _classes(catalog: Catalog) -> dict[int, tuple[str, int]]:
    """List category and length class of each chunk."""
    milliseconds = milliseconds_of(catalog)
    assert milliseconds is not None
    names = [name for name, ids in catalog.segments() for _ in ids]
    return dict(zip(catalog.ids.tolist(), zip(names, class_of(milliseconds).tolist(), strict=True), strict=True))


def _check_passes(heard: Sequence[Heard], catalog: Catalog) -> None:
    """Check that each chunk comes for the n-th time in pass n, and that passes do not overlap."""
    class_by_chunk, counts = _classes(catalog), Counter[int]()
    members: dict[tuple[str, int], list[int]] = {}
    for chunk, own in class_by_chunk.items():
        members.setdefault(own, []).append(chunk)
    for request in heard:
        for chunk, _, number in request:
            counts[chunk] += 1
            assert number == counts[chunk]
        for own in {class_by_chunk[chunk] for chunk, _, _ in request}:
            times = [counts[chunk] for chunk in members[own]]
            assert max(times) - min(times) <= 1


def _check_buckets(heard: Sequence[Heard], hearing: Hearing, weights: Weights = WEIGHTS) -> None:
    prepared = prepare(ask(**hearing.terms).terms, hearing.snapshots(weights))
    assert isinstance(prepared, Prepared)
    assert isinstance(prepared.batch.varying, Buckets)
    buckets, milliseconds = prepared.batch.varying, milliseconds_of(hearing.derived.catalog)
    assert milliseconds is not None
    lasting = dict(zip(hearing.derived.catalog.ids.tolist(), milliseconds.tolist(), strict=True))
    for request in heard:
        own = np.searchsorted(buckets.cells.longest_ms, [lasting[chunk] for chunk, _, _ in request])
        assert len(set(own.tolist())) == 1
        assert len(request) == buckets.sizes[own[0]]
        assert max(lasting[chunk] for chunk, _, _ in request) * len(request) <= hearing.terms["budget_s"] * 1000
        assert hearing.terms.get("replace", True) or len({chunk for chunk, _, _ in request}) == len(request)


@given(
    durations=st.lists(st.integers(1, 12) | st.integers(900, 9000), min_size=1, max_size=50),
    count=st.integers(2, 64),
    budget_ms=st.integers(9000, 60_000),
    batches=st.lists(st.tuples(st.integers(1, 5), st.integers(1, 9)), min_size=1, max_size=5),
    replace=st.booleans(),
)
def test_each_chunk_comes_once_a_pass_of_its_class_while_weights_move(
    durations: list[int], count: int, budget_ms: int, batches: list[tuple[int, int]], *, replace: bool
) -> None:
    ms = np.array(durations, np.uint32)
    catalog = build_catalog(np.arange(len(ms)), np.arange(len(ms)).astype(np.uint16) % 3, ["a", "b", "c"], ms)
    hearing, heard = Hearing(catalog, budget_s=budget_ms / 1000, buckets=count, replace=replace), list[Heard]()
    for requests, share in batches:
        weights = weights_of({"a": share, "b": 1, "c": 2})
        _, own = hearing.hear(requests, weights)
        _check_buckets(own, hearing, weights)
        heard += own
    _check_passes(heard, catalog)


@of_both_units
@pytest.mark.parametrize("replace", [True, False])
def test_the_mix_is_that_of_live_weights_and_counts_are_what_the_tally_expects(
    catalog: Catalog, *, replace: bool
) -> None:
    hearing, heard = Hearing(catalog, replace=replace, budget_s=120.0), list[Heard]()
    for weights in (WEIGHTS, weights_of({"voice": 0.1, "music": 0.6, "noise": 0.3})):
        library, own, scores = library_of(catalog, weights), list[Heard](), list[float]()
        for _ in range(20):
            answers, some = hearing.hear(60, weights)
            own += some
            scores += [row.z for row in read_counts(answers.tally.fields).categories]
            assert read_counts(answers.visits["s"].tally.fields).chunks == sum(map(len, some))
        drawn = [[chunk for chunk, _, _ in request] for request in own]
        if replace:  # else the few chunks of a category run out within a bucket
            assert min(chance_of_z(float(z)) for z in score_of_mix(library, drawn)) > FALSE_ALARM / 3
        assert chance_of_z(sum(scores[::3]) / 20**0.5) > FALSE_ALARM
        _check_buckets(own, hearing, weights)
        heard += own
    _check_passes(heard, catalog)


def test_in_one_pass_few_chunks_are_left_out() -> None:
    """Independent draws leave 37 % of a category's chunks out, when as many were drawn as there are."""
    sizes = {"voice": 3000, "music": 2000, "noise": 1000}
    catalog = with_durations_held(lasting_catalog(sizes, {"voice": 3.0, "music": 12.0, "noise": 1.0}, spread=0.5))
    hearing, counts, drawn = Hearing(catalog), Counter[int](), Counter[str]()
    left_out: dict[str, float] = {}
    while len(left_out) < len(sizes):
        for request in hearing.hear(1)[1]:
            counts.update(chunk for chunk, _, _ in request)
            drawn.update(name for _, name, _ in request)
        for name, ids in catalog.segments():
            if drawn[name] >= len(ids) and name not in left_out:
                left_out[name] = sum(counts[chunk] == 0 for chunk in ids.tolist()) / len(ids)
    assert max(left_out.values()) < 0.1


def test_buckets_come_as_often_as_they_should_whichever_requests_are_looked_at() -> None:
    """Numbers spread evenly over [0, 1) are so for each n-th request, and from any request on."""
    for session in "abc":
        hearing = Hearing(LIBRARIES["of chunks"], session=session)
        visit = Visit(hearing.session)
        listener = Listener(ask(**hearing.terms).terms, hearing.derived, visit)
        numbers = np.concatenate([_next_numbers(listener, 50) for _ in range(40)])
        assert numbers.min() >= 0
        assert numbers.max() < 1
        for some in (numbers, numbers[777:], numbers[::2], numbers[3::5]):
            found = np.searchsorted(np.sort(some), np.arange(1, 20) / 20)
            assert np.abs(found - np.arange(1, 20) / 20 * len(some)).max() < 8


def test_sessions_keep_a_cursor_for_each_class_and_split() -> None:
    parts = [part_name("voice", "val"), part_name("voice", "train")]
    ms = np.repeat([1000, 1010, 5000], 20).astype(np.uint32)
    catalog = build_catalog(np.arange(60), np.arange(60).astype(np.uint16) % 2, parts, ms)
    stored = {}
    for split in (None, "val"):
        hearing = Hearing(catalog, split=split, budget_s=20.0)
        for _ in range(10):
            hearing.hear(3, weights_of({"voice": 1}))
        stored[split] = set(hearing.session.fields)
    rounds = {split: {name for name in own if is_round(name.removeprefix("epoch:"))} for split, own in stored.items()}
    assert stored[None] - rounds[None] == {"epoch:voice~1024", "epoch:voice~5311"}
    assert stored["val"] - rounds["val"] == {"epoch:voice+val~1024", "epoch:voice+val~5311"}
    assert len(rounds[None]) == len(rounds["val"]) == len(rounds[None] ^ rounds["val"]) / 2 == 1


def test_a_library_of_one_length_is_gone_through_by_its_class() -> None:
    catalog = build_catalog(np.arange(50), np.zeros(50, np.uint16), ["voice"], np.full(50, 10_000, np.uint32))
    hearing = Hearing(catalog, budget_s=70.0)
    heard = [request for _ in range(7) for request in hearing.hear(2, weights_of({"voice": 1}))[1]]
    assert {len(request) for request in heard} == {7}
    _check_passes(heard, catalog)
    assert {name for name in hearing.session.fields if "voice" in name} == {"epoch:voice~10623"}


def test_chunks_that_are_excluded_are_not_heard_and_the_others_go_on_in_their_passes() -> None:
    catalog = LIBRARIES["of chunks"]
    hearing, excluded = Hearing(catalog), catalog.ids[::3].tolist()
    first = [request for _ in range(4) for request in hearing.hear(5)[1]]
    kept = without(catalog, pack_ids(excluded))
    snapshots = hearing.snapshots(WEIGHTS)._replace(excluded={"x": Excluded(b"1", Derived(kept))})
    asked = [ask(number, exclude="x", **hearing.terms) for number in range(40)]
    answers = answer(asked, snapshots, np.random.default_rng(9))
    heard = [_heard(result, kept) for result in answers.results]
    assert not set(excluded) & {chunk for request in heard for chunk, _, _ in request}
    before = Counter(chunk for request in first for chunk, _, _ in request)
    for request in heard:
        for chunk, _, number in request:
            before[chunk] += 1
            assert number == before[chunk]


def test_requests_that_are_not_bucketed_leave_passes_by_length_as_they_are() -> None:
    hearing = Hearing(LIBRARIES["of chunks"])
    hearing.hear(3)
    by_length = dict(hearing.session.fields)
    hearing.terms = {"method": "epoch", "session": "s", "size": 20}
    hearing.hear(3)
    assert {name: hearing.session.fields[name] for name in by_length} == by_length
    assert set(hearing.session.fields) - set(by_length) == {"epoch:voice", "epoch:music", "epoch:noise"}


def test_a_schedule_is_followed_by_requests_that_go_through_passes() -> None:
    schedule = {"points": [{"at": 0, "weights": {"voice": 1}}, {"at": 500, "weights": {"music": 1}}], "unit": "chunks"}
    session = read_session({"schedule": json.dumps(schedule).encode(), "weights": b'{"voice": 1}'})
    catalog = LIBRARIES["of chunks"]
    snapshots = snapshots_of(catalog, WEIGHTS)._replace(sessions={"s": session})
    terms: dict[str, Any] = {"method": "epoch", "session": "s", "pin": True, "budget_s": 100.0, "buckets": 4}
    answers = answer([ask(number, **terms) for number in range(60)], snapshots, np.random.default_rng(3))
    ordered = sorted(answers.results, key=lambda result: int(result.entry_id.partition("-")[0]))
    heard = [_heard(result, catalog) for result in ordered]
    assert answers.visits["s"].position == sum(map(len, heard))
    assert {name for _, name, _ in heard[0]} == {"voice"}
    assert {name for _, name, _ in heard[-1]} == {"music"}
    _check_passes(heard, catalog)
