"""The state of an iteration in a checkpoint, and the conditions that must be the same at loading."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from worker.client.torch.runs import IterationId

State = dict[str, Any]

_RUN, _ITERATION, _POSITION, _ASKED, _OF = "run", "iteration", "position", "asked", "of"
_WORDS = {
    "rank": "the rank, each of which has a state of its own,",
    "ranks": "the number of ranks",
    "worker": "the DataLoader worker",
    "workers": "num_workers",
}


class Shard(NamedTuple):
    """The process that asks for samples.

    Attributes:
        rank: Rank of the training process.
        ranks: Number of ranks.
        worker: Number of its DataLoader worker, or another name.
        workers: Number of its DataLoader workers; 0: the training process itself asks.
    """

    rank: int
    ranks: int
    worker: str
    workers: int

    @property
    def loader_worker(self) -> str | None:
        """Return a name of the DataLoader worker that is unique among all ranks; None if it is none."""
        return f"{self.rank}-{self.worker}" if self.workers else None

    @property
    def number(self) -> int:
        """Return the number of the DataLoader worker; 0 if it is none."""
        return int(self.worker) if self.workers else 0


class Progress(NamedTuple):
    """How far an iteration is.

    Attributes:
        iteration: Id of the iteration.
        position: Number of samples that were handed out.
        asked: Number of samples that were asked for, at least.
    """

    iteration: IterationId
    position: int = 0
    asked: int = 0


def write_state(progress: Progress, conditions: Mapping[str, Any]) -> State:
    """Return the state of an iteration.

    Args:
        progress: How far it is.
        conditions: What has to be the same when the state is loaded.
    """
    iteration, position, asked = progress
    return {
        _RUN: iteration.run,
        _ITERATION: iteration.number,
        _POSITION: position,
        _ASKED: asked,
        _OF: dict(conditions),
    }


def read_state(state: Mapping[str, Any]) -> Progress:
    """Read how far an iteration was.

    Raises:
        ValueError: It is no state that `write_state` wrote.
    """
    try:
        iteration = IterationId(str(state[_RUN]), int(state[_ITERATION]))
        dict(state[_OF])
        return Progress(iteration, int(state[_POSITION]), int(state[_ASKED]))
    except (KeyError, TypeError, ValueError):
        words = f"the state {str(dict(state))[:200]} is not of this version"
        raise ValueError(f"{words}; accepted: what state_dict returned") from None


def check_state(state: Mapping[str, Any], conditions: Mapping[str, Any]) -> None:
    """Check that a state was taken under the present conditions.

    Raises:
        ValueError: A condition differs.
    """
    then = state[_OF]
    for name in sorted(then.keys() | conditions.keys()):
        if then.get(name) != conditions.get(name):
            raise ValueError(unlike(_WORDS.get(name, name), conditions.get(name), then.get(name)))


def unlike(what: str, now: Any, then: Any) -> str:
    """Write the sentence that refuses a state which was taken under another condition.

    Args:
        what: The condition in words.
        now: What it is.
        then: What it was.
    """
    return (
        f"{what} is {now!r}, and was {then!r} when the state was taken; accepted: the same, or no state: then samples "
        "that were drawn ahead are left out"
    )
