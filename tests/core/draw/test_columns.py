"""Columns are those of the chunks that were drawn, by whatever method and in either encoding."""

import itertools
import struct
from typing import Any

import numpy as np
import pytest

from tests.support.drawing import catalog_of, weights_of
from worker.core.catalog import Catalog, Columns, build_catalog, refer_to_paths
from worker.core.draw.answer import answer
from worker.core.draw.derived import Derived
from worker.core.draw.prepare import Snapshots
from worker.core.draw.sessions import read_session
from worker.core.draw.slicing import slice_by_work
from worker.core.weights.in_force import InForce
from worker.core.wire import COLUMNS, Reply, Request, Terms, decode_result

FEW = catalog_of({"conference": 5, "music": 70, "noise": 3, "voice": 400})
MANY = catalog_of({f"c{i:03}": 1 + i % 7 for i in range(200)})
METHODS: list[dict[str, Any]] = [
    {},
    {"method": "stratified", "replace": False},
    {"method": "epoch", "session": "s"},
    {"category": "voice"},
]


def _replies(catalog: Catalog, count: int, **terms: Any) -> list[Reply]:
    weights = weights_of({name: 1 + i for i, name in enumerate(catalog.categories) if name != "noise"})
    snapshots = Snapshots(Derived(catalog), {None: InForce(None, weights, ())}, 0, {"s": read_session({})})
    requests = [Request(f"{number}-0", f"r{number}", Terms(**terms)) for number in range(count)]
    results = answer(requests, snapshots, np.random.default_rng(1)).results
    words = [[word.encode() if isinstance(word, str) else word for word in result.fields] for result in results]
    return [decode_result(one, packed=terms.get("encoding") == "packed") for one in words]


def _ids(reply: Reply) -> list[int]:
    if isinstance(reply.chunk_ids, bytes):
        return list(struct.unpack(f"<{len(reply.chunk_ids) // 8}q", reply.chunk_ids))
    return [int(chunk) for chunk in reply.chunk_ids]


@pytest.mark.parametrize(("catalog", "count"), [*itertools.product([FEW, MANY], [1, 5])])
@pytest.mark.parametrize("encoding", ["json", "packed"])
def test_categories_are_those_of_the_ids(catalog: Catalog, count: int, encoding: str) -> None:
    owner = {chunk: name for name, ids in catalog.segments() for chunk in ids.tolist()}
    for terms in METHODS[: 3 if catalog is MANY else None]:
        replies = _replies(catalog, count, size=64, encoding=encoding, columns=("category",), **terms)
        assert len(replies) == count
        for reply in replies:
            assert reply.columns == {"categories": [owner[chunk] for chunk in _ids(reply)]}
            assert "categories" in reply.as_dict()


def _held(size: int) -> Catalog:
    """Make a catalog whose columns follow from the ids; every seventh is not known."""
    ids = np.arange(size)
    numbers = {name: np.where(ids % 7, ids / factor, np.nan) for name, factor in (("duration_s", 3), ("start_s", 0.1))}
    paths = [None if i % 7 == 0 else f'folder "{i}"/é.flac'.encode() for i in range(size)]
    return build_catalog(
        ids, (ids % 2).astype(np.uint8), ("music", "voice"), None, Columns(ids, numbers, *refer_to_paths(paths))
    )


@pytest.mark.parametrize(("count", "encoding"), [*itertools.product([1, 5], ["json", "packed"])])
def test_held_columns_are_those_of_the_ids(count: int, encoding: str) -> None:
    catalog = _held(900)
    for terms in METHODS:
        for reply in _replies(catalog, count, size=64, encoding=encoding, columns=COLUMNS, **terms):
            ids = _ids(reply)
            assert reply.columns == {
                "categories": [("music", "voice")[i % 2] for i in ids],
                "durations_s": [i / 3 if i % 7 else None for i in ids],
                "starts_s": [i / 0.1 if i % 7 else None for i in ids],
                "paths": [f'folder "{i}"/é.flac' if i % 7 else None for i in ids],
            }
    [reply] = _replies(catalog, 1, size=3, encoding=encoding, columns=("path",))
    assert list(reply.columns) == ["paths"]


def test_a_batch_is_cut_by_what_its_columns_take_too() -> None:
    plain, long = Terms(size=20_000), Terms(size=20_000, columns=("path",))
    for terms, slices in ((plain, 1), (long, 3)):
        requests = [Request(f"{number}-0", "r", terms) for number in range(3)]
        assert len(list(slice_by_work(requests))) == slices


def test_a_column_that_is_not_held_is_refused() -> None:
    [reply] = _replies(FEW, 1, columns=("category", "path"))
    accepted = "category, or the same request once workers have WORKER_CATALOG_COLUMNS=path"
    assert reply.error == "invalid_request"
    assert reply.message == f"column path is not held by this worker; accepted: {accepted}"


def test_requests_without_columns_in_the_same_batch_get_none() -> None:
    snapshots = Snapshots(Derived(FEW), {None: InForce(None, weights_of({"voice": 1, "music": 1}), ())}, 0)
    asked = [Request(f"{n}-0", f"r{n}", Terms(size=9, columns=("category",) if n % 2 else ())) for n in range(6)]
    for result in answer(asked, snapshots, np.random.default_rng(1)).results:
        assert ("categories" in result.fields) == bool(int(result.entry_id[0]) % 2)
