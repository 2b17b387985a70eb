"""The signals that end `up`: the first one ends it in order, the second ends the worker at once, the third all of it.

A signal only leaves a note. What starts and stops servers is never interrupted, so that no server is left behind.
"""

import os
import select
import signal
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Callable

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_AT_ONCE: Final = 3
_FAILED: Final = 1


class Ending:
    """Notes signals while it is entered.

    Attributes:
        name: The first signal; empty: none came.
        hurry: Called at the second signal.
    """

    def __init__(self) -> None:
        self.name = ""
        self.hurry: Callable[[], None] = lambda: None
        self._count = 0
        self._woken, self._wake = os.pipe()
        os.set_blocking(self._wake, False)
        self._before: dict[signal.Signals, signal._HANDLER] = {}

    @property
    def is_asked_for(self) -> bool:
        """Return whether a signal has come."""
        return self._count > 0

    def wait(self, seconds: float) -> None:
        """Wait, and no longer than until a signal comes.

        Raises:
            KeyboardInterrupt: One has come.
        """
        if not self._count:
            select.select([self._woken], [], [], seconds)
        self.check()

    def check(self) -> None:
        """Go on if no signal has come.

        Raises:
            KeyboardInterrupt: One has come.
        """
        if self._count:
            raise KeyboardInterrupt

    def __enter__(self) -> Self:
        """Note signals from now on; those that this process was started to ignore stay ignored."""
        for number in _SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the signals back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self._woken)
        os.close(self._wake)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self._count += 1
        self.name = self.name or signal.Signals(number).name
        if self._count >= _AT_ONCE:
            os._exit(_FAILED)  # the watchdogs end what runs
        if self._count > 1:
            self.hurry()
        else:
            os.write(self._wake, b".")
