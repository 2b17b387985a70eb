"""A stream of samples, as an iterable dataset."""

from collections.abc import Iterator, Mapping
from typing import Any, NoReturn, Unpack

from torch.utils.data import IterableDataset
from torch.utils.data._utils.collate import default_collate_fn_map

from worker.client.arguments import DEFAULT_SIZE, Options, check_count
from worker.client.samples import Sample
from worker.client.sync import SampleClient
from worker.client.torch.source import Source
from worker.client.torch.state import State
from worker.client.torch.trainers import refuse_waste

PREFETCH = 4


class ChunkIdStream(IterableDataset[Sample]):
    """An iterable dataset of samples, for a DataLoader with `batch_size=None`. Its `collate_fn` may load the audio.

    Each worker of each rank asks for itself. A sample names the weights that it was drawn under. After a change of
    weights, up to `num_workers * (prefetch + prefetch_factor)` samples are still of older ones. As many are drawn and
    never handed out if a loop leaves an iteration before its end.
    """

    def __init__(
        self,
        size: int = DEFAULT_SIZE,
        *,
        name: str | None = None,
        batches: int | None = None,
        prefetch: int = PREFETCH,
        client: SampleClient | None = None,
        **options: Unpack[Options],
    ) -> None:
        """Connect to nothing yet.

        Args:
            size: Number of chunk ids in each sample.
            name: Start of the names of clients and requests, up to 32 of `[A-Za-z0-9_.-]`; None: a unique name.
            batches: Number of samples in an iteration on each rank, over all its workers; None: without end.
            prefetch: Number of samples that each worker has asked for or ready.
            client: Client whose address and time-out to use; None: `SampleClient()`.
            options: See `Options`. Each request gets its own seed, see `worker.core.wire.seeds.seed_of`.

        Raises:
            TypeError: An argument is not known, or of another type.
            ValueError: A value is not accepted.
        """
        super().__init__()
        self._batches = None if batches is None else check_count("batches", batches)
        asked = {"size": size, **options}
        self._source = Source(client, name=name, batches=self._batches, prefetch=prefetch, options=asked)

    def __iter__(self) -> Iterator[Sample]:
        """Begin an iteration in this worker, or continue the one whose state was loaded.

        Raises:
            ValueError: The state does not fit, or a trainer would throw samples away.
        """
        refuse_waste()
        shard = self._source.shard()
        number, workers = shard.number, max(1, shard.workers)
        share = None if self._batches is None else self._batches // workers + (number < self._batches % workers)
        return self._source.begin(shard, share)

    def __len__(self) -> int:
        """Return the number of samples in an iteration on each rank.

        Raises:
            TypeError: The iteration is without end.
        """
        if self._batches is None:
            raise TypeError("a ChunkIdStream without end has no length; accepted: batches=")
        return self._batches

    def state_dict(self) -> State:
        """Return the state of this worker; torchdata's StatefulDataLoader calls this."""
        return self._source.state(self._source.shard())

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue from a state with the next iteration of this worker.

        Raises:
            ValueError: The state is not one of this version.
        """
        self._source.load(state_dict)


def _refuse(samples: Any, *, collate_fn_map: Any = None) -> NoReturn:
    """Refuse to join samples to a batch, as torch's `default_collate` would.

    Raises:
        TypeError: Always.
    """
    del samples, collate_fn_map
    raise TypeError(
        "a Sample is a batch already, and samples cannot be joined; accepted: batch_size=None, or a collate_fn "
        "that makes tensors of them"
    )


default_collate_fn_map[Sample] = _refuse
