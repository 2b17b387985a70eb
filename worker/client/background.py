"""Run a driver on an event loop of its own, in one daemon thread, for callers that know no event loop."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from multiprocessing.util import Finalize
from typing import Any, TypeVar

from worker.client.driver import Driver
from worker.client.place import Place
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

    def __init__(self, place: Place) -> None:
        """Start the thread.

        Raises:
            SettingsError: The URL is not accepted.
        """
        started: Future[Driver] = Future()
        self._stopping: Future[bool] = Future()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, args=(place, started), name="sample-client", daemon=True)
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

    def call(self, coroutine: Coroutine[Any, Any, T], timeout_s: float) -> T:
        """Have a coroutine run on the event loop, and return what it returns; wait so many seconds at most."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout_s)

    def stop(self, *, keep: bool) -> None:
        """End the driver and the thread.

        Args:
            keep: See `Driver.stop`.
        """
        if not self._stopping.done():
            self._stopping.set_result(keep)
        if threading.current_thread() is not self._thread:
            self._thread.join(_GOODBYE_S)

    def _run(self, place: Place, started: "Future[Driver]") -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._work(place, started))

    async def _work(self, place: Place, started: "Future[Driver]") -> None:
        try:
            driver = Driver(place)
        except SettingsError as error:
            started.set_exception(error)
            return
        started.set_result(driver)
        keep = await asyncio.wrap_future(self._stopping)
        await driver.stop(keep=keep)
