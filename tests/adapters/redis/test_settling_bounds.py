"""Counts of what was heard, in settling on real servers: they grow with the results until a bound is met."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.support.streams import Desk, batch_of, result_of
from worker.adapters.redis.settling import MOST_FEW, MOST_HEARD
from worker.adapters.redis.streams import RedisStreams
from worker.core.draw.sessions import SessionChange
from worker.core.weights.in_force import ABSENT
from worker.ports import Settled

_NOW_MS = 10
SIZES = pytest.mark.parametrize("requests", [1, MOST_FEW + 1])
"""Batches for either script."""


async def _settle(
    desk: Desk, stream: RedisStreams, heard: Mapping[str, int], requests: int = 1, **parts: Any
) -> Settled:
    """Settle requests of its own with what they add to what was heard."""
    ids = await desk.add_many(requests)
    await stream.read(requests, _NOW_MS)
    return await stream.settle(batch_of([result_of(entry_id) for entry_id in ids], heard=heard, **parts))


async def _heard(desk: Desk) -> dict[str, int]:
    found = await desk.client.hgetall(desk.keys.heard)
    return {field.decode(): int(count) for field, count in found.items()}


@SIZES
async def test_what_was_heard_grows_with_the_results_until_a_bound_is_met(
    desk: Desk, stream: RedisStreams, requests: int
) -> None:
    await desk.client.hset(desk.keys.bounds, mapping={"chunks:": 10, "requests:d": 1, "ms:": 0})
    growth = {"chunks:": 4, "requests:": 1}
    for heard in (4, 8, 12):
        assert (await _settle(desk, stream, growth, requests)).is_done
        assert await _heard(desk) == {"chunks:": heard, "requests:": heard // 4}
    settled = await _settle(desk, stream, growth, requests, growth={"requests:": 1}, marks=[(None, ABSENT)])
    assert settled == Settled(settled.at_ms, met=("chunks:",))
    assert not settled.is_done
    assert (len(await desk.results()), await desk.pending()) == (3 * requests, requests)
    assert await desk.counts() == {}
    assert await _heard(desk) == {"chunks:": 12, "requests:": 3}


@SIZES
async def test_bounds_that_do_not_matter_are_not_looked_at(desk: Desk, stream: RedisStreams, requests: int) -> None:
    await desk.client.hset(desk.keys.bounds, "chunks:", 0)
    assert (await _settle(desk, stream, {}, requests)).is_done
    assert (await _settle(desk, stream, {"chunks:d": 1}, requests)).is_done
    assert (await _settle(desk, stream, {"chunks:": 3}, requests, is_bounded=False)).is_done
    assert await _heard(desk) == {"chunks:d": 1, "chunks:": 3}


@SIZES
@pytest.mark.parametrize("bound", ["", "soon", "nan", "0x", "1e400"])
async def test_a_bound_that_is_no_number_is_none(desk: Desk, stream: RedisStreams, requests: int, bound: str) -> None:
    await desk.client.hset(desk.keys.bounds, "chunks:", bound)
    assert (await _settle(desk, stream, {"chunks:": 5}, requests)).is_done
    assert await _heard(desk) == {"chunks:": 5}


@SIZES
async def test_keys_of_another_type_hold_up_nobody(desk: Desk, stream: RedisStreams, requests: int) -> None:
    await desk.client.set(desk.keys.bounds, "x")
    assert (await _settle(desk, stream, {"chunks:": 5}, requests)).uncounted == ""
    await desk.client.delete(desk.keys.heard)
    await desk.client.set(desk.keys.heard, "x")
    assert (await _settle(desk, stream, {"chunks:": 5}, requests)).uncounted == desk.keys.heard
    await desk.client.delete(desk.keys.bounds)
    await desk.client.hset(desk.keys.bounds, "chunks:", 5)
    settled = await _settle(desk, stream, {"chunks:": 5}, requests)
    assert (settled.is_done, settled.uncounted) == (True, desk.keys.heard)
    assert await desk.client.get(desk.keys.heard) == b"x"


async def test_weights_sessions_and_bounds_are_told_together(desk: Desk, stream: RedisStreams) -> None:
    await desk.client.hset(desk.keys.bounds, mapping={"requests:": 0, "chunks::voice": 0})
    settled = await _settle(
        desk,
        stream,
        {"chunks:": 2, "chunks::voice": 2, "requests:": 1},
        sessions={"s": SessionChange({"x": b"1"}, {}, {})},
        marks=[(None, b"another")],
    )
    assert settled == Settled(settled.at_ms, stale={None: ABSENT}, moved={"s": {}}, met=("chunks::voice", "requests:"))
    assert await desk.client.exists(desk.keys.session("s"), desk.keys.heard) == 0


async def test_very_many_fields_are_counted_and_bounded(desk: Desk, stream: RedisStreams) -> None:
    growth = {f"chunks::c{number}": 1 + number for number in range(12_000)}
    assert len(growth) > MOST_HEARD
    assert (await _settle(desk, stream, growth)).is_done
    assert await _heard(desk) == growth
    await desk.client.hset(desk.keys.bounds, mapping={"chunks::c11999": 12_000, "chunks::c11998": 12_000})
    assert (await _settle(desk, stream, growth)).met == ("chunks::c11999",)
