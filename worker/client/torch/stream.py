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
    """Stream samples into a DataLoader with `batch_size=None`, whose `collate_fn` may load the audio.

    Each worker of each rank asks for itself. A sample carries the weights in force when it was drawn, and says which;
    what workers and DataLoader hold ready is older than a change by up to `num_workers * (prefetch + prefetch_factor)`
    samples. As many are drawn, and never handed out, where a loop leaves an iteration before its end.
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
        """Say what to ask for; nothing is connected yet.

        Args:
            size: How many chunk ids each.
            name: What clients and requests are named after, up to 32 of `[A-Za-z0-9_.-]`; None: a name nobody has.
            batches: How many samples an iteration has on each rank, over all its workers; None: without end.
            prefetch: How many each worker has asked for or ready.
            client: Whose place and patience to share; None: as `SampleClient()`.
            options: See `Options`. Of a seed one is made for each request, see `worker.core.wire.seeds.seed_of`.

        Raises:
            TypeError: An argument is not known, or of another type.
            ValueError: A value is not accepted.
        """
        super().__init__()
        self._batches = None if batches is None else check_count("batches", batches)
        asked = {"size": size, **options}
        self._source = Source(client, name=name, batches=self._batches, prefetch=prefetch, options=asked)

    def __iter__(self) -> Iterator[Sample]:
        """Begin an iteration in this worker, or go on with the one whose state was loaded.

        Raises:
            ValueError: The state was taken of something else, or a trainer would throw samples away.
        """
        refuse_waste()
        shard = self._source.shard()
        number, workers = shard.number, max(1, shard.workers)
        share = None if self._batches is None else self._batches // workers + (number < self._batches % workers)
        return self._source.begin(shard, share)

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
        return self._source.state(self._source.shard())

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Have the next iteration of this worker go on from a state.

        Raises:
            ValueError: It is no state of this version.
        """
        self._source.load(state_dict)


def _refuse(samples: Any, *, collate_fn_map: Any = None) -> NoReturn:
    """Refuse to make a batch of samples, as torch's `default_collate` would.

    Raises:
        TypeError: Always.
    """
    del samples, collate_fn_map
    raise TypeError(
        "a Sample is a batch already, and samples are not put together; accepted: batch_size=None, or a collate_fn "
        "that makes tensors of them"
    )


default_collate_fn_map[Sample] = _refuse
