"""Counts over all workers, and the workers that live, on real servers."""

import pytest

from tests.support.streams import Desk
from worker.adapters.redis.stats import RedisStats
from worker.core.stats import CategoryCount, read_counts
from worker.core.weights.history import read_change
from worker.core.workers.states import disagreement, read_workers
from worker.errors import UnreadableError
from worker.weights.change import who_applied

NOTHING = read_counts({})
STRANGE_STATES = [
    *[b"", b"notjson", b"[1]", b"null", b"5", b"\xff", b"[" * 100_000, b'"' + b"x" * (1 << 20) + b'"'],
    *[b"{}", b'{"consumer": "other"}', b'{"consumer": 5}', b'{"consumer": "a", "datasets": []}'],
    *[
        b'{"consumer": "a", "datasets": {"d": 5}}',
        b'{"consumer": "a", "pid": NaN}',
        b'{"consumer": "a", "chunks": 1e999}',
    ],
    *[b'{"consumer": "a", "state": "\\ud800"}', b'{"consumer": "a", "at_ms": ' + b"9" * 5000 + b"}"],
    *[b'{"consumer": "a", "weights_version": null}', b'{"consumer": "a", "requests": true}'],
]


@pytest.fixture
async def stats(desk: Desk) -> RedisStats:
    return RedisStats(desk.client, desk.keys)


async def test_counts_are_read_as_they_are_and_cleared_on_demand(desk: Desk, stats: RedisStats) -> None:
    assert await stats.read() == NOTHING
    counts = {"requests:": 3, "chunks::voice": 2**62, "errors:d:internal": 0}
    await desk.client.hset(desk.keys.stats, mapping=counts)
    assert await stats.read() == read_counts(counts)
    assert await stats.read(clear=True) == read_counts(counts)
    assert await stats.read(clear=True) == NOTHING
    assert await desk.client.exists(desk.keys.stats) == 0


async def test_counts_of_a_mixture_are_read_by_what_stands_beside_them(desk: Desk, stats: RedisStats) -> None:
    counts: dict[str, str | int] = {"chunks::voice": 30, "drawn::m1": 40, "drawn:d:m2": 8, "drawn::m3": 2}
    mixtures = {"mixture:m1": '{"voice":0.75,"music":0.25}', "mixture:m2": '{"noise":1.0}', "mixture:m9": '{"x":1.0}'}
    await desk.client.hset(desk.keys.stats, mapping=counts | mixtures)
    for clear in (False, True):
        assert (await stats.read(clear=clear)).categories == (
            CategoryCount("", "music", 0, 10.0, 7.5),
            CategoryCount("", "voice", 30, 30.0, 7.5),
            CategoryCount("d", "noise", 0, 8.0, 0.0),
        )
    kept = {name.decode() for name in await desk.client.hkeys(desk.keys.stats)}
    assert kept == {"mixture:m1", "mixture:m2"}
    assert await stats.read() == NOTHING


async def test_seconds_of_a_mixture_are_read_by_what_stands_beside_them(desk: Desk, stats: RedisStats) -> None:
    counts: dict[str, str | int] = {
        "drawn_s::m1": 40,
        "drawn_us::m1": 500_000,
        "drawn_s2::m1": 100,
        "drawn_s:preset:p:m2": 8,
        "ms::voice": 31_250,
        "chunks::voice": 7,
        "squared_ms::voice": 31_250,
        "squares_s2::voice": 62,
        "squares_ms2::voice": 500_000,
    }
    mixtures = {"mixture:m1": '{"voice":0.8,"music":0.2}', "mixture:m2": '{"noise":1.0}', "mixture:m9": '{"x":1.0}'}
    await desk.client.hset(desk.keys.stats, mapping=counts | mixtures)
    for clear in (False, True):
        found = await stats.read(clear=clear)
        assert [row.amount for row in found.categories] == [0.0, 31.25, 0.0]
        assert [row.expected for row in found.categories] == pytest.approx([8.1, 32.4, 8.0])
        assert [row.variance for row in found.categories] == pytest.approx([8.1 * 2 - 4, 32.4 * 2 - 64, 0])
    kept = {name.decode() for name in await desk.client.hkeys(desk.keys.stats)}
    assert kept == {"mixture:m1", "mixture:m2"}


async def test_a_mixture_of_a_preset_stays_when_counts_are_cleared(desk: Desk, stats: RedisStats) -> None:
    await desk.client.hset(desk.keys.stats, mapping={"drawn:preset:p:m1": 3, "mixture:m1": "{}"})
    await stats.read(clear=True)
    assert await desk.client.hkeys(desk.keys.stats) == [b"mixture:m1"]


async def test_what_is_no_count_is_left_out(desk: Desk, stats: RedisStats) -> None:
    await desk.client.hset(desk.keys.stats, mapping={"requests:": 3, "note": "many", b"\xff": "1"})
    assert await stats.read() == read_counts({"requests:": 3})


async def test_a_dataset_is_removed_without_a_trace(desk: Desk, stats: RedisStats) -> None:
    kept = {"requests:": 1, "requests:d2": 2, "chunks:dd:d": 3}
    gone = {"requests:d": 4, "errors:d:internal": 5, "chunks:d:voice": 6, "expected:d:voice": 7, "variance:d:voice": 8}
    await desk.client.hset(desk.keys.stats, mapping=kept | gone)
    for _ in range(2):
        await stats.remove_dataset("d")
        assert await desk.counts() == kept


async def test_live_workers_are_listed_by_name(desk: Desk, stats: RedisStats) -> None:
    assert await stats.workers() == []
    for name in ("b", "a", "a:1"):
        await desk.client.set(desk.keys.worker(name), f'{{"consumer": "{name}"}}')
    await desk.client.set(f"{desk.keys.prefix}x:worker:c", "of another prefix")
    assert [worker["consumer"] for worker in await stats.workers()] == ["a", "a:1", "b"]


async def test_counts_of_another_type_are_unreadable(desk: Desk, stats: RedisStats) -> None:
    await desk.client.set(desk.keys.stats, "not a hash")
    for call in (stats.read(), stats.remove_dataset("d")):
        with pytest.raises(UnreadableError, match=f"{desk.keys.stats}.*WRONGTYPE.*accepted"):
            await call


@pytest.mark.parametrize("value", STRANGE_STATES)
async def test_a_state_that_no_worker_wrote_is_a_row_and_hides_no_other(
    desk: Desk, stats: RedisStats, value: bytes
) -> None:
    await desk.client.set(desk.keys.worker("a"), value)
    await desk.client.set(desk.keys.worker("b"), '{"consumer": "b", "weights_version": "1"}')
    await desk.client.rpush(desk.keys.worker("c"), "no string")
    await desk.client.set(desk.keys.worker("").encode() + b"\xff", "{}")
    found = await stats.workers()
    assert [one["consumer"] for one in found] == ["a", "b", "c", "\\xff"]
    assert ["accepted" in one.get("unreadable", "") for one in found] == [True, False, True, True]
    assert disagreement(read_workers(found)) is None
    change = read_change("1-0", {"version_after": "1"})
    applied = who_applied(found, change, 0.0)
    assert applied.applied == ("b",)
    assert [name.partition(" ")[0] for name in applied.missing] == ["a", "c", "\\xff"]
