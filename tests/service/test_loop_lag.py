"""Whatever blocks the event loop is measured, for an interval and for the last few seconds."""

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
