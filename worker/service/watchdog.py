"""Notify systemd's watchdog for as long as the worker makes progress.

Rules:

1. `READY=1` is sent once: when the worker serves for the first time. A worker without Redis or a catalog is not ready.
2. `STOPPING=1` is sent once: when it drains.
3. `WATCHDOG=1` is sent when a lane has finished a round since the last one. A round that ends in an error of Redis
   counts: a worker that waits for Redis makes progress, and no restart would help. One that hangs does not.
4. Before the lanes are started, it is enough that this loop runs.
5. Until it is ready, each of these messages asks for more time as well: the watchdog begins after `READY=1`.
"""

from collections.abc import Callable
from functools import partial
from typing import Final

import anyio

from worker.core.events import SystemdUnheard
from worker.logs.emit import RateLimited
from worker.run_dir.health import SERVING
from worker.run_dir.systemd import READY, STOPPING, WATCHDOG, Systemd, extension, status
from worker.service.meter import Meter

_LONGEST_PAUSE_S: Final = 1.0
_LOOKS: Final = 4  # within the time after which systemd ends the process
_PATIENCE_S: Final = 60.0  # for a start, where systemd has no watchdog


class Watchdog:
    """The loop that tells systemd how this worker is."""

    def __init__(self, systemd: Systemd, state: Callable[[], str], meter: Meter) -> None:
        """Connect the parts.

        Args:
            systemd: Takes the messages. Without an address, nothing is sent.
            state: Returns what the health file says.
            meter: Knows when a lane last finished a round.
        """
        self._systemd = systemd
        self._state = state
        self._meter = meter
        self._told = ""
        self._fed_for = 0.0
        self._is_ready = False
        self._unheard = RateLimited(interval_s=60.0, burst=1)

    async def run(self) -> None:
        """Look until cancelled."""
        if not self._systemd.address:
            await anyio.sleep_forever()
        pause_s = min(_LONGEST_PAUSE_S, (self._systemd.watchdog_s or _PATIENCE_S) / _LOOKS)
        while True:
            self.look()
            await anyio.sleep(pause_s)

    def look(self) -> None:
        """Send systemd what is new: a state, or that the worker has made progress."""
        if not self._systemd.address:
            return
        state = self._state()
        news = self._news(state) if state != self._told else []
        moved_at = self._meter.progress_at
        if state == "starting" or moved_at != self._fed_for:
            news.append(WATCHDOG)
            if not self._is_ready:
                news.append(extension(self._systemd.watchdog_s or _PATIENCE_S))
        if news and self._is_sent(news):
            self._told, self._fed_for = state, moved_at
            self._is_ready = self._is_ready or READY in news

    def _news(self, state: str) -> list[str]:
        """Return the lines about a state that was not sent yet."""
        is_first = state == SERVING and not self._is_ready
        return [status(state), *([READY] if is_first else []), *([STOPPING] if state == "draining" else [])]

    def _is_sent(self, lines: list[str]) -> bool:
        try:
            self._systemd.tell(*lines)
        except OSError as error:
            self._unheard.emit(partial(_unheard, str(error)))
            return False
        return True


def _unheard(message: str, suppressed: int) -> SystemdUnheard:
    return SystemdUnheard(message=message, suppressed=suppressed)
