"""Slices: together the whole batch in its order, each with bounded work, and with what is asked for in it."""

from collections import Counter
from collections.abc import Iterable
from itertools import chain, pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.drawing import catalog_of, weights_of
from worker.core.draw.derived import Derived
from worker.core.draw.prepare import Snapshots
from worker.core.draw.slicing import Slice, is_heavy, slice_by_work
from worker.core.weights.in_force import InForce
from worker.core.wire import Request, Result, Terms, encode_error

MOST_CHUNKS = 131_072
sizes = st.integers(0, 65_536) | st.sampled_from([0, 1, 65_536])
batches = st.lists(sizes, max_size=60)
alike = st.lists(st.sampled_from([0, 1, 64, 1024, 65_536]), max_size=300)


def _request(number: int, seed: int | None = None, **terms: Any) -> Request:
    return Request(f"{number}-0", f"r{number}", Terms(**terms), seed)


def _refused(number: int) -> Result:
    return encode_error(_request(number), "invalid_request", "why")


def _batch(sizes: Iterable[int]) -> list[Request | Result]:
    """Make requests of these sizes, each with terms of its own; 0 is a request that was refused."""
    return [_request(i, size=size) if size else _refused(i) for i, size in enumerate(sizes)]


def _alike(sizes: Iterable[int]) -> list[Request | Result]:
    """Make requests of these sizes, with the same terms where the size is the same; 0 is a request that was refused."""
    known = {size: Terms(size=size) for size in (1, 64, 1024, 65_536)}
    return [Request(f"{i}-0", "r", known[size]) if size else _refused(i) for i, size in enumerate(sizes)]


def _size(requests: Iterable[Request | Result]) -> int:
    return sum(request.terms.size for request in requests if isinstance(request, Request))


@given(batches.map(_batch) | alike.map(_alike))
def test_slices_cover_a_batch_in_order(batch: list[Request | Result]) -> None:
    assert list(chain.from_iterable(part.requests for part in slice_by_work(batch))) == batch


@given(batches.map(_batch) | alike.map(_alike))
def test_slices_are_bounded_and_no_smaller_than_need_be(batch: list[Request | Result]) -> None:
    parts = [part.requests for part in slice_by_work(batch)]
    assert all(_size(part) <= MOST_CHUNKS for part in parts)
    for part, following in pairwise(parts):
        assert following
        assert _size(part) + _size(following[:1]) > MOST_CHUNKS


@given(alike.map(_alike))
def test_a_slice_tells_what_is_asked_for_in_the_order_of_asking(batch: list[Request | Result]) -> None:
    for part in slice_by_work(batch):
        counts = Counter(request.terms for request in part.requests if isinstance(request, Request))
        assert list(part.asked) == list(counts.items())


def test_a_request_larger_than_a_slice_is_a_slice() -> None:
    assert _lengths(_batch([1, 200_000, 200_000, 1])) == [1, 1, 1, 1]


def test_many_datasets_are_not_drawn_in_one_go() -> None:
    assert _lengths([_request(i, size=1, dataset=f"d{i}") for i in range(200)]) == [128, 72]
    assert _lengths([_request(i, size=1, dataset="d") for i in range(200)]) == [200]


def test_letting_go_of_a_batch_leaves_its_slices() -> None:
    batch = _batch([1, 1])
    part = next(slice_by_work(batch))
    batch.clear()
    assert len(part.requests) == 2


def test_nothing_is_one_empty_slice() -> None:
    assert list(slice_by_work([])) == [Slice([], [])]


def _lengths(batch: list[Request | Result]) -> list[int]:
    return [len(part.requests) for part in slice_by_work(batch)]


@pytest.mark.parametrize(
    ("terms", "seed"),
    [({"replace": False}, None), ({"method": "stratified"}, None), ({}, 5)],
    ids=["replace=0", "stratified", "seeded"],
)
def test_long_work_is_known_beforehand(terms: dict[str, Any], seed: int | None) -> None:
    few, many = _snapshots(10, categories=1), _snapshots(10, categories=2000)
    plain: list[Request | Result] = [_request(0, size=65_536), _request(1, size=65_536), _refused(2)]
    assert not is_heavy(_slice(plain), few)
    assert is_heavy(_slice(plain[:1]), many)
    assert is_heavy(_slice([_request(0, seed, size=65_536, **terms)]), few)
    assert not is_heavy(_slice([_request(0, seed, size=64, **terms)]), few)


def test_ranking_a_large_library_is_long_work() -> None:
    epoch = _slice([_request(0, size=1, method="epoch", session="s")])
    assert not is_heavy(epoch, _snapshots(10, categories=1))
    assert is_heavy(epoch, _snapshots(100_001, categories=1))


def _slice(requests: list[Request | Result]) -> Slice:
    return next(slice_by_work(requests))


def _snapshots(chunks: int, *, categories: int) -> Snapshots:
    weights = weights_of({f"c{i}": 1 for i in range(categories)})
    return Snapshots(Derived(catalog_of({"c0": chunks})), {None: InForce(None, weights, ())}, now_ms=0)
