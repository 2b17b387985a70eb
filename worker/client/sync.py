"""The client of a training loop: plain calls, while one daemon thread does the talking."""

import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from types import TracebackType
from typing import Any, Self, Unpack

from worker.client.arguments import DEFAULT_SIZE, Asked, Checked, Checker, Options
from worker.client.background import GRACE_S, Background
from worker.client.driver import Outcome, ask_all
from worker.client.place import find_place
from worker.client.promise import Promise
from worker.client.samples import Sample
from worker.client.stream import SampleStream
from worker.client.window import RequestIds, window_of
from worker.core.client_state import Keeping
from worker.errors import ClientClosedError, SampleTimeoutError

_RELEASE_S = 30.0
_left_behind: list[Background] = []


class SampleClient:
    """Ask for samples and get them, from any thread.

    It connects when it is first used, and may be pickled, forked and handed to other processes before and after: each
    process has a thread, connections and, without a `name`, a reply stream of its own. `close` ends all of them; so
    does the end of a `with` block, of the client, and of the process.
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
            name: A name of one's own, of `[A-Za-z0-9_.-]{1,64}`, used by one client at a time: asked again after a
                crash for a request id of an earlier life, the client returns what was drawn then.
            timeout_s: Longest wait for a sample, in seconds; None: for ever.

        Raises:
            SettingsError: The URL is missing or not accepted.
            ValueError: Another argument is not accepted.
        """
        self._place = find_place(url, prefix, name)
        self._timeout_s = timeout_s
        self._checker = Checker(timeout_s)
        self._is_closed = False
        self._keeping: Keeping | None = None
        self._background: Background | None = None
        self._starting = threading.Lock()
        self._pid = os.getpid()

    @property
    def name(self) -> str | None:
        """Tell the name that it was given."""
        return self._place.name

    def named(self, name: str, keeping: Keeping | None = None) -> "SampleClient":
        """Return another client of the same place and patience, under a name of its own.

        Args:
            name: Its name.
            keeping: What of its results stays in Redis for whoever goes on in its place.

        Raises:
            ValueError: The name is not accepted.
        """
        client = SampleClient(self._place.url, prefix=self._place.prefix, name=name, timeout_s=self._timeout_s)
        client._keeping = keeping
        return client

    def sample(self, size: int = DEFAULT_SIZE, **options: Unpack[Options]) -> Sample:
        """Ask for a sample and wait for it.

        Args:
            size: How many chunk ids.
            options: See `Options`.

        Raises:
            SampleError: The worker answered with an error.
            SampleTimeoutError: It did not come in time; a `TimeoutError`.
            RefusedError: Redis refuses what the client needs.
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
            asked: For each, its size and options.

        Returns:
            The samples, in the order of the requests.

        Raises:
            SampleError: The worker answered one of them with an error; and whatever else `sample` raises.
        """
        requests = [self._checker.check_asked(one) for one in asked]
        futures = self._ask(requests)
        return [_wait(future, checked) for future, checked in zip(futures, requests, strict=True)]

    def submit(self, size: int = DEFAULT_SIZE, **options: Unpack[Options]) -> Future[Sample]:
        """Ask for a sample; return it as a future, which cannot be cancelled and raises what `sample` raises.

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
    ) -> SampleStream:
        """Return an iterator over samples that are asked for ahead, so that a loop need not wait.

        Args:
            size: How many chunk ids each.
            prefetch: How many are asked for or ready; each carries the weights in force when it was drawn.
            count: How many there are in all; None: without end.
            request_ids: Number (from 0) -> request id, so that a later life asks for the same ones.
            options: See `Options`.

        Raises:
            TypeError: An argument is not known, or of another type.
            ValueError: A value is not accepted.
        """
        asked = {"size": size, **options}
        window = window_of(self._checker, asked, prefetch=prefetch, count=count, request_ids=request_ids)
        return SampleStream(self.start, window)

    def check(self, options: Mapping[str, Any]) -> tuple[Checked, int | None]:
        """Check what each request of a stream says; see `Checker.check_stream`.

        Raises:
            TypeError: An argument is not known, or of another type.
            ValueError: A value is not accepted.
        """
        return self._checker.check_stream(options)

    def recall(self, request_ids: Sequence[str]) -> set[str]:
        """Find out which requests of an earlier client of this name are still known; at least of those named.

        Raises:
            RedisError: Redis did not answer, or refused.
            SampleTimeoutError: It did not in time.
        """
        background = self.start()
        try:
            return background.call(background.driver.recall(request_ids), self._timeout_s)
        except TimeoutError:
            late = f"Redis did not say within {self._timeout_s:g} s what was asked for before"
            raise SampleTimeoutError(late) from None

    def keep(self, most: int) -> None:
        """Have so many results stay in Redis from now on, for whoever goes on in this client's place."""
        if self._keeping is not None:
            self._keeping = self._keeping._replace(most=most)
            if self._background is not None and self._pid == os.getpid():
                self._background.post(self._background.driver.keep, most)

    def release(self, session: str) -> None:
        """Release a session from its pinned weights: its next pinned request pins it anew.

        Args:
            session: 1 to 128 printable characters.

        Raises:
            RedisError: Redis did not answer, or refused.
            ValueError: The session is not accepted.
        """
        self._checker.check(1, {"session": session})
        background = self.start()
        background.call(background.driver.release(session), _RELEASE_S)

    def close(self, *, keep: bool = False, forgotten: str | None = None) -> None:
        """End the thread and the connections; requests that are not answered are withdrawn.

        Args:
            keep: Where the client has a name: leave requests and results to the next client of this name instead,
                for the time that an unused reply stream lives.
            forgotten: Name of a client that has ended and kept, and that none will follow: what it left is removed.
        """
        self._is_closed = True
        if self._background is not None and self._pid == os.getpid():
            self._background.stop(keep=keep, forgotten=forgotten)
            self._background = None

    def __enter__(self) -> Self:
        """Return the client."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close; where an exception ends the block, a client with a name leaves everything to its next life."""
        self.close(keep=kind is not None)

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy in another process begins with."""
        return {"place": self._place, "timeout_s": self._timeout_s, "is_closed": self._is_closed}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """Begin with what the original was told."""
        place, timeout_s = state["place"], state["timeout_s"]
        self.__init__(place.url, prefix=place.prefix, name=place.name, timeout_s=timeout_s)  # type: ignore[misc]
        self._is_closed = state["is_closed"]

    def start(self) -> Background:
        """Return what runs in this process, started where it is needed.

        Raises:
            ClientClosedError: The client is closed.
            SettingsError: The URL is not accepted.
        """
        if self._pid != os.getpid():
            if self._background is not None:
                _left_behind.append(self._background)  # closing it would close what the parent's connections share
            self._background, self._starting, self._pid = None, threading.Lock(), os.getpid()
        with self._starting:
            if self._is_closed:
                raise ClientClosedError("the client is closed")
            if self._background is None:
                self._background = Background(self._place, self._keeping)
                self._background.stop_with(self)
            return self._background

    def _ask(self, requests: Sequence[Checked]) -> list[Future[Sample]]:
        futures: list[Future[Sample]] = [Promise() for _ in requests]
        background = self.start()
        background.post(ask_all, background.driver, list(enumerate(requests)), partial(_settle, futures))
        return futures


def _settle(futures: Sequence["Future[Sample]"], number: int, outcome: Outcome) -> None:
    if isinstance(outcome, Sample):
        futures[number].set_result(outcome)
    else:
        futures[number].set_exception(outcome)


def _wait(future: "Future[Sample]", checked: Checked) -> Sample:
    """Wait for a future, a little longer than it may take: nobody hangs, whatever became of the thread."""
    wait_s = None if checked.timeout_s is None else checked.timeout_s + GRACE_S
    try:
        return future.result(wait_s)
    except TimeoutError:
        if future.done():
            raise
        raise SampleTimeoutError(f"no sample within {checked.timeout_s} s") from None
