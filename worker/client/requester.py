"""Send the requests of one client and receive their results, on the running event loop.

1. `ClientState` (in the core) decides what to send and who gets a result. This module does the I/O and the clock.
2. Two tasks run. `_send` adds requests, `_read` reads the reply stream. Each has a connection of its own, because a
   blocked read holds up whatever is sent behind it.
3. A request is added once, however often it is sent: the script that adds it remembers its id. So after any failure,
   all requests without a result are sent again.
4. No result is lost. It stays in the reply stream, and reading continues after the last result that was read.
5. Sending waits until the reply stream was read to its end. So results of an earlier process with the same name answer
   requests before anything is drawn again.
6. If Redis refuses a command, all waiting requests fail. Any other failure is retried after a random, growing delay.
7. Whatever ends a task also fails all waiting requests. So no caller waits for a result that cannot come.
"""

import asyncio
import os
import random
import secrets
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from worker.adapters.redis.client import connect
from worker.adapters.redis.client_streams import KEPT_TTL_S, NOTES_TTL_S, RedisClientStreams
from worker.client.address import Address
from worker.client.arguments import Checked
from worker.client.report_sender import ReportSender
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
_WITHDRAW_S = 2.0

Outcome = Sample | SamplingError
Deliver = Callable[[Outcome], None]


class Requester:
    """Sends requests and receives results for one client, and starts again after every failure.

    Attributes:
        name, client: Name of the client in Redis, and its connections.
        prefers_json: Whether ids turned out to be uuids, which are faster to read as JSON.
        reports: Sends reports of losses over the same connections.
    """

    def __init__(self, address: Address, keeping: Keeping | None = None, *, name: str | None = None) -> None:
        """Start on the running event loop.

        Args:
            address: Server, prefix and name.
            keeping: See `ClientState`.
            name: Name of an ended requester to continue; None: the name of the address, or a unique one.

        Raises:
            SettingsError: The URL is not accepted.
        """
        self.name = name or address.name or f"client-{secrets.token_hex(16)}"
        self._is_named = address.name is not None
        self._own_words = encode_request(reply_to=self.name)
        self._id_prefix = secrets.token_hex(8)
        self._numbered = 0
        self.client = connect(address.url, timeout_s=_REPLY_TIMEOUT_S)
        self.reports = ReportSender(self.client, Keys(address.prefix))
        ttl_s = KEPT_TTL_S if self._is_named else NOTES_TTL_S
        self._redis = RedisClientStreams(
            self.client, Keys(address.prefix), self.name, ttl_s=ttl_s, most_kept=keeping.most if keeping else 0
        )
        self._state = ClientState(keeping)
        self._loop = asyncio.get_running_loop()
        self._pid = os.getpid()
        self._has_work, self._is_waiting, self._has_caught_up = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._is_unused = not self._is_named and name is None
        if self._is_unused:  # a unique name has no earlier results
            self._has_caught_up.set()
        self._alarm: asyncio.TimerHandle | None = None
        self._failures, self._trouble = 0, ""
        self._refusal: SamplingError | None = None
        self._is_stopping = self.prefers_json = False
        self._tasks = [asyncio.create_task(self._retry(work)) for work in (self._send, self._read)]
        for task in self._tasks:
            task.add_done_callback(self._end)

    @property
    def is_here(self) -> bool:
        """Return whether it works on the running event loop."""
        return self._loop is asyncio.get_running_loop() and not self.has_ended

    @property
    def has_ended(self) -> bool:
        """Return whether its event loop has ended or has cancelled all tasks."""
        return self._loop.is_closed() or all(task.done() for task in self._tasks)

    @property
    def is_inherited(self) -> bool:
        """Return whether it belongs to the process that this one was forked from."""
        return self._pid != os.getpid()

    def __repr__(self) -> str:
        """Describe the client and what it is doing."""
        if self.has_ended:
            state = "ended"
        elif self._trouble:
            state = f"retrying after {self._failures} failures: {self._trouble}"
        else:
            state = "waiting for results" if self._state.is_waiting else "idle"
        return f"<Requester {self.name}, {state}>"

    def ask(self, checked: Checked, deliver: Deliver) -> None:
        """Ask for a sample.

        Args:
            checked: The request.
            deliver: Called with the sample, or with the error in its place.
        """
        if any(task.done() for task in self._tasks):
            deliver(ClientClosedError("the client is closed"))
            return
        self._is_unused = False
        words, request_id, timeout_s, has_encoding = checked
        if not request_id:
            self._numbered += 1
            request_id = f"{self._id_prefix}-{self._numbered}"
            words = (*encode_request(request_id=request_id), *words)
        if not has_encoding:
            words = (*words, *encode_request(encoding="json" if self.prefers_json else "packed"))
        deadline_s = NEVER if timeout_s is None else self._loop.time() + timeout_s
        ask = Ask(request_id, (*words, *self._own_words), deadline_s)
        self._state.ask(ask, lambda reply: deliver(self._outcome(request_id, timeout_s, reply)))
        self._wake()

    async def release(self, session: str) -> None:
        """Release a session from its pinned weights.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        await self._redis.release(session)

    async def recall(self, request_ids: Sequence[str]) -> set[str]:
        """Return which requests of an earlier client of this name are still known, at least among those given.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        await self._has_caught_up.wait()
        known = self._state.kept_ids
        for request_id in request_ids:
            if request_id not in known and await self._redis.has(request_id, self._state.read_until):
                known.add(request_id)
        return known

    def keep(self, most: int) -> None:
        """Keep this many results in Redis from now on."""
        self._redis.most_kept = most

    async def stop(self, *, keep: bool, forgotten: str | None = None) -> None:
        """Fail all waiting requests and close the connections.

        Args:
            keep: Leave requests and results to the next client of this name, if it has one.
            forgotten: Name of an ended client whose kept requests and results are to be removed.
        """
        self._is_stopping = True
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self.reports.finish(_WITHDRAW_S)
        names = [] if self._is_unused or (keep and self._is_named) else [self.name]
        for name in (*names, *([forgotten] if forgotten else ())):
            with suppress(DependencyError, TimeoutError):
                async with asyncio.timeout(_WITHDRAW_S):
                    await self._redis.withdraw(name)
        self._redis.close()
        await self.client.aclose()

    async def _send(self) -> None:
        """Send what is unsent, in as few steps as possible."""
        await self._has_caught_up.wait()
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
        """Read results while any are wanted, and first those of an earlier process."""
        while not self._has_caught_up.is_set():
            if not await self._read_once(block_ms=0):
                self._has_caught_up.set()
        while True:
            if not self._state.is_waiting:
                self._is_waiting.clear()
                await self._is_waiting.wait()
            await self._read_once(block_ms=_BLOCK_MS)

    async def _read_once(self, *, block_ms: int) -> int:
        """Read results once, and return how many arrived."""
        records = await self._redis.read(self._state.read_until, block_ms)
        self._note_success()
        now_s = self._loop.time()
        for result_id, reply in records:
            self._state.receive(result_id, reply, now_s)
        if self._state.has_unsent:
            self._has_work.set()
        return len(records)

    async def _retry(self, work: Callable[[], Awaitable[None]]) -> None:
        """Start again after each failure, and send again whatever it may have lost."""
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
        """Fail all waiting requests once a task has ended."""
        if self._alarm is not None:
            self._alarm.cancel()
        if not self._is_stopping:
            self._redis.close()  # later may be too late: the event loop may be ending
        bug = None if task.cancelled() else task.exception()
        self._refusal = ClientClosedError(f"the client failed: {bug!r}" if bug else "the client was closed")
        self._state.give_up()

    def _wake(self) -> None:
        if self._state.is_waiting:
            self._has_work.set()
            self._is_waiting.set()
            self._set_alarm()

    def _set_alarm(self) -> None:
        """Schedule the next look at the clock."""
        at_s = self._state.timer_at_s
        if at_s == NEVER or (self._alarm is not None and self._alarm.when() <= at_s):
            return
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = self._loop.call_at(at_s, self._on_alarm)

    def _on_alarm(self) -> None:
        self._alarm = None
        self._state.pass_time(self._loop.time())
        self._wake()

    def _outcome(self, request_id: str, timeout_s: float | None, reply: Reply | None) -> Outcome:
        """Make the sample or error for a caller."""
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
