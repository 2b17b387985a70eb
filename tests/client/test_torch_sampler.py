"""A batch sampler for map-style datasets, by the weights in force."""

from collections import Counter
from typing import Any

import pytest

from tests.client.conftest import MakeClient
from tests.support.jobs import keys_of_clients
from tests.support.servers import connect
from worker.client import Sample, SampleClient
from worker.core.keys import Keys

pytestmark = pytest.mark.any_redis

CATEGORIES = {1: "voice", 2: "music", 3: "documentary"}


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("workers", [0, 2])
def test_it_replaces_the_batch_sampler_of_a_loader(
    client: SampleClient, redis_url: str, prefix: str, workers: int
) -> None:
    from torch import Tensor, arange
    from torch.utils.data import DataLoader, TensorDataset

    from worker.client.torch import WeightedBatchSampler

    sampler = WeightedBatchSampler(8, batches=10, index_of=int, client=client, category="music")
    loader: DataLoader[Any] = DataLoader(TensorDataset(arange(4000)), batch_sampler=sampler, num_workers=workers)
    for _ in range(2):  # as trainers use it: again for each epoch, and left half-way now and then
        batches: list[Tensor] = [batch for [batch] in loader]
        assert len(batches) == len(sampler) == 10
        assert all(2000 <= chunk < 2050 for batch in batches for chunk in batch.tolist())
        next(iter(loader))
    assert keys_of_clients(redis_url, prefix) == []


@pytest.mark.usefixtures("worker")
def test_ids_find_their_places_in_the_dataset(client: SampleClient) -> None:
    from worker.client.torch import WeightedBatchSampler

    places = {chunk: chunk - 1000 for chunk in range(1000, 4000)}
    options: Any = {"batches": 3, "client": client, "session": "s", "method": "epoch"}
    for index_of in (places, places.__getitem__, lambda chunk: chunk - 1000):
        for batch in WeightedBatchSampler(8, index_of=index_of, **options):
            assert all(0 <= index < 2050 for index in batch)
    with pytest.raises(ValueError, match=r"no index for chunk \d+; accepted: one for every READY chunk"):
        next(iter(WeightedBatchSampler(8, index_of={}, **options)))


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("size", [1, 8])
def test_a_batch_comes_with_the_sample_that_it_is_of(
    client: SampleClient, redis_url: str, prefix: str, workers: int, size: int
) -> None:
    """The weights change while the loader holds batches that were drawn before."""
    from torch import arange
    from torch.utils.data import DataLoader, TensorDataset

    from worker.client.torch import WeightedBatchSampler, WithSample

    sampler = WeightedBatchSampler(size, batches=40, index_of=range(1000, 5000), client=client, category=None)
    dataset = WithSample(TensorDataset(arange(1000, 5000)))
    versions = set()
    with connect(redis_url) as server:
        for step, ([chunks], sample) in enumerate(DataLoader(dataset, batch_sampler=sampler, num_workers=workers)):
            if step == 5:
                server.set(Keys(prefix).weights(), '{"music": 1}')
            assert chunks.tolist() == list(sample.chunk_ids)
            assert Counter(CATEGORIES[chunk // 1000] for chunk in chunks.tolist()) == sample.counts
            versions.add(sample.weights_version)
    assert len(versions) == 2
    assert len(dataset) == 4000


@pytest.mark.usefixtures("worker")
def test_a_collate_fn_of_ones_own_is_given_pairs(client: SampleClient) -> None:
    from torch import arange
    from torch.utils.data import DataLoader, TensorDataset

    from worker.client.torch import WeightedBatchSampler, WithSample

    def collate(pairs: list[tuple[Any, Sample]]) -> tuple[list[int], str]:
        assert len({id(sample) for _, sample in pairs}) == 1
        return [int(item) for [item], _ in pairs], pairs[0][1].weights_version

    sampler = WeightedBatchSampler(8, batches=2, index_of=int, client=client)
    loader = DataLoader(WithSample(TensorDataset(arange(4000))), batch_sampler=sampler, collate_fn=collate)
    assert [(len(ids), len(version)) for ids, version in loader] == [(8, 12)] * 2


@pytest.mark.usefixtures("worker")
def test_a_chunk_that_the_dataset_does_not_have_is_named(client: SampleClient) -> None:
    from torch import arange
    from torch.utils.data import DataLoader, TensorDataset

    from worker.client.torch import WeightedBatchSampler, WithSample

    options: Any = {"batches": 1, "client": client, "category": "voice"}
    short = DataLoader(
        WithSample(TensorDataset(arange(10))), batch_sampler=WeightedBatchSampler(8, index_of=int, **options)
    )
    with pytest.raises(ValueError, match=r"no item 10\d\d, which index_of gives for chunk 10\d\d: .*; accepted: "):
        next(iter(short))
    unfit: list[Any] = [range(10), {}, [].__getitem__]
    for index_of in unfit:
        with pytest.raises(ValueError, match=r"no index for chunk .*10\d\d|no index for chunk list index"):
            next(iter(WeightedBatchSampler(8, index_of=index_of, **options)))
    with pytest.raises(ValueError, match=r"index_of gives -\d+ for chunk 10\d\d; accepted: whole numbers from 0"):
        next(iter(WeightedBatchSampler(8, index_of=lambda chunk: -chunk, **options)))
    with pytest.raises(TypeError, match="as an integer"):
        next(iter(WeightedBatchSampler(8, index_of=str, **options)))  # type: ignore[arg-type]


@pytest.mark.parametrize("index_of", [None, [1, 2], 5])
def test_it_has_to_be_said_where_chunks_are(client: SampleClient, index_of: Any) -> None:
    from worker.client.torch import WeightedBatchSampler

    with pytest.raises(TypeError, match=r"index_of is .*; accepted: a mapping .* where they begin at 1"):
        WeightedBatchSampler(8, batches=1, client=client, index_of=index_of)


@pytest.mark.usefixtures("worker")
def test_items_without_a_sample_are_refused(client: SampleClient) -> None:
    from torch import arange
    from torch.utils.data import DataLoader, TensorDataset

    from worker.client.torch import ChunkIdStream, WithSample

    dataset = WithSample(TensorDataset(arange(10)))
    for loader in (DataLoader(dataset, batch_size=2), DataLoader(dataset, batch_size=None)):
        with pytest.raises(TypeError, match="which has no sample; accepted: DataLoader"):
            next(iter(loader))
    whole: Any = ChunkIdStream(client=client)
    with pytest.raises(TypeError, match=r"a Sample is a batch already.*accepted: batch_size=None"):
        next(iter(DataLoader(whole)))


@pytest.mark.usefixtures("worker")
def test_it_goes_on_from_a_state(client: SampleClient) -> None:
    from worker.client.torch import WeightedBatchSampler

    sampler = WeightedBatchSampler(8, batches=6, index_of=int, name="run", client=client)
    iteration = iter(sampler)
    before = [next(iteration) for _ in range(2)]
    state = sampler.state_dict()
    ahead = next(iteration)
    del iteration
    resumed = WeightedBatchSampler(8, batches=6, index_of=int, name="run", client=client)
    resumed.load_state_dict(state)
    assert resumed.state_dict() == state
    after = list(resumed)
    assert (len(before), len(after), after[0]) == (2, 4, ahead)
    assert len(list(resumed)) == 6


@pytest.mark.usefixtures("worker")
def test_a_state_of_more_batches_than_there_are_is_the_end(client: SampleClient) -> None:
    from worker.client.torch import WeightedBatchSampler

    sampler = WeightedBatchSampler(8, batches=2, index_of=int, client=client)
    state = sampler.state_dict()
    sampler.load_state_dict({**state, "position": 5})
    assert list(sampler) == []


@pytest.mark.parametrize(("options", "words"), [({"batches": 0}, "batches is 0"), ({"name": ""}, "name is ''")])
def test_wrong_arguments_are_refused_at_once(make_client: MakeClient, options: dict[str, Any], words: str) -> None:
    from worker.client.torch import WeightedBatchSampler

    with pytest.raises(ValueError, match=words):
        WeightedBatchSampler(8, client=make_client(), **{"batches": 1, "index_of": int, **options})
