"""What to do with a part of the requests in hand after an attempt to settle it: one pure decision.

Redis settles a part wholly or not at all, and says why not. There are three outcomes:

1. It is settled -> `Done`: every result is written, so the requests leave the hand.
2. Weights or a session changed since the draw, or a rule has to make a step before -> `DrawAgain`: nothing was written,
   and the whole part is drawn again. This comes before the third case, as a new draw may write other results.
3. Some entries are lost, or their results cannot be written -> `Drop`: only these leave the hand. The rest is drawn
   again as another part.

A writer of weights that never rests must not keep requests waiting for ever. So a part is fenced, which means held
against the weights keys, only for the first draws. The promise to the writer still holds: after that many draws, the
weights were read later than every request of the part had been added. Sessions stay fenced, as a draw under an older
state of a session would repeat chunks. Positioned weights stay fenced, too: they change only when a rule makes a step.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from worker.core.wire import Result
from worker.ports import GivenUp, Settled

FENCED_REDRAWS = 8


@dataclass(frozen=True, slots=True)
class Done:
    """Every request of the part is settled.

    Attributes:
        given_up: Those whose dead letters are stored now.
    """

    given_up: Sequence[GivenUp] = ()


@dataclass(frozen=True, slots=True)
class DrawAgain:
    """The part has to be drawn again.

    Attributes:
        redraws: How often its weights have changed under it so far.
        met: Fields of what was heard whose bounds it has to wait for; see `worker.service.due_steps`.
    """

    redraws: int
    met: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Drop:
    """Some requests leave the hand unsettled; the others have to be drawn again.

    Attributes:
        lost: Entries that are not pending for this consumer any more.
        unwritten: Results that cannot be written; their entries stay pending.
        unwritten_dead: Requests given up on whose result and dead letter cannot be written; their entries stay pending.
    """

    lost: Sequence[str]
    unwritten: Sequence[Result] = ()
    unwritten_dead: Sequence[GivenUp] = ()

    @property
    def entry_ids(self) -> frozenset[str]:
        """Return the entries that leave the hand."""
        unwritten = (*self.unwritten, *(one.result for one in self.unwritten_dead))
        return frozenset([*self.lost, *(result.entry_id for result in unwritten)])


Outcome = Done | DrawAgain | Drop


def is_fenced(redraws: int) -> bool:
    """Return whether a part is held against its weights keys, after so many redraws."""
    return redraws < FENCED_REDRAWS


def decide(results: Sequence[Result], dead: Mapping[str, GivenUp], settled: Settled, *, redraws: int) -> Outcome:
    """Decide what follows an attempt to settle a part.

    Args:
        results: The results of the part, in any order.
        dead: Entry id -> the requests in hand that are given up on.
        settled: What Redis said.
        redraws: How often the part's weights had changed under it before.
    """
    if settled.stale or settled.moved or settled.met:
        return DrawAgain(redraws + bool(settled.stale), () if settled.stale else settled.met)
    if settled.lost or settled.unwritable:
        unwritten = [one for one in results if one.entry_id in settled.unwritable]
        return Drop(
            settled.lost,
            [one for one in unwritten if one.entry_id not in dead],
            [dead[one.entry_id] for one in unwritten if one.entry_id in dead],
        )
    return Done([dead[one.entry_id] for one in results if one.entry_id in dead] if dead else ())
