"""Answer what is in hand and settle it: nothing leaves the hand before it is settled, lost, or left pending."""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet

import numpy as np
from anyio.to_thread import run_sync

from worker.core.draw.answer import Answers, answer
from worker.core.draw.prepare import Snapshots, pin_sessions
from worker.core.draw.sessions import (
    NEW_SESSION,
    Session,
    SessionChange,
    Visit,
    needs_reading,
    read_session,
)
from worker.core.draw.slicing import Slice, is_heavy, slice_by_work
from worker.core.weights.presets import weights_name
from worker.core.wire import Request, Result, Terms
from worker.ports import Batch, Failure, GivenUp, RequestStream, Settled, WeightsReader
from worker.service.journal import Journal
from worker.service.reclaim import Recovery
from worker.service.snapshots import State

_FENCED_REDRAWS = 8
_WHY = "the key of its stream holds another type or takes no more entries"
_NO_RESULT = f"its result could not be written, {_WHY}"
_NO_LETTER = f"its dead letter could not be written, {_WHY}"
Draw = Callable[[Sequence[Request | Result], Snapshots, np.random.Generator], Answers]


class Settler:
    """Hold decoded requests until they are settled."""

    def __init__(
        self,
        stream: RequestStream,
        state: State,
        *,
        weights: WeightsReader,
        recovery: Recovery,
        journal: Journal,
        draw: Draw = answer,
    ) -> None:
        """Take the parts.

        Args:
            stream: Where results go to.
            state: The snapshots to draw under.
            weights: Keeps the weights in the state fresh on demand.
            recovery: Remembers what could not be settled.
            journal: Tells what was settled.
            draw: From requests to results.
        """
        self._stream = stream
        self._state = state
        self._weights = weights
        self._recovery = recovery
        self._journal = journal
        self._draw = draw
        self._rng = np.random.Generator(np.random.SFC64())
        self._held: list[Request | Result] = []
        self._dead: dict[str, GivenUp] = {}

    @property
    def held(self) -> Sequence[Request | Result]:
        """List the requests in hand."""
        return self._held

    def hold(self, requests: Sequence[Request | Result]) -> None:
        """Take requests in hand."""
        self._held.extend(requests)

    def hold_dead(self, given_up: GivenUp) -> None:
        """Take in hand a request that is given up on."""
        self._held.append(given_up.result)
        self._dead[given_up.result.entry_id] = given_up

    def let_go(self) -> None:
        """Let go of everything: the group has forgotten it."""
        self._held.clear()
        self._dead.clear()

    async def settle_held(self) -> None:
        """Settle everything in hand; a bug or an unwritable result leaves its entry pending.

        Raises:
            RedisError: Redis did not answer; what is not settled stays in hand.
        """
        while self._held:
            await self._settle(next(slice_by_work(self._held)))

    async def _settle(self, part: Slice) -> None:
        """Settle a slice, drawing it again as long as its weights change under it.

        After some redraws the weights are no longer held against their keys: they were read after every request
        of the slice had been added, so that the promise to their writers is kept, and a writer that never rests
        cannot keep requests waiting for ever.
        """
        redraws = 0
        while True:
            snapshots = await self._snapshots([terms for terms, _ in part.asked])
            answered = await self._answer(part, snapshots)
            if answered is None:
                return
            marks = _marks(snapshots) if redraws < _FENCED_REDRAWS else ()
            # What is in hand is in the order of the stream.
            span = (part.requests[0].entry_id, part.requests[-1].entry_id)
            tally = answered.tally
            sessions = self._leave_sessions(answered.visits)
            letters = {entry_id: one.letter for entry_id, one in self._dead.items()}
            batch = Batch(answered.results, span, marks, tally.fields, letters, tally.mixtures, sessions)
            taken = self._weights.taken
            settled = await self._stream.settle(batch)
            self._correct_sessions(answered.visits, settled)
            if not settled.stale and not settled.moved:
                await self._conclude(part.requests, answered, settled)
                return
            redraws += bool(settled.stale)
            self._journal.count_redraw()
            await self._weights.take_in(settled.stale, since=taken)

    async def _snapshots(self, asked: Sequence[Terms]) -> Snapshots:
        """Take the snapshots in force for what is asked for."""
        names = {weights_name(terms) for terms in asked}
        sessions = await self._sessions(asked)
        while unknown := self._state.weights.unknown(names):
            await self._weights.read(unknown)
        weights = {name: self._state.weights.in_force(name) for name in names}
        derived = self._state.derived
        return Snapshots(derived, weights, self._stream.now_ms(), pin_sessions(asked, weights, sessions, derived))

    async def _sessions(self, asked: Sequence[Terms]) -> Mapping[str, Session]:
        """Take the sessions that are named, reading those that have to be known and are not."""
        book = self._state.sessions
        needed: dict[str, bool] = {}
        for terms in asked:
            if (name := terms.session) is not None:
                needed[name] = needed.get(name, False) or needs_reading(terms)
        # One that cannot be used is read again each time: nothing else would tell that it can be by now.
        unknown = [
            name for name, is_read in needed.items() if (is_read if (held := book.get(name)) is None else held.problem)
        ]
        found: dict[str, Session] = {}
        if unknown:
            for name, fields in zip(unknown, await self._stream.read_sessions(unknown), strict=True):
                found[name] = read_session(fields)
                book.put(name, found[name])
        # Wide ones may have been forgotten already for the sake of others.
        return {name: book.get(name) or found.get(name, NEW_SESSION) for name in needed}

    async def _answer(self, part: Slice, snapshots: Snapshots) -> Answers | None:
        """Draw for some requests; None when a bug prevents it."""
        try:
            if is_heavy(part, snapshots):
                return await run_sync(self._draw, part.requests, self._in_thread(snapshots), self._rng)
            return self._draw(part.requests, snapshots, self._rng)
        except Exception as error:  # noqa: BLE001 - the one place where a bug of ours is caught: the worker lives on
            failure = error
        await self._isolate(part.requests, failure)
        return None

    def _in_thread(self, snapshots: Snapshots) -> Snapshots:
        """Return snapshots for a draw in a thread, with derived values that no other lane uses meanwhile."""
        derived = snapshots.derived
        return snapshots if derived is None else snapshots._replace(derived=self._state.derived_apart(self, derived))

    def _leave_sessions(self, visits: Mapping[str, Visit]) -> Mapping[str, SessionChange]:
        """Tell what a draw does to its sessions; the next one goes on from there and does not wait for the settling."""
        changes = {name: visit.change for name, visit in visits.items()}
        for name, change in changes.items():
            if change.stored:
                self._state.sessions.put(name, visits[name].after)
        return changes

    def _correct_sessions(self, visits: Mapping[str, Visit], settled: Settled) -> None:
        """Where a batch was not settled, go back to what its sessions hold, all of them at once.

        Those that did not move hold what they held. Were they left ahead, they would be wrong at the next attempt, and
        the one after that the others, for ever.
        """
        if settled.is_done:
            return
        for name, visit in visits.items():
            if name in settled.moved:
                self._state.sessions.put(name, read_session(settled.moved[name]))
            elif visit.change.stored:
                self._state.sessions.put(name, visit.before)

    async def _isolate(self, part: Sequence[Request | Result], error: Exception) -> None:
        """After a bug, leave the requests pending: they come again, suspects alone, and are given up on at last."""
        self._journal.tell_failure(len(part), error)
        ids = [request.entry_id for request in part]
        self._drop_first(part)
        await self._recovery.note_failures(ids, Failure("internal", f"the worker failed with {type(error).__name__}"))

    async def _conclude(self, part: Sequence[Request | Result], answered: Answers, settled: Settled) -> None:
        """Let go of what is settled, and of what cannot be: the rest is drawn again without it."""
        self._recovery.forget(settled.lost)
        if settled.lost or settled.unwritable:
            unwritable = [one for one in answered.results if one.entry_id in settled.unwritable]
            dead = {one.entry_id: self._dead[one.entry_id] for one in unwritable if one.entry_id in self._dead}
            self._drop({*settled.lost, *settled.unwritable})
            await self._leave_unwritable(unwritable, dead)
            return
        self._recovery.forget(request.entry_id for request in part)
        self._journal.tell(part, answered, settled)
        if self._dead:
            self._journal.tell_given_up([self._dead[one.entry_id] for one in part if one.entry_id in self._dead])
        self._drop_first(part)

    async def _leave_unwritable(self, results: Sequence[Result], dead: Mapping[str, GivenUp]) -> None:
        """Say which results and dead letters cannot be written; they are attempted again, and rest until then."""
        for result in results:
            given_up = dead.get(result.entry_id)
            self._journal.tell_unwritable(result, _NO_RESULT if given_up is None else _NO_LETTER)
            if given_up is not None:
                self._recovery.rest([result.entry_id], given_up.failure)
        if failed := [result.entry_id for result in results if result.entry_id not in dead]:
            await self._recovery.note_failures(failed, Failure("too_many_deliveries", _NO_RESULT))

    def _drop(self, gone: AbstractSet[str]) -> None:
        """Let go of some entries, wherever they are in what is in hand."""
        self._held = [request for request in self._held if request.entry_id not in gone]
        self._dead = {entry_id: one for entry_id, one in self._dead.items() if entry_id not in gone}

    def _drop_first(self, part: Sequence[Request | Result]) -> None:
        """Let go of the first part of what is in hand."""
        del self._held[: len(part)]
        if self._dead:
            for request in part:
                self._dead.pop(request.entry_id, None)


def _marks(snapshots: Snapshots) -> tuple[tuple[str | None, bytes], ...]:
    """List what the weights keys held that some requests were drawn under, each key once."""
    return tuple(dict(mark for held in snapshots.weights.values() for mark in held.marks).items())
