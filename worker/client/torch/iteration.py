"""One iteration: hand out samples over a client of its own, which ends with the last of them or with the iteration.

Results stay in Redis after they were handed out, once somebody has taken a state: an older state may ask for them
again, as long as it is not too old. `KEPT_TTL_S` and `results_kept` say how old; what is gone is told at the resume.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from worker.client.arguments import Checked
from worker.client.prefetch import PrefetchQueue
from worker.client.samples import Sample
from worker.client.stream import SampleStream
from worker.client.sync import SampleClient
from worker.client.torch.runs import IterationId
from worker.client.torch.state import Progress, Shard, State, write_state
from worker.core.client_state import MOST_KEPT, Keeping, results_kept
from worker.core.wire.seeds import seed_of
from worker.errors import LeftOutWarning

_MOST_ITERATIONS = 1000
_ITERATIONS_WITHOUT_END = 8
_WARNS_OF_CALLER = 4


class Plan(NamedTuple):
    """Say what all iterations of a stream ask for.

    Attributes:
        client: Whose place and patience to share.
        name: What clients and requests are named after.
        checked: What each request says, but for its seed.
        seed: What the seeds of all requests are made of; None: they have none.
        size: How many chunk ids each sample has.
        prefetch: How many samples are asked for or ready.
    """

    client: SampleClient
    name: str
    checked: Checked
    seed: int | None
    size: int
    prefetch: int

    def name_of(self, shard: Shard, iteration: IterationId) -> str:
        """Name the client of an iteration."""
        return f"{self.name}-{shard.rank}-{shard.worker}-{iteration.run}-{iteration.number}"

    def queue(self, shard: Shard, progress: Progress, left: int | None) -> PrefetchQueue:
        """Make the queue of what is left of an iteration.

        Args:
            shard: Who asks.
            progress: Where the iteration is.
            left: How many samples are left; None: they are without end.

        Raises:
            TypeError: A value is of another type.
            ValueError: A value is not accepted.
        """
        name, first, seed = self.name_of(shard, progress.iteration), progress.position, self.seed
        place = {"rank": shard.rank, "worker": shard.number, "iteration": progress.iteration.number}
        return PrefetchQueue(
            self.checked,
            prefetch=self.prefetch,
            count=left,
            request_ids=lambda number: f"{name}-{first + number}",
            seeds=None if seed is None else lambda number: seed_of(seed, first + number, **place),
        )

    def most_kept(self, *, is_noted: bool) -> int:
        """Deliver how many results of an iteration stay in Redis; more where somebody may go on from an older state."""
        most = results_kept(self.size)
        return max(2 * self.prefetch, most if is_noted else min(most, MOST_KEPT))

    def outdated(self, shard: Shard, iteration: IterationId, count: int | None) -> str | None:
        """Name the client of an earlier iteration that nobody goes on with any more; None: there is none yet."""
        iterations = -(-self.most_kept(is_noted=True) // count) if count else _ITERATIONS_WITHOUT_END
        number = iteration.number - min(iterations, _MOST_ITERATIONS)
        return self.name_of(shard, iteration._replace(number=number)) if number >= 0 else None


class Iteration(Iterator[Sample]):
    """Hand out the samples of one iteration.

    Which iteration of the run it is, is decided when it is first used: loaders make iterators that they never use.
    """

    def __init__(
        self,
        plan: Plan,
        shard: Shard,
        of: Mapping[str, Any],
        count: int | None,
        *,
        begin: Callable[[], Progress],
        leave: Callable[[Progress], None],
    ) -> None:
        """Take what to do; nothing is asked for before the first sample is wanted.

        Args:
            plan: What to ask for.
            shard: Who asks.
            of: What has to be the same where its state is loaded.
            count: How many samples it has; None: without end.
            begin: Tells where it begins, once.
            leave: Is told where it was, where it ends before its time.
        """
        self._plan, self._seat, self._conditions, self._count = plan, shard, of, count
        self._begin, self._leave = begin, leave
        self._spot: Progress | None = None
        self._is_noted = False
        self._client: SampleClient | None = None
        self._stream: SampleStream | None = None

    @property
    def is_over(self) -> bool:
        """Deliver whether all samples were handed out."""
        return self._count is not None and self._now().position >= self._count

    def __next__(self) -> Sample:
        """Return the next sample, waiting for it where it has not come.

        Raises:
            SampleError: The worker answered with an error; and whatever else `SampleClient.sample` raises.
        """
        if self._stream is None:
            self._stream = self._open()
        try:
            return next(self._stream)
        except StopIteration:
            self._close()
            raise

    def state(self) -> State:
        """Return the state after what was handed out."""
        self.note()
        return write_state(self._now(), self._conditions)

    def note(self) -> None:
        """Note that somebody may go on from a state of this iteration, or of an earlier one."""
        if not self._is_noted:
            self._is_noted = True
            if self._client is not None:
                self._client.keep(self._plan.most_kept(is_noted=True))

    def _now(self) -> Progress:
        """Deliver where it is."""
        if self._spot is None:
            self._spot = self._begin()
        if self._stream is None:
            return self._spot
        iteration, first, asked = self._spot
        return Progress(iteration, first + self._stream.position, max(asked, first + self._stream.asked))

    def _open(self) -> SampleStream:
        """Go on with what was asked for earlier, if anything was.

        Raises:
            StopIteration: Nothing is left.
            RedisError: Redis did not say what was asked for.
        """
        progress = self._now()
        if self.is_over:
            raise StopIteration
        name = self._plan.name_of(self._seat, progress.iteration)
        if self._client is None:
            keeping = Keeping(self._plan.most_kept(is_noted=self._is_noted), progress.position)
            self._client = self._plan.client.named(name, keeping)
        if progress.asked > progress.position:
            self._recall(self._client, name, progress)
        left = None if self._count is None else self._count - progress.position
        return SampleStream(self._client.start, self._plan.queue(self._seat, progress, left))

    def _recall(self, client: SampleClient, name: str, progress: Progress) -> None:
        """Deliver how much of what was asked for after the state is gone."""
        asked = range(progress.position, progress.asked)
        known = client.recall([f"{name}-{number}" for number in asked])
        numbers = [int(request_id.rpartition("-")[2]) for request_id in known]
        first = min((number for number in numbers if number >= progress.position), default=None)
        lost = (progress.asked if first is None else first) - progress.position
        if lost:
            warnings.warn(
                f"{'at least ' if first is None else ''}{lost} samples that were asked for as {name} after this state "
                "are not in Redis any more, and others are drawn in their place; accepted: a state that is less than "
                "a day old, and not further back than Redis keeps results, see worker/client/README.md",
                LeftOutWarning,
                stacklevel=_WARNS_OF_CALLER,
            )

    def _close(self) -> None:
        """End the client; what it asked for stays where somebody has taken a state."""
        if self._client is not None and self._spot is not None:
            forgotten = self._plan.outdated(self._seat, self._spot.iteration, self._count) if self._is_noted else None
            self._client.close(keep=self._is_noted, forgotten=forgotten)

    def __del__(self) -> None:
        """End where whoever went through it has let go of it."""
        if self._spot is not None and not self.is_over:
            self._leave(self._now())
        self._close()
