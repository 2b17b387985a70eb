"""Budgets in seconds: what is refused, and which other parts of a worker go by the resulting sizes."""

from typing import Any

import numpy as np
import pytest

from tests.support.batches import ask, drawn_of, library_of, snapshots_of
from tests.support.drawing import catalog_of, lasting_catalog, weights_of, with_durations_held
from worker.core.catalog import Catalog, Columns, build_catalog, part_name
from worker.core.draw.answer import answer
from worker.core.draw.buckets import Buckets
from worker.core.draw.derived import Derived
from worker.core.draw.prepare import Excluded, Snapshots, Unanswerable, prepare
from worker.core.draw.sessions import read_session
from worker.core.draw.slicing import is_heavy, slice_by_work
from worker.core.stats import read_counts
from worker.core.stats.departures import departures
from worker.core.weights.in_force import InForce
from worker.core.wire import Terms

LASTING = lasting_catalog({"voice": 60, "music": 40}, {"voice": 3.0, "music": 12.0}, spread=0.5)
HELD = with_durations_held(LASTING)
WEIGHTS = weights_of({"voice": 0.5, "music": 0.5})


def _refusal(catalog: Catalog, **fields: Any) -> str:
    found = prepare(ask(**fields).terms, snapshots_of(catalog, WEIGHTS))
    assert isinstance(found, Unanswerable)
    assert found.error.code == "invalid_request"
    return found.error.message


def test_a_worker_that_holds_no_durations_says_which_setting_it_lacks() -> None:
    message = _refusal(catalog_of({"voice": 5, "music": 5}), budget_s=60.0)
    assert message == (
        "budget_s needs durations, which this worker does not hold; accepted: size instead of it, or the same request "
        "once workers have WORKER_CATALOG_COLUMNS=duration_s or WORKER_WEIGHT_UNIT=seconds"
    )


def _columns(*durations_s: float) -> Columns:
    return Columns(np.zeros(len(durations_s), np.int64), {"duration_s": np.array(durations_s)})


def test_a_chunk_without_a_duration_is_not_left_out_silently() -> None:
    columns = _columns(1.0, np.nan, 2.0, 0.0)
    catalog = build_catalog(np.arange(4), np.array([0, 0, 1, 0], np.uint16), ["voice", "music"], None, columns)
    assert "2 READY chunks of voice have no duration" in _refusal(catalog, budget_s=60.0, buckets=3)
    one = build_catalog(
        np.arange(3), np.array([0, 0, 1], np.uint16), ["voice", "music"], None, _columns(1.0, np.nan, 2)
    )
    assert "1 READY chunk of voice has no duration" in _refusal(one, budget_s=60.0)


@pytest.mark.parametrize("fields", [{}, {"buckets": 4}, {"budget": "sum"}])
def test_a_chunk_that_is_longer_than_the_budget_is_named(fields: dict[str, Any]) -> None:
    library = library_of(HELD, WEIGHTS)
    longest = max(library.values(), key=lambda one: one.milliseconds)
    message = _refusal(HELD, budget_s=(longest.milliseconds - 1) / 1000, **fields)
    assert f"of {longest.category}, lasts {longest.milliseconds / 1000:g} s; accepted: at least that" in message
    assert drawn_of(
        answer(
            [ask(budget_s=longest.milliseconds / 1000, **fields)], snapshots_of(HELD, WEIGHTS), np.random.default_rng()
        )
    )


@pytest.mark.parametrize("fields", [{}, {"buckets": 4}, {"budget": "sum"}])
def test_more_chunks_than_a_worker_gives_are_refused_with_the_largest_budget(fields: dict[str, Any]) -> None:
    message = _refusal(HELD, budget_s=3000.0, size=35, **fields)
    largest = float(message.partition("accepted: up to ")[2].partition(",")[0])
    snapshots = snapshots_of(HELD, WEIGHTS)
    accepted = prepare(ask(budget_s=largest, size=35, **fields).terms, snapshots)
    assert not isinstance(accepted, Unanswerable)
    assert isinstance(prepare(ask(budget_s=largest + 0.001, size=35, **fields).terms, snapshots), Unanswerable)


def test_where_no_budget_is_small_enough_fewer_buckets_are_accepted() -> None:
    message = _refusal(HELD, budget_s=40.0, size=10, buckets=32)
    assert "room for" in message
    assert message.endswith("accepted: fewer buckets, as a worker gives a request at most 10 chunk ids")
    assert not isinstance(prepare(ask(budget_s=40.0, size=10).terms, snapshots_of(HELD, WEIGHTS)), Unanswerable)


def test_a_held_duration_is_rounded_up_so_that_a_batch_keeps_its_budget() -> None:
    columns = Columns(np.zeros(2, np.int64), {"duration_s": np.array([1.0004, 4.02])})
    catalog = build_catalog(np.arange(2), np.array([1, 0], np.uint16), ["voice", "music"], None, columns)
    milliseconds = Derived(catalog).milliseconds
    assert milliseconds is not None
    assert milliseconds.tolist() == [1001, 4020]


def test_without_replacement_a_batch_has_at_most_all_chunks_of_its_bucket() -> None:
    for fields in ({}, {"buckets": 4}):
        request = ask(budget_s=5000.0, replace=False, **fields)
        [ids] = drawn_of(answer([request], snapshots_of(HELD, WEIGHTS), np.random.default_rng(1)))
        assert len(ids) == len(set(ids)) <= 100


def test_passes_of_a_session_go_on_in_batches_of_a_budget_without_buckets() -> None:
    sessions = {"s": read_session({})}
    snapshots = snapshots_of(HELD, WEIGHTS)._replace(sessions=sessions)
    longest_ms = max(one.milliseconds for one in library_of(HELD, WEIGHTS).values())
    terms: dict[str, Any] = {"budget_s": 10 * longest_ms / 1000, "method": "epoch", "session": "s", "category": "voice"}
    heard: list[int] = []
    for _ in range(6):
        answers = answer([ask(**terms)], snapshots, np.random.default_rng(2))
        snapshots = snapshots._replace(sessions={"s": answers.visits["s"].after})
        heard += drawn_of(answers)[0]
    assert len(heard) >= 60
    assert len(set(heard[:60])) == 60


@pytest.mark.parametrize("fields", [{"buckets": 4}, {"budget": "sum"}, {}])
def test_a_schedule_goes_on_by_the_chunks_that_came(fields: dict[str, Any]) -> None:
    schedule = (
        b'{"points": [{"at": 0, "weights": {"voice": 1}}, {"at": 1000, "weights": {"music": 1}}], "unit": "chunks"}'
    )
    snapshots = snapshots_of(HELD, WEIGHTS)._replace(
        sessions={"s": read_session({"schedule": schedule, "weights": b'{"voice": 1}'})}
    )
    requests = [ask(number, budget_s=300.0, session="s", pin=True, **fields) for number in range(3)]
    answers = answer(requests, snapshots, np.random.default_rng(3))
    assert answers.visits["s"].position == sum(map(len, drawn_of(answers)))


@pytest.mark.parametrize("fields", [{"buckets": 4}, {"budget": "sum"}, {}])
def test_counts_of_splits_seeds_and_sessions_go_by_the_chunks_that_came(fields: dict[str, Any]) -> None:
    parts = [part_name("voice", "val"), part_name("voice", "train")]
    ms = np.arange(1000, 9000, 100).astype(np.uint32)
    catalog = build_catalog(np.arange(len(ms)), np.arange(len(ms)).astype(np.uint16) % 2, parts, ms)
    weights = weights_of({"voice": 1.0})
    snapshots = Snapshots(Derived(catalog), {None: InForce(None, weights, ())}, 0, {"s": read_session({})})
    requests = [ask(i, seed=i, budget_s=90.0, split="val", session="s", **fields) for i in range(5)]
    answers = answer(requests, snapshots, np.random.default_rng(3))
    drawn = drawn_of(answers)
    total = sum(map(len, drawn))
    counts = read_counts(answers.tally.fields)
    assert counts.splits["val"].chunks == answers.tally.asked.seeded == counts.chunks == total
    assert read_counts(answers.visits["s"].tally.fields).chunks == total
    assert {chunk % 2 for ids in drawn for chunk in ids} == {0}


@pytest.mark.parametrize("fields", [{"buckets": 4}, {"budget": "sum"}, {}])
def test_a_chunk_that_is_excluded_bounds_no_batch(fields: dict[str, Any]) -> None:
    library = library_of(HELD, WEIGHTS)
    longest = max(one.milliseconds for one in library.values())
    kept = lasting_catalog({"voice": 60}, {"voice": 3.0}, spread=0.5)
    without = Excluded(b"1", Derived(with_durations_held(kept)))
    snapshots = snapshots_of(HELD, WEIGHTS)._replace(excluded={"long": without})
    request = ask(budget_s=longest / 2000, exclude="long", **fields)
    [ids] = drawn_of(answer([request], snapshots, np.random.default_rng(3)))
    assert set(ids) <= set(kept.ids.tolist())
    assert "the longest chunk that can be drawn" in _refusal(HELD, budget_s=longest / 2000, **fields)


def test_drift_knows_how_many_chunks_one_draw_of_a_bucket_decides_on() -> None:
    answers = answer([ask(budget_s=300.0, buckets=4)], snapshots_of(HELD, WEIGHTS), np.random.default_rng(3))
    prepared = prepare(ask(budget_s=300.0, buckets=4).terms, snapshots_of(HELD, WEIGHTS))
    assert not isinstance(prepared, Unanswerable)
    assert isinstance(prepared.batch.varying, Buckets)
    found = departures(read_counts(answers.tally.fields), answers.tally.asked, 1.0)
    assert {one.drawn.longest for one in found.values()} == {float(prepared.batch.varying.sizes.max())}


def test_requests_with_a_budget_are_cut_by_how_much_they_are_likely_to_get() -> None:
    requests = [ask(number, budget_s=400.0, buckets=4) for number in range(1000)]
    assert len(list(slice_by_work(requests))) == 1
    [part] = slice_by_work(requests[:1])
    assert not is_heavy(part, snapshots_of(HELD, WEIGHTS))
    assert Terms().budget_s is None
