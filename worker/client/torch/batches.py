"""A batch sampler for map-style datasets, whose batches say what they were drawn under."""

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from functools import partial
from itertools import chain, repeat
from typing import Any, Final, Unpack

from torch.utils.data import Dataset, Sampler
from torch.utils.data._utils.collate import default_collate_fn_map

from worker.client.arguments import DEFAULT_SIZE, Options, check_count
from worker.client.samples import Sample
from worker.client.sync import SampleClient
from worker.client.torch.source import Source
from worker.client.torch.state import State
from worker.client.torch.stream import PREFETCH
from worker.client.torch.trainers import times_to_repeat

IndexOf = Mapping[Any, int] | Callable[[Any], int] | range

_SHARD: Final = "batches"
_ACCEPTED: Final = (
    "a mapping {chunk id: index}, a function, or the range of the ids, in the order of the dataset: "
    "range(len(dataset)) where the ids are the indices, range(1, len(dataset) + 1) where they begin at 1"
)


class Drawn(list[int]):
    """Hold the indices of a batch, and the sample behind them.

    Attributes:
        sample: What the batch was drawn under; its `chunk_ids` are in the order of the indices.
    """

    sample: Sample


class WeightedBatchSampler(Sampler[list[int]]):
    """Choose the batches of a map-style dataset by the weights in force: `DataLoader(dataset, batch_sampler=...)`.

    A batch comes with its sample where the dataset is `WithSample(dataset)`.

    Attributes:
        batch_size: How many indices a batch has.
        drop_last: True: all batches are whole.
    """

    drop_last = True

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
            index_of: Chunk id -> index in the dataset; has to be given. A range holds the ids in the dataset's order.
            name: See `ChunkIdStream`.
            client: See `ChunkIdStream`.
            options: See `Options`. Of a seed one is made for each request, see `worker.core.wire.seeds.seed_of`.

        Raises:
            TypeError: An argument is not known, or of another type.
            ValueError: A value is not accepted.
        """
        self._batches = check_count("batches", batches)
        self._index_of = _function(index_of)
        asked = {"size": batch_size, **options}
        self._source = Source(client, name=name, batches=self._batches, prefetch=PREFETCH, options=asked)
        self.batch_size = batch_size

    def __iter__(self) -> Iterator[list[int]]:
        """Begin an iteration, or go on with the one whose state was loaded.

        Raises:
            ValueError: The state was taken of something else, or a trainer would throw batches away.
        """
        times = times_to_repeat()
        batches = map(self._indices, self._source.begin(self._source.shard(_SHARD), self._batches))
        return chain.from_iterable(repeat(batch, times) for batch in batches) if times > 1 else batches

    def __len__(self) -> int:
        """Return how many batches an iteration has; all of those that Accelerate shares out among ranks."""
        return self._batches * times_to_repeat()

    def state_dict(self) -> State:
        """Return where the sampler is, as torchdata's StatefulDataLoader asks for it.

        With DataLoader workers it is ahead of the loop; the state of a StatefulDataLoader is not.
        """
        return self._source.state(self._source.shard(_SHARD))

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Have the next iteration go on from a state.

        Raises:
            ValueError: It is no state of this version.
        """
        self._source.load(state_dict)

    def _indices(self, sample: Sample) -> Drawn:
        """Find the places of a sample's chunks in the dataset.

        Raises:
            ValueError: The dataset has no place for one of them.
        """
        ids: list[Any] = sample.chunk_ids if isinstance(sample.chunk_ids, list) else sample.chunk_ids.tolist()
        drawn = Drawn(_index(self._index_of, chunk) for chunk in ids)
        drawn.sample = sample
        return drawn


class WithSample(Dataset[tuple[Any, Sample]]):
    """Have each batch of a `WeightedBatchSampler` come with its sample: `for batch, sample in loader`.

    It works with any number of DataLoader workers. A `collate_fn` of your own is given pairs of an item and the sample.
    """

    def __init__(self, dataset: Any) -> None:
        """Take a map-style dataset."""
        self._dataset = dataset

    def __len__(self) -> int:
        """Return how many items the dataset has."""
        return len(self._dataset)

    def __getitem__(self, index: int) -> tuple[Any, Sample]:
        """Refuse to be asked for one item, which has no sample.

        Raises:
            TypeError: Always.
        """
        raise TypeError(_only_batches(index))

    def __getitems__(self, indices: list[int]) -> list[tuple[Any, Sample]]:
        """Return the items of a batch, each with the batch's sample.

        Raises:
            TypeError: The batch is not one of a `WeightedBatchSampler`.
            ValueError: The dataset has no item of an index.
        """
        if not isinstance(indices, Drawn):
            raise TypeError(_only_batches(indices))
        sample = _SharedSample(*(getattr(indices.sample, field.name) for field in fields(Sample)))
        ids: Iterable[Any] = sample.chunk_ids
        return [(self._item(index, chunk), sample) for index, chunk in zip(indices, ids, strict=True)]

    def _item(self, index: int, chunk: Any) -> Any:
        try:
            return self._dataset[index]
        except LookupError as error:
            there = f"the dataset has no item {index}, which index_of gives for chunk {chunk}"
            raise ValueError(f"{there}: {error}; accepted: an index_of that knows the dataset") from error


class _SharedSample(Sample):
    """Be the sample of all items of one batch: `default_collate` makes one of them."""

    __slots__ = ()


def _one_of(samples: Sequence[Sample], *, collate_fn_map: Any = None) -> Sample:
    """Be what `default_collate` makes of the samples of a batch's items."""
    del collate_fn_map
    return samples[0]


default_collate_fn_map[_SharedSample] = _one_of


def _function(index_of: Any) -> Callable[[Any], int]:
    """Make a function of whatever tells the index of a chunk id.

    Raises:
        TypeError: Nothing does.
    """
    find: Callable[[Any], int] | None = index_of if callable(index_of) else None
    if isinstance(index_of, range):
        find = partial(_place_in, index_of)
    elif isinstance(index_of, Mapping):
        find = index_of.__getitem__
    if find is not None:
        return find
    given = "missing" if index_of is None else f"a {type(index_of).__name__}"
    raise TypeError(f"index_of is {given}; accepted: {_ACCEPTED}")


def _place_in(chunks: range, chunk: Any) -> int:
    if chunk not in chunks:
        raise LookupError(chunk)
    return chunks.index(chunk)


def _index(index_of: Callable[[Any], int], chunk: Any) -> int:
    """Find the index of a chunk.

    Raises:
        TypeError: What is found is no whole number.
        ValueError: There is none, or it counts from the end.
    """
    try:
        index = operator.index(index_of(chunk))
    except LookupError as error:
        raise ValueError(f"index_of has no index for chunk {chunk}; accepted: one for every READY chunk") from error
    if index < 0:
        raise ValueError(f"index_of gives {index} for chunk {chunk}; accepted: whole numbers from 0")
    return index


def _only_batches(given: Any) -> str:
    return (
        f"WithSample was asked for {str(given)[:80]}, which has no sample; accepted: "
        "DataLoader(WithSample(dataset), batch_sampler=WeightedBatchSampler(...))"
    )
