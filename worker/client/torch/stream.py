"""A stream of samples as an iterable dataset."""

from collections.abc import Iterator, Mapping
from typing import Any, NoReturn, Unpack

from torch.utils.data import IterableDataset
from torch.utils.data._utils.collate import default_collate_fn_map

from worker.client.arguments import Options, check_count
from worker.client.samples import Sample
from worker.client.sync import SampleClient
from worker.client.torch.source import Source
from worker.client.torch.state import State
from worker.client.torch.trainers import refuse_waste

PREFETCH = 4


class ChunkIdStream(IterableDataset[Sample]):
    """A stream of samples for a DataLoader with `batch_size=None`, whose `collate_fn` may load the audio.

    Each worker of each rank asks for itself. A sample was drawn under the weights in force at that moment, and names
    their version. After a change of the weights, up to `num_workers * (prefetch + prefetch_factor)` samples of older
    weights still come. As many are drawn but never handed out if the loop leaves an iteration early.
    """

    def __init__(
        self,
        size: int | None = None,
        *,
        name: str | None = None,
        batches: int | None = None,
        prefetch: int = PREFETCH,
        client: SampleClient | None = None,
        **options: Unpack[Options],
    ) -> None:
        """Connect to nothing yet.

        Args:
            size: Number of chunk ids in each sample; None: 32, unless `budget_s` is given.
            name: Start of the names of clients and of request ids, up to 32 of `[A-Za-z0-9_.-]`; None: a unique one.
            batches: Number of samples in an iteration on each rank, over all its workers; None: without end.
            prefetch: Number of samples that each worker has asked for or ready.
            client: Its address and time-out are used; None: those of `SampleClient()`.
            options: See `Options`. From `seed` one is derived for each request, see `worker.core.wire.seeds.seed_of`.

        Raises:
            TypeError: An argument is not known, or of another type.
            ValueError: A value is not accepted.
        """
        super().__init__()
        self._batches = None if batches is None else check_count("batches", batches)
        asked = {"size": size, **options}
        self._source = Source(client, name=name, batches=self._batches, prefetch=prefetch, options=asked)

    def __iter__(self) -> Iterator[Sample]:
        """Begin an iteration in this worker, or resume the one whose state was loaded.

        Raises:
            ValueError: The state was taken under other conditions, or a trainer would throw samples away.
        """
        refuse_waste()
        shard = self._source.shard()
        number, workers = shard.number, max(1, shard.workers)
        share = None if self._batches is None else self._batches // workers + (number < self._batches % workers)
        return self._source.begin(shard, share)

    def __len__(self) -> int:
        """Return the number of samples in an iteration on each rank.

        Raises:
            TypeError: It is without end.
        """
        if self._batches is None:
            raise TypeError("a ChunkIdStream without end has no length; accepted: batches=")
        return self._batches

    def state_dict(self) -> State:
        """Return the state of this worker, for the StatefulDataLoader of torchdata."""
        return self._source.state(self._source.shard())

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Resume the next iteration of this worker from a state.

        Raises:
            ValueError: It is no state of this version.
        """
        self._source.load(state_dict)


def _refuse(samples: Any, *, collate_fn_map: Any = None) -> NoReturn:
    """Refuse to collate samples to a batch, as `default_collate` of torch would.

    Raises:
        TypeError: Always.
    """
    del samples, collate_fn_map
    raise TypeError(
        "a Sample is a batch already, and samples are not put together; accepted: batch_size=None, or a collate_fn "
        "that makes tensors of them"
    )


default_collate_fn_map[Sample] = _refuse
