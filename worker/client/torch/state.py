"""The state of an iteration: what a checkpoint holds of it, and what has to be the same where it is loaded."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from worker.client.torch.runs import IterationId

State = dict[str, Any]

_RUN, _ITERATION, _POSITION, _ASKED, _OF = "run", "iteration", "position", "asked", "of"
_TELLS = {
    "rank": "the rank, each of which has a state of its own,",
    "ranks": "the number of ranks",
    "worker": "the DataLoader worker",
    "workers": "num_workers",
}


class Shard(NamedTuple):
    """Say who asks.

    Attributes:
        rank: Which process of the training.
        ranks: How many of them there are.
        worker: Which DataLoader worker of that process, or what else it is named by.
        workers: How many of them there are; 0: the process itself asks.
    """

    rank: int
    ranks: int
    worker: str
    workers: int

    @property
    def loader_worker(self) -> str | None:
        """Name the DataLoader worker among those of all ranks; None where it is none."""
        return f"{self.rank}-{self.worker}" if self.workers else None

    @property
    def number(self) -> int:
        """Number the worker; 0 where it is none."""
        return int(self.worker) if self.workers else 0


class Progress(NamedTuple):
    """Say where an iteration is.

    Attributes:
        iteration: Which iteration.
        position: How many samples were handed out.
        asked: How many were asked for; more may have been since.
    """

    iteration: IterationId
    position: int = 0
    asked: int = 0


def write_state(progress: Progress, of: Mapping[str, Any]) -> State:
    """Write the state of an iteration.

    Args:
        progress: Where it is.
        of: What has to be the same where the state is loaded.
    """
    iteration, position, asked = progress
    return {_RUN: iteration.run, _ITERATION: iteration.number, _POSITION: position, _ASKED: asked, _OF: dict(of)}


def read_state(state: Mapping[str, Any]) -> Progress:
    """Read where an iteration was.

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


def check_state(state: Mapping[str, Any], of: Mapping[str, Any]) -> None:
    """Check that a state was taken of the same as is asked for now.

    Raises:
        ValueError: Something differs.
    """
    then = state[_OF]
    for name in sorted(then.keys() | of.keys()):
        if then.get(name) != of.get(name):
            tells = _TELLS.get(name, name)
            raise ValueError(
                f"{tells} is {of.get(name)!r}, and was {then.get(name)!r} when the state was taken; accepted: the "
                "same, or no state: then samples that were drawn ahead are left out"
            )
