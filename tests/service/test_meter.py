"""What was settled is counted, and a few of many requests are logged; percentiles are known within a step."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.log_lines import LogLines, captured_log
from tests.support.waiting import wait_until
from worker.core.draw.groups import Answers
from worker.core.stats import Tally
from worker.core.wire import Request, Result, Template, Terms, encode_error, ok_template
from worker.ports import Failure, GivenUp, Settled
from worker.service.latencies import Latencies
from worker.service.meter import Meter

_STEP = 2 ** (1 / 8) + 1e-9
latencies = st.lists(st.floats(min_value=0.125, max_value=1e12), min_size=1)


def test_nothing_has_no_percentile() -> None:
    assert Latencies().percentile_ms(0.5) is None


@given(latencies, st.floats(min_value=1e-9, max_value=1.0))
def test_a_percentile_is_at_most_a_step_above_the_true_one(values: list[float], part: float) -> None:
    interval = Latencies()
    for value in values:
        interval.add(value)
    true = sorted(values)[math.ceil(part * len(values)) - 1]
    found = interval.percentile_ms(part)
    assert found is not None
    assert true - 0.001 <= found <= true * _STEP + 0.001


@pytest.mark.parametrize("value", [-5.0, 0.0, 0.125])
def test_what_took_no_time_counts_as_the_least(value: float) -> None:
    interval = Latencies()
    interval.add(value)
    assert interval.percentile_ms(1.0) == 0.125


def test_percentiles_of_many_values_are_close() -> None:
    interval = Latencies()
    values = np.random.default_rng(1).lognormal(3, 1, 100_000)
    for value in values.tolist():
        interval.add(value)
    interval.add(5.0, 3)
    for part in (0.5, 0.99):
        found = interval.percentile_ms(part)
        assert found is not None
        assert np.quantile(values, part) <= found <= np.quantile(values, part) * _STEP
    assert len(interval) < 150  # however many values there are


def _tally(requests: int, errors: int, chunks: int) -> Tally:
    tally = Tally()
    tally.add_requests(None, requests)
    for _ in range(errors):
        tally.add_error(None, "internal")
    tally.add_chunks(None, ("voice",), [chunks], expected=[chunks], variances=[0.0])
    return tally


def test_an_interval_ends_and_the_totals_go_on() -> None:
    meter = Meter()
    meter.count(_tally(3, 1, 20))
    meter.count(_tally(2, 0, 2))
    meter.interval.redrawn += 1
    ended = meter.begin_interval()
    assert (ended.requests, ended.errors, ended.chunks, ended.redrawn) == (5, 1, 22, 1)
    assert {name: ended.tally[name] for name in ("requests:", "errors::internal", "chunks::voice")} == {
        "requests:": 5,
        "errors::internal": 1,
        "chunks::voice": 22,
    }
    meter.count(_tally(1, 1, 0))
    assert (meter.interval.requests, meter.interval.errors, meter.interval.redrawn) == (1, 1, 0)
    assert (meter.requests, meter.chunks) == (6, 22)
    assert meter.interval.since >= ended.since


# -- what was settled -----------------------------------------------------------------------------------------

_AT_MS = 1_000_000
_SOON_S = 60.0


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LogLines]:
    with captured_log(tmp_path) as log:
        yield log


@pytest.fixture
def meter() -> Meter:
    return Meter()


def _request(number: int, size: int = 1) -> Request:
    return Request(f"{_AT_MS - 8}-{number}", f"r{number}", Terms(size=size))


def _answer(*requests: Request | Result) -> Answers:
    """Answer requests with ok, and results with themselves."""
    tally = Tally()
    tally.add_requests(None, len(requests))
    template = Template(("request_id", None, "entry_id", None, "status", "ok", "weights_version", "0123456789ab"))
    results: list[Result] = []
    for one in requests:
        if isinstance(one, Result):
            results.append(one)
            tally.add_error(None, one.error or "")
        else:
            results.append(Result(one.entry_id, one.request_id, None, None, template))
            tally.add_chunks(None, ("voice",), [one.terms.size], expected=[one.terms.size], variances=[0.0])
    return Answers(results, tally, {})


def _refused(number: int, code: str = "invalid_request") -> Result:
    return encode_error(_request(number), code, "a sentence")


def _record(meter: Meter, *requests: Request | Result, uncounted: str = "") -> None:
    answers = _answer(*requests)
    answers.results.reverse()  # in no particular order
    meter.record(requests, answers, Settled(_AT_MS, uncounted))


async def _lines(log: LogLines, event: str, count: int) -> Sequence[dict[str, object]]:
    await wait_until(lambda: len(log.of(event)) >= count, timeout_s=_SOON_S, what=f"{count} lines of {event} are there")
    return log.of(event)


def test_everything_is_counted(meter: Meter) -> None:
    _record(meter, _request(1, 5), _refused(2), _request(3, 7))
    failed = _request(4, 100)
    meter.record([failed], _answer(encode_error(failed, "no_ready_chunks", "a sentence")), Settled(_AT_MS))
    meter.count_redraw()
    interval = meter.interval
    assert (interval.requests, interval.errors, interval.chunks, interval.redrawn) == (4, 2, 12, 1)
    counted = ("requests:", "errors::invalid_request", "errors::no_ready_chunks", "chunks::voice")
    assert [interval.tally[name] for name in counted] == [4, 1, 1, 12]
    assert interval.latencies.total() == 4
    assert interval.latencies.percentile_ms(1.0) == 8.0


async def test_rejections_of_a_kind_are_told_a_few_times(meter: Meter, log: LogLines) -> None:
    _record(meter, *(_refused(i) for i in range(20)), _refused(20, "expired"))
    lines = await _lines(log, "request.rejected", 6)
    assert [line["error"] for line in lines].count("invalid_request") == 5
    assert [line["error"] for line in lines].count("expired") == 1
    assert lines[0]["message"] == "a sentence"


async def test_a_few_served_requests_are_shown(meter: Meter, log: LogLines) -> None:
    for batch in range(10):
        _record(meter, *(_request(10 * batch + i, 3) for i in range(4)))
    _record(meter, _refused(1000))
    lines = await _lines(log, "request.served", 2)
    assert [(line["request_id"], line["entry_id"]) for line in lines] == [
        ("r0", f"{_AT_MS - 8}-0"),
        ("r10", f"{_AT_MS - 8}-10"),
    ]
    logged = {name: lines[0][name] for name in ("size", "status", "weights_version", "latency_ms", "sampled_1_in")}
    assert logged == {"size": 3, "status": "ok", "weights_version": "0123456789ab", "latency_ms": 8, "sampled_1_in": 4}


async def test_a_valid_request_that_got_an_error_is_shown_as_one(meter: Meter, log: LogLines) -> None:
    failed = _request(4)
    meter.record([failed], _answer(encode_error(failed, "no_ready_chunks", "a sentence")), Settled(_AT_MS))
    [line] = await _lines(log, "request.served", 1)
    assert (line["status"], line["weights_version"]) == ("error", "")


async def test_a_line_says_all_about_a_request_and_one_with_a_trace_context_is_preferred(
    meter: Meter, log: LogLines
) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    terms = Terms(size=3, dataset="d", preset="night", session="s", split="val", method="stratified")
    traced = Request(f"{_AT_MS - 8}-1", "r1", terms, traceparent=trace)
    template = ok_template(("weights_version", "0123456789ab"))
    results = [
        Result(one.entry_id, one.request_id, None, None, template, ("[1,2,3]", '{"voice":3}'))
        for one in (_request(0), traced)
    ]
    meter.record([_request(0), traced], Answers(results, Tally(), {}), Settled(_AT_MS))
    [line] = await _lines(log, "request.served", 1)
    assert {name: line[name] for name in line if name not in {"timestamp", "consumer"}} == {
        "event": "request.served",
        "level": "info",
        "request_id": "r1",
        "entry_id": traced.entry_id,
        "size": 3,
        "status": "ok",
        "error": None,
        "dataset": "d",
        "preset": "night",
        "session": "s",
        "split": "val",
        "method": "stratified",
        "counts": '{"voice":3}',
        "weights_version": "0123456789ab",
        "latency_ms": 8,
        "traceparent": trace,
        "sampled_1_in": 2,
    }
    refused = encode_error(traced, "expired", "a sentence")
    _record(meter, refused)
    [rejected] = await _lines(log, "request.rejected", 1)
    meter.log_given_up([GivenUp(refused, (), 5, Failure("internal", "a bug"))])
    [dead] = await _lines(log, "request.dead_lettered", 1)
    assert [rejected["traceparent"], dead["traceparent"]] == [trace, trace]


async def test_results_that_could_not_be_counted_are_told_once(meter: Meter, log: LogLines) -> None:
    for i in range(5):
        _record(meter, _request(i), uncounted="audio:sample:stats")
    lines = await _lines(log, "stats.write_failed", 1)
    assert [(line["requests"], line["key"]) for line in lines] == [(1, "audio:sample:stats")]


def test_failures_are_told_with_where_and_how_many_they_stand_for(meter: Meter, log: LogLines) -> None:
    for number in range(100):
        meter.log_failure(3, ZeroDivisionError(f"failure {number}"))
    meter.log_failure(1, KeyError("another"))
    lines = log.of("request.failed")
    assert [line["message"] for line in lines] == [*(f"failure {i}" for i in range(5)), "'another'"]
    assert {(line["requests"], line["error"]) for line in lines[:5]} == {(3, "ZeroDivisionError")}
    assert lines[0]["traceback"] == "ZeroDivisionError: failure 0\n"
    assert {line["suppressed"] for line in lines} == {0}


def test_the_latency_is_of_what_was_served_and_not_of_what_had_expired(meter: Meter) -> None:
    requests: list[Request | Result] = [
        _request(1),
        _refused(2),
        *(_refused(number, "expired") for number in range(3, 50)),
    ]
    meter.record(requests, _answer(*requests), Settled(at_ms=_AT_MS))
    assert meter.interval.latencies.total() == 2
    meter.record(requests[2:], _answer(*requests[2:]), Settled(at_ms=_AT_MS + 600_000))
    assert meter.interval.latencies.total() == 2
    assert (meter.interval.requests, meter.interval.errors) == (96, 95)


def test_few_of_many_that_are_given_up_on_or_cannot_be_written_get_a_line(meter: Meter, log: LogLines) -> None:
    failure = Failure("internal", "a bug")
    dead = [GivenUp(_refused(number, "internal"), (), 5, failure) for number in range(1000)]
    meter.log_given_up(dead)
    for one in dead:
        meter.log_unwritable(one.result, "why")
    for event in ("request.dead_lettered", "result.write_failed"):
        assert [line["request_id"] for line in log.of(event)] == [f"r{number}" for number in range(5)]
    assert log.of("request.dead_lettered")[0]["message"] == "a sentence"
