"""The daemon thread of a plain client: it runs a requester on an event loop of its own."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from multiprocessing.util import Finalize
from typing import Any, TypeVar

from worker.client.address import Address
from worker.client.requester import Requester
from worker.core.client_state import Keeping
from worker.errors import ClientClosedError, SampleTimeoutError, SettingsError

GRACE_S = 1.0
"""Extra time that a caller waits beyond the request's own time-out."""

_EXIT_PRIORITY = 10
_START_S = 60.0
_GOODBYE_S = 10.0

T = TypeVar("T")


class Background:
    """The thread and its requester, from the first request until they are stopped.

    Attributes:
        requester: Call it only in functions that are posted to the thread.
    """

    def __init__(self, address: Address, keeping: Keeping | None = None) -> None:
        """Start the thread.

        Args:
            address: Server, prefix and name.
            keeping: See `ClientState`.

        Raises:
            SettingsError: The URL is not accepted.
        """
        started: Future[Requester] = Future()
        self._stopping: Future[tuple[bool, str | None]] = Future()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, args=(address, keeping, started), daemon=True)
        self._thread.name = "sample-client"
        self._thread.start()
        self.requester = started.result(_START_S)

    def stop_with(self, owner: object) -> None:
        """Stop when the owner is collected, or when its process ends, even one that `multiprocessing` forked."""
        Finalize(owner, self.stop, kwargs={"keep": True}, exitpriority=_EXIT_PRIORITY)

    def post(self, call: Callable[..., object], *arguments: Any) -> None:
        """Schedule a call on the event loop.

        Raises:
            ClientClosedError: The thread has ended.
        """
        try:
            self._loop.call_soon_threadsafe(call, *arguments)
        except RuntimeError:
            raise ClientClosedError("the client is closed") from None

    def call(self, coroutine: Coroutine[Any, Any, T], timeout_s: float | None, what: str) -> T:
        """Run a coroutine on the event loop and return its value.

        Args:
            coroutine: What asks Redis.
            timeout_s: Longest wait, in seconds; None: for ever.
            what: What Redis is to say, for the sentence.

        Raises:
            ClientClosedError: The thread has ended.
            SampleTimeoutError: Redis did not say it in time.
        """
        future = self.submit(coroutine)
        try:
            return future.result(timeout_s)
        except TimeoutError:
            if future.done():
                raise
            raise SampleTimeoutError(f"Redis did not say within {timeout_s:g} s {what}") from None

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> "Future[T]":
        """Run a coroutine on the event loop, and return the future of its value.

        Raises:
            ClientClosedError: The thread has ended.
        """
        try:
            return asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        except RuntimeError:
            coroutine.close()
            raise ClientClosedError("the client is closed") from None

    def stop(self, *, keep: bool, forgotten: str | None = None) -> None:
        """End the requester and the thread.

        Args:
            keep: See `Requester.stop`.
            forgotten: See `Requester.stop`.
        """
        if not self._stopping.done():
            self._stopping.set_result((keep, forgotten))
        if threading.current_thread() is not self._thread:
            self._thread.join(_GOODBYE_S)

    def _run(self, address: Address, keeping: Keeping | None, started: "Future[Requester]") -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._work(address, keeping, started))

    async def _work(self, address: Address, keeping: Keeping | None, started: "Future[Requester]") -> None:
        try:
            requester = Requester(address, keeping)
        except SettingsError as error:
            started.set_exception(error)
            return
        started.set_result(requester)
        keep, forgotten = await asyncio.wrap_future(self._stopping)
        await requester.stop(keep=keep, forgotten=forgotten)
