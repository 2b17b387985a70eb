"""Loops that sleep to ticks wake together, and none of them later than it would have without ticks."""

import asyncio
import time
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from worker.ticks import Idleness, before_tick_within, sleep_to_tick, tick_within, wait_until

_HOUR_S = 3600.0
_EXACT_S = 1e-6  # how exactly times since a machine's start are written as floats


@pytest.mark.parametrize(("seconds", "apart"), [(0.5, 0.5), (0.7, 0.5), (1.0, 1.0), (2.0, 1.0), (30.0, 1.0)])
def test_a_sleep_ends_at_the_last_tick_within_its_time(seconds: float, apart: float) -> None:
    before = time.monotonic()
    tick = tick_within(seconds)
    after = time.monotonic()
    assert before + seconds - apart - _EXACT_S <= tick <= after + seconds


def test_long_sleeps_end_at_ticks_of_short_ones() -> None:
    apart = [(tick_within(seconds) - tick_within(0.5)) % 0.5 for seconds in (0.5, 0.9, 1.0, 1.5, 10.0, _HOUR_S)]
    assert all(min(one, 0.5 - one) < _EXACT_S for one in apart), apart


@pytest.mark.parametrize("seconds", [0.0, 0.001, 0.49])
def test_a_short_sleep_has_its_own_end(seconds: float) -> None:
    before = time.monotonic()
    assert before + seconds <= tick_within(seconds) <= time.monotonic() + seconds


@pytest.mark.parametrize("seconds", [0.5, 1.0])
def test_what_ends_just_before_a_tick_begins_anew_until_just_before_the_next(
    monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    tick = tick_within(1.0)
    clock = [tick - 0.3]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    first = before_tick_within(seconds)
    assert 0 < tick_within(seconds) - first < 0.01
    for late_s in (_EXACT_S, 0.001, 0.02):  # whatever is due then is due, and not due again at once
        clock[0] = first + late_s
        assert before_tick_within(seconds) == pytest.approx(first + seconds, abs=_EXACT_S)


async def test_loops_that_begin_at_any_time_wake_together() -> None:
    woken: list[float] = []

    async def look(begins_after_s: float) -> None:
        await anyio.sleep(begins_after_s)
        tick = tick_within(1.0)
        await sleep_to_tick(1.0)
        assert time.monotonic() >= tick
        woken.append(tick)

    async with anyio.create_task_group() as loops:
        for number in range(10):
            loops.start_soon(look, 0.01 * number)
    assert len({round(tick, 3) for tick in woken}) <= 2  # a tick may come while they begin


async def test_an_event_is_waited_for_until_it_is_set_or_the_time_is_over() -> None:
    event = anyio.Event()
    event.set()
    await wait_until(event, time.monotonic() + _HOUR_S)
    for deadline in (time.monotonic() - 1.0, time.monotonic() + 0.05):
        event = anyio.Event()
        await wait_until(event, deadline)
        assert (event.is_set(), time.monotonic() >= deadline) == (True, True)


async def test_all_that_wait_for_one_moment_share_a_timer() -> None:
    loop, timers = asyncio.get_running_loop(), 0
    call_at = loop.call_at

    def count(*args: Any, **options: Any) -> Any:
        nonlocal timers
        timers += 1
        return call_at(*args, **options)

    loop.call_at = count  # type: ignore[method-assign, assignment]
    try:
        deadline, events = time.monotonic() + 0.1, [anyio.Event() for _ in range(10)]
        async with anyio.create_task_group() as loops:
            for event in events:
                loops.start_soon(wait_until, event, deadline)
            await anyio.lowlevel.checkpoint()
            events[0].set()
        before = timers
        await wait_until(anyio.Event(), time.monotonic() + 0.01)
    finally:
        del loop.call_at
    assert (before, timers) == (1, 2)
    assert all(event.is_set() for event in events)


def test_idleness_ends_with_requests_once_and_begins_again(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, ends = [100.0], []
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    idleness = Idleness()
    idleness.ended = lambda: ends.append(clock[0])
    assert idleness.holds
    for _ in range(20):  # every few seconds: it does not begin
        idleness.note_requests()
        clock[0] += 4.0
        assert not idleness.holds
    clock[0] += 2.0
    assert idleness.holds
    idleness.note_requests()
    assert ends == [100.0, 182.0]


async def test_who_stops_waiting_for_an_event_leaves_it_alone() -> None:
    event = anyio.Event()
    with anyio.move_on_after(0.01):
        await wait_until(event, time.monotonic() + 0.05)
    await anyio.sleep(0.1)
    assert not event.is_set()
