"""Samples for PyTorch's DataLoader: a stream of chunk ids for any number of its workers, and a batch sampler.

Every iteration has a life of its own, named by a short random word: its clients are `<name>-<rank>-<worker>-<life>`,
and their requests are numbered. Whoever took the state of an iteration (its life, and how many samples were handed
out) can go on with it in another process, and asks there for the very same requests.
"""

import secrets
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Unpack

from torch import distributed
from torch.utils.data import IterableDataset, Sampler, get_worker_info

from worker.client.arguments import DEFAULT_SIZE, Options, check_count
from worker.client.samples import Sample
from worker.client.stream import SampleStream
from worker.client.sync import SampleClient
from worker.core.keys import NAME_PATTERN
from worker.settings.environment import read_rank

_LONGEST_NAME = 32
_PREFETCH = 4
_LIFE, _POSITION = "life", "position"

IndexOf = Mapping[Any, int] | Callable[[Any], int]
State = dict[str, Any]


class ChunkIdStream(IterableDataset[Sample]):
    """Stream samples into a DataLoader with `batch_size=None`, whose `collate_fn` may load the audio.

    Each worker of each rank asks for itself. A sample carries the weights in force when it was drawn, and says which;
    what workers and DataLoader hold ready is older than a change by up to `num_workers * (prefetch + prefetch_factor)`
    samples.
    """

    def __init__(
        self,
        size: int = DEFAULT_SIZE,
        *,
        name: str | None = None,
        batches: int | None = None,
        prefetch: int = _PREFETCH,
        client: SampleClient | None = None,
        **options: Unpack[Options],
    ) -> None:
        """Say what to ask for; nothing is connected yet.

        Args:
            size: How many chunk ids each.
            name: What clients and requests are named after, up to 32 of `[A-Za-z0-9_.-]`; None: a name nobody has.
            batches: How many samples an iteration has on each rank, over all its workers; None: without end.
            prefetch: How many each worker has asked for or ready.
            client: Whose place and patience to share; None: as `SampleClient()`.
            options: See `Options`.

        Raises:
            TypeError: An argument is not known, or of another type.
            ValueError: A value is not accepted.
        """
        super().__init__()
        self._batches = None if batches is None else check_count("batches", batches)
        self._source = _Source(client, name, size, prefetch, options)

    def __iter__(self) -> Iterator[Sample]:
        """Begin an iteration in this worker, or go on with the one whose state was loaded."""
        info = get_worker_info()
        number, workers = (0, 1) if info is None else (info.id, info.num_workers)
        share = None if self._batches is None else self._batches // workers + (number < self._batches % workers)
        return self._source.begin(str(number), share)

    def __len__(self) -> int:
        """Return how many samples an iteration has on each rank.

        Raises:
            TypeError: It is without end.
        """
        if self._batches is None:
            raise TypeError("a ChunkIdStream without end has no length; accepted: batches=")
        return self._batches

    def state_dict(self) -> State:
        """Return where this worker is, as torchdata's StatefulDataLoader asks for it."""
        return self._source.state()

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Have the next iteration of this worker go on from a state."""
        self._source.load(state_dict)


class WeightedBatchSampler(Sampler[list[int]]):
    """Choose the batches of a map-style dataset by the weights in force: `DataLoader(dataset, batch_sampler=...)`.

    Attributes:
        latest: The sample behind the latest batch, which says what it was drawn under; None before the first.
    """

    def __init__(
        self,
        batch_size: int = DEFAULT_SIZE,
        *,
        batches: int,
        index_of: IndexOf | None = None,
        name: str | None = None,
        client: SampleClient | None = None,
        **options: Unpack[Options],
    ) -> None:
        """Say what to ask for; nothing is connected yet.

        Args:
            batch_size: How many indices a batch has.
            batches: How many batches an iteration has, on each rank.
            index_of: Chunk id -> index in the dataset; None: the ids are the indices.
            name: See `ChunkIdStream`.
            client: See `ChunkIdStream`.
            options: See `Options`.

        Raises:
            TypeError: An argument is not known, or of another type.
            ValueError: A value is not accepted.
        """
        self._batches = check_count("batches", batches)
        self._source = _Source(client, name, batch_size, _PREFETCH, options)
        self._index_of = index_of.__getitem__ if isinstance(index_of, Mapping) else index_of
        self.latest: Sample | None = None

    def __iter__(self) -> Iterator[list[int]]:
        """Begin an iteration, or go on with the one whose state was loaded."""
        return map(self._indices, self._source.begin("batches", self._batches))

    def __len__(self) -> int:
        """Return how many batches an iteration has."""
        return self._batches

    def state_dict(self) -> State:
        """Return where the sampler is, as torchdata's StatefulDataLoader asks for it."""
        return self._source.state()

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Have the next iteration go on from a state."""
        self._source.load(state_dict)

    def _indices(self, sample: Sample) -> list[int]:
        """Find the places of a sample's chunks in the dataset.

        Raises:
            ValueError: The dataset has no place for one of them.
        """
        self.latest = sample
        ids: list[Any] = sample.chunk_ids if isinstance(sample.chunk_ids, list) else sample.chunk_ids.tolist()
        if self._index_of is None:
            return ids
        try:
            return [self._index_of(chunk) for chunk in ids]
        except LookupError as error:
            raise ValueError(f"index_of has no index for chunk {error}; accepted: one for every READY chunk") from error


class _Source:
    """Begin iterations, and know the state of the latest; in other processes as well."""

    def __init__(self, client: SampleClient | None, name: str | None, size: int, prefetch: int, options: Any) -> None:
        if name is not None and not (NAME_PATTERN.fullmatch(name) and len(name) <= _LONGEST_NAME):
            raise ValueError(f"name is {name!r}; accepted: 1 to {_LONGEST_NAME} of A-Z a-z 0-9 _ . -")
        self._name = name or f"torch-{secrets.token_hex(8)}"
        self._client = client or SampleClient()
        self._arguments = {"size": size, "prefetch": prefetch, **options}
        self._rank: int | None = None
        self._loaded: State | None = None
        self._latest: Callable[[], _Iteration | None] = _none
        self._client.stream(**self._arguments, request_ids=str)  # refuses here and now what is not accepted

    def begin(self, worker: str, count: int | None) -> "_Iteration":
        """Begin an iteration of so many samples, or go on with the one whose state was loaded."""
        state, self._loaded = self._loaded or {}, None
        life, position = state.get(_LIFE) or secrets.token_hex(4), state.get(_POSITION, 0)
        client = self._client.named(f"{self._name}-{self._find_rank()}-{worker}-{life}")
        iteration = _Iteration(client, self._arguments, life, position, count)
        self._latest = weakref.ref(iteration)
        return iteration

    def state(self) -> State:
        """Return the state of the latest iteration; empty where there is none."""
        latest = self._latest()
        return dict(self._loaded or {}) if latest is None else latest.state()

    def load(self, state: Mapping[str, Any]) -> None:
        """Have the next iteration go on from a state."""
        self._loaded, self._latest = dict(state), _none

    def _find_rank(self) -> int:
        """Tell which process of the training this is, or which one this worker belongs to."""
        if distributed.is_available() and distributed.is_initialized():
            return distributed.get_rank()
        return read_rank() if self._rank is None else self._rank

    def __getstate__(self) -> State:
        """Return what a worker process needs to know; a spawned one does not know its rank."""
        return {**self.__dict__, "_rank": self._find_rank(), "_latest": _none}


class _Iteration(Iterator[Sample]):
    """Hand out samples over a client of its own, which ends with the last of them or with the iteration.

    Where somebody has taken its state, and it ends before its time, requests and results are left to whoever goes on.
    """

    def __init__(
        self, client: SampleClient, arguments: Mapping[str, Any], life: str, position: int, count: int | None
    ) -> None:
        self._client = client
        self._arguments = arguments
        self._life = life
        self._position = position
        self._count = count
        self._is_noted = False
        self._stream: SampleStream | None = None

    def __next__(self) -> Sample:
        if self._is_over:
            self._client.close()
            raise StopIteration
        if self._stream is None:
            self._stream = self._begin()
        sample = next(self._stream)
        self._position += 1
        return sample

    @property
    def _is_over(self) -> bool:
        return self._count is not None and self._position >= self._count

    def state(self) -> State:
        """Return the state after what was handed out."""
        self._is_noted = True
        return {_LIFE: self._life, _POSITION: self._position}

    def _begin(self) -> SampleStream:
        name, first = self._client.name, self._position
        left = None if self._count is None else self._count - first
        return self._client.stream(**self._arguments, count=left, request_ids=lambda number: f"{name}-{first + number}")

    def __del__(self) -> None:
        self._client.close(keep=self._is_noted and not self._is_over)


def _none() -> None:
    """Stand for the latest iteration where there is none."""
