"""Pacing admits no more than it promises, and accounts for everything it holds back."""

from hypothesis import given
from hypothesis import strategies as st

from worker.logs.rate_limit import RateLimit

Offer = tuple[str, float]

# Steps of an eighth of a second are exact in binary, so that bounds hold without a tolerance.
steps = st.integers(0, 400).map(lambda eighths: eighths / 8)


def offers_of(keys: st.SearchStrategy[str]) -> st.SearchStrategy[list[Offer]]:
    return st.lists(st.tuples(keys, steps), max_size=200).map(_accumulate)


def _accumulate(offers: list[Offer]) -> list[Offer]:
    """Make times of waits."""
    now_s = 1000.0
    timed = []
    for key, wait_s in offers:
        now_s += wait_s
        timed.append((key, now_s))
    return timed


def test_the_first_burst_is_admitted_then_one_an_interval_with_the_count_of_the_others() -> None:
    limit = RateLimit(interval_s=10, burst=2)
    answers = [limit.admit("k", now_s) for now_s in (0, 0, 1, 2, 9, 10, 11, 20)]
    assert answers == [0, 0, None, None, None, 3, None, 1]


def test_keys_do_not_share_a_limit() -> None:
    limit = RateLimit(interval_s=10, burst=1)
    assert [limit.admit(key, 0) for key in "abab"] == [0, 0, None, None]


def test_a_quiet_time_gives_the_burst_back_and_no_more() -> None:
    limit = RateLimit(interval_s=1, burst=3)
    answers = [limit.admit("k", now_s) for now_s in (0, 0, 0, 0, 0, 1000, 1000, 1000, 1000)]
    assert answers == [0, 0, 0, None, None, 2, 0, 0, None]


@given(st.floats(0, 1e6), st.floats(0.001, 1e3), st.integers(1, 20))
def test_rounding_takes_nothing_from_the_burst(now_s: float, interval_s: float, burst: int) -> None:
    limit = RateLimit(interval_s, burst)
    assert [limit.admit("k", now_s) for _ in range(burst + 1)] == [0] * burst + [None]


@given(offers_of(st.sampled_from("abc")), st.integers(1, 5), st.sampled_from([0.5, 1.0, 8.0]))
def test_no_window_has_more_than_the_burst_and_one_an_interval(
    offers: list[Offer], burst: int, interval_s: float
) -> None:
    limit = RateLimit(interval_s, burst)
    admitted: dict[str, list[float]] = {}
    for key, now_s in offers:
        if limit.admit(key, now_s) is not None:
            admitted.setdefault(key, []).append(now_s)
    for times in admitted.values():
        for first in range(len(times)):
            for last in range(first, len(times)):
                assert last - first + 1 <= burst + (times[last] - times[first]) / interval_s


@given(offers_of(st.text(max_size=2)), st.integers(1, 3))
def test_every_event_is_admitted_told_of_or_still_held(offers: list[Offer], burst: int) -> None:
    limit = RateLimit(5.0, burst)
    answers = [limit.admit(key, now_s) for key, now_s in offers]
    told = sum(answer + 1 for answer in answers if answer is not None)
    held = sum(bucket.suppressed for bucket in limit._buckets.values())
    assert told + held == len(offers)


def test_invented_keys_get_one_pace_and_bounded_memory() -> None:
    limit = RateLimit(interval_s=10, burst=2)
    answers = [limit.admit(f"key-{i}", 0) for i in range(10_000)]
    assert answers.count(0) < 300
    assert len(limit._buckets) < 300


def test_a_forgotten_key_leaves_its_count_with_the_shared_pace() -> None:
    limit = RateLimit(interval_s=10, burst=1)
    for _ in range(4):
        limit.admit("noisy", 0)
    for i in range(300):
        limit.admit(f"key-{i}", 0)
    assert len(limit._buckets) > 250
    assert limit.admit("fresh", 1000) == 0
    assert len(limit._buckets) < 10
    held = sum(bucket.suppressed for bucket in limit._buckets.values())
    assert held > 3
    assert "noisy" not in limit._buckets
