"""Drive the state of one client over its two connections, on the event loop that runs."""

import asyncio
import os
import random
import secrets
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial

from worker.adapters.redis.client import connect
from worker.adapters.redis.client_streams import KEPT_TTL_S, NOTES_TTL_S, RedisExchange
from worker.client.arguments import Checked
from worker.client.place import Place
from worker.client.samples import Sample, sample_of
from worker.core.client_state import NEVER, Ask, ClientState, Keeping
from worker.core.keys import Keys
from worker.core.wire import Reply, encode_request
from worker.errors import (
    ClientClosedError,
    DependencyError,
    RefusedError,
    SampleError,
    SampleTimeoutError,
    SamplingError,
)

_REPLY_TIMEOUT_S = 5.0
_BLOCK_MS = 1000
_FIRST_WAIT_S = 0.02
_LONGEST_WAIT_S = 1.0
_GOODBYE_S = 2.0
_CANCEL_AGAIN_S = 0.05

Outcome = Sample | SamplingError
Tell = Callable[[Outcome], None]
Numbered = tuple[int, Checked]


class Driver:
    """Send, read, watch the clock, and begin anew after every failure.

    Attributes:
        name: The client's in Redis.
        prefers_json: Whether ids turned out to be uuids, which are quicker to read as JSON.
    """

    def __init__(self, place: Place, keeping: Keeping | None = None, *, name: str | None = None) -> None:
        """Begin to work, on the event loop that runs.

        Args:
            place: Where to work.
            keeping: See `ClientState`.
            name: Of a driver that has ended, to go on in its place; None: that of the place, or one that nobody has.

        Raises:
            SettingsError: The URL is not accepted.
        """
        self.name = name or place.name or f"client-{secrets.token_hex(16)}"
        self._is_named = place.name is not None
        self._own_words = encode_request(reply_to=self.name)
        self._life = secrets.token_hex(8)
        self._numbered = 0
        self._client = connect(place.url, timeout_s=_REPLY_TIMEOUT_S)
        ttl_s = KEPT_TTL_S if self._is_named else NOTES_TTL_S
        most_kept = keeping.most if keeping else 0
        self._redis = RedisExchange(self._client, Keys(place.prefix), self.name, ttl_s=ttl_s, most_kept=most_kept)
        self._state = ClientState(keeping)
        self._loop = asyncio.get_running_loop()
        self._pid = os.getpid()
        self._has_work, self._is_waiting, self._is_current = asyncio.Event(), asyncio.Event(), asyncio.Event()
        if not self._is_named and name is None:  # nobody can have asked for anything by this name
            self._is_current.set()
        self._alarm: asyncio.TimerHandle | None = None
        self._failures = 0
        self._trouble = ""
        self._is_stopping = False
        self._refusal: SamplingError | None = None
        self.prefers_json = False
        self._tasks = [asyncio.create_task(self._keep_on(work)) for work in (self._send, self._read)]
        for task in self._tasks:
            task.add_done_callback(self._end)

    @property
    def is_here(self) -> bool:
        """Tell whether it works on the event loop that runs."""
        return self._loop is asyncio.get_running_loop() and not self.has_ended

    @property
    def has_ended(self) -> bool:
        """Tell whether its event loop has ended, or has cancelled all tasks."""
        return self._loop.is_closed() or all(task.done() for task in self._tasks)

    @property
    def is_inherited(self) -> bool:
        """Tell whether it works in the process that this one was forked from."""
        return self._pid != os.getpid()

    def ask(self, checked: Checked, tell: Tell) -> None:
        """Ask for a sample.

        Args:
            checked: The request.
            tell: Is told the sample, or why there is none.
        """
        if any(task.done() for task in self._tasks):
            tell(ClientClosedError("the client is closed"))
            return
        words, request_id, timeout_s, has_encoding = checked
        if not request_id:
            self._numbered += 1
            request_id = f"{self._life}-{self._numbered}"
            words = (*encode_request(request_id=request_id), *words)
        if not has_encoding:
            words = (*words, *encode_request(encoding="json" if self.prefers_json else "packed"))
        deadline_s = NEVER if timeout_s is None else self._loop.time() + timeout_s
        ask = Ask(request_id, (*words, *self._own_words), deadline_s)
        self._state.ask(ask, lambda reply: tell(self._outcome(request_id, timeout_s, reply)))
        self._wake()

    async def release(self, session: str) -> None:
        """Release a session from its pinned weights.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        await self._redis.release(session)

    async def recall(self, request_ids: Sequence[str]) -> set[str]:
        """Find out which requests of an earlier client of this name are still known; at least of those named.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        await self._is_current.wait()
        known = self._state.kept_ids
        for request_id in request_ids:
            if request_id not in known and await self._redis.has(request_id, self._state.read_until):
                known.add(request_id)
        return known

    def keep(self, most: int) -> None:
        """Have so many results stay in Redis from now on."""
        self._redis.most_kept = most

    async def stop(self, *, keep: bool, forgotten: str | None = None) -> None:
        """End: tell everybody who waits that nothing will come, and close the connections.

        Args:
            keep: Where the client has a name, leave what it has asked for, and the results, to its next life.
            forgotten: Name of a client that has ended and kept, whose requests and results nobody needs any more.
        """
        self._is_stopping = True
        while left := [task for task in self._tasks if not task.done()]:
            for task in left:
                task.cancel()  # once is not enough: `asyncio.wait_for` of Python 3.11, within redis-py, swallows some
            await asyncio.wait(left, timeout=_CANCEL_AGAIN_S)
        names = [] if keep and self._is_named else [self.name]
        for name in (*names, *([forgotten] if forgotten else ())):
            with suppress(DependencyError, TimeoutError):
                await asyncio.wait_for(self._redis.withdraw(name), _GOODBYE_S)
        self._redis.close()
        await self._client.aclose()

    async def _send(self) -> None:
        """Send what waits, all of it in one step."""
        await self._is_current.wait()
        while True:
            await self._has_work.wait()
            self._has_work.clear()
            while self._state.has_unsent:
                now_s = self._loop.time()
                sending = self._state.next_sending(now_s)
                self._set_alarm()
                await self._redis.send(sending, now_s)
                self._state.confirm(sending)
                self._note_success()

    async def _read(self) -> None:
        """Read results while any are wanted; first those that an earlier life has left."""
        while not self._is_current.is_set():
            if not await self._take(block_ms=0):
                self._is_current.set()
        while True:
            if not self._state.is_waiting:
                self._is_waiting.clear()
                await self._is_waiting.wait()
            await self._take(block_ms=_BLOCK_MS)

    async def _take(self, *, block_ms: int) -> int:
        """Read some results, and return how many."""
        records = await self._redis.read(self._state.read_until, block_ms)
        self._note_success()
        now_s = self._loop.time()
        for result_id, reply in records:
            self._state.receive(result_id, reply, now_s)
        if self._state.has_unsent:
            self._has_work.set()
        return len(records)

    async def _keep_on(self, work: Callable[[], Awaitable[None]]) -> None:
        """Begin anew after each failure, and send everything again that may have been lost with it."""
        while True:
            try:
                await work()
            except RefusedError as error:
                self._refusal = error
                self._state.give_up()
                self._refusal = None
            except DependencyError as error:
                self._trouble = str(error)
            self._failures += 1
            longest_s = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2 ** min(self._failures, 10))
            await asyncio.sleep(random.uniform(_FIRST_WAIT_S, longest_s))  # noqa: S311 - jitter is no secret
            self._state.lose_connection()
            self._has_work.set()

    def _note_success(self) -> None:
        self._failures, self._trouble = 0, ""

    def _end(self, task: asyncio.Task[None]) -> None:
        """Tell everybody who waits that nothing will come, whatever has ended a task."""
        if self._alarm is not None:
            self._alarm.cancel()
        if not self._is_stopping:
            self._redis.close()  # its event loop may be about to end, and nothing can be closed after it
        bug = None if task.cancelled() else task.exception()
        self._refusal = ClientClosedError(f"the client failed: {bug!r}" if bug else "the client was closed")
        self._state.give_up()

    def _wake(self) -> None:
        if self._state.is_waiting:
            self._has_work.set()
            self._is_waiting.set()
            self._set_alarm()

    def _set_alarm(self) -> None:
        """See to it that the clock is looked at in time."""
        at_s = self._state.timer_at_s
        if at_s == NEVER or (self._alarm is not None and self._alarm.when() <= at_s):
            return
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = self._loop.call_at(at_s, self._look_at_the_clock)

    def _look_at_the_clock(self) -> None:
        self._alarm = None
        self._state.pass_time(self._loop.time())
        self._wake()

    def _outcome(self, request_id: str, timeout_s: float | None, reply: Reply | None) -> Outcome:
        """Make what a caller is told."""
        if reply is None:
            if self._refusal is not None:
                return self._refusal
            why = self._trouble or "is a worker running?"
            return SampleTimeoutError(f"no result of request {request_id} within {timeout_s:g} s; {why}")
        if reply.error is not None:
            return SampleError(reply.error, reply.message, request_id)
        try:
            sample = sample_of(reply)
        except ValueError as error:
            return SampleError("internal", f"the result cannot be read: {error}", request_id)
        self.prefers_json = isinstance(sample.chunk_ids, list) and isinstance(sample.chunk_ids[0], str)
        return sample


def ask_all(driver: Driver, requests: Sequence[Numbered], arrive: Callable[[int, Outcome], None]) -> None:
    """Ask for some requests in one step.

    Args:
        driver: Asks.
        requests: Number and request.
        arrive: Is told the number of each, and what came of it.
    """
    for number, checked in requests:
        driver.ask(checked, partial(arrive, number))
