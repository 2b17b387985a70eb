"""The iterations of one stream or sampler, and the state of the latest, in this process and in its workers.

`iteration` explains how an iteration is resumed.
"""

import secrets
import weakref
from collections.abc import Callable, Mapping
from typing import Any

from torch import distributed
from torch.utils.data import get_worker_info

from worker.client.arguments import size_of
from worker.client.sync import SampleClient
from worker.client.torch.iteration import Iteration, Plan
from worker.client.torch.runs import IterationId, Runs
from worker.client.torch.state import Progress, Shard, State, check_state, read_state, write_state
from worker.core.keys import NAME_PATTERN
from worker.settings.environment import read_rank, read_ranks

_LONGEST_NAME = 32
_FREE = "encoding"


class Source:
    """The iterations of one stream or sampler."""

    def __init__(
        self, client: SampleClient | None, *, name: str | None, batches: int | None, prefetch: int, options: Any
    ) -> None:
        """Connect to nothing yet.

        Args:
            client: Its address and time-out are used; None: those of `SampleClient()`.
            name: Start of the names of clients and of request ids; None: a unique one.
            batches: Number of samples in an iteration on each rank; None: without end.
            prefetch: Number of samples that are asked for or ready.
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
        self._plan = Plan(client, name, checked, seed, size_of(words), prefetch)
        self._plan.queue(Shard(0, 1, "", 0), Progress(IterationId("", 0)), None)  # raises now if prefetch is refused
        self._conditions = {
            **{str(field): value for field, value in words.items() if field != _FREE},
            "batches": batches,
        }
        self._conditions["seed"] = seed
        self._runs = Runs()
        self._rank_of_parent: tuple[int, int] | None = None
        self._loaded: State | None = None
        self._is_own_state = False
        self._has_state = False
        self._latest: Callable[[], Iteration | None] = _none
        self._left: Progress | None = None

    def shard(self, worker: str | None = None) -> Shard:
        """Return the rank and worker of this process.

        Args:
            worker: Name instead of the number of the DataLoader worker; None: that number, if there is one.
        """
        rank, ranks = self._find_rank()
        info = get_worker_info()
        if worker is not None or info is None:
            return Shard(rank, ranks, worker or "0", 0)
        return Shard(rank, ranks, str(info.id), info.num_workers)

    def begin(self, shard: Shard, count: int | None) -> Iteration:
        """Begin an iteration, or resume the one whose state was loaded.

        Args:
            shard: The rank and worker that ask.
            count: Number of samples; None: without end.

        Raises:
            ValueError: The state was taken under other conditions.
        """
        conditions = self._conditions_of(shard)
        if self._loaded is not None and self._is_own_state and self._loaded["of"] != conditions:
            self._loaded = None  # a state of the parent process, which nobody has loaded here
        if self._loaded is not None:
            check_state(self._loaded, conditions)
        iteration = Iteration(self._plan, shard, conditions, count, begin=lambda: self._take(shard), leave=self._leave)
        if self._has_state:
            iteration.keep_results()
        self._latest = weakref.ref(iteration)
        return iteration

    def state(self, shard: Shard) -> State:
        """Return the state of the latest iteration; if it is over, or there is none, that of the next one."""
        self._has_state = True
        latest = self._latest()
        if latest is not None:
            return latest.state()
        if self._left is not None:
            return write_state(self._left, self._conditions_of(shard))
        if self._loaded is None:
            self._loaded, self._is_own_state = write_state(self._take(shard), self._conditions_of(shard)), True
        return dict(self._loaded)

    def load(self, state: Mapping[str, Any]) -> None:
        """Resume the next iteration from a state, unless it is empty.

        Raises:
            ValueError: It is no state of this version.
        """
        if state:
            read_state(state)
            self._has_state = True
        self._loaded, self._is_own_state, self._latest, self._left = dict(state) or None, False, _none, None

    def _take(self, shard: Shard) -> Progress:
        """Return where the next iteration begins."""
        state, self._loaded, self._left = self._loaded, None, None
        if state is None:
            return Progress(self._runs.begin(shard.loader_worker))
        progress = read_state(state)
        self._runs.resume(shard.loader_worker, progress.iteration)
        return progress

    def _leave(self, progress: Progress) -> None:
        """Store the progress of an iteration that ended early."""
        self._left = progress

    def _conditions_of(self, shard: Shard) -> dict[str, Any]:
        return {**self._conditions, **shard._asdict()}

    def _find_rank(self) -> tuple[int, int]:
        """Return the rank of this process, or of the process that this worker belongs to, and the number of ranks."""
        if distributed.is_available() and distributed.is_initialized():
            return distributed.get_rank(), distributed.get_world_size()
        return self._rank_of_parent or (read_rank(), read_ranks())

    def __getstate__(self) -> dict[str, Any]:
        """Return what a worker process needs; a spawned one cannot find its rank by itself."""
        return {**self.__dict__, "_rank_of_parent": self._find_rank(), "_latest": _none}


def _none() -> None:
    """Return no iteration, as the latest one."""
