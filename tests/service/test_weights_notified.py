"""What a bell brings is in force at once, and never in the place of something newer."""

import asyncio
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from tests.support.log_lines import captured_log
from tests.support.streams import Desk
from tests.support.tasks import end
from tests.support.waiting import wait_until
from tests.support.workers import DONE_S, redis_availability
from worker.adapters.redis.weights import RedisWeights
from worker.core.weights.in_force import mark_of
from worker.ports import Reading
from worker.service.snapshots import WeightsBook
from worker.service.weights_feed import WeightsFeed

_NEVER_S = 3600.0
_VOICE, _MUSIC = b'{"voice": 1}', b'{"music": 1}'


def _reading(value: bytes) -> Reading:
    return Reading(mark_of(value), value)


def _feed(desk: Desk) -> tuple[WeightsFeed, WeightsBook]:
    book = WeightsBook()
    return WeightsFeed(desk.weights(), book, redis_availability(), refresh_s=_NEVER_S), book


async def test_what_a_bell_brings_is_in_force_at_once(desk: Desk, tmp_path: Path) -> None:
    with captured_log(tmp_path) as log:
        feed, book = _feed(desk)
        take_in = feed._follow(None)
        assert take_in is not None
        assert take_in(_reading(_VOICE))
        assert book.in_force(None).weights.text == '{"voice":1.0}'
        take_in = feed._follow(None)
        assert take_in is not None
        assert take_in(_reading(b"no JSON"))
        assert book.in_force(None).weights.source == "last_known"
    assert (len(log.of("weights.changed")), len(log.of("weights.rejected"))) == (1, 1)


async def test_a_bell_of_a_dataset_that_nobody_asks_for_is_not_followed(desk: Desk) -> None:
    feed, book = _feed(desk)
    assert feed._follow("d") is None
    await feed.read(["d"])
    assert feed._follow("d") is not None
    assert book.known() == [None, "d"]


async def test_what_may_be_older_than_what_settling_found_is_not_taken_in(desk: Desk) -> None:
    feed, book = _feed(desk)
    take_in = feed._follow(None)
    await feed.apply({None: _reading(_MUSIC)}, since=feed.taken)
    assert take_in is not None
    assert not take_in(_reading(_VOICE))
    assert book.in_force(None).weights.text == '{"music":1.0}'


class Overtaken(RedisWeights):
    """Have a bell answered between the server's answer to the first reading and the end of that reading.

    Attributes:
        feed: Which the bell is for.
        took_in: Whether it took in what the bell brought.
    """

    feed: WeightsFeed
    took_in: bool | None = None

    async def read(self, datasets: Sequence[str | None]) -> list[Reading]:
        readings = await super().read(datasets)
        if self.took_in is None and (take_in := self.feed._follow(None)):
            await self._client.set(self._keys.weights(), _MUSIC)
            self.took_in = take_in(_reading(_MUSIC))
        return readings


async def test_a_reading_under_way_does_not_replace_what_a_bell_brought(desk: Desk) -> None:
    store, book = Overtaken(desk.client, desk.keys), WeightsBook()
    store.feed = WeightsFeed(store, book, redis_availability(), refresh_s=_NEVER_S)
    await desk.client.set(desk.keys.weights(), _VOICE)
    await store.feed.read([None])
    store.close()
    assert (store.took_in, book.in_force(None).weights.text) == (True, '{"music":1.0}')


async def test_a_long_value_is_read_aside_and_comes_into_force_all_the_same(desk: Desk) -> None:
    feed, book = _feed(desk)
    long = json.dumps({f"c{i:04}": 1 for i in range(1000)})
    running = asyncio.create_task(feed.run())
    await wait_until(lambda: desk.client.execute_command("PUBSUB", "NUMPAT"), timeout_s=DONE_S, what="the feed listens")
    await feed.read(["d"])
    for text in (long, '{"voice": 1}', long):
        await desk.weights().store_quietly("d", text)
        await wait_until(
            partial(_has_categories, book, len(json.loads(text))), timeout_s=DONE_S, what=f"{text[:20]} is in force"
        )
    await end(running)
    feed.close()


def _has_categories(book: WeightsBook, count: int) -> bool:
    return len(book.in_force("d").weights.shares) == count
