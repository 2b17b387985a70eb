"""The client of a program that lives on an event loop: the same calls, awaited."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Any, NoReturn, Self, Unpack

from worker.client.arguments import DEFAULT_SIZE, Asked, Checked, Checker, Options
from worker.client.driver import Driver, Outcome, ask_all
from worker.client.place import find_place
from worker.client.samples import Sample
from worker.client.window import RequestIds, Window, window_of
from worker.errors import ClientClosedError

_left_behind: list[Driver] = []


class AsyncSampleClient:
    """Ask for samples and await them, on one event loop at a time; see `SampleClient`.

    It connects when it is first used, and again where its event loop has ended and another one uses it. `close` has
    to be awaited, or `async with` be used: an event loop cannot be asked for anything once it is gone.
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
        self._timeout_s = timeout_s
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
        asked = {"size": size, **options}
        window = window_of(self._checker, asked, prefetch=prefetch, count=count, request_ids=request_ids)
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
        if self._driver is not None:
            driver, self._driver = self._follow(self._driver), None
            await driver.stop(keep=keep)

    async def __aenter__(self) -> Self:
        """Return the client."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close; where an exception ends the block, a client with a name leaves everything to its next life."""
        await self.close(keep=kind is not None)

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy in another process begins with."""
        return {"place": self._place, "timeout_s": self._timeout_s, "is_closed": self._is_closed}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """Begin with what the original was told."""
        place, timeout_s = state["place"], state["timeout_s"]
        self.__init__(place.url, prefix=place.prefix, name=place.name, timeout_s=timeout_s)  # type: ignore[misc]
        self._is_closed = state["is_closed"]

    def start(self) -> Driver:
        """Return what does the work, started where it is needed.

        Raises:
            ClientClosedError: The client is closed.
            RuntimeError: It is used on another event loop, which has not ended.
            SettingsError: The URL is not accepted.
        """
        if self._is_closed:
            raise ClientClosedError("the client is closed")
        self._driver = Driver(self._place) if self._driver is None else self._follow(self._driver)
        return self._driver

    def _follow(self, driver: Driver) -> Driver:
        """Return a driver for the event loop that runs: the one that there is, or one in its place where it has ended.

        Raises:
            RuntimeError: Its event loop is another one, and has not ended.
        """
        if driver.is_inherited:
            _left_behind.append(driver)  # closing it would close what the parent's connections share
            return Driver(self._place)
        if driver.is_here:
            return driver
        if driver.has_ended:
            return Driver(self._place, name=driver.name)
        raise RuntimeError(
            "the client is used on another event loop, which has not ended; accepted: a client for each event loop"
        )

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
        self._driver: Driver | None = None

    def __reduce__(self) -> NoReturn:
        """Refuse to be sent to another process.

        Raises:
            TypeError: Always.
        """
        raise TypeError("a stream belongs to its process; accepted: pickle its client, and begin a stream there")

    async def __anext__(self) -> Sample:
        """Return the next sample, waiting for it where it has not come.

        Raises:
            SampleError: The worker answered with an error; and whatever else `SampleClient.sample` raises.
        """
        window = self._window
        if self._driver is None or not self._driver.is_here:  # the first call, or the first on another event loop
            self._begin()
        outcome = window.ready.get(window.number)
        sample = outcome if isinstance(outcome, Sample) else await self._wait(outcome)
        if window.advance():
            self._ask()
        return sample

    def _begin(self) -> None:
        """Have the client's present driver ask."""
        if not self._window.is_over:
            self._driver = self._client.start()
            self._arrived = asyncio.Event()
            self._window.begin()

    async def _wait(self, outcome: Outcome | None) -> Sample:
        """Wait for the sample of the present number; the request's own time-out ends the wait."""
        window = self._window
        if window.is_over:
            raise StopAsyncIteration
        loop = asyncio.get_running_loop()
        deadline_s = None if window.timeout_s is None else loop.time() + window.timeout_s
        while not isinstance(outcome, Sample):
            window.judge(outcome, is_late=deadline_s is not None and loop.time() >= deadline_s)
            self._ask()
            while window.number not in window.ready:
                self._arrived.clear()
                await self._arrived.wait()
            outcome = window.ready[window.number]
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
