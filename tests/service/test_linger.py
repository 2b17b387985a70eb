"""Waiting for more requests: where it pays, and where it would delay clients that wait for their results."""

from typing import TYPE_CHECKING

import numpy as np
import pytest

from worker.service.linger import Linger

if TYPE_CHECKING:
    from collections.abc import Callable

_LONGEST_S = 0.002
_SETTLE_S = 0.0003  # from a read to its results


def _serve_open_loop(linger: Linger, rate: float, *, seconds: float, start: float = 0.0) -> tuple[int, int]:
    """Serve requests that come at random times; return how many batches it took, and how many requests there were."""
    gaps = np.random.default_rng(7).exponential(1 / rate, int(rate * seconds))
    due = (start + np.cumsum(gaps)).tolist()
    now, batches, first = start, 0, 0
    while first < len(due):
        now = max(now + linger.wait_s(now), due[first])
        last = first
        while last < len(due) and due[last] <= now:
            last += 1
        linger.note(last - first, now)
        now, batches, first = now + _SETTLE_S, batches + 1, last
    return batches, len(due)


def _serve_closed_loop(linger: Linger, clients: int, *, seconds: float, start: float = 0.0) -> float:
    """Serve clients that ask again as soon as they are answered; return requests a second."""
    now, served = start, 0
    while now < start + seconds:
        now += linger.wait_s(now)
        linger.note(clients, now)
        now, served = now + _SETTLE_S, served + clients
    return served / seconds


def test_no_wait_is_the_default_of_who_asks_for_none() -> None:
    batches, requests = _serve_open_loop(Linger(0.0), 1000, seconds=5)
    assert batches > 0.7 * requests


@pytest.mark.parametrize(("rate", "at_least"), [(1000, 1.9), (3000, 5.0), (10_000, 15.0)])
def test_requests_that_come_fast_are_answered_together(rate: float, at_least: float) -> None:
    batches, requests = _serve_open_loop(Linger(_LONGEST_S), rate, seconds=10)
    assert requests / batches > at_least


def test_requests_that_come_slowly_wait_for_nothing() -> None:
    linger = Linger(_LONGEST_S)
    _serve_open_loop(linger, 100, seconds=20)
    assert repr(linger) == "<Linger off, at most 0.002 s>"
    assert linger.wait_s(0.0) == 0.0


@pytest.mark.parametrize("clients", [1, 2, 5])
def test_clients_that_wait_for_their_answers_are_hardly_held_up(clients: int) -> None:
    usual = _serve_closed_loop(Linger(0.0), clients, seconds=60)
    assert _serve_closed_loop(Linger(_LONGEST_S), clients, seconds=60) > 0.98 * usual


def test_it_goes_by_what_clients_do_now() -> None:
    linger = Linger(_LONGEST_S)
    changes: list[tuple[Callable[[float], object], str]] = [
        (lambda at: _serve_open_loop(linger, 5000, seconds=2, start=at), "on"),
        (lambda at: _serve_closed_loop(linger, 1, seconds=2, start=at), "off"),
        (lambda at: _serve_open_loop(linger, 5000, seconds=8, start=at), "on"),
        (lambda at: _serve_open_loop(linger, 50, seconds=20, start=at), "off"),
    ]
    for number, (serve, state) in enumerate(changes):
        serve(100.0 * number)
        assert repr(linger) == f"<Linger {state}, at most 0.002 s>"


def test_what_was_waited_already_counts() -> None:
    linger = Linger(_LONGEST_S)
    _serve_open_loop(linger, 5000, seconds=2)
    linger.note(10, 2.002)
    assert linger.wait_s(2.002) == pytest.approx(_LONGEST_S)
    assert linger.wait_s(2.0035) == pytest.approx(0.0005)
    assert linger.wait_s(2.5) == 0.0
