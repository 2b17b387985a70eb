"""A training job's batches of a budget in seconds: by each way to ask, of any number of workers."""

import itertools
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest

from tests.client.conftest import MakeClient
from tests.support.background import serving_in_background
from tests.support.batches import Library, buckets_of, library_of, score_of_mix
from tests.support.drawing import FALSE_ALARM, chance_of_z, lasting_catalog, weights_of, with_durations_held
from tests.support.servers import connect
from tests.support.workers import Wiring
from worker.client import Sample
from worker.core.catalog import without
from worker.core.keys import Keys
from worker.core.stats import read_stats
from worker.core.wire.exclusions import pack_ids

pytestmark = pytest.mark.any_redis

CATALOG = with_durations_held(
    lasting_catalog(
        {"voice": 60, "music": 40, "documentary": 30}, {"voice": 3.0, "music": 12.0, "documentary": 1.0}, spread=0.5
    )
)
WEIGHTS = {"voice": 0.5, "music": 0.2, "documentary": 0.3}
LIBRARY = library_of(CATALOG, weights_of(WEIGHTS))
BUCKETED: dict[str, Any] = {"budget_s": 120.0, "buckets": 5}


def _weigh(redis_url: str, prefix: str, weights: Mapping[str, float]) -> None:
    with connect(redis_url) as redis:
        redis.set(Keys(prefix).weights(), json.dumps(weights))


def _is_of_one_bucket(sample: Sample, library: Library = LIBRARY) -> bool:
    wanted = {one.longest_ms: one.size for one in buckets_of(library, 120_000, 5)}
    longest = {min(edge for edge in wanted if edge >= library[int(chunk)].milliseconds) for chunk in sample.chunk_ids}
    return len(longest) == 1 and len(sample.chunk_ids) == wanted[min(longest)]


def test_batches_of_a_budget_come_by_every_way_to_ask(make_client: MakeClient, redis_url: str, prefix: str) -> None:
    from torch import arange
    from torch.utils.data import DataLoader, TensorDataset

    from worker.client.torch import ChunkIdStream, WeightedBatchSampler, WithSample

    with serving_in_background(redis_url, prefix, Wiring(catalog=CATALOG)):
        client = make_client(name="job")
        _weigh(redis_url, prefix, WEIGHTS)
        asked: Any = [BUCKETED, {}]
        samples = [client.sample(**BUCKETED), client.submit(**BUCKETED).result(), *client.sample_many(asked)]
        assert len(samples.pop().chunk_ids) == 32
        samples += client.stream(count=3, **BUCKETED)
        samples += DataLoader(ChunkIdStream(batches=4, client=client, **BUCKETED), batch_size=None)
        sampler = WeightedBatchSampler(batches=4, index_of=int, client=client, **BUCKETED)
        assert sampler.batch_size is None
        loader: DataLoader[Any] = DataLoader(WithSample(TensorDataset(arange(400))), batch_sampler=sampler)
        for [chunks], sample in loader:
            assert chunks.tolist() == [int(chunk) for chunk in sample.chunk_ids]
            samples.append(sample)
        assert all(map(_is_of_one_bucket, samples))
        [added] = client.stream(count=1, budget_s=np.float64(120), budget="sum")
        assert sum(LIBRARY[int(chunk)].milliseconds for chunk in added.chunk_ids) <= 120_000


def test_several_workers_draw_the_mix_of_weights_that_change_and_count_it(
    make_client: MakeClient, redis_url: str, prefix: str
) -> None:
    other = {"voice": 0.1, "music": 0.6, "documentary": 0.3}
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(serving_in_background(redis_url, prefix, Wiring(catalog=CATALOG)))
        client = make_client(name="job")
        for weights in (WEIGHTS, other):
            _weigh(redis_url, prefix, weights)
            library = library_of(CATALOG, weights_of(weights))
            wanted = {one.longest_ms for one in buckets_of(library, 120_000, 5)}
            asked: Any = [{**BUCKETED, "session": "s"}] * 400
            samples = client.sample_many(asked)
            drawn = [[int(chunk) for chunk in sample.chunk_ids] for sample in samples]
            assert min(chance_of_z(float(z)) for z in score_of_mix(library, drawn)) > FALSE_ALARM / 3
            for ids in drawn:
                assert len({min(edge for edge in wanted if edge >= library[chunk].milliseconds) for chunk in ids}) == 1
        seeded = [[*map(int, client.sample(seed=7, **BUCKETED).chunk_ids)] for _ in range(6)]
        assert seeded == seeded[:1] * 6
    with connect(redis_url) as redis:
        keys = Keys(prefix)
        for key in (keys.stats, keys.session("s")):
            fields = {name.decode(): value.decode() for name, value in redis.hgetall(key).items() if b":" in name}
            rows = read_stats(fields).categories
            assert min(chance_of_z(row.z) for row in rows) > FALSE_ALARM / 3
            assert sum(row.count for row in rows) > 800


def test_several_workers_draw_batches_without_what_a_list_holds_just_then(
    make_client: MakeClient, redis_url: str, prefix: str
) -> None:
    keys, weights, ids = Keys(prefix), weights_of(WEIGHTS), CATALOG.ids.tolist()
    longest = sorted(ids, key=lambda chunk: LIBRARY[chunk].milliseconds)[-20:]
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(serving_in_background(redis_url, prefix, Wiring(catalog=CATALOG)))
        client, redis = make_client(name="job"), stack.enter_context(connect(redis_url))
        _weigh(redis_url, prefix, WEIGHTS)
        for excluded in (ids[::3], longest, [*ids[1::3], *longest]):
            made = pack_ids(excluded)
            with redis.pipeline() as pipeline:
                pipeline.set(keys.excluded_ids("held-out"), made.packed)
                pipeline.set(keys.exclude("held-out"), made.head)
                pipeline.execute()
            library = library_of(without(CATALOG, made), weights)
            asked: Any = [{**BUCKETED, "exclude": "held-out"}] * 400
            samples = client.sample_many(asked)
            drawn = [[int(chunk) for chunk in sample.chunk_ids] for sample in samples]
            assert not set(excluded) & {chunk for batch in drawn for chunk in batch}
            assert all(_is_of_one_bucket(sample, library) for sample in samples)
            assert min(chance_of_z(float(z)) for z in score_of_mix(library, drawn)) > FALSE_ALARM / 3


def test_several_workers_go_through_the_passes_of_a_session_in_batches_of_one_bucket(
    make_client: MakeClient, redis_url: str, prefix: str
) -> None:
    """Each chunk comes for the n-th time in pass n, whoever draws it, and while weights move the buckets."""
    counts, passes = Counter[int](), Counter[tuple[int, int]]()
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(serving_in_background(redis_url, prefix, Wiring(catalog=CATALOG)))
        clients = [make_client(name=name) for name in ("rank-0", "rank-1")]
        for weights in (WEIGHTS, {"voice": 0.1, "music": 0.6, "documentary": 0.3}):
            _weigh(redis_url, prefix, weights)
            asked: Any = {**BUCKETED, "session": "run", "method": "epoch"}
            streams = [client.stream(count=100, prefetch=16, **asked) for client in clients]
            for sample in itertools.chain.from_iterable(zip(*streams, strict=True)):
                left = {
                    name: [number for number, own in sorted(spans.items()) for _ in range(own)]
                    for name, spans in _passes(sample)
                }
                ids = [int(chunk) for chunk in sample.chunk_ids]
                assert max(LIBRARY[chunk].milliseconds for chunk in ids) * len(ids) <= 120_000
                for chunk in ids:
                    counts[chunk] += 1
                    passes[chunk, left[LIBRARY[chunk].category].pop(0)] += 1
                assert not any(left.values())
    assert set(passes.values()) == {1}
    assert all((chunk, number) in passes for chunk in counts for number in range(1, counts[chunk] + 1))
    for name in WEIGHTS:
        own = [counts[chunk] for chunk, one in LIBRARY.items() if one.category == name]
        assert min(own) > 0


def _passes(sample: Sample) -> Iterable[tuple[str, Mapping[int, int]]]:
    assert sample.passes is not None
    return sample.passes.items()
