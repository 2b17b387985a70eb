"""The state of an iteration in a checkpoint, and what has to be the same when it is loaded."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from worker.client.torch.runs import IterationId

State = dict[str, Any]

_RUN, _ITERATION, _POSITION, _ASKED, _OF = "run", "iteration", "position", "asked", "of"
_DESCRIPTIONS = {
    "rank": "the rank, each of which has a state of its own,",
    "ranks": "the number of ranks",
    "worker": "the DataLoader worker",
    "workers": "num_workers",
}


class Shard(NamedTuple):
    """The part of a training that asks for samples: a rank, or one of its DataLoader workers.

    Attributes:
        rank: Number of the process in the training.
        ranks: Number of processes.
        worker: Number of the DataLoader worker, or another name of the asker.
        workers: Number of DataLoader workers; 0: the process itself asks.
    """

    rank: int
    ranks: int
    worker: str
    workers: int

    @property
    def loader_worker(self) -> str | None:
        """Return the name of the DataLoader worker among those of all ranks, or None."""
        return f"{self.rank}-{self.worker}" if self.workers else None

    @property
    def number(self) -> int:
        """Return the number of the DataLoader worker, or 0."""
        return int(self.worker) if self.workers else 0


class Progress(NamedTuple):
    """How far an iteration is.

    Attributes:
        iteration: Which iteration.
        position: Number of samples handed out.
        asked: Number of samples asked for; more may have been asked for since.
    """

    iteration: IterationId
    position: int = 0
    asked: int = 0


def write_state(progress: Progress, conditions: Mapping[str, Any]) -> State:
    """Write the state of an iteration.

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
        ValueError: `write_state` has not written this.
    """
    try:
        iteration = IterationId(str(state[_RUN]), int(state[_ITERATION]))
        dict(state[_OF])
        return Progress(iteration, int(state[_POSITION]), int(state[_ASKED]))
    except (KeyError, TypeError, ValueError):
        words = f"the state {str(dict(state))[:200]} is not of this version"
        raise ValueError(f"{words}; accepted: what state_dict returned") from None


def check_state(state: Mapping[str, Any], conditions: Mapping[str, Any]) -> None:
    """Check that a state fits what is asked for now.

    Raises:
        ValueError: Something differs.
    """
    then = state[_OF]
    for name in sorted(then.keys() | conditions.keys()):
        if then.get(name) != conditions.get(name):
            described = _DESCRIPTIONS.get(name, name)
            raise ValueError(
                f"{described} is {conditions.get(name)!r}, and was {then.get(name)!r} when the state was taken; "
                "accepted: the same, or no state: then samples that were drawn ahead are left out"
            )
