"""Begin iterations over samples, and know the state of the latest; in other processes as well.

Each iteration has a client of its own, named `<name>-<rank>-<worker>-<run>-<iteration>`, and its requests are
numbered. Whoever goes on from a state asks for the same requests again, in that iteration and in all later ones.
"""

import secrets
import weakref
from collections.abc import Callable, Mapping
from typing import Any

from torch import distributed
from torch.utils.data import get_worker_info

from worker.client.sync import SampleClient
from worker.client.torch.iteration import Iteration, Plan
from worker.client.torch.runs import IterationId, Runs
from worker.client.torch.state import Progress, Shard, State, check_state, read_state, write_state
from worker.core.keys import NAME_PATTERN
from worker.settings.environment import read_rank, read_ranks

_LONGEST_NAME = 32
_ANYWHERE = "encoding"


class Source:
    """Begin iterations of one stream or sampler."""

    def __init__(
        self, client: SampleClient | None, *, name: str | None, batches: int | None, prefetch: int, options: Any
    ) -> None:
        """Say what to ask for; nothing is connected yet.

        Args:
            client: Whose place and patience to share; None: as `SampleClient()`.
            name: What clients and requests are named after; None: a name that nobody has.
            batches: How many samples an iteration has on each rank; None: without end.
            prefetch: How many are asked for or ready.
            options: See `Options`, and the size.

        Raises:
            TypeError: An argument is not known, or of another type.
            ValueError: A value is not accepted.
        """
        if name is not None and not (NAME_PATTERN.fullmatch(name) and len(name) <= _LONGEST_NAME):
            raise ValueError(f"name is {name!r}; accepted: 1 to {_LONGEST_NAME} of A-Z a-z 0-9 _ . -")
        client = client or SampleClient()
        checked, seed = client.check(options)
        words = dict(zip(checked.words[::2], checked.words[1::2], strict=True))
        name = name or f"torch-{secrets.token_hex(8)}"
        self._plan = Plan(client, name, checked, seed, int(words["size"]), prefetch)
        self._plan.queue(
            Shard(0, 1, "", 0), Progress(IterationId("", 0)), None
        )  # refuses here and now what is not accepted
        self._conditions = {
            **{str(field): value for field, value in words.items() if field != _ANYWHERE},
            "batches": batches,
        }
        self._conditions["seed"] = seed
        self._runs = Runs()
        self._told: tuple[int, int] | None = None
        self._loaded: State | None = None
        self._is_own = False
        self._is_noted = False
        self._latest: Callable[[], Iteration | None] = _none
        self._left: Progress | None = None

    def shard(self, worker: str | None = None) -> Shard:
        """Deliver who asks.

        Args:
            worker: What the process itself is named by; None: where this is a DataLoader worker, its number.
        """
        rank, ranks = self._find_rank()
        info = get_worker_info()
        if worker is not None or info is None:
            return Shard(rank, ranks, worker or "0", 0)
        return Shard(rank, ranks, str(info.id), info.num_workers)

    def begin(self, shard: Shard, count: int | None) -> Iteration:
        """Begin an iteration of so many samples, or go on with the one whose state was loaded.

        Raises:
            ValueError: The state was taken of something else.
        """
        of = self._conditions_of(shard)
        if self._loaded is not None and self._is_own and self._loaded["of"] != of:
            self._loaded = None  # the state of the process that this one was forked from, which nobody has loaded
        if self._loaded is not None:
            check_state(self._loaded, of)
        iteration = Iteration(self._plan, shard, of, count, begin=lambda: self._take(shard), leave=self._leave)
        if self._is_noted:
            iteration.note()
        self._latest = weakref.ref(iteration)
        return iteration

    def state(self, shard: Shard) -> State:
        """Return the state of the latest iteration; where it is over, or there is none, that of the next one."""
        self._is_noted = True
        latest = self._latest()
        if latest is not None:
            return latest.state()
        if self._left is not None:
            return write_state(self._left, self._conditions_of(shard))
        if self._loaded is None:
            self._loaded, self._is_own = write_state(self._take(shard), self._conditions_of(shard)), True
        return dict(self._loaded)

    def load(self, state: Mapping[str, Any]) -> None:
        """Have the next iteration go on from a state; an empty one is none.

        Raises:
            ValueError: It is no state of this version.
        """
        if state:
            read_state(state)
            self._is_noted = True
        self._loaded, self._is_own, self._latest, self._left = dict(state) or None, False, _none, None

    def _take(self, shard: Shard) -> Progress:
        """Deliver where the iteration that is used next begins."""
        state, self._loaded, self._left = self._loaded, None, None
        if state is None:
            return Progress(self._runs.begin(shard.loader_worker))
        progress = read_state(state)
        self._runs.resume(shard.loader_worker, progress.iteration)
        return progress

    def _leave(self, progress: Progress) -> None:
        """Note where an iteration was that ended before its time."""
        self._left = progress

    def _conditions_of(self, shard: Shard) -> dict[str, Any]:
        return {**self._conditions, **shard._asdict()}

    def _find_rank(self) -> tuple[int, int]:
        """Deliver which process of the training this is, or which one this worker belongs to, and of how many."""
        if distributed.is_available() and distributed.is_initialized():
            return distributed.get_rank(), distributed.get_world_size()
        return self._told or (read_rank(), read_ranks())

    def __getstate__(self) -> dict[str, Any]:
        """Return what a worker process needs to know; a spawned one does not know its rank."""
        return {**self.__dict__, "_told": self._find_rank(), "_latest": _none}


def _none() -> None:
    """Stand for the latest iteration where there is none."""
