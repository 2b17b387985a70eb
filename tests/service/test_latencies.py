"""Latencies of an interval add up, and those of the last few seconds go with their slices."""

import pytest

from worker.service.latencies import Latencies, Recent


def test_intervals_add_up_and_the_longest_is_exact() -> None:
    first, second = Latencies(), Latencies()
    first.add(3.0, 99)
    second.add(1000.5)
    first.add_all(second)
    first.add_all(Latencies())
    assert (first.total(), first.longest_ms, first.percentile_ms(1.0)) == (100, 1000.5, 1000.5)
    assert first.percentile_ms(0.99) == pytest.approx(3.0, rel=0.1)


def test_what_was_seconds_ago_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    recent, requests = Recent(), 0
    speed = recent.look(0)
    assert speed.p99_ms is None
    for _ in range(20):
        recent.add(500.0, 10)
        clock[0] += 1.0
        requests += 10
        speed = recent.look(requests)
    assert (speed.requests_per_s, speed.longest_ms) == (10.0, 500.0)
    for _ in range(6):
        clock[0] += 1.0
        speed = recent.look(requests)
    assert speed == (0.0, None, None, None)
