"""Result streams are bounded in bytes and in entries: large results fill no server; the oldest go first."""

import pytest

from tests.support.streams import Desk, batch_of, desk_at, result_of
from worker.adapters.redis.streams import RedisStreams
from worker.core.wire import Entry
from worker.ports import StreamLimits

_NOW_MS = 10
_MIB = 1 << 20


async def _bytes(desk: Desk, key: str) -> int:
    return int(await desk.client.execute_command("MEMORY", "USAGE", key, "SAMPLES", 0))


async def _settle_large(desk: Desk, stream: RedisStreams, count: int, *, size: int, reply_to: str | None) -> None:
    """Settle so many results of so many bytes, four at a time."""
    for _ in range(count // 4):
        entries = await _read(desk, stream, 4)
        await stream.settle(batch_of(result_of(entry, reply_to, "chunk_ids", "7" * size) for entry in entries))


async def _read(desk: Desk, stream: RedisStreams, count: int) -> list[Entry]:
    await desk.add_many(count)
    return await stream.read(count, _NOW_MS)


@pytest.mark.parametrize("reply_to", [None, "job"])
async def test_large_results_are_bounded_by_their_bytes_and_the_oldest_go(desk: Desk, reply_to: str | None) -> None:
    stream = desk.consumer("one", StreamLimits(100_000, 600, 900, results_max_bytes=16 * _MIB))
    await stream.open()
    key = desk.keys.results if reply_to is None else desk.keys.reply(reply_to)
    most = 0
    for _ in range(5):  # three times the bound
        await _settle_large(desk, stream, 20, size=512 << 10, reply_to=reply_to)
        most = max(most, await _bytes(desk, key))
    assert 12 * _MIB < await _bytes(desk, key) <= most < 19 * _MIB
    kept = [result["entry_id"] for result in await desk.results(reply_to)]
    await _settle_large(desk, stream, 4, size=1, reply_to=reply_to)
    after = [result["entry_id"] for result in await desk.results(reply_to)]
    assert after[: len(after) - 4] == kept[len(kept) - len(after) + 4 :]


async def test_short_results_are_never_looked_at_for_their_bytes(desk: Desk) -> None:
    stream = desk.consumer("one", StreamLimits(10_000, 600, 900, results_max_bytes=16 * _MIB))
    await stream.open()
    await _settle_large(desk, stream, 400, size=400, reply_to=None)
    assert repr(stream._bytes) == "<ResultBytes of no stream>"


async def test_results_below_a_node_are_bounded_by_looks_at_a_sample(desk: Desk) -> None:
    """A full look at many short results would stop the server for as long as thousands of requests take."""
    stream = desk.consumer("one", StreamLimits(100_000, 600, 900, results_max_bytes=16 * _MIB))
    await stream.open()
    await desk.client.config_resetstat()
    for _ in range(90):
        entries = await _read(desk, stream, 256)
        await stream.settle(batch_of(result_of(entry, None, "chunk_ids", "7" * 1000) for entry in entries))
    assert 14 * _MIB < await _bytes(desk, desk.keys.results) < 17 * _MIB
    stats = await desk.client.info("commandstats")
    assert stats["cmdstat_memory|usage"]["calls"] > 64
    assert stats["cmdstat_memory|usage"]["usec_per_call"] < stats["cmdstat_evalsha"]["usec_per_call"]


async def test_a_long_result_amid_short_ones_is_not_overlooked(desk: Desk) -> None:
    """A sample is of the oldest nodes, which are small."""
    stream = desk.consumer("one", StreamLimits(100_000, 600, 900, results_max_bytes=16 * _MIB))
    await stream.open()
    for _ in range(2):
        for _ in range(10):
            entries = await _read(desk, stream, 256)
            await stream.settle(batch_of(result_of(entry, None, "chunk_ids", "7" * 1000) for entry in entries))
        await _settle_large(desk, stream, 40, size=512 << 10, reply_to=None)
        assert await _bytes(desk, desk.keys.results) < 19 * _MIB


async def test_a_refusal_to_look_at_the_bytes_is_told_and_loses_nothing(desk: Desk, redis_url: str) -> None:
    user = desk.keys.prefix
    rights = ("on", "nopass", f"~{user}:*", "+@all", "-memory")
    await desk.client.execute_command("ACL", "SETUSER", user, *rights)
    try:
        async with desk_at(redis_url.replace("//", f"//{user}:x@"), user) as refused:
            stream = refused.consumer("one", StreamLimits(100_000, 600, 900, results_max_bytes=16 * _MIB))
            await stream.open()
            await _settle_large(refused, stream, 8, size=_MIB, reply_to=None)
            [entry] = await _read(refused, stream, 1)
            settled = await stream.settle(batch_of([result_of(entry)]))
    finally:
        await desk.client.execute_command("ACL", "DELUSER", user)
    assert settled.is_done
    assert f"MEMORY USAGE or XTRIM of {desk.keys.results}: " in settled.unbounded
    assert len(await desk.results()) == 9
