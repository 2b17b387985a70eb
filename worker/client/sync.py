"""The client of a training loop: plain calls, served by one daemon thread."""

import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from types import TracebackType
from typing import Any, Self, Unpack

from worker.client.address import find_address
from worker.client.arguments import Asked, Checked, Checker, Options
from worker.client.asking import ask_all
from worker.client.background import GRACE_S, Background
from worker.client.prefetch import RequestIds, make_queue
from worker.client.report_calls import ReportCalls
from worker.client.requester import Outcome
from worker.client.sample_future import SampleFuture
from worker.client.samples import Sample
from worker.client.stream import SampleStream
from worker.client.weights_calls import WeightsCalls
from worker.core.client_state import Keeping
from worker.core.redaction import redact
from worker.errors import ClientClosedError, SampleTimeoutError

_RELEASE_S = 30.0
_left_behind: list[Background] = []


class SampleClient(WeightsCalls, ReportCalls):
    """A client that asks for samples, from any thread.

    It connects when it is first used. It may be pickled and forked at any time: each process has its own thread, its
    own connections and, without a `name`, its own reply stream. `close` ends these. So does the end of a `with` block,
    of the client, or of the process.
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
            name: `[A-Za-z0-9_.-]{1,64}`, used by one client at a time. After a crash, the next client of this name
                returns for an earlier request id what was drawn for it.
            timeout_s: Longest wait for a sample, in seconds; None: for ever.

        Raises:
            SettingsError: The URL is missing or not accepted.
            ValueError: Another argument is not accepted.
        """
        self._address = find_address(url, prefix, name)
        self._timeout_s = timeout_s
        self._checker = Checker(timeout_s)
        self._is_closed = False
        self._keeping: Keeping | None = None
        self._background: Background | None = None
        self._starting = threading.Lock()
        self._pid = os.getpid()

    @property
    def name(self) -> str | None:
        """Return the name that was given."""
        return self._address.name

    def named(self, name: str, keeping: Keeping | None = None) -> "SampleClient":
        """Return another client with the same address and time-out, under another name.

        Args:
            name: Name of the other client.
            keeping: Which of its results stay in Redis for the next client of that name.

        Raises:
            ValueError: The name is not accepted.
        """
        client = SampleClient(self._address.url, prefix=self._address.prefix, name=name, timeout_s=self._timeout_s)
        client._keeping = keeping
        return client

    def sample(self, size: int | None = None, **options: Unpack[Options]) -> Sample:
        """Ask for a sample and wait for it.

        Args:
            size: Number of chunk ids; None: 32, unless `budget_s` is given.
            options: See `Options`.

        Raises:
            SampleError: The worker answered with an error.
            SampleTimeoutError: The sample did not arrive in time; a `TimeoutError`.
            RefusedError: Redis refuses a command that the client needs.
            ClientClosedError: The client was closed.
            TypeError: An argument is not known, or of another type.
            ValueError: A value is not accepted.
        """
        checked = self._checker.check(size, options)
        [future] = self._ask([checked])
        return _wait(future, checked)

    def sample_many(self, asked: Iterable[Asked]) -> list[Sample]:
        """Ask for many samples in one step and wait for all of them.

        Args:
            asked: Size and options of each request.

        Returns:
            The samples, in the order of the requests.

        Raises:
            SampleError: The worker answered one of them with an error; or any other error of `sample`.
        """
        requests = [self._checker.check_asked(one) for one in asked]
        futures = self._ask(requests)
        return [_wait(future, checked) for future, checked in zip(futures, requests, strict=True)]

    def submit(self, size: int | None = None, **options: Unpack[Options]) -> Future[Sample]:
        """Ask for a sample and return its future. It cannot be cancelled, and raises what `sample` raises.

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
    ) -> SampleStream:
        """Return an iterator over samples that are asked for ahead of the loop.

        Args:
            size: Number of chunk ids in each sample; None: 32, unless `budget_s` is given.
            prefetch: Number of samples that are asked for or ready. Each was drawn under the weights in force then.
            count: Number of samples in all; None: without end.
            request_ids: Number of a sample, from 0 -> request id, so that a later process can ask for the same ones.
            options: See `Options`.

        Raises:
            TypeError: An argument is not known, or of another type.
            ValueError: A value is not accepted.
        """
        asked = {"size": size, **options}
        queue = make_queue(self._checker, asked, prefetch=prefetch, count=count, request_ids=request_ids)
        return SampleStream(self.start, queue)

    def check(self, options: Mapping[str, Any]) -> tuple[Checked, int | None]:
        """Check the requests of a stream; see `Checker.check_stream`.

        Raises:
            TypeError: An argument is not known, or of another type.
            ValueError: A value is not accepted.
        """
        return self._checker.check_stream(options)

    def recall(self, request_ids: Sequence[str]) -> set[str]:
        """Return which requests of an earlier client of this name are still known, at least among those given.

        Raises:
            RedisError: Redis did not answer, or refused.
            SampleTimeoutError: Redis did not answer in time.
        """
        background = self.start()
        return background.call(background.requester.recall(request_ids), self._timeout_s, "what was asked for before")

    def keep(self, most: int) -> None:
        """Keep this many results in Redis from now on, for the next client of this name."""
        if self._keeping is not None:
            self._keeping = self._keeping._replace(most=most)
            if self._background is not None and self._pid == os.getpid():
                self._background.post(self._background.requester.keep, most)

    def release(self, session: str) -> None:
        """Release a session from its pinned weights. Its next pinned request pins it again.

        Args:
            session: 1 to 128 printable characters.

        Raises:
            RedisError: Redis did not answer, or refused.
            SampleTimeoutError: Redis did not answer in time.
            ValueError: The session is not accepted.
        """
        self._checker.check(1, {"session": session})
        background = self.start()
        background.call(background.requester.release(session), _RELEASE_S, "whether the session is released")

    def close(self, *, keep: bool = False, forgotten: str | None = None) -> None:
        """End the thread and the connections. Unanswered requests are withdrawn.

        Args:
            keep: Leave requests and results to the next client of this name instead, as long as Redis keeps an unused
                reply stream. Without a name it has no effect.
            forgotten: Name of an ended client that no other will follow: what it left is removed.
        """
        self._is_closed = True
        if self._background is not None and self._pid == os.getpid():
            self._background.stop(keep=keep, forgotten=forgotten)
            self._background = None

    def __repr__(self) -> str:
        """Describe the address and whether the client is in use."""
        state = "closed" if self._is_closed else "unused" if self._background is None else "in use"
        name = f", name {self.name}" if self.name else ""
        return f"<SampleClient {redact(self._address.url)}, prefix {self._address.prefix}{name}, {state}>"

    def __enter__(self) -> Self:
        """Return the client."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close. If an exception ends the block, a client with a name leaves everything to the next one."""
        self.close(keep=kind is not None)

    def __getstate__(self) -> dict[str, Any]:
        """Return the arguments of a copy in another process."""
        return {"address": self._address, "timeout_s": self._timeout_s, "is_closed": self._is_closed}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """Make a copy with the arguments of the original."""
        address, timeout_s = state["address"], state["timeout_s"]
        self.__init__(address.url, prefix=address.prefix, name=address.name, timeout_s=timeout_s)  # type: ignore[misc]
        self._is_closed = state["is_closed"]

    def start(self) -> Background:
        """Return the thread of this process, and start it if needed.

        Raises:
            ClientClosedError: The client is closed.
            SettingsError: The URL is not accepted.
        """
        if self._pid != os.getpid():
            if self._background is not None:
                _left_behind.append(self._background)  # closing it would close connections of the parent
            self._background, self._starting, self._pid = None, threading.Lock(), os.getpid()
        with self._starting:
            if self._is_closed:
                raise ClientClosedError("the client is closed")
            if self._background is None:
                self._background = Background(self._address, self._keeping)
                self._background.stop_with(self)
            return self._background

    def _ask(self, requests: Sequence[Checked]) -> list[Future[Sample]]:
        futures: list[Future[Sample]] = [SampleFuture() for _ in requests]
        background = self.start()
        background.post(ask_all, background.requester, list(enumerate(requests)), partial(_settle, futures))
        return futures


def _settle(futures: Sequence["Future[Sample]"], number: int, outcome: Outcome) -> None:
    if isinstance(outcome, Sample):
        futures[number].set_result(outcome)
    else:
        futures[number].set_exception(outcome)


def _wait(future: "Future[Sample]", checked: Checked) -> Sample:
    """Wait for a future a little longer than its time-out, so that no caller hangs if the thread has died."""
    wait_s = None if checked.timeout_s is None else checked.timeout_s + GRACE_S
    try:
        return future.result(wait_s)
    except TimeoutError:
        if future.done():
            raise
        raise SampleTimeoutError(f"no sample within {checked.timeout_s} s") from None
