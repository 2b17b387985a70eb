"""The client of a program that lives on an event loop: the same calls, awaited."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from functools import partial
from types import TracebackType
from typing import Self, Unpack

from worker.client.arguments import DEFAULT_SIZE, Asked, Checked, Checker, Options
from worker.client.driver import Driver, Outcome, ask_all
from worker.client.place import find_place
from worker.client.samples import Sample
from worker.client.window import RequestIds, Window
from worker.errors import ClientClosedError


class AsyncSampleClient:
    """Ask for samples and await them, on one event loop; see `SampleClient`.

    It connects when it is first used. `close` has to be awaited, or `async with` be used: an event loop cannot be
    asked for anything once it is gone.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        prefix: str | None = None,
        name: str | None = None,
        timeout_s: float | None = 30.0,
    ) -> None:
        """Take where to work; nothing is connected yet.

        Args:
            url: Of Redis; None: `REDIS_URL`.
            prefix: Start of every name in Redis; None: `WORKER_PREFIX`, or `audio`.
            name: See `SampleClient`.
            timeout_s: Longest wait for a sample, in seconds; None: for ever.

        Raises:
            SettingsError: The URL is missing or not accepted.
            ValueError: Another argument is not accepted.
        """
        self._place = find_place(url, prefix, name)
        self._checker = Checker(timeout_s)
        self._driver: Driver | None = None
        self._is_closed = False

    async def sample(self, size: int = DEFAULT_SIZE, **options: Unpack[Options]) -> Sample:
        """Ask for a sample and wait for it.

        Args:
            size: How many chunk ids.
            options: See `Options`.

        Raises:
            SampleError: The worker answered with an error; and whatever else `SampleClient.sample` raises.
        """
        return await self.submit(size, **options)

    async def sample_many(self, asked: Iterable[Asked]) -> list[Sample]:
        """Ask for many samples in one step and wait for all of them; returned in the order of the requests.

        Args:
            asked: For each, its size and options.

        Raises:
            SampleError: The worker answered one of them with an error; and whatever else `sample` raises.
        """
        futures = self._ask([self._checker.check_asked(one) for one in asked])
        await asyncio.gather(*futures, return_exceptions=True)
        return [future.result() for future in futures]

    def submit(self, size: int = DEFAULT_SIZE, **options: Unpack[Options]) -> "asyncio.Future[Sample]":
        """Ask for a sample; return it as a future, which raises what `sample` raises.

        Args:
            size: How many chunk ids.
            options: See `Options`.
        """
        [future] = self._ask([self._checker.check(size, options)])
        return future

    def stream(
        self,
        size: int = DEFAULT_SIZE,
        *,
        prefetch: int = 8,
        count: int | None = None,
        request_ids: RequestIds | None = None,
        **options: Unpack[Options],
    ) -> "AsyncSampleStream":
        """Return an asynchronous iterator over samples that are asked for ahead; see `SampleClient.stream`.

        Raises:
            TypeError: An argument is not known, or of another type.
            ValueError: A value is not accepted.
        """
        checked = self._checker.check(size, options)
        window = Window(checked, self._checker, prefetch=prefetch, count=count, request_ids=request_ids)
        return AsyncSampleStream(self, window)

    async def release(self, session: str) -> None:
        """Release a session from its pinned weights; see `SampleClient.release`.

        Raises:
            RedisError: Redis did not answer, or refused.
            ValueError: The session is not accepted.
        """
        self._checker.check(1, {"session": session})
        await self.start().release(session)

    async def close(self, *, keep: bool = False) -> None:
        """End the connections; requests that are not answered are withdrawn.

        Args:
            keep: Where the client has a name: leave requests and results to its next life instead.
        """
        self._is_closed = True
        driver, self._driver = self._driver, None
        if driver is not None:
            await driver.stop(keep=keep)

    async def __aenter__(self) -> Self:
        """Return the client."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close; where an exception ends the block, a client with a name leaves everything to its next life."""
        await self.close(keep=kind is not None)

    def start(self) -> Driver:
        """Return what does the work, started where it is needed.

        Raises:
            ClientClosedError: The client is closed.
            SettingsError: The URL is not accepted.
        """
        if self._is_closed:
            raise ClientClosedError("the client is closed")
        if self._driver is None:
            self._driver = Driver(self._place)
        return self._driver

    def _ask(self, requests: Sequence[Checked]) -> "list[asyncio.Future[Sample]]":
        driver, loop = self.start(), asyncio.get_running_loop()
        futures: list[asyncio.Future[Sample]] = [loop.create_future() for _ in requests]
        ask_all(driver, list(enumerate(requests)), partial(_settle, futures))
        return futures


class AsyncSampleStream(AsyncIterator[Sample]):
    """Hand out samples in the order in which they were asked for; see `SampleStream`."""

    def __init__(self, client: AsyncSampleClient, window: Window) -> None:
        """Take who asks and what for; nothing is asked for before the first sample is wanted."""
        self._client = client
        self._window = window
        self._arrived = asyncio.Event()
        self._has_begun = False

    async def __anext__(self) -> Sample:
        """Return the next sample, waiting for it where it has not come.

        Raises:
            SampleError: The worker answered with an error; and whatever else `SampleClient.sample` raises.
        """
        window = self._window
        outcome = window.ready.pop(window.number, None)
        sample = outcome if isinstance(outcome, Sample) else await self._wait(outcome)
        if window.advance():
            self._ask()
        return sample

    async def _wait(self, outcome: Outcome | None) -> Sample:
        """Wait for the sample of the present number; the request's own time-out ends the wait."""
        window = self._window
        if window.is_over:
            raise StopAsyncIteration
        loop = asyncio.get_running_loop()
        deadline_s = None if window.timeout_s is None else loop.time() + window.timeout_s
        if not self._has_begun:
            self._has_begun = True
            window.begin()
        while not isinstance(outcome, Sample):
            window.judge(outcome, is_late=deadline_s is not None and loop.time() >= deadline_s)
            self._ask()
            while window.number not in window.ready:
                self._arrived.clear()
                await self._arrived.wait()
            outcome = window.ready.pop(window.number)
        return outcome

    def _ask(self) -> None:
        driver = self._client.start()
        while self._window.wanted:
            number, checked = self._window.wanted.popleft()
            driver.ask(checked, partial(self._arrive, number))

    def _arrive(self, number: int, outcome: Outcome) -> None:
        self._window.ready[number] = outcome
        self._arrived.set()


def _settle(futures: "Sequence[asyncio.Future[Sample]]", number: int, outcome: Outcome) -> None:
    future = futures[number]
    if future.done():  # whoever waited has given up
        return
    if isinstance(outcome, Sample):
        future.set_result(outcome)
    else:
        future.set_exception(outcome)
