"""A batch sampler for map-style datasets, whose batches know their sample."""

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
    """The indices of a batch, with their sample.

    Attributes:
        sample: The sample, with the weights that the batch was drawn under. Its `chunk_ids` are in the same order.
    """

    sample: Sample


class WeightedBatchSampler(Sampler[list[int]]):
    """A batch sampler that draws by the weights in force: `DataLoader(dataset, batch_sampler=...)`.

    With `WithSample(dataset)` as the dataset, each batch comes with its sample.

    Attributes:
        batch_size: Number of indices in a batch; None: it varies, by `budget_s`.
        drop_last: True, as no batch is an incomplete one.
    """

    drop_last = True

    def __init__(
        self,
        batch_size: int | None = None,
        *,
        batches: int,
        index_of: IndexOf | None = None,
        name: str | None = None,
        client: SampleClient | None = None,
        **options: Unpack[Options],
    ) -> None:
        """Connect to nothing yet.

        Args:
            batch_size: Number of indices in a batch; None: 32, unless `budget_s` is given.
            batches: Number of batches in an iteration, on each rank.
            index_of: Chunk id -> index in the dataset; required. A range lists the ids in the order of the dataset.
            name: See `ChunkIdStream`.
            client: See `ChunkIdStream`.
            options: See `Options`. From `seed` one is derived for each request, see `worker.core.wire.seeds.seed_of`.

        Raises:
            TypeError: An argument is not known, or of another type.
            ValueError: A value is not accepted.
        """
        self._batches = check_count("batches", batches)
        self._index_of = _function(index_of)
        asked = {"size": batch_size, **options}
        self._source = Source(client, name=name, batches=self._batches, prefetch=PREFETCH, options=asked)
        varies = options.get("budget_s") is not None
        self.batch_size = None if varies else DEFAULT_SIZE if batch_size is None else batch_size

    def __iter__(self) -> Iterator[list[int]]:
        """Begin an iteration, or resume the one whose state was loaded.

        Raises:
            ValueError: The state was taken under other conditions, or a trainer would throw batches away.
        """
        times = times_to_repeat()
        batches = map(self._indices, self._source.begin(self._source.shard(_SHARD), self._batches))
        return chain.from_iterable(repeat(batch, times) for batch in batches) if times > 1 else batches

    def __len__(self) -> int:
        """Return the number of batches in an iteration; with Accelerate, that of all ranks together."""
        return self._batches * times_to_repeat()

    def state_dict(self) -> State:
        """Return the state of the sampler, for the StatefulDataLoader of torchdata.

        With DataLoader workers the sampler is ahead of the loop. The state of a StatefulDataLoader corrects that.
        """
        return self._source.state(self._source.shard(_SHARD))

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Resume the next iteration from a state.

        Raises:
            ValueError: It is no state of this version.
        """
        self._source.load(state_dict)

    def _indices(self, sample: Sample) -> Drawn:
        """Return the indices of the chunks of a sample in the dataset.

        Raises:
            ValueError: One of them has no index.
        """
        ids: list[Any] = sample.chunk_ids if isinstance(sample.chunk_ids, list) else sample.chunk_ids.tolist()
        drawn = Drawn(_index(self._index_of, chunk) for chunk in ids)
        drawn.sample = sample
        return drawn


class WithSample(Dataset[tuple[Any, Sample]]):
    """A dataset whose batches come with their sample: `for batch, sample in loader`.

    It needs a `WeightedBatchSampler`, and works with any number of DataLoader workers. A `collate_fn` of your own gets
    pairs of an item and the sample.
    """

    def __init__(self, dataset: Any) -> None:
        """Wrap a map-style dataset."""
        self._dataset = dataset

    def __len__(self) -> int:
        """Return the number of items in the dataset."""
        return len(self._dataset)

    def __getitem__(self, index: int) -> tuple[Any, Sample]:
        """Refuse to return a single item, since only a batch has a sample.

        Raises:
            TypeError: Always.
        """
        raise TypeError(_only_batches(index))

    def __getitems__(self, indices: list[int]) -> list[tuple[Any, Sample]]:
        """Return the items of a batch, each with the batch's sample.

        Raises:
            TypeError: The batch was not made by a `WeightedBatchSampler`.
            ValueError: The dataset has no item for an index.
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
    """The sample of all items of a batch. `default_collate` returns one of them for the batch."""

    __slots__ = ()


def _one_of(samples: Sequence[Sample], *, collate_fn_map: Any = None) -> Sample:
    """Return the one sample of the items of a batch."""
    del collate_fn_map
    return samples[0]


default_collate_fn_map[_SharedSample] = _one_of


def _function(index_of: Any) -> Callable[[Any], int]:
    """Return the function from chunk id to index.

    Raises:
        TypeError: None can be made of what was given.
    """
    find: Callable[[Any], int] | None = index_of if callable(index_of) else None
    if isinstance(index_of, range):
        find = partial(_index_in, index_of)
    elif isinstance(index_of, Mapping):
        find = index_of.__getitem__
    if find is not None:
        return find
    given = "missing" if index_of is None else f"a {type(index_of).__name__}"
    raise TypeError(f"index_of is {given}; accepted: {_ACCEPTED}")


def _index_in(chunks: range, chunk: Any) -> int:
    if chunk not in chunks:
        raise LookupError(chunk)
    return chunks.index(chunk)


def _index(index_of: Callable[[Any], int], chunk: Any) -> int:
    """Return the index of a chunk.

    Raises:
        TypeError: The index is no whole number.
        ValueError: There is none, or it is negative.
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
