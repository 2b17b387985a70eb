"""Blocking of the event loop is measured, for an interval and for the last few seconds."""

import asyncio
import time

from tests.support.waiting import wait_until
from worker.service.loop_lag import LoopLag

_DEADLINE_S = 30.0


async def test_a_blocked_loop_is_measured_once_an_interval() -> None:
    lag = LoopLag()
    assert lag.recent_ms == 0
    with lag.measured():
        time.sleep(0.3)  # noqa: ASYNC251 - blocks the event loop, which is what is measured
        await wait_until(lambda: lag.recent_ms >= 200, timeout_s=_DEADLINE_S, what="the delay is measured")
    assert lag.begin_interval() == lag.recent_ms
    assert (lag.begin_interval(), lag.recent_ms >= 200) == (0, True)


async def test_no_delay_is_missed_whenever_it_comes() -> None:
    with (lag := LoopLag()).measured():
        for number in range(20):
            await asyncio.sleep(0.001 * number)
            time.sleep(0.02)  # noqa: ASYNC251 - blocks the event loop, which is what is measured
            await asyncio.sleep(0)
            assert lag.begin_interval() >= 20


async def test_measurements_of_one_loop_may_begin_and_end_in_any_order() -> None:
    first, second, third = LoopLag(), LoopLag(), LoopLag()
    with first.measured():
        outer = second.measured()
        outer.__enter__()
        with third.measured():
            pass
    time.sleep(0.02)  # noqa: ASYNC251 - blocks the event loop, which is what is measured
    await asyncio.sleep(0)
    outer.__exit__(None, None, None)
    assert (second.begin_interval() >= 20, third.begin_interval() < 20) == (True, True)
    time.sleep(0.02)  # noqa: ASYNC251 - nobody measures it
    await asyncio.sleep(0)
    assert second.begin_interval() == 0
