"""One iteration of a DataLoader, which hands out samples over a client of its own.

How a training resumes exactly:

1. The client of an iteration is named `<name>-<rank>-<worker>-<run>-<iteration>`. Its requests are numbered from 0, and
   the id of a request is that name and the number.
2. A state holds the iteration, the position (samples handed out) and how many samples were asked for.
3. A resumed iteration has a client of the same name and asks for the same ids, from the position on. What was drawn for
   them is still in Redis, so nothing is drawn again.
4. For this, results stay in Redis after they were handed out, but only once a state was taken. `KEPT_TTL_S` says how
   long, `results_kept` says how many.
5. On resume, `_recall` compares what was asked for with what Redis still knows. It warns about what is gone.
6. An iteration that ends removes the client of one that is too far back to be resumed (`outdated`).
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
    """What all iterations of a stream have in common.

    Attributes:
        client: Client whose address and time-out to use.
        name: Start of the names of clients and of the ids of requests.
        checked: The request, but for its id and seed.
        seed: Seed from which those of all requests are derived; None: no seeds.
        size: Number of chunk ids in each sample.
        prefetch: Number of samples that are asked for or ready.
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
        """Make the queue for the rest of an iteration.

        Args:
            shard: Rank and DataLoader worker.
            progress: How far the iteration is.
            left: Number of samples that are left; None: without end.

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

    def most_kept(self, *, keeps_results: bool) -> int:
        """Return how many results of an iteration stay in Redis: more if a state was taken."""
        most = results_kept(self.size)
        return max(2 * self.prefetch, most if keeps_results else min(most, MOST_KEPT))

    def outdated(self, shard: Shard, iteration: IterationId, count: int | None) -> str | None:
        """Return the name of the client of an iteration that is too far back to be resumed, or None."""
        iterations = -(-self.most_kept(keeps_results=True) // count) if count else _ITERATIONS_WITHOUT_END
        number = iteration.number - min(iterations, _MOST_ITERATIONS)
        return self.name_of(shard, iteration._replace(number=number)) if number >= 0 else None


class Iteration(Iterator[Sample]):
    """The iterator over the samples of one iteration.

    It gets its number in the run when it is first used, because loaders make iterators that they never use.
    """

    def __init__(
        self,
        plan: Plan,
        shard: Shard,
        conditions: Mapping[str, Any],
        count: int | None,
        *,
        begin: Callable[[], Progress],
        leave: Callable[[Progress], None],
    ) -> None:
        """Ask for nothing before the first sample is wanted.

        Args:
            plan: What to ask for.
            shard: Rank and DataLoader worker.
            conditions: What has to be the same when its state is loaded.
            count: Number of samples; None: without end.
            begin: Returns where it begins; called once.
            leave: Called with its progress if it is abandoned before its end.
        """
        self._plan, self._shard, self._conditions, self._count = plan, shard, conditions, count
        self._begin, self._leave = begin, leave
        self._progress: Progress | None = None
        self._keeps_results = False
        self._client: SampleClient | None = None
        self._stream: SampleStream | None = None

    @property
    def is_over(self) -> bool:
        """Return whether all samples were handed out."""
        return self._count is not None and self._now().position >= self._count

    def __repr__(self) -> str:
        """Describe which iteration this is, and how far."""
        if self._progress is None:
            return "<Iteration, unused>"
        iteration, position, asked = self._now()
        return f"<Iteration {iteration.number} of run {iteration.run}, position {position}, {asked} asked for>"

    def __next__(self) -> Sample:
        """Return the next sample; wait for it if it has not arrived.

        Raises:
            SampleError: The worker answered with an error; or any other error of `SampleClient.sample`.
        """
        if self._stream is None:
            self._stream = self._open()
        try:
            return next(self._stream)
        except StopIteration:
            self._close()
            raise

    def state(self) -> State:
        """Return the state after the samples that were handed out."""
        self.keep_results()
        return write_state(self._now(), self._conditions)

    def keep_results(self) -> None:
        """Keep results in Redis from now on: a state was taken, of this iteration or of an earlier one."""
        if not self._keeps_results:
            self._keeps_results = True
            if self._client is not None:
                self._client.keep(self._plan.most_kept(keeps_results=True))

    def _now(self) -> Progress:
        """Return how far the iteration is; number it if it is used for the first time."""
        if self._progress is None:
            self._progress = self._begin()
        if self._stream is None:
            return self._progress
        iteration, first, asked = self._progress
        return Progress(iteration, first + self._stream.position, max(asked, first + self._stream.asked))

    def _open(self) -> SampleStream:
        """Open the stream, and continue with what was asked for earlier.

        Raises:
            StopIteration: Nothing is left.
            RedisError: Redis did not say what is known of earlier requests.
        """
        progress = self._now()
        if self.is_over:
            raise StopIteration
        name = self._plan.name_of(self._shard, progress.iteration)
        if self._client is None:
            keeping = Keeping(self._plan.most_kept(keeps_results=self._keeps_results), progress.position)
            self._client = self._plan.client.named(name, keeping)
        if progress.asked > progress.position:
            self._recall(self._client, name, progress)
        left = None if self._count is None else self._count - progress.position
        return SampleStream(self._client.start, self._plan.queue(self._shard, progress, left))

    def _recall(self, client: SampleClient, name: str, progress: Progress) -> None:
        """Warn about samples that were asked for after the state and are gone."""
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
        """Close the client; its requests and results stay if a state was taken."""
        if self._client is not None and self._progress is not None:
            forgotten = (
                self._plan.outdated(self._shard, self._progress.iteration, self._count) if self._keeps_results else None
            )
            self._client.close(keep=self._keeps_results, forgotten=forgotten)

    def __del__(self) -> None:
        """Close when the loop has dropped the iterator."""
        if self._progress is not None and not self.is_over:
            self._leave(self._now())
        self._close()
