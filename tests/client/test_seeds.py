"""A seed given to a sequence of requests gives a sequence of batches, the same each time, and none twice."""

from typing import Any

import pytest

from tests.client.conftest import MakeClient
from worker.client import AsyncSampleClient, Sample, SampleClient
from worker.core.wire.seeds import seed_of

pytestmark = pytest.mark.any_redis

Batch = tuple[int, ...]


def batch_of(sample: Sample) -> Batch:
    return tuple(map(int, sample.chunk_ids))


@pytest.mark.usefixtures("worker")
async def test_a_stream_is_a_sequence(
    make_client: MakeClient, client: SampleClient, async_client: AsyncSampleClient
) -> None:
    first = [batch_of(sample) for sample in client.stream(8, count=20, seed=42)]
    again = [batch_of(sample) for sample in make_client().stream(8, count=20, seed=42, request_ids=str, prefetch=3)]
    awaited = [batch_of(sample) async for sample in async_client.stream(8, count=20, seed=42)]
    each = [batch_of(client.sample(8, seed=seed_of(42, number))) for number in range(20)]
    assert len(set(first)) == 20
    assert first == again == awaited == each
    assert not set(first) & {batch_of(sample) for sample in client.stream(8, count=20, seed=43)}
    assert batch_of(client.sample(8, seed=42)) == batch_of(client.sample(8, seed=42))


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("options", [{}, {"num_workers": 2}, {"num_workers": 2, "persistent_workers": True}], ids=str)
def test_a_training_hears_the_same_sequence_again(client: SampleClient, options: dict[str, Any]) -> None:
    """Three iterations, the second of which is left before its end, once each worker has handed out a batch."""
    from torch.utils.data import DataLoader

    from worker.client.torch import ChunkIdStream

    def train() -> list[Batch]:
        stream = ChunkIdStream(8, batches=6, seed=42, client=client)
        collate: Any = batch_of
        loader: DataLoader[Any] = DataLoader(stream, batch_size=None, collate_fn=collate, **options)
        whole = list(loader)
        iteration = iter(loader)
        left = [next(iteration), next(iteration)]
        del iteration
        return [*whole, *left, *loader]

    first, second = train(), train()
    assert first == second
    assert len(set(first)) == 14


@pytest.mark.usefixtures("worker")
def test_ranks_hear_sequences_of_their_own(client: SampleClient, monkeypatch: pytest.MonkeyPatch) -> None:
    from worker.client.torch import WeightedBatchSampler

    heard = []
    for rank in "01":
        monkeypatch.setenv("RANK", rank)
        sampler = WeightedBatchSampler(8, batches=5, seed=42, index_of=int, client=client)
        heard.append([tuple(batch) for _ in range(2) for batch in sampler])
    assert len(set(heard[0] + heard[1])) == 20


@pytest.mark.usefixtures("worker")
def test_a_resumed_training_goes_on_with_its_sequence(client: SampleClient) -> None:
    from worker.client.torch import ChunkIdStream

    stream = ChunkIdStream(8, batches=6, seed=42, client=client)
    iteration = iter(stream)
    before = [batch_of(next(iteration)) for _ in range(4)]
    stream.load_state_dict(stream.state_dict())
    after = [batch_of(sample) for sample in stream]
    unbroken = [batch_of(sample) for sample in ChunkIdStream(8, batches=6, seed=42, client=client)]
    assert before + after == unbroken


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"request_id": "a"}, "request_id names one request, and a stream asks for many; accepted: request_ids"),
        ({"seed": -1}, "seed is '-1'; accepted"),
        ({"seed": 1, "method": "epoch", "session": "s"}, "seed"),
    ],
)
def test_what_is_right_for_one_request_alone_is_refused(
    client: SampleClient, options: dict[str, Any], words: str
) -> None:
    from worker.client.torch import ChunkIdStream

    with pytest.raises(ValueError, match=words):
        client.stream(4, **options)
    with pytest.raises(ValueError, match=words.partition(" names")[0]):
        ChunkIdStream(4, client=client, **options)
