"""Draw and settle what a lane has in hand.

The hand is settled in parts. A part is drawn under the snapshots of the moment and settled by one script call, as a
whole or not at all. What happens then is decided by `next_step`, from nothing but the reply and a count:

| the server found | the next step |
|---|---|
| everything as it was | conclude: count the part, log it, let go of it |
| other weights, or another session | draw the same part again, under what holds now |
| entries that are not pending here, or whose result cannot be written | discard these, draw the rest again |

Without a reply nothing is known: the part stays in hand and is settled again later. Entries that were settled all the
same are not pending any more then, so they are discarded, and nothing is answered twice. A bug in the draw leaves its
part pending: it is delivered again, suspects alone, and given up on at last.

Why no request is answered under weights older than itself: the script compares each weights key with what the part was
drawn under. It does so after every request of the part was added, so a weights change that a writer knew of before it
added a request is seen.

Why this ends although a writer never rests: a part that was drawn again eight times is settled without that comparison.
The weights of its last draw were read after every request of the part had been added, so the promise holds.
"""

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from typing import Literal, NamedTuple

import numpy as np
from anyio.to_thread import run_sync

from worker.core.draw.answer import Answers, answer
from worker.core.draw.prepare import Snapshots, pin_sessions
from worker.core.draw.slicing import Slice, is_heavy, slice_by_work
from worker.core.weights.presets import weights_name
from worker.core.wire import Request, Result, Terms
from worker.ports import Batch, Failure, GivenUp, RequestStream, Settled, WeightsReader
from worker.service.in_hand import InHand, SessionsInHand
from worker.service.meter import Meter
from worker.service.reclaim import Reclaim
from worker.service.snapshots import CurrentSnapshots

FENCED_REDRAWS = 8
_WHY = "the key of its stream holds another type or takes no more entries"
_NO_RESULT = f"its result could not be written, {_WHY}"
_NO_LETTER = f"its dead letter could not be written, {_WHY}"
Draw = Callable[[Sequence[Request | Result], Snapshots, np.random.Generator], Answers]


class Step(NamedTuple):
    """What to do with a part after a settling.

    Attributes:
        kind: Which of the three.
        redraws: How often weights have changed under the part so far.
        gone: Entries to discard.
    """

    kind: Literal["conclude", "draw again", "discard"]
    redraws: int = 0
    gone: AbstractSet[str] = frozenset()


def next_step(settled: Settled, redraws: int) -> Step:
    """Decide what to do with a part after a settling; see the table of this module.

    Args:
        settled: What the server said.
        redraws: How often weights had changed under the part before.
    """
    if settled.stale or settled.moved:
        return Step("draw again", redraws + bool(settled.stale))
    if settled.lost or settled.unwritable:
        return Step("discard", gone={*settled.lost, *settled.unwritable})
    return Step("conclude")


class Settler:
    """The draw and the settling of one lane."""

    def __init__(
        self,
        stream: RequestStream,
        current: CurrentSnapshots,
        *,
        weights: WeightsReader,
        reclaim: Reclaim,
        meter: Meter,
        draw: Draw = answer,
    ) -> None:
        """Connect the parts.

        Args:
            stream: Where results go to.
            current: The snapshots to draw under.
            weights: Keeps the current weights fresh on demand.
            reclaim: Remembers what could not be settled.
            meter: Counts and logs what was settled.
            draw: From requests to results.
        """
        self._stream = stream
        self._current = current
        self._weights = weights
        self._reclaim = reclaim
        self._meter = meter
        self._draw = draw
        self._rng = np.random.Generator(np.random.SFC64())
        self._hand = InHand()
        self._sessions = SessionsInHand(stream, current)

    def __repr__(self) -> str:
        return f"<Settler {self._hand!r}>"

    @property
    def held(self) -> Sequence[Request | Result]:
        """Return the requests in hand."""
        return self._hand.requests

    def hold(self, requests: Sequence[Request | Result]) -> None:
        """Take requests in hand."""
        self._hand.add(requests)

    def hold_given_up(self, given_up: GivenUp) -> None:
        """Take in hand a request that is given up on."""
        self._hand.add_given_up(given_up)

    def let_go(self) -> None:
        """Let go of everything: the group has forgotten it."""
        self._hand.clear()

    async def settle_held(self) -> None:
        """Settle everything in hand; a bug or an unwritable result leaves its entry pending.

        Raises:
            RedisError: Redis did not answer; what is not settled stays in hand.
        """
        while self._hand.requests:
            await self._settle(next(slice_by_work(self._hand.requests)))

    async def _settle(self, part: Slice) -> None:
        """Draw a part and settle it, again as long as `next_step` says so."""
        redraws = 0
        while True:
            snapshots = await self._snapshots([terms for terms, _ in part.asked])
            answered = await self._answer(part, snapshots)
            if answered is None:
                return
            taken = self._weights.taken
            settled = await self._stream.settle(self._batch(part, snapshots, answered, redraws))
            if not settled.is_done:
                self._sessions.roll_back(answered.visits, settled)
            step = next_step(settled, redraws)
            if step.kind == "conclude":
                self._conclude(part.requests, answered, settled)
                return
            if step.kind == "discard":
                await self._discard(step.gone, answered, settled)
                return
            redraws = step.redraws
            self._meter.count_redraw()
            await self._weights.apply(settled.stale, since=taken)

    def _batch(self, part: Slice, snapshots: Snapshots, answered: Answers, redraws: int) -> Batch:
        """Put together what is settled in one step."""
        return Batch(
            answered.results,
            (part.requests[0].entry_id, part.requests[-1].entry_id),  # what is in hand is in the order of the stream
            _marks(snapshots) if redraws < FENCED_REDRAWS else (),
            answered.tally.fields,
            self._hand.letters,
            answered.tally.mixtures,
            self._sessions.advance(answered.visits),
        )

    async def _snapshots(self, asked: Sequence[Terms]) -> Snapshots:
        """Return the snapshots in force for what is asked for."""
        names = {weights_name(terms) for terms in asked}
        sessions = await self._sessions.read(asked)
        while unknown := self._current.weights.unknown(names):
            await self._weights.read(unknown)
        weights = {name: self._current.weights.in_force(name) for name in names}
        derived = self._current.derived
        return Snapshots(derived, weights, self._stream.now_ms(), pin_sessions(asked, weights, sessions, derived))

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
        return snapshots if derived is None else snapshots._replace(derived=self._current.derived_apart(self, derived))

    async def _isolate(self, part: Sequence[Request | Result], error: Exception) -> None:
        """After a bug, leave the requests pending."""
        self._meter.log_failure(len(part), error)
        ids = [request.entry_id for request in part]
        self._hand.discard_first(part)
        await self._reclaim.note_failures(ids, Failure("internal", f"the worker failed with {type(error).__name__}"))

    def _conclude(self, part: Sequence[Request | Result], answered: Answers, settled: Settled) -> None:
        """Count and log what is settled, and let go of it."""
        self._reclaim.forget(request.entry_id for request in part)
        self._meter.record(part, answered, settled)
        if given_up := self._hand.given_up_of(part):
            self._meter.log_given_up(given_up)
        self._hand.discard_first(part)

    async def _discard(self, gone: AbstractSet[str], answered: Answers, settled: Settled) -> None:
        """Let go of what cannot be settled: the rest is drawn again without it."""
        self._reclaim.forget(settled.lost)
        unwritable = [one for one in answered.results if one.entry_id in settled.unwritable]
        given_up = {one.result.entry_id: one for one in self._hand.given_up_of(unwritable)}
        self._hand.discard(gone)
        for result in unwritable:
            one = given_up.get(result.entry_id)
            self._meter.log_unwritable(result, _NO_RESULT if one is None else _NO_LETTER)
            if one is not None:
                self._reclaim.rest([result.entry_id], one.failure)
        if failed := [result.entry_id for result in unwritable if result.entry_id not in given_up]:
            await self._reclaim.note_failures(failed, Failure("too_many_deliveries", _NO_RESULT))


def _marks(snapshots: Snapshots) -> tuple[tuple[str | None, bytes], ...]:
    """List what the weights keys held that some requests were drawn under, each key once."""
    return tuple(dict(mark for held in snapshots.weights.values() for mark in held.marks).items())
