"""Chunks of a session: each comes once a pass, whatever the sizes of requests, and whatever changes meanwhile."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.drawing import catalog_of
from worker.core.catalog import Catalog, build_catalog
from worker.core.draw import passes as module
from worker.core.draw.cursor import Cursor
from worker.core.draw.epoch import take
from worker.core.draw.passes import KeptOrders, Passes

ready = st.integers(1, 40)
requests = st.lists(st.integers(0, 60), min_size=1, max_size=12)
flags = st.booleans()


def _of(ids: Sequence[int]) -> Catalog:
    return build_catalog(np.array(ids, dtype=np.int64), np.zeros(len(ids), np.uint8), ("voice",))


def _passes(catalog: Catalog, kept: KeptOrders | None = None) -> Passes:
    return Passes(catalog.ids, "s", catalog.categories[0], kept or KeptOrders())


def _by_pass(catalog: Catalog, wanted: Sequence[int], batches: int, *, distinct: bool) -> list[list[tuple[int, int]]]:
    """Take chunks batch by batch; list each request's (pass, offset) in the order drawn."""
    cursor, kept, drawn = Cursor(), KeptOrders(), []
    for batch in np.array_split(np.array(wanted), batches):
        passes = _passes(catalog, kept)
        taken = take(passes, cursor, batch.tolist(), distinct=distinct)
        cursor = Cursor.parse(taken.cursor.text)
        offsets = iter(taken.offsets.tolist())
        for count, spans in zip(batch.tolist(), taken.passes, strict=True):
            assert sum(part for _, part in spans) == count
            numbers = [number for number, part in spans for _ in range(part)]
            drawn.append([(number, next(offsets)) for number in numbers])
        assert next(offsets, None) is None
    return drawn


@given(count=ready, wanted=requests, batches=st.integers(1, 4), distinct=flags, uuids=flags)
def test_every_chunk_comes_once_a_pass(
    count: int, wanted: list[int], batches: int, *, distinct: bool, uuids: bool
) -> None:
    catalog = catalog_of({"voice": count}, uuids=uuids)
    if distinct:
        wanted = [min(size, count) for size in wanted]
    drawn = _by_pass(catalog, wanted, batches, distinct=distinct)
    counts = Counter(pair for request in drawn for pair in request)
    assert set(counts.values()) <= {1}
    per_pass = Counter(number for number, _ in counts)
    last = max(per_pass, default=1)
    assert all(per_pass[number] == count for number in range(1, last))
    in_order = [number for request in drawn for number, _ in request]
    assert in_order == sorted(in_order)
    if distinct:
        assert all(len({chunk for _, chunk in request}) == len(request) for request in drawn)


@given(count=ready, wanted=requests, distinct=flags)
def test_how_requests_are_batched_changes_nothing(count: int, wanted: list[int], *, distinct: bool) -> None:
    catalog = catalog_of({"voice": count})
    wanted = [min(size, count) for size in wanted]
    one, many = (_by_pass(catalog, wanted, batches, distinct=distinct) for batches in (1, len(wanted)))
    assert one == many


steps_of = st.tuples(st.integers(0, 8), st.sets(st.integers(0, 30)), st.sets(st.integers(0, 30)))


@given(steps=st.lists(steps_of, max_size=12), distinct=flags)
def test_what_comes_and_goes_is_drawn_once_a_pass_and_only_while_it_is_ready(
    steps: list[tuple[int, set[int], set[int]]], *, distinct: bool
) -> None:
    ids, cursor = set(range(10)), Cursor()
    drawn: Counter[tuple[int, int]] = Counter()
    always = set(range(10))
    for count, added, removed in steps:
        ids = (ids | added) - removed
        always -= removed
        if not ids:
            continue
        catalog = _of(sorted(ids))
        taken = take(_passes(catalog), cursor, [min(count, len(ids)) if distinct else count], distinct=distinct)
        numbers = [number for number, part in taken.passes[0] for _ in range(part)]
        for number, offset in zip(numbers, taken.offsets.tolist(), strict=True):
            assert int(catalog.ids[offset]) in ids
            drawn[number, int(catalog.ids[offset])] += 1
        cursor = taken.cursor
    assert set(drawn.values()) <= {1}
    for number in range(1, cursor.number):
        assert {chunk for one, chunk in drawn if one == number} >= always


def test_a_large_category_is_ordered_window_by_window(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = _by_pass(_of(range(1000)), [250] * 9, 3, distinct=False)
    monkeypatch.setattr(module, "WINDOW", 16)
    monkeypatch.setattr(module, "_MOST_ORDERED", 100)
    assert _by_pass(_of(range(1000)), [250] * 9, 3, distinct=False) == whole
    assert _by_pass(_of(range(1000)), [1, 30, 3, 190] * 10, 40, distinct=True) == _by_pass(
        _of(range(1000)), [1, 30, 3, 190] * 10, 1, distinct=True
    )


def test_a_cursor_that_went_back_is_followed() -> None:
    """Another worker may have drawn for the session, or its hash may be gone."""
    passes = _passes(_of(range(100)))
    first = take(passes, Cursor(), [30], distinct=False)
    take(passes, first.cursor, [30], distinct=False)
    again = take(passes, Cursor(), [30], distinct=False)
    assert again.offsets.tolist() == first.offsets.tolist()


@pytest.mark.parametrize("distinct", [False, True])
@pytest.mark.parametrize(
    "cursor",
    [
        Cursor(2**53),
        Cursor(2**53, 2**64 - 1),
        Cursor(1, 2**64 - 1, (0, 2**64 - 1)),
        Cursor(1, -1, (5, 5, 2**63)),
        Cursor(7, 2**63, tuple(range(2**63, 2**63 - 65_000, -1))),
    ],
)
def test_a_cursor_that_nobody_wrote_is_drawn_from_all_the_same(cursor: Cursor, *, distinct: bool) -> None:
    """It may owe chunks twice, or chunks that come anyway: still no request gets one twice."""
    passes = _passes(_of(range(100)))
    ranks = passes.ranks(np.array([cursor.number]))[0].tolist()
    owing = cursor._replace(owed=(*cursor.owed, ranks[3], ranks[3], ranks[50]))
    for start in (Cursor.parse(cursor.text), owing):
        taken = take(passes, start, [60, 60], distinct=distinct)
        for part in (taken.offsets[:60].tolist(), taken.offsets[60:].tolist()):
            assert len(part) == 60
            assert not distinct or len(set(part)) == 60
