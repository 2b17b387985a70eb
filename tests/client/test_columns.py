"""A training job's requests for one split and for columns of the chunks, by each way to ask."""

from typing import Any

import numpy as np
import pytest

from tests.client.conftest import MakeClient
from tests.support.background import serving_in_background
from tests.support.workers import Wiring
from worker.client import Sample, SampleError
from worker.core.catalog import Catalog, Columns, build_catalog, refer_to_paths

pytestmark = pytest.mark.any_redis

PARTS = ("music", "voice", "voice!train", "voice+val")
COLUMNS = ("category", "duration_s", "start_s", "path")


def _catalog() -> Catalog:
    ids = np.arange(400)
    numbers = {"duration_s": ids / 7, "start_s": np.where(ids % 2, ids * 10.0, np.nan)}
    paths = refer_to_paths([f"/audio/{i}.flac".encode() for i in range(400)])
    return build_catalog(ids, (ids % 4).astype(np.uint8), PARTS, None, Columns(ids, numbers, *paths))


def _check(sample: Sample, split: str | None) -> None:
    """Check a sample against what the catalog says of its ids."""
    ids = [int(chunk) for chunk in sample.chunk_ids]
    assert sample.split == split
    assert {i % 4 for i in ids} <= ({3} if split else {0, 1, 2})
    assert sample.categories == [("music", "voice", "voice", "voice")[i % 4] for i in ids]
    assert sample.durations_s == [i / 7 for i in ids]
    assert sample.starts_s == [i * 10.0 if i % 2 else None for i in ids]
    assert sample.paths == [f"/audio/{i}.flac" for i in ids]
    assert sample.extra == {}


@pytest.mark.parametrize("split", [None, "val"])
def test_a_sample_has_what_was_asked_for(
    make_client: MakeClient, redis_url: str, prefix: str, split: str | None
) -> None:
    from torch import arange
    from torch.utils.data import DataLoader, TensorDataset

    from worker.client.torch import ChunkIdStream, WeightedBatchSampler, WithSample

    asked: dict[str, Any] = {"columns": COLUMNS, "split": split}
    with serving_in_background(redis_url, prefix, Wiring(catalog=_catalog())):
        client = make_client(name="job")
        for encoding in (None, "json", "packed"):
            _check(client.sample(50, **asked, encoding=encoding), split)
        for sample in client.stream(8, count=3, **asked):
            _check(sample, split)
        for sample in DataLoader(ChunkIdStream(8, batches=4, client=client, **asked), batch_size=None):
            _check(sample, split)
        sampler = WeightedBatchSampler(8, batches=4, index_of=int, client=client, **asked)
        for [chunks], sample in DataLoader(
            WithSample(TensorDataset(arange(400))), batch_sampler=sampler, num_workers=1
        ):
            assert chunks.tolist() == sample.chunk_ids.tolist()
            _check(sample, split)


def test_nothing_is_there_that_was_not_asked_for(make_client: MakeClient, redis_url: str, prefix: str) -> None:
    with serving_in_background(redis_url, prefix, Wiring(catalog=_catalog())):
        client = make_client(name="job")
        sample = client.sample(9, columns=["category"])
        assert sample.categories is not None
        assert (sample.durations_s, sample.starts_s, sample.paths, sample.split) == (None,) * 4
        assert client.sample(9, columns=()).categories is None
        assert client.sample(9, columns="path,category").paths is not None
        with pytest.raises(SampleError, match="no READY chunk is of split dev; accepted: train, val, or no split"):
            client.sample(9, split="dev")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"columns": ("paths",)},
            ValueError,
            "columns is 'paths'; accepted: some of category, duration_s, start_s, path",
        ),
        ({"columns": ("path", "path")}, ValueError, "each once, with commas between"),
        ({"columns": ""}, ValueError, "columns is ''; accepted"),
        ({"columns": 3}, TypeError, "columns is 3; accepted: names, such as"),
        ({"columns": (1,)}, TypeError, r"columns is \(1,\); accepted: names, such as"),
        ({"split": "Val"}, ValueError, r"split is 'Val'; accepted: \[a-z0-9_-\]\{1,32\}"),
        ({"split": ""}, ValueError, "split is ''; accepted"),
        ({"split": 1}, TypeError, "split is 1; accepted: a text"),
    ],
)
def test_other_splits_and_columns_are_refused_before_anything_is_sent(
    make_client: MakeClient, options: Any, error: type[Exception], message: str
) -> None:
    client = make_client(name="job")
    with pytest.raises(error, match=message):
        client.sample(8, **options)
