"""A batch sampler for map-style datasets, by the weights in force."""

from typing import Any

import pytest
from torch import Tensor, arange
from torch.utils.data import DataLoader, TensorDataset

from tests.client.conftest import MakeClient
from tests.support.jobs import keys_of_clients
from worker.client import SampleClient
from worker.client.torch import WeightedBatchSampler

pytestmark = pytest.mark.any_redis


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("workers", [0, 2])
def test_it_replaces_the_batch_sampler_of_a_loader(
    client: SampleClient, redis_url: str, prefix: str, workers: int
) -> None:
    sampler = WeightedBatchSampler(8, batches=10, client=client, category="music")
    loader: DataLoader[Any] = DataLoader(TensorDataset(arange(4000)), batch_sampler=sampler, num_workers=workers)
    for _ in range(2):  # as trainers use it: again for each epoch, and left half-way now and then
        batches: list[Tensor] = [batch for [batch] in loader]
        assert len(batches) == len(sampler) == 10
        assert all(2000 <= chunk < 2050 for batch in batches for chunk in batch.tolist())
        next(iter(loader))
    assert keys_of_clients(redis_url, prefix) == []


@pytest.mark.usefixtures("worker")
def test_ids_find_their_places_in_the_dataset(client: SampleClient) -> None:
    places = {chunk: chunk - 1000 for chunk in range(1000, 4000)}
    options: Any = {"batches": 3, "client": client, "session": "s", "method": "epoch"}
    for index_of in (places, places.__getitem__, lambda chunk: chunk - 1000):
        for batch in WeightedBatchSampler(8, index_of=index_of, **options):
            assert all(0 <= index < 2050 for index in batch)
    with pytest.raises(ValueError, match=r"no index for chunk \d+; accepted: one for every READY chunk"):
        next(iter(WeightedBatchSampler(8, index_of={}, **options)))


@pytest.mark.usefixtures("worker")
def test_the_latest_batch_says_what_it_was_drawn_under(client: SampleClient) -> None:
    sampler = WeightedBatchSampler(8, batches=3, client=client)
    assert sampler.latest is None
    for batch in sampler:
        assert sampler.latest is not None
        assert batch == list(sampler.latest.chunk_ids)
        assert len(sampler.latest.weights_version) == 12


@pytest.mark.usefixtures("worker")
def test_it_goes_on_from_a_state(client: SampleClient) -> None:
    sampler = WeightedBatchSampler(8, batches=6, name="run", client=client)
    iteration = iter(sampler)
    before = [next(iteration) for _ in range(2)]
    state = sampler.state_dict()
    ahead = next(iteration)
    del iteration
    resumed = WeightedBatchSampler(8, batches=6, name="run", client=client)
    assert resumed.state_dict() == {}
    resumed.load_state_dict(state)
    assert resumed.state_dict() == state
    after = list(resumed)
    assert (len(before), len(after), after[0]) == (2, 4, ahead)
    assert len(list(resumed)) == 6


@pytest.mark.usefixtures("worker")
def test_a_state_of_more_batches_than_there_are_is_the_end(client: SampleClient) -> None:
    sampler = WeightedBatchSampler(8, batches=2, client=client)
    sampler.load_state_dict({"life": "abc", "position": 5})
    assert list(sampler) == []


@pytest.mark.parametrize(("options", "words"), [({"batches": 0}, "batches is 0"), ({"name": ""}, "name is ''")])
def test_wrong_arguments_are_refused_at_once(make_client: MakeClient, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        WeightedBatchSampler(8, client=make_client(), **{"batches": 1, **options})
