"""What a report makes of lines, before anything is drawn."""

import json
import math
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.events import (
    EVENTS,
    CategoryStats,
    Event,
    MixComplete,
    MixLeftOut,
    PostgresLost,
    RedisLost,
    RedisRestored,
    RequestClaimed,
    RequestRejected,
    WeightsChanged,
    WorkerReady,
    WorkerStarted,
    WorkerStats,
    WorkerStopped,
)
from worker.logs import emit as logs
from worker.report.bins import Bins, divide
from worker.report.changes import find_changes
from worker.report.fit import fit_categories, group_draws
from worker.report.missing import missing_at_end
from worker.report.mix_panel import name_lines
from worker.report.reading import read_lines
from worker.report.records import Draws, MissingCategories, Records
from worker.report.summary import describe_missing
from worker.report.timeline import Outage, Timeline, build_timeline

T0 = datetime(2026, 11, 24, 12, tzinfo=UTC).timestamp()


def written(at: float, event: Event, consumer: str = "w-1") -> bytes:
    """Write the line that a worker writes, as if it were some seconds after noon."""
    stamp = datetime.fromtimestamp(T0 + at, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    head = {"timestamp": stamp, "level": event.level, "event": event.event, "consumer": consumer}
    return logs._render_json(None, "", {**head, **logs._flatten(event)}).encode() + b"\n"


def worker_stats(
    requests: int = 10, chunks: int = 100, *, interval_s: float = 10.0, p50: float | None = 2.0, p99: float | None = 9.0
) -> WorkerStats:
    return WorkerStats(
        interval_s=interval_s,
        requests=requests,
        chunks=chunks,
        errors=1,
        requests_per_s=requests / 10,
        chunks_per_s=chunks / 10,
        latency_p50_ms=p50,
        latency_p95_ms=p99,
        latency_p99_ms=p99,
        latency_max_ms=p99,
        lag=0,
        pending=0,
        redrawn=0,
        weights_version="v1",
        catalog_version="c1",
        log_lines_dropped=0,
        oldest_pending_ms=None,
        loop_lag_ms=0.0,
        memory_bytes=None,
    )


def category_stats(  # noqa: PLR0913 - as many as the line has fields
    category: str,
    count: int,
    expected: float,
    z: float | None,
    *,
    weight: float = 0.5,
    dataset: str | None = None,
    version: str = "v1",
    audio_s: float | None = None,
) -> CategoryStats:
    return CategoryStats(
        dataset=dataset,
        category=category,
        count=count,
        audio_s=audio_s,
        weight=weight,
        share=0.5,
        expected=expected,
        z=z,
        ready=7,
        weights_version=version,
    )


def weights_changed(
    after: dict[str, float], *, version: str, before: dict[str, float] | None = None, dataset: str | None = None
) -> WeightsChanged:
    text = None if before is None else json.dumps(before)
    return WeightsChanged(dataset=dataset, version=version, source="redis", before=text, after=json.dumps(after))


def worker_started(consumer: str = "w-1") -> WorkerStarted:
    return WorkerStarted(
        version="1",
        consumer=consumer,
        pid=1,
        prefix="audio",
        weight_unit="chunks",
        redis="redis://",
        postgres="postgresql://",
        python="3.11",
    )


def worker_stopped() -> WorkerStopped:
    return WorkerStopped(reason="SIGTERM", exit_status=0, requests=1, chunks=1, uptime_s=1.0)


def worker_ready(version: str, consumer: str = "w-1") -> WorkerReady:
    return WorkerReady(
        consumer=consumer, startup_ms=1.0, weights_version=version, catalog_version="c1", chunks=1, categories=1
    )


def read(*lines: bytes, source: str = "w.log") -> Records:
    return read_lines([(source, lines)])


def timeline_of(*lines: bytes) -> Timeline:
    timeline = build_timeline(read(*lines))
    assert timeline is not None
    return timeline


def draws(
    category: str, count: float, expected: float, z: float | None, dataset: str = "", *, share: float = 0.5
) -> Draws:
    return Draws(T0, 10.0, dataset, category, count, share, expected, z, 0.5, "v1")


# --- reading ---------------------------------------------------------------------------------------------------------


def test_what_stands_before_a_line_is_passed_over() -> None:
    line = written(10, worker_stats())
    records = read(b"worker-1  | " + line, b"Nov 24 12:00:10 host sampling-worker[7]: " + written(20, worker_stats()))
    assert (records.lines, records.unused, len(records.intervals)) == (2, 0, 2)
    assert records.intervals[0].worker == "w-1"
    assert records.intervals[0].at == T0 + 10


def test_a_line_that_stood_there_before_is_counted_once() -> None:
    line = written(10, worker_stats())
    records = read_lines([("a.log", [line]), ("b.log", [b"worker-1  | " + line])])
    assert (records.lines, records.repeated, len(records.intervals)) == (2, 1, 1)


@pytest.mark.parametrize(
    "line",
    [
        b"Started sampling-worker.service",
        b"{broken",
        b'{"event": "worker.stats"}',
        b"[1, 2]",
        b"7",
        b"{}",
        b'{"timestamp": "yesterday", "event": "worker.stats"}',
        b'{"timestamp": "9999-12-31T23:59:59Z", "event": "worker.stopped"}',
        b'{"timestamp": "2026-11-24T12:00:00Z", "event": ["worker.stopped"]}',
        b'{"timestamp": "2026-11-24T12:00:00Z", "event": {"worker.stopped": 1}}',
        b'{"bench": "throughput", "rows": [{"size": 1}]}',
        b'{"a":' * 100_000,
        b"\xff\xfe\x00",
        written(1, worker_stats()).replace(b'"requests": 10', b'"requests": "10"'),
        written(1, worker_stats()).replace(b'"requests": 10', b'"requests": -1'),
        written(1, worker_stats()).replace(b'"requests": 10', b'"requests": true'),
        written(1, worker_stats()).replace(b'"requests": 10', b'"requests": NaN'),
        written(1, worker_stats()).replace(b'"requests": 10', b'"requests": 1e999'),
        written(1, worker_stats()).replace(b'"requests": 10', b'"requests": 1' + b"0" * 400),
        written(1, worker_stats()).replace(b'"requests"', b'"renamed"'),
    ],
)
def test_a_line_that_tells_nothing_is_counted(line: bytes) -> None:
    records = read(line, written(10, worker_stats()))
    assert (records.lines, records.unused, len(records.intervals)) == (2, 1, 1)


@given(st.lists(st.one_of(st.binary(max_size=60), st.text(max_size=60).map(str.encode)), max_size=20))
def test_reading_never_fails(lines: list[bytes]) -> None:
    records = read(*lines)
    assert 0 <= records.unused + records.repeated <= records.lines <= len(lines)


@pytest.mark.parametrize("field", ["count", "share", "expected", "weight", "z"])
@pytest.mark.parametrize("value", ["true", '"7"', "[]", "-1e16", "1e16"])
def test_counts_of_a_category_that_are_no_numbers_are_left_out(field: str, value: str) -> None:
    entry = json.loads(written(10, category_stats("voice", 5, 5.0, 0.5)))
    broken = json.dumps({**entry, field: "?"}).replace('"?"', value)
    records = read(broken.encode(), written(10, category_stats("voice", 5, 5.0, 0.5)))
    assert (records.lines, records.unused, len(records.draws)) == (2, 1, 1)


def test_the_same_line_with_its_fields_in_another_order_is_counted_once() -> None:
    line = written(10, worker_stats())
    entry = dict(sorted(json.loads(line).items()))
    labelled = {**entry, "labels": {"app": "worker"}}
    records = read(line, json.dumps(entry).encode(), json.dumps(labelled).encode(), json.dumps(labelled).encode())
    assert (records.repeated, len(records.intervals)) == (2, 2)


PLAIN: dict[type, Any] = {str: "{}", int: 1, float: 1.0, bool: True}


def plain_event(kind: type[Event]) -> Event:
    """Make an event whose fields say as little as they can."""
    values: dict[str, Any] = {}
    for name, hint in get_type_hints(kind).items():
        if name in {field.name for field in fields(kind)}:
            first = (get_args(hint) or (hint,))[0]
            values[name] = PLAIN.get(first, first)
    return kind(**values)


@pytest.mark.parametrize("kind", [kind for kind in EVENTS.values() if kind.level in {"warning", "error"}])
def test_every_warning_and_error_is_on_the_picture(kind: type[Event]) -> None:
    line = written(0.0, plain_event(kind))
    assert [one.event for one in read_lines([("w", [line])]).occurrences] == [kind.event]


def test_empty_lines_are_no_lines_and_unknown_events_are_not_in_the_way() -> None:
    unknown = written(5, worker_stats()).replace(b"worker.stats", b"worker.dreamt")
    assert read(b"\n", b"  \n", unknown) == Records(lines=1)


def test_a_line_without_a_consumer_or_time_zone_is_of_its_file_and_utc() -> None:
    line = written(10, worker_stats()).replace(b', "consumer": "w-1"', b"").replace(b'Z"', b'"')
    (interval,) = read(line, source="seven.log").intervals
    assert (interval.worker, interval.at) == ("seven.log", T0 + 10)


def test_a_category_line_is_of_the_interval_that_its_worker_told_last() -> None:
    records = read(
        written(9, category_stats("voice", 1, 1.0, None)),
        written(10, worker_stats(interval_s=10.0)),
        written(11, worker_stats(interval_s=3.0), "w-2"),
        written(10, category_stats("voice", 5, 5.0, None)),
    )
    assert [line.length_s for line in records.draws] == [0.0, 10.0]


# --- time in parts ---------------------------------------------------------------------------------------------------


@given(
    st.integers(1, 50),
    st.lists(st.tuples(st.floats(0, 100), st.floats(0, 60), st.floats(0, 1e6)), max_size=30),
)
def test_what_is_shared_out_to_parts_is_what_lies_in_each(
    count: int, intervals: list[tuple[float, float, float]]
) -> None:
    bins = Bins(T0, 100 / count, count)
    ends, lengths = [T0 + end for end, _, _ in intervals], [length for _, length, _ in intervals]
    found = bins.spread(ends, lengths, [amount for _, _, amount in intervals])
    wanted = np.zeros(count)
    for end, length, amount in intervals:
        length = max(length, 1e-3)  # noqa: PLW2901 - a moment has to have some length
        low, high = np.maximum(bins.edges[:-1] - T0, end - length), np.minimum(bins.edges[1:] - T0, end)
        wanted += amount * np.maximum(high - low, 0) / length
    assert found.shape == (count,)
    assert (found >= 0).all()
    # Unix time has steps of 0.2 us, and a moment is 1 ms long.
    assert np.allclose(found, wanted, atol=1e-3 * sum(amount for _, _, amount in intervals) + 1e-8)


def test_the_highest_value_of_a_part_is_that_of_what_overlaps_it() -> None:
    bins = Bins(0.0, 10.0, 3)
    found = bins.highest([10.0, 10.05, 20.0], [10.0, 5.0, 10.0], [1.0, 5.0, 2.0])
    assert found.tolist()[:2] == [5.0, 2.0]
    assert math.isnan(found[2])


def test_a_span_is_divided_into_parts_of_about_the_width_wanted_and_not_too_many() -> None:
    assert divide(0, 100, width_s=9.9, most=240) == Bins(0, 10.0, 10)
    assert divide(0, 100, width_s=0.001, most=50) == Bins(0, 2.0, 50)
    assert divide(5, 5, width_s=10, most=50).count == 1


# --- counts against expectations -------------------------------------------------------------------------------------


def test_counts_and_expectations_are_summed_and_z_is_that_of_the_sums() -> None:
    lines = [draws("voice", 60, 50.0, 2.0), draws("voice", 45, 50.0, -1.0), draws("music", 40, 50.0, -2.0)]
    fits = {fit.category: fit for fit in fit_categories(group_draws(lines))[""]}
    assert (fits["voice"].count, fits["voice"].expected) == (105, 100)
    assert fits["voice"].z == pytest.approx(5 / math.sqrt(25 + 25))
    assert fits["music"].z == pytest.approx(-2.0)


def test_lines_that_tell_seconds_are_summed_in_seconds() -> None:
    lines = [
        category_stats("voice", 3, 10.0, 1.0, audio_s=12.5),
        category_stats("music", 0, 20.0, -1.0, audio_s=0.0),
        category_stats("music", 4, 20.0, None, dataset="d"),
    ]
    records = read(*(written(i, line) for i, line in enumerate(lines)))
    fits = fit_categories(group_draws(records.draws))
    assert [(fit.category, fit.count, fit.unit) for fit in fits[""]] == [
        ("voice", 12.5, "seconds"),
        ("music", 0.0, "seconds"),
    ]
    assert [(fit.count, fit.unit) for fit in fits["d"]] == [(4.0, "count")]


def test_draws_that_left_nothing_to_chance_have_no_z() -> None:
    (fit,) = fit_categories(group_draws([draws("voice", 50, 50.0, None)]))[""]
    assert fit.z is None


def test_a_z_of_about_zero_tells_no_variance_and_is_taken_to_be_of_independent_draws() -> None:
    (fit,) = fit_categories(group_draws([draws("voice", 50, 50.0, 0.0), draws("voice", 0, 0.1, -0.01)]))[""]
    assert fit.z == pytest.approx(-0.1 / math.sqrt(25 + 0.05))
    # Half as much in a line that tells it, as where some draws are stratified: so it is in one that does not.
    half = [draws("voice", 55, 50.0, 5 / math.sqrt(12.5), share=0.55), draws("voice", 50, 50.0, 0.0)]
    (fit,) = fit_categories(group_draws(half))[""]
    assert fit.z == pytest.approx(5 / math.sqrt(12.5 + 12.5))


def test_datasets_come_by_how_much_was_drawn_behind_the_global_weights() -> None:
    lines = [draws("a", 1, 1, None, "small"), draws("a", 9, 9, None, "large"), draws("a", 5, 5, None)]
    assert list(fit_categories(group_draws(lines))) == ["", "large", "small"]


@pytest.mark.parametrize("seed", range(5))
def test_the_overall_z_is_nearly_that_of_the_exact_variances(seed: int) -> None:
    rng = np.random.default_rng(seed)
    lines, off, variance = [], 0.0, 0.0
    for size in rng.integers(50, 5000, 200):
        count, expected, sigma = rng.binomial(size, 0.3), size * 0.3, math.sqrt(size * 0.21)
        # Rounded as the reporter rounds.
        share, z = round(count / size, 6), round((count - expected) / sigma, 3)
        lines.append(draws("voice", int(count), round(expected, 3), z, share=share))
        off, variance = off + count - expected, variance + sigma**2
    (fit,) = fit_categories(group_draws(lines))[""]
    assert fit.z == pytest.approx(off / math.sqrt(variance), rel=0.01)


# --- weights ---------------------------------------------------------------------------------------------------------

A, B = {"voice": 0.7, "music": 0.3}, {"music": 0.6, "voice": 0.4}


def changes_found(*lines: bytes) -> list[tuple[float, str, bool]]:
    return [
        (round(change.new.at - T0, 3), change.new.version, change.is_first) for change in find_changes(read(*lines))
    ]


def test_one_change_that_every_worker_tells_is_one() -> None:
    found = changes_found(
        written(0, weights_changed(A, version="a"), "w-1"),
        written(0.1, weights_changed(A, version="a"), "w-2"),
        written(20, weights_changed(B, version="b", before=A), "w-2"),
        written(20.2, weights_changed(A, version="a", before=B), "w-2"),
        written(20.3, weights_changed(B, version="b", before=A), "w-1"),
        written(20.4, weights_changed(A, version="a", before=B), "w-1"),
    )
    assert found == [(0, "a", True), (20, "b", False), (20.2, "a", False)]


def test_a_worker_that_starts_changes_nothing() -> None:
    found = changes_found(
        written(0, worker_ready("a")),
        written(50, weights_changed(A, version="a", before=B), "w-2"),
        written(90, weights_changed(B, version="b", before=A), "w-2"),
    )
    assert found == [(90, "b", False)]


def test_weights_are_known_from_the_changes_and_from_before_the_first() -> None:
    (mix,) = timeline_of(
        written(10, worker_stats()),
        written(10, category_stats("voice", 70, 70.0, 0.1, weight=0.7, version="a")),
        written(15, weights_changed(B, version="b", before=A)),
        written(20, worker_stats()),
        written(20, category_stats("voice", 40, 40.0, 0.1, weight=0.4, version="b")),
    ).mixes
    assert [(step.at, step.weights) for step in mix.steps] == [(-math.inf, A), (T0 + 15, B)]
    assert [change.new.at for change in mix.changes] == [T0 + 15]
    assert [(fit.category, fit.count, fit.z) for fit in mix.fits][1:] == [("music", 0.0, None)]


def test_weights_are_known_from_the_counts_where_no_change_tells_them_whole() -> None:
    many = {f"c{i}": 1 / 200 for i in range(200)}
    (mix,) = timeline_of(
        written(10, worker_stats()),
        written(10, category_stats("c0", 70, 70.0, 0.1, weight=0.7, version="a")),
        written(10.1, category_stats("c1", 30, 30.0, 0.1, weight=0.3, version="a")),
        written(15, weights_changed(many, version="b")),
        written(20, worker_stats()),
        written(20, category_stats("c0", 1, 1.0, 0.1, weight=0.005, version="b")),
    ).mixes
    assert [(step.at, step.weights) for step in mix.steps] == [
        (T0, {"c0": 0.7, "c1": 0.3}),
        (T0 + 10, {"c0": 0.005}),
    ]
    assert len(mix.changes) == 1


def test_a_dataset_without_weights_follows_the_global_ones() -> None:
    mixes = timeline_of(
        written(0, worker_ready("a")),
        written(0, weights_changed(B, version="x", dataset="own")),
        written(10, worker_stats()),
        written(10, category_stats("voice", 70, 70.0, 0.1, version="a")),
        written(10, category_stats("voice", 60, 60.0, 0.1, version="x", dataset="own")),
        written(10, category_stats("voice", 50, 50.0, 0.1, version="a", dataset="follower")),
        written(15, weights_changed(B, version="b", before=A)),
        written(20, worker_stats()),
        written(20, category_stats("voice", 10, 10.0, 0.1, version="b", dataset="follower")),
    ).mixes
    assert [(mix.dataset, len(mix.changes)) for mix in mixes] == [("", 1), ("follower", 1), ("own", 0)]


# --- timeline ---------------------------------------------------------------------------------------------------------


def test_rates_are_summed_over_workers() -> None:
    timeline = timeline_of(
        written(10, worker_stats(100, 1000)),
        written(20, worker_stats(300, 3000)),
        written(20, worker_stats(50, 500), "w-2"),
    )
    assert [worker.worker for worker in timeline.workers] == ["w-1", "w-2"]
    assert timeline.requests_per_s.tolist() == [10.0, 35.0]
    assert timeline.chunks_per_s.tolist() == [100.0, 350.0]
    assert (timeline.totals.requests, timeline.totals.chunks, timeline.totals.errors) == (450, 4500, 3)


def test_latencies_of_workers_are_joined_as_the_picture_says() -> None:
    timeline = timeline_of(
        written(10, worker_stats(10, p50=1.0, p99=5.0)),
        written(10, worker_stats(30, p50=2.0, p99=4.0), "w-2"),
        written(20, worker_stats(0, p50=None, p99=None)),
    )
    assert timeline.p50_ms[0] == pytest.approx(1.75)
    assert timeline.p99_ms[0] == 5.0
    assert math.isnan(timeline.p50_ms[1])
    assert math.isnan(timeline.p99_ms[1])


def test_outages_end_when_the_server_is_back_or_the_worker_or_the_log_is_at_its_end() -> None:
    lost, back = RedisLost(message="gone"), RedisRestored(down_s=4.0)
    timeline = timeline_of(
        written(4, back, "w-0"),
        written(10, lost),
        written(12, lost),
        written(15, RedisRestored(down_s=5.0)),
        written(20, lost),
        written(25, worker_stopped()),
        written(30, PostgresLost(message="gone")),
        written(40, worker_started("w-9"), "w-9"),
    )
    assert set(timeline.outages) == {
        Outage("redis.lost", T0, T0 + 4),
        Outage("redis.lost", T0 + 10, T0 + 15),
        Outage("redis.lost", T0 + 20, T0 + 25),
        Outage("postgres.lost", T0 + 30, T0 + 40),
    }


def test_a_line_counts_as_many_as_it_stands_for() -> None:
    rejected = RequestRejected(request_id="r", entry_id="1-0", error="expired", message="late", suppressed=6)
    occurrences = timeline_of(written(1, rejected), written(2, RequestClaimed(count=3, deliveries_max=1))).occurrences
    assert [occurrence.count for occurrence in occurrences] == [7, 3]


def test_nothing_told_is_no_history() -> None:
    assert build_timeline(read(b"noise")) is None


# --- what was left out of the mix


def _left_out(categories: str, share: float, dataset: str | None = None) -> MixLeftOut:
    return MixLeftOut(dataset=dataset, categories=categories, share=share, weights_version="v1", catalog_version="c1")


def test_what_was_left_out_at_the_end_is_told_once_however_many_workers_said_so() -> None:
    lines = [
        *(written(i, _left_out("jazz", 0.3), f"w-{i}") for i in range(3)),
        written(3, _left_out("voic", 0.7, "d")),
        written(4, _left_out("rock", 0.1, "e")),
        written(5, MixComplete(dataset="e", weights_version="v2", catalog_version="c1")),
    ]
    records = read_lines([("one", lines)])
    missing = missing_at_end(records, timeline_of(*lines).workers)
    assert missing == [("", MissingCategories("jazz", 0.3)), ("d", MissingCategories("voic", 0.7))]
    assert describe_missing(missing) == [
        "global weights: jazz had no READY chunk at the end, 30.0% of the weights",
        "dataset d: voic had no READY chunk at the end, 70.0% of the weights",
    ]
    assert [occurrence.event for occurrence in records.occurrences] == ["mix.left_out"] * 5


def test_a_long_name_of_a_category_is_written_whole_as_long_as_there_is_room() -> None:
    long = "far-field-meeting-speech-v20"
    assert name_lines(["voice", long, "music"]) == [["voice"], [long, ""], ["music"]]
    many = [f"{long}-{number}" for number in range(8)]
    laid = name_lines(many)
    assert [len(lines) for lines in laid] == [2, 2, 1, 1, 1, 1, 1, 1]
    assert laid[-1] == ["far-field-meeti…"]
    assert name_lines(["x" * 64]) == [[f"{'x' * 39}…", ""]]
