"""Mixtures that are no longer drawn from are removed; the expected counts of their chunks stay."""

import json
from typing import Any

import numpy as np
import pytest

from tests.support.streams import Desk
from worker.adapters.redis.stats import RedisStats
from worker.adapters.redis.stats_folding import RedisFolding
from worker.core.stats import Counts
from worker.errors import UnreadableError

WIDE = 300


@pytest.fixture
def folding(desk: Desk) -> RedisFolding:
    return RedisFolding(desk.client, desk.keys)


def shares_of(seed: int) -> dict[str, float]:
    shares = np.random.default_rng(seed).dirichlet(np.ones(WIDE))
    return {f"c{number}": share for number, share in enumerate(shares.tolist())}


async def count(desk: Desk, version: str, seed: int, **drawn: int) -> None:
    """Count chunks as workers do; `drawn` is by kind, below the dataset d and the global weights."""
    fields: dict[str, Any] = {f"mixture:{version}": json.dumps(shares_of(seed))}
    for kind, amount in drawn.items():
        fields |= {f"{kind}:d:{version}": amount, f"{kind}::{version}": 2 * amount}
    await desk.client.hset(desk.keys.stats, mapping=fields)


async def read(desk: Desk) -> Counts:
    return await RedisStats(desk.client, desk.keys).read()


async def test_sums_are_kept_to_the_millionth_and_the_texts_go(desk: Desk, folding: RedisFolding) -> None:
    for number in range(5):
        await count(desk, f"{number:012x}", number, drawn=10**6 + number)
    before = await read(desk)
    assert await folding.fold() == 0
    assert await folding.fold() == 5
    after = await read(desk)
    assert {name.partition(b":")[0] for name in await desk.client.hkeys(desk.keys.stats)} == {b"expected", b"variance"}
    assert [(row.dataset, row.category) for row in after.categories] == [
        (row.dataset, row.category) for row in before.categories
    ]
    for moment in ("expected", "variance"):
        pairs = [(getattr(row, moment), getattr(old, moment)) for row, old in zip(after.categories, before.categories)]  # noqa: B905
        assert [new for new, _ in pairs] == pytest.approx([old for _, old in pairs], abs=6e-6)


async def test_seconds_are_kept_as_well(desk: Desk, folding: RedisFolding) -> None:
    for number in range(3):
        await count(desk, f"{number:012x}", number, drawn_s=40_000 + number, drawn_us=500_000, drawn_s2=10_000)
    lasting = {"ms:d:c0": 90_000, "chunks:d:c0": 7, "squared_ms:d:c0": 90_000, "squares_s2:d:c0": 900}
    await desk.client.hset(desk.keys.stats, mapping=lasting)
    before = await read(desk)
    for _ in range(2):
        await folding.fold()
    after = await read(desk)
    kinds = {name.partition(b":")[0] for name in await desk.client.hkeys(desk.keys.stats)}
    assert kinds & {b"mixture", b"drawn_s", b"drawn_us", b"drawn_s2"} == set()
    for moment in ("expected", "variance", "seconds", "count"):
        news, olds = ([getattr(row, moment) for row in found.categories] for found in (after, before))
        assert news == pytest.approx(olds, abs=6e-5)


async def test_a_mixture_that_is_drawn_from_stays(desk: Desk, folding: RedisFolding) -> None:
    for amount in (1, 2, 3):
        await count(desk, "00000000000a", 1, drawn=amount)
        assert await folding.fold() == 0
    await desk.client.hset(desk.keys.stats, "drawn:new:00000000000a", 5)
    assert await folding.fold() == 0
    assert await folding.fold() == 1


async def test_nothing_is_doubled_where_several_workers_do_it_at_once(desk: Desk, folding: RedisFolding) -> None:
    other = RedisFolding(desk.client, desk.keys)
    await count(desk, "00000000000a", 1, drawn=1000)
    before = await read(desk)
    await folding.fold()
    await other.fold()
    look = await other._look()
    assert await folding.fold() == 1
    assert await other._fold(look) == 0
    assert sum(row.expected for row in (await read(desk)).categories) == pytest.approx(
        sum(row.expected for row in before.categories), abs=1e-3
    )


async def test_what_is_drawn_while_it_is_added_up_is_not_lost(desk: Desk, folding: RedisFolding) -> None:
    await count(desk, "00000000000a", 1, drawn=1000)
    look = await folding._look()
    for field in ("drawn::00000000000a", "drawn:new:00000000000a"):
        await desk.client.hincrby(desk.keys.stats, field, 1)
        assert await folding._fold(look) == 0
        assert await desk.client.hexists(desk.keys.stats, "mixture:00000000000a")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("mixture:00000000000a", "no JSON"),
        ("mixture:00000000000a", '{"c0": NaN}'),
        ("mixture:00000000000a", "[" * 100_000),
        ("drawn::00000000000a", "many"),
        ("drawn::00000000000a", "9" * 5000),
        ("expected::c0", "some"),
        ("expected::c0", "9223372036854775807"),
    ],
)
async def test_what_cannot_be_read_stays_and_keeps_no_other(
    desk: Desk, folding: RedisFolding, field: str, value: str
) -> None:
    await count(desk, "00000000000a", 1, drawn=1000)
    await desk.client.hset(desk.keys.stats, field, value)
    for _ in range(3):
        await folding.fold()
    assert await desk.client.hget(desk.keys.stats, field) == value.encode()
    assert await desk.client.hexists(desk.keys.stats, "mixture:00000000000a")
    if "922" not in value:
        assert (await read(desk)).problems


async def test_a_key_of_another_type_is_told(desk: Desk, folding: RedisFolding) -> None:
    await desk.client.set(desk.keys.stats, "no hash")
    with pytest.raises(UnreadableError, match="WRONGTYPE"):
        await folding.fold()


@pytest.mark.any_redis
async def test_a_thousand_moves_of_a_slider_leave_no_more_than_one(desk: Desk, folding: RedisFolding) -> None:
    for start in range(0, 1000, 100):
        for number in range(start, start + 100):
            await count(desk, f"{number:012x}", number, drawn=10)
        for _ in range(2):
            await folding.fold()
    await count(desk, "f" * 12, 1, drawn=10)
    fields = await desk.client.hkeys(desk.keys.stats)
    assert [name for name in fields if name.startswith(b"mixture")] == [b"mixture:ffffffffffff"]
    assert len(fields) == 1 + 2 + 4 * WIDE
    total = sum(row.expected for row in (await read(desk)).categories)
    assert total == pytest.approx(1001 * 30, abs=0.7)
