"""Run a driver on an event loop of its own, in one daemon thread, for callers that know no event loop."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from multiprocessing.util import Finalize
from typing import Any, TypeVar

from worker.client.driver import Driver
from worker.client.place import Place
from worker.core.client_state import Keeping
from worker.errors import ClientClosedError, SettingsError

GRACE_S = 1.0
"""How much longer than a request may take its caller waits for the thread to say what came of it."""

_EXIT_PRIORITY = 10
_START_S = 60.0
_GOODBYE_S = 10.0

T = TypeVar("T")


class Background:
    """Hold the thread and its driver, from the first request on until they are stopped.

    Attributes:
        driver: To be called by what is posted, and by nothing else.
    """

    def __init__(self, place: Place, keeping: Keeping | None = None) -> None:
        """Start the thread.

        Args:
            place: Where to work.
            keeping: See `Exchange`.

        Raises:
            SettingsError: The URL is not accepted.
        """
        started: Future[Driver] = Future()
        self._stopping: Future[tuple[bool, str | None]] = Future()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, args=(place, keeping, started), daemon=True)
        self._thread.name = "sample-client"
        self._thread.start()
        self.driver = started.result(_START_S)

    def stop_with(self, owner: object) -> None:
        """Stop when the owner is gone, or its process ends: one that `multiprocessing` forked as well."""
        Finalize(owner, self.stop, kwargs={"keep": True}, exitpriority=_EXIT_PRIORITY)

    def post(self, call: Callable[..., object], *arguments: Any) -> None:
        """Have something called on the event loop.

        Raises:
            ClientClosedError: The thread has ended.
        """
        try:
            self._loop.call_soon_threadsafe(call, *arguments)
        except RuntimeError:
            raise ClientClosedError("the client is closed") from None

    def call(self, coroutine: Coroutine[Any, Any, T], timeout_s: float | None) -> T:
        """Have a coroutine run on the event loop, and return what it returns; None: wait for ever."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout_s)

    def stop(self, *, keep: bool, forgotten: str | None = None) -> None:
        """End the driver and the thread.

        Args:
            keep: See `Driver.stop`.
            forgotten: See `Driver.stop`.
        """
        if not self._stopping.done():
            self._stopping.set_result((keep, forgotten))
        if threading.current_thread() is not self._thread:
            self._thread.join(_GOODBYE_S)

    def _run(self, place: Place, keeping: Keeping | None, started: "Future[Driver]") -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._work(place, keeping, started))

    async def _work(self, place: Place, keeping: Keeping | None, started: "Future[Driver]") -> None:
        try:
            driver = Driver(place, keeping)
        except SettingsError as error:
            started.set_exception(error)
            return
        started.set_result(driver)
        keep, forgotten = await asyncio.wrap_future(self._stopping)
        await driver.stop(keep=keep, forgotten=forgotten)
