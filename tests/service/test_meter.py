"""Counts of an interval, and how well its percentiles are known."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.stats import Tally
from worker.service.meter import Interval, Meter

_STEP = 2 ** (1 / 8) + 1e-9
latencies = st.lists(st.floats(min_value=0.125, max_value=1e12), min_size=1)


def test_nothing_has_no_percentile() -> None:
    assert Interval().percentile_ms(0.5) is None


@given(latencies, st.floats(min_value=1e-9, max_value=1.0))
def test_a_percentile_is_at_most_a_step_above_the_true_one(values: list[float], part: float) -> None:
    interval = Interval()
    for value in values:
        interval.add_latency(value)
    true = sorted(values)[math.ceil(part * len(values)) - 1]
    found = interval.percentile_ms(part)
    assert found is not None
    assert true - 0.001 <= found <= true * _STEP + 0.001


@pytest.mark.parametrize("value", [-5.0, 0.0, 0.125])
def test_what_took_no_time_counts_as_the_least(value: float) -> None:
    interval = Interval()
    interval.add_latency(value)
    assert interval.percentile_ms(1.0) == 0.125


def test_percentiles_of_many_values_are_close() -> None:
    interval = Interval()
    values = np.random.default_rng(1).lognormal(3, 1, 100_000)
    for value in values.tolist():
        interval.add_latency(value)
    interval.add_latency(5.0, 3)
    for part in (0.5, 0.99):
        found = interval.percentile_ms(part)
        assert found is not None
        assert np.quantile(values, part) <= found <= np.quantile(values, part) * _STEP
    assert len(interval.latencies) < 150  # however many values there are


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
