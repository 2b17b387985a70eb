"""The client of a program with an event loop: the same calls, awaited."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Any, NoReturn, Self, Unpack

from worker.client.address import find_address
from worker.client.arguments import Asked, Checked, Checker, Options
from worker.client.asking import ask_all
from worker.client.prefetch import PrefetchQueue, RequestIds, make_queue
from worker.client.report_calls import AsyncReportCalls
from worker.client.requester import Outcome, Requester
from worker.client.samples import Sample
from worker.client.weights_calls import AsyncWeightsCalls
from worker.core.redaction import redact
from worker.errors import ClientClosedError

_left_behind: list[Requester] = []


class AsyncSampleClient(AsyncWeightsCalls, AsyncReportCalls):
    """A client that asks for samples on one event loop at a time; see `SampleClient`.

    It connects when it is first used, and again when another event loop uses it after the first has ended. Await
    `close`, or use `async with`: nothing can be closed once the event loop is gone.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        prefix: str | None = None,
        name: str | None = None,
        timeout_s: float | None = 30.0,
    ) -> None:
        """Connect to nothing yet.

        Args:
            url: URL of Redis; None: `REDIS_URL`.
            prefix: Start of every key in Redis; None: `WORKER_PREFIX`, or `audio`.
            name: See `SampleClient`.
            timeout_s: Longest wait for a sample, in seconds; None: for ever.

        Raises:
            SettingsError: The URL is missing or not accepted.
            ValueError: Another argument is not accepted.
        """
        self._address = find_address(url, prefix, name)
        self._checker = Checker(timeout_s)
        self._timeout_s = timeout_s
        self._requester: Requester | None = None
        self._is_closed = False

    async def sample(self, size: int | None = None, **options: Unpack[Options]) -> Sample:
        """Ask for a sample and wait for it.

        Args:
            size: Number of chunk ids; None: 32, unless `budget_s` is given.
            options: See `Options`.

        Raises:
            SampleError: The worker answered with an error; or any other error of `SampleClient.sample`.
        """
        return await self.submit(size, **options)

    async def sample_many(self, asked: Iterable[Asked]) -> list[Sample]:
        """Ask for many samples in one step, wait for all, and return them in the order of the requests.

        Args:
            asked: Size and options of each request.

        Raises:
            SampleError: The worker answered one of them with an error; or any other error of `sample`.
        """
        futures = self._ask([self._checker.check_asked(one) for one in asked])
        await asyncio.gather(*futures, return_exceptions=True)
        return [future.result() for future in futures]

    def submit(self, size: int | None = None, **options: Unpack[Options]) -> "asyncio.Future[Sample]":
        """Ask for a sample and return its future, which raises what `sample` raises.

        Args:
            size: Number of chunk ids; None: 32, unless `budget_s` is given.
            options: See `Options`.
        """
        [future] = self._ask([self._checker.check(size, options)])
        return future

    def stream(
        self,
        size: int | None = None,
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
        queue = make_queue(self._checker, asked, prefetch=prefetch, count=count, request_ids=request_ids)
        return AsyncSampleStream(self, queue)

    async def release(self, session: str) -> None:
        """Release a session from its pinned weights; see `SampleClient.release`.

        Raises:
            RedisError: Redis did not answer, or refused.
            ValueError: The session is not accepted.
        """
        self._checker.check(1, {"session": session})
        await self.start().release(session)

    async def close(self, *, keep: bool = False) -> None:
        """Close the connections. Unanswered requests are withdrawn.

        Args:
            keep: Leave requests and results to the next client of this name instead. Without a name it has no effect.
        """
        self._is_closed = True
        if self._requester is not None:
            requester, self._requester = self._follow(self._requester), None
            await requester.stop(keep=keep)

    def __repr__(self) -> str:
        """Describe the address and whether the client is in use."""
        state = "closed" if self._is_closed else "unused" if self._requester is None else repr(self._requester)
        return f"<AsyncSampleClient {redact(self._address.url)}, prefix {self._address.prefix}, {state}>"

    async def __aenter__(self) -> Self:
        """Return the client."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close. If an exception ends the block, a client with a name leaves everything to the next one."""
        await self.close(keep=kind is not None)

    def __getstate__(self) -> dict[str, Any]:
        """Return the arguments of a copy in another process."""
        return {"address": self._address, "timeout_s": self._timeout_s, "is_closed": self._is_closed}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """Make a copy with the arguments of the original."""
        address, timeout_s = state["address"], state["timeout_s"]
        self.__init__(address.url, prefix=address.prefix, name=address.name, timeout_s=timeout_s)  # type: ignore[misc]
        self._is_closed = state["is_closed"]

    def start(self) -> Requester:
        """Return the requester of the running event loop, and start it if needed.

        Raises:
            ClientClosedError: The client is closed.
            RuntimeError: The client is used on another event loop, which has not ended.
            SettingsError: The URL is not accepted.
        """
        if self._is_closed:
            raise ClientClosedError("the client is closed")
        self._requester = Requester(self._address) if self._requester is None else self._follow(self._requester)
        return self._requester

    def _follow(self, requester: Requester) -> Requester:
        """Return a requester for the running event loop: the present one, or a new one if that has ended.

        Raises:
            RuntimeError: The present one works on another event loop, which has not ended.
        """
        if requester.is_inherited:
            _left_behind.append(requester)  # closing it would close connections of the parent
            return Requester(self._address)
        if requester.is_here:
            return requester
        if requester.has_ended:
            return Requester(self._address, name=requester.name)
        raise RuntimeError(
            "the client is used on another event loop, which has not ended; accepted: a client for each event loop"
        )

    def _ask(self, requests: Sequence[Checked]) -> "list[asyncio.Future[Sample]]":
        requester, loop = self.start(), asyncio.get_running_loop()
        futures: list[asyncio.Future[Sample]] = [loop.create_future() for _ in requests]
        ask_all(requester, list(enumerate(requests)), partial(_settle, futures))
        return futures


class AsyncSampleStream(AsyncIterator[Sample]):
    """An asynchronous iterator over samples, in the order in which they were asked for; see `SampleStream`."""

    def __init__(self, client: AsyncSampleClient, queue: PrefetchQueue) -> None:
        """Ask for nothing before the first sample is wanted."""
        self._client = client
        self._queue = queue
        self._arrived = asyncio.Event()
        self._requester: Requester | None = None

    def __repr__(self) -> str:
        """Describe how far the stream is."""
        queue = self._queue
        return f"<AsyncSampleStream position {queue.position}, {queue.asked} asked for, {len(queue.outcomes)} arrived>"

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled.

        Raises:
            TypeError: Always.
        """
        raise TypeError("a stream belongs to its process; accepted: pickle its client, and begin a stream there")

    async def __anext__(self) -> Sample:
        """Return the next sample; wait for it if it has not arrived.

        Raises:
            SampleError: The worker answered with an error; or any other error of `SampleClient.sample`.
        """
        queue = self._queue
        if self._requester is None or not self._requester.is_here:  # the first call, or the first on another event loop
            self._begin()
        outcome = queue.outcomes.get(queue.position)
        sample = outcome if isinstance(outcome, Sample) else await self._wait(outcome)
        if queue.advance():
            self._ask()
        return sample

    def _begin(self) -> None:
        """Use the client's present requester, and ask it for what is missing."""
        if not self._queue.is_over:
            self._requester = self._client.start()
            self._arrived = asyncio.Event()
            self._queue.restart()

    async def _wait(self, outcome: Outcome | None) -> Sample:
        """Wait for the sample at the present position; the request's own time-out ends the wait."""
        queue = self._queue
        if queue.is_over:
            raise StopAsyncIteration
        loop = asyncio.get_running_loop()
        deadline_s = None if queue.timeout_s is None else loop.time() + queue.timeout_s
        while not isinstance(outcome, Sample):
            queue.check_outcome(outcome, is_late=deadline_s is not None and loop.time() >= deadline_s)
            self._ask()
            while queue.position not in queue.outcomes:
                self._arrived.clear()
                await self._arrived.wait()
            outcome = queue.outcomes[queue.position]
        return outcome

    def _ask(self) -> None:
        requester = self._client.start()
        while self._queue.to_ask:
            number, checked = self._queue.to_ask.popleft()
            requester.ask(checked, partial(self._arrive, number))

    def _arrive(self, number: int, outcome: Outcome) -> None:
        self._queue.outcomes[number] = outcome
        self._arrived.set()


def _settle(futures: "Sequence[asyncio.Future[Sample]]", number: int, outcome: Outcome) -> None:
    future = futures[number]
    if future.done():  # its caller has cancelled it
        return
    if isinstance(outcome, Sample):
        future.set_result(outcome)
    else:
        future.set_exception(outcome)
