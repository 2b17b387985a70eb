"""One pass of a training loop over its samples, and how it is resumed without repeating or skipping one.

1. The client of an iteration has the name `<name>-<rank>-<worker>-<run>-<iteration>`, and request `n` has the id
   `<that name>-<n>`. So a resumed training asks for the same ids.
2. A request id is answered once. Whoever asks for it again gets the same sample, as long as Redis has its result.
3. So a state needs three things: the iteration, `position` (samples handed out), and `asked` (requests sent).
4. Resuming asks again from `position` on. Samples up to `asked` were drawn already and come back unchanged. Later ones
   are drawn under the weights now in force.
5. Results stay in Redis after they were handed out, because a checkpoint may be older than the crash. They stay only
   once somebody has taken a state. `results_kept` bounds their number and `KEPT_TTL_S` their age. What is gone is drawn
   anew, and a warning says how many.
6. At the end of an iteration, the results of one old iteration are removed: see `Plan.outdated`.
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
_STACK_LEVEL_OF_CALLER = 4


class Plan(NamedTuple):
    """What all iterations of a stream ask for.

    Attributes:
        client: Its address and time-out are used.
        name: Start of the names of clients and of request ids.
        checked: The arguments of each request, without the seed.
        seed: The seeds of all requests are derived from it; None: they have none.
        size: Number of chunk ids in each sample; with a budget roughly.
        prefetch: Number of samples that are asked for or ready.
    """

    client: SampleClient
    name: str
    checked: Checked
    seed: int | None
    size: int
    prefetch: int

    def name_of(self, shard: Shard, iteration: IterationId) -> str:
        """Return the name of the client of an iteration."""
        return f"{self.name}-{shard.rank}-{shard.worker}-{iteration.run}-{iteration.number}"

    def queue(self, shard: Shard, progress: Progress, left: int | None) -> PrefetchQueue:
        """Return the queue of the remaining requests of an iteration.

        Args:
            shard: The rank and worker that ask.
            progress: How far the iteration is.
            left: Number of remaining samples; None: without end.

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

    def most_kept(self, *, has_state: bool) -> int:
        """Return how many results of an iteration stay in Redis: more once somebody has taken a state."""
        most = results_kept(self.size)
        return max(2 * self.prefetch, most if has_state else min(most, MOST_KEPT))

    def outdated(self, shard: Shard, iteration: IterationId, count: int | None) -> str | None:
        """Return the name of the client of an iteration that is too old to be resumed; None: there is none yet."""
        iterations = -(-self.most_kept(has_state=True) // count) if count else _ITERATIONS_WITHOUT_END
        number = iteration.number - min(iterations, _MOST_ITERATIONS)
        return self.name_of(shard, iteration._replace(number=number)) if number >= 0 else None


class Iteration(Iterator[Sample]):
    """An iterator over the samples of one iteration.

    Its number is chosen when it is first used, because loaders make iterators that they never use.
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
            shard: The rank and worker that ask.
            conditions: What has to be the same when its state is loaded.
            count: Number of samples; None: without end.
            begin: Returns where it begins; called once.
            leave: Called with its progress if it ends early.
        """
        self._plan, self._shard, self._conditions, self._count = plan, shard, conditions, count
        self._begin, self._leave = begin, leave
        self._progress: Progress | None = None
        self._has_state = False
        self._client: SampleClient | None = None
        self._stream: SampleStream | None = None

    def __repr__(self) -> str:
        """Describe the iteration and how far it is."""
        if self._progress is None:
            return f"<Iteration of {self._plan.name}, unused>"
        iteration, position, asked = self._now()
        return f"<Iteration {iteration.number} of {self._plan.name}, position {position}, {asked} asked for>"

    @property
    def is_over(self) -> bool:
        """Return whether all samples were handed out."""
        return self._count is not None and self._now().position >= self._count

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
        """Return the state after the latest sample that was handed out."""
        self.keep_results()
        return write_state(self._now(), self._conditions)

    def keep_results(self) -> None:
        """Keep results in Redis from now on, since somebody may resume from a state."""
        if not self._has_state:
            self._has_state = True
            if self._client is not None:
                self._client.keep(self._plan.most_kept(has_state=True))

    def _now(self) -> Progress:
        """Return how far it is."""
        if self._progress is None:
            self._progress = self._begin()
        if self._stream is None:
            return self._progress
        iteration, first, asked = self._progress
        return Progress(iteration, first + self._stream.position, max(asked, first + self._stream.asked))

    def _open(self) -> SampleStream:
        """Begin the stream, with the requests that were asked for earlier.

        Raises:
            StopIteration: Nothing is left.
            RedisError: Redis did not answer which of them it knows.
        """
        progress = self._now()
        if self.is_over:
            raise StopIteration
        name = self._plan.name_of(self._shard, progress.iteration)
        if self._client is None:
            keeping = Keeping(self._plan.most_kept(has_state=self._has_state), progress.position)
            self._client = self._plan.client.named(name, keeping)
        if progress.asked > progress.position:
            self._warn_of_loss(self._client, name, progress)
        left = None if self._count is None else self._count - progress.position
        return SampleStream(self._client.start, self._plan.queue(self._shard, progress, left))

    def _warn_of_loss(self, client: SampleClient, name: str, progress: Progress) -> None:
        """Warn if samples that were asked for after the state are gone from Redis."""
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
                stacklevel=_STACK_LEVEL_OF_CALLER,
            )

    def _close(self) -> None:
        """Close the client. Its requests stay in Redis if somebody has taken a state."""
        if self._client is not None and self._progress is not None:
            outdated = self._plan.outdated(self._shard, self._progress.iteration, self._count)
            self._client.close(keep=self._has_state, forgotten=outdated if self._has_state else None)

    def __del__(self) -> None:
        """Close the client when the loop drops the iteration."""
        if self._progress is not None and not self.is_over:
            self._leave(self._now())
        self._close()
