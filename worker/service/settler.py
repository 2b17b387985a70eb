"""Answer the requests in hand and settle them: draw, write the results, acknowledge.

Rules:

1. A request leaves the hand in three cases: it is settled, it is lost, or it is left pending for a later attempt. An
   error of Redis leaves it in hand.
2. Requests are drawn and settled in parts. One script in Redis settles a part wholly or not at all.
3. A part is settled only for entries that are still pending for this consumer. Weights keys and sessions must still
   hold what the part was drawn under. Otherwise `worker.service.outcome` decides what follows.
4. An exception in a draw is a bug of ours. The part leaves the hand, and its entries stay pending. They are attempted
   again alone, and given up on at last, so that one request cannot take others with it.

Why a request is answered exactly once: the script alone writes results. It checks for each entry that it is pending for
this consumer. A settled entry is not pending any more, so a second settling finds it lost. This also covers a reply
that got lost: the part is still in hand, it is settled again, and Redis says that it is lost.

Why a change of weights is in force for the next request: the change replaces the value of a key. A part that was drawn
under the previous value is refused. Then the key is read again before the next draw.

Why a rule's steps are exact: a part that meets a bound is refused, and drawn again after the step; see
`worker.core.stats.heard`.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

import numpy as np
from anyio.to_thread import run_sync

from worker.core.draw.answer import answer
from worker.core.draw.groups import Answers
from worker.core.draw.prepare import Snapshots, pin_sessions
from worker.core.draw.sessions import Session
from worker.core.draw.slicing import Slice, is_heavy
from worker.core.stats.heard import heard_growth
from worker.core.weights.presets import weights_name
from worker.core.wire import Request, Result, Terms
from worker.core.wire.exclusions import exclusion_name
from worker.ports import Batch, Failure, NextRead, RequestStream, Settled
from worker.service.due_steps import DueSteps, StepWait
from worker.service.exclusions import NOTHING_EXCLUDED, ExclusionsInHand, drawn_apart
from worker.service.in_hand import InHand, SessionsInHand
from worker.service.meter import Meter
from worker.service.outcome import Done, DrawAgain, Drop, decide, is_fenced
from worker.service.reclaim import Reclaim
from worker.service.snapshots import CurrentSnapshots

_WHY = "the key of its stream holds another type or takes no more entries"
_NO_RESULT = f"its result could not be written, {_WHY}"
_NO_LETTER = f"its dead letter could not be written, {_WHY}"
_NO_SESSIONS: Final[Mapping[str, Session]] = MappingProxyType({})
_NOTHING: Final[Mapping[str, int]] = MappingProxyType({})
Draw = Callable[[Sequence[Request | Result], Snapshots, np.random.Generator], Answers]


class Settler:
    """The part of one lane that answers and settles requests.

    Attributes:
        in_hand: The requests that are not settled yet.
    """

    def __init__(
        self,
        stream: RequestStream,
        current: CurrentSnapshots,
        *,
        steps: DueSteps,
        reclaim: Reclaim,
        meter: Meter,
        draw: Draw = answer,
    ) -> None:
        """Connect the parts.

        Args:
            stream: Takes the results.
            current: The snapshots to draw under.
            steps: Waits for the steps of rules. Its `weights` reads weights that are not known, and applies those that
                settling found.
            reclaim: Remembers what could not be settled.
            meter: Counts and logs what was settled.
            draw: Makes results of requests.
        """
        self.in_hand = InHand()
        self._stream = stream
        self._current = current
        self._sessions = SessionsInHand(stream, current.sessions)
        self._exclusions = ExclusionsInHand(stream, current.exclusions)
        self._weights = steps.weights
        self._steps = steps
        self._reclaim = reclaim
        self._meter = meter
        self._draw = draw
        self._again: DrawAgain | None = None
        self._rng = np.random.Generator(np.random.SFC64())

    def __repr__(self) -> str:
        """Return the state in one line, for logs and tests."""
        return f"<Settler {self.in_hand!r}>"

    async def settle_held(self) -> None:
        """Settle everything in hand; after a bug or an unwritable result, the entry stays pending.

        Raises:
            RedisError: Redis did not answer; what is not settled stays in hand.
        """
        again, self._again = self._again, None
        while self.in_hand:
            await self._settle_part(self.in_hand.next_part(), again)
            again = None

    async def settle_at_once(self, then_read: NextRead | None) -> bool:
        """Try once to settle everything in hand together; `settle_held` goes on if that does not succeed.

        Args:
            then_read: What to read ahead once that is settled.

        Returns:
            Whether everything left the hand.

        Raises:
            RedisError: Redis did not answer; what is not settled stays in hand.
        """
        if self.in_hand:
            self._again = await self._attempt(self.in_hand.next_part(), 0, self._steps.new_wait(), then_read)
        return not self.in_hand

    async def _settle_part(self, part: Slice, again: DrawAgain | None) -> None:
        """Draw a part and settle it, again and again while weights or sessions change under it.

        Args:
            part: The first requests in hand.
            again: What came of an earlier attempt.
        """
        wait = self._steps.new_wait()
        again = again or await self._attempt(part, 0, wait)
        while again is not None:
            if again.met:
                await wait.refused(again.met)
            again = await self._attempt(part, again.redraws, wait)

    async def _attempt(
        self, part: Slice, redraws: int, wait: StepWait, then_read: NextRead | None = None
    ) -> DrawAgain | None:
        """Draw a part and try to settle it; return how it goes on if it has to be drawn again."""
        snapshots = await self._snapshots([terms for terms, _ in part.asked])
        try:
            answered = await self._answer(part, snapshots)
        except Exception as error:  # noqa: BLE001 - the one place where a bug of ours is caught: the worker lives on
            await self._isolate(part, error)
            return None
        batch = self._batch(part, answered, snapshots, redraws, is_bounded=wait.is_bounded)
        settled = await self._stream.settle(batch, then_read)
        self._sessions.correct(answered.visits, settled)
        outcome = decide(answered.results, self.in_hand.dead, settled, redraws=redraws)
        if isinstance(outcome, DrawAgain):
            self._meter.count_redraw()
            stale = self._exclusions.forget(settled.stale)
            await self._weights.catch_up(stale, drawn=dict(batch.marks))
            return outcome
        wait.end(batch.heard)
        await self._conclude(part, answered, settled, outcome)
        return None

    async def _snapshots(self, asked: Sequence[Terms]) -> Snapshots:
        """Return the snapshots in force for what is asked for."""
        names = {weights_name(terms) for terms in asked}
        lists = {terms.exclude for terms in asked if terms.exclude is not None}
        in_sessions = [terms for terms in asked if terms.session is not None]
        sessions = await self._sessions.read(in_sessions) if in_sessions else _NO_SESSIONS
        while unknown := self._current.weights.unknown(names):
            await self._weights.read(unknown)
        weights = {name: self._current.weights.in_force(name) for name in names}
        derived = self._current.derived
        excluded = await self._exclusions.read(lists, derived) if lists else NOTHING_EXCLUDED
        pinned = pin_sessions(in_sessions, weights, sessions, derived) if in_sessions else sessions
        return Snapshots(derived, weights, self._stream.now_ms(), pinned, excluded)

    async def _answer(self, part: Slice, snapshots: Snapshots) -> Answers:
        """Draw for the requests of a part, in a thread if that takes long."""
        if is_heavy(part, snapshots):
            return await run_sync(self._draw, part.requests, self._in_thread(snapshots), self._rng)
        return self._draw(part.requests, snapshots, self._rng)

    def _in_thread(self, snapshots: Snapshots) -> Snapshots:
        """Return snapshots for a draw in a thread, with derived values that no other lane uses meanwhile."""
        derived = snapshots.derived
        if derived is None:
            return snapshots
        return snapshots._replace(
            derived=self._current.derived_apart(self, derived), excluded=drawn_apart(snapshots.excluded)
        )

    def _batch(self, part: Slice, answered: Answers, snapshots: Snapshots, redraws: int, *, is_bounded: bool) -> Batch:
        """Return what to settle, and advance the sessions."""
        tally = answered.tally
        return Batch(
            results=answered.results,
            span=(part.requests[0].entry_id, part.requests[-1].entry_id),  # in the order of the stream
            marks=_marks(snapshots, is_fenced=is_fenced(redraws)),
            growth=tally.fields,
            dead={entry_id: one.letter for entry_id, one in self.in_hand.dead.items()},
            mixtures=tally.mixtures,
            sessions=self._sessions.advance(answered.visits),
            heard=_heard(tally.fields, snapshots),
            is_bounded=is_bounded,
        )

    async def _isolate(self, part: Slice, error: Exception) -> None:
        """After a bug, leave the requests pending: they come again, suspects alone, and are given up on at last."""
        self._meter.log_failure(len(part.requests), error)
        self.in_hand.drop_first(part.requests)
        why = Failure("internal", f"the worker failed with {type(error).__name__}")
        await self._reclaim.note_failures([request.entry_id for request in part.requests], why)

    async def _conclude(self, part: Slice, answered: Answers, settled: Settled, outcome: Done | Drop) -> None:
        """Remove from the hand what is settled, or what cannot be settled."""
        if isinstance(outcome, Drop):
            await self._leave_pending(outcome)
            return
        self._reclaim.forget(request.entry_id for request in part.requests)
        self._meter.record(part.requests, answered, settled)
        self._meter.log_given_up(outcome.given_up)
        self.in_hand.drop_first(part.requests)

    async def _leave_pending(self, outcome: Drop) -> None:
        """Remove lost entries, and leave unwritten ones pending: they are attempted again after the idle time."""
        self._reclaim.forget(outcome.lost)
        self.in_hand.drop(outcome.entry_ids)
        for given_up in outcome.unwritten_dead:
            self._meter.log_unwritable(given_up.result, _NO_LETTER)
            self._reclaim.rest([given_up.result.entry_id], given_up.failure)
        for result in outcome.unwritten:
            self._meter.log_unwritable(result, _NO_RESULT)
        if failed := [result.entry_id for result in outcome.unwritten]:
            await self._reclaim.note_failures(failed, Failure("too_many_deliveries", _NO_RESULT))


def _marks(snapshots: Snapshots, *, is_fenced: bool) -> tuple[tuple[str | None, bytes], ...]:
    """Return the values of the weights keys, as marks, that settling has to find; each key once."""
    held = [held for held in snapshots.weights.values() if is_fenced or held.is_positioned]
    if len(held) == 1 and not snapshots.excluded:
        return held[0].marks
    marks = dict(mark for each in held for mark in each.marks)
    if is_fenced and snapshots.excluded:
        marks |= {exclusion_name(name): one.mark for name, one in snapshots.excluded.items()}
    return tuple(marks.items())


def _heard(growth: Mapping[str, int], snapshots: Snapshots) -> Mapping[str, int]:
    """Return what a batch adds to what was heard under positioned weights."""
    positioned = {held.dataset for held in snapshots.weights.values() if held.is_positioned}
    return heard_growth(growth, positioned) if positioned else _NOTHING
