"""No request gets a chunk of the list that it names, whatever changes under the draw; all else is as without them."""

import asyncio
import json
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from redis import Redis

from tests.support.servers import connect
from tests.support.streams import Desk
from tests.support.workers import Wiring, answers, serving, settled
from worker.adapters.redis.exclusions import Change, RedisExclusions
from worker.core.catalog import without
from worker.core.draw.answer import answer
from worker.core.draw.groups import Answers
from worker.core.draw.prepare import Snapshots
from worker.core.wire import Request, Result
from worker.core.wire.exclusions import pack_ids
from worker.service.exclusions import MOST_KEPT

CATALOG = Wiring().catalog
assert CATALOG is not None
IDS = [int(one) for one in CATALOG.ids]
FENCED = 9
METHODS: list[dict[str, object]] = [
    {"seed": 7},
    {"seed": 7, "method": "stratified", "replace": 0},
    {"seed": 7, "encoding": "json", "category": "voice"},
    {"seed": 7, "preset": "balanced", "probabilities": 1},
]


class Meddler:
    """A normal draw that changes a list in Redis after each draw."""

    def __init__(self, url: str, change: Callable[[Redis, int], object]) -> None:
        self._url = url
        self._change = change
        self.draws = 0

    def draw(self, requests: Sequence[Request | Result], snapshots: Snapshots, rng: np.random.Generator) -> Answers:
        answers = answer(requests, snapshots, rng)
        self.draws += 1
        with connect(self._url) as client:
            self._change(client, self.draws)
        return answers


def write(client: Redis, desk: Desk, *ids: int) -> None:
    """Store a list as a program in another language does."""
    made = pack_ids(ids)
    with client.pipeline() as pipeline:
        pipeline.set(desk.keys.excluded_ids("x"), made.packed)
        pipeline.set(desk.keys.exclude("x"), made.head)
        pipeline.execute()


def adding(*ids: int) -> Change:
    """Make the change that adds ids."""
    return lambda before: {*before, *ids}


def chunks(result: dict[str, str]) -> set[int]:
    return set(json.loads(result["chunk_ids"]))


@pytest.mark.parametrize("size", [3, 40_000])
@pytest.mark.fault("an exclusion list changes between the draw and its settling")
async def test_a_batch_is_drawn_again_when_its_list_changed(desk: Desk, redis_url: str, size: int) -> None:
    kept = [IDS[:1], IDS[1:2], IDS[2:3]]

    def change(client: Redis, draw: int) -> None:
        if draw <= 3:
            write(client, desk, *(one for one in IDS if one not in kept[draw - 1]))

    await RedisExclusions(desk.client, desk.keys).change("x", lambda _: IDS[:5])
    meddler = Meddler(redis_url, change)
    async with serving(redis_url, desk.keys.prefix, Wiring(draw=meddler.draw)):
        ids = await desk.add({"size": size, "exclude": "x", "category": "documentary"})
        found = await answers(desk, ids)
        await settled(desk)
    assert meddler.draws == 4
    assert chunks(found[ids[0]]) == {IDS[2]}


async def test_a_list_that_goes_or_comes_is_seen(desk: Desk, redis_url: str) -> None:
    lists = RedisExclusions(desk.client, desk.keys)
    async with serving(redis_url, desk.keys.prefix):
        request = {"size": 50, "exclude": "x"}
        for turn in range(3):
            [missing] = (await answers(desk, await desk.add(request))).values()
            assert missing["error"] == "unknown_exclude"
            await lists.change("x", adding(*IDS[: turn + 1]))
            [found] = (await answers(desk, await desk.add(request))).values()
            assert not chunks(found) & {*IDS[: turn + 1]}
            await lists.remove("x")


async def test_a_writer_that_never_rests_starves_nobody(desk: Desk, redis_url: str) -> None:
    await RedisExclusions(desk.client, desk.keys).change("x", lambda _: IDS[:1])
    meddler = Meddler(redis_url, lambda client, draw: write(client, desk, IDS[0], 10**9 + draw))
    async with serving(redis_url, desk.keys.prefix, Wiring(draw=meddler.draw)):
        [found] = (await answers(desk, await desk.add({"size": 50, "exclude": "x"}))).values()
    assert meddler.draws == FENCED
    assert IDS[0] not in chunks(found)


@pytest.mark.any_redis
@pytest.mark.parametrize("fields", METHODS, ids=str)
async def test_what_is_drawn_is_what_a_library_without_them_would_draw(
    desk: Desk, redis_url: str, fields: dict[str, object]
) -> None:
    assert CATALOG is not None
    gone = IDS[::3]
    await RedisExclusions(desk.client, desk.keys).change("x", lambda _: gone)
    request = {"size": 4, **fields}
    async with serving(redis_url, desk.keys.prefix):
        [under] = (await answers(desk, await desk.add({**request, "exclude": "x"}))).values()
    async with serving(redis_url, desk.keys.prefix, Wiring(catalog=without(CATALOG, pack_ids(gone)))):
        [apart] = (await answers(desk, await desk.add(request))).values()
    own = ("request_id", "entry_id")
    assert {name: text for name, text in under.items() if name not in own} == {
        name: text for name, text in apart.items() if name not in own
    }


@pytest.mark.any_redis
async def test_an_epoch_passes_over_all_that_are_left(desk: Desk, redis_url: str) -> None:
    voice = [one for one in IDS if one // 1000 == 1]
    await RedisExclusions(desk.client, desk.keys).change("x", lambda _: voice[::2])
    left = set(voice[1::2])
    request = {"size": len(left), "exclude": "x", "category": "voice", "method": "epoch", "session": "s"}
    async with serving(redis_url, desk.keys.prefix):
        for _ in range(3):
            [found] = (await answers(desk, await desk.add(request))).values()
            assert sorted(json.loads(found["chunk_ids"])) == sorted(left)


@pytest.mark.any_redis
async def test_more_lists_than_are_kept_are_all_exact(desk: Desk, redis_url: str) -> None:
    lists = RedisExclusions(desk.client, desk.keys)
    names = [f"x{number}" for number in range(2 * MOST_KEPT)]
    for number, name in enumerate(names):
        await lists.change(name, adding(IDS[number]))
    async with serving(redis_url, desk.keys.prefix) as parts:
        ids = await desk.add(*({"size": 500, "exclude": name} for name in names * 2))
        found = await answers(desk, ids)
        assert len(parts.current.exclusions) <= MOST_KEPT
    for number, entry_id in enumerate(ids):
        assert IDS[number % len(names)] not in chunks(found[entry_id])
        assert chunks(found[entry_id]) & {*IDS[: len(names)]}


async def test_changes_of_many_at_once_are_all_kept(desk: Desk) -> None:
    lists = RedisExclusions(desk.client, desk.keys)
    await asyncio.gather(*(lists.change("x", adding(one)) for one in range(8)))
    stored = await lists.read("x")
    assert stored is not None
    assert stored.ids() == list(range(8))
