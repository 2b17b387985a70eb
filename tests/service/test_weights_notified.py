"""What a notification brings is in force at once, and never in the place of something newer."""

import asyncio
import json
from functools import partial
from pathlib import Path

from tests.support.log_lines import captured_log
from tests.support.streams import Desk
from tests.support.tasks import end
from tests.support.waiting import wait_until
from tests.support.workers import DONE_S
from worker.core.weights.in_force import UNREAD, mark_of
from worker.ports import Reading
from worker.service.snapshots import WeightsBook
from worker.service.weights_feed import WeightsFeed
from worker.service.wiring import redis_availability

_NEVER_S = 3600.0
_VOICE = b'{"voice": 1}'


def _feed(desk: Desk) -> tuple[WeightsFeed, WeightsBook]:
    book = WeightsBook()
    return WeightsFeed(desk.weights(), book, redis_availability(), refresh_s=_NEVER_S), book


async def test_what_a_notification_brings_is_in_force_at_once(desk: Desk, tmp_path: Path) -> None:
    with captured_log(tmp_path) as log:
        feed, book = _feed(desk)
        assert feed.accept(None, Reading(mark_of(_VOICE), _VOICE, order=1))
        assert book.in_force(None).weights.text == '{"voice":1.0}'
        assert feed.accept(None, Reading(mark_of(b"no JSON"), b"no JSON", order=2))
        assert book.in_force(None).weights.source == "last_known"
    assert (len(log.of("weights.changed")), len(log.of("weights.rejected"))) == (1, 1)


async def test_a_notification_of_a_dataset_that_nobody_asks_for_is_not_followed(desk: Desk) -> None:
    feed, book = _feed(desk)
    assert not feed.follows("d")
    await feed.read(["d"])
    assert feed.follows("d")
    assert book.known() == [None, "d"]


async def test_a_long_value_is_left_to_the_loop_unless_it_is_known(desk: Desk) -> None:
    feed, book = _feed(desk)
    long = json.dumps({f"c{i:04}": 1 for i in range(1000)}).encode()
    assert not feed.accept(None, Reading(mark_of(long), long, order=1))
    assert book.held(None) is UNREAD
    await desk.client.set(desk.keys.weights(), long)
    await feed.read([None])
    assert feed.accept(None, Reading(mark_of(long), long, order=2))


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
