"""No change of a weights key goes unnoticed, and no value that is not valid comes into force."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import pytest

from tests.support.log_lines import LogLines, captured_log
from tests.support.proxy import Proxy
from tests.support.streams import Desk, desk_at
from tests.support.tasks import end, endless
from tests.support.waiting import wait_until
from tests.support.workers import DONE_S, Wiring, wired
from worker.adapters.redis.client import Client, connect
from worker.adapters.redis.weights import RedisWeights
from worker.core.keys import Keys
from worker.core.weights.in_force import ABSENT, mark_of
from worker.core.weights.values import default_weights
from worker.embedded import RedisServer
from worker.ports import Reading
from worker.service.snapshots import WeightsBook
from worker.service.weights_feed import WeightsFeed
from worker.service.wiring import Serving, redis_availability

_OFTEN = Wiring(refresh_s=0.02)
_NEVER_S = 3600.0
_VOICE, _MUSIC = '{"voice": 1}', '{"music": 1}'


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LogLines]:
    with captured_log(tmp_path) as log:
        yield log


@asynccontextmanager
async def _feeding(url: str, prefix: str, wiring: Wiring | None = None) -> AsyncIterator[Serving]:
    """Run the feed alone, as the life cycle does: on from here the weights have been read once."""
    async with wired(url, prefix, wiring) as parts, anyio.create_task_group() as loops:
        with anyio.fail_after(DONE_S):
            await loops.start(endless, parts.weights.run)
        try:
            yield parts
        finally:
            loops.cancel_scope.cancel()


def _shares(parts: Serving, dataset: str | None = None) -> dict[str, float]:
    return dict(parts.current.weights.in_force(dataset).weights.shares)


def _source(parts: Serving, dataset: str | None = None) -> str:
    return parts.current.weights.in_force(dataset).weights.source


async def _comes_into_force(parts: Serving, text: str, dataset: str | None = None) -> None:
    def is_there() -> bool:
        return parts.current.weights.in_force(dataset).weights.text == text

    await wait_until(is_there, timeout_s=DONE_S, what=f"{text} is in force for {dataset}")


async def _is_listening(desk: Desk) -> None:
    async def is_subscribed() -> bool:
        return bool(await desk.client.execute_command("PUBSUB", "NUMPAT"))

    await wait_until(is_subscribed, timeout_s=DONE_S, what="the feed listens")


# -- what is noticed -------------------------------------------------------------------------------------------


async def test_weights_are_read_before_the_feed_counts_as_started(desk: Desk, redis_url: str, prefix: str) -> None:
    await desk.client.set(desk.keys.weights(), _VOICE)
    async with _feeding(redis_url, prefix) as parts:
        assert (_shares(parts), _source(parts)) == ({"voice": 1.0}, "redis")


async def test_without_a_key_the_defaults_are_in_force(desk: Desk, redis_url: str, prefix: str, log: LogLines) -> None:
    assert await desk.client.exists(desk.keys.weights()) == 0
    async with _feeding(redis_url, prefix) as parts:
        assert (_shares(parts), _source(parts)) == (dict(default_weights().shares), "default")
    assert log.of("weights.changed") == []


async def test_a_change_with_a_notification_is_noticed_at_once(
    desk: Desk, redis_url: str, prefix: str, log: LogLines
) -> None:
    async with _feeding(redis_url, prefix) as parts:
        await _is_listening(desk)
        await desk.weights().store_quietly(None, _VOICE)
        await _comes_into_force(parts, '{"voice":1.0}')
        version = parts.current.weights.in_force(None).weights.version
        assert parts.current.weights.changed_at_ms > 0
    [line] = log.of("weights.changed")
    assert (line["dataset"], line["source"], line["version"]) == (None, "redis", version)
    assert (line["before"], line["after"]) == (default_weights().text, '{"voice":1.0}')


async def test_a_change_without_a_notification_is_noticed_by_reading_again(
    desk: Desk, redis_url: str, prefix: str
) -> None:
    async with _feeding(redis_url, prefix, _OFTEN) as parts:
        for value, text in ((_VOICE, '{"voice":1.0}'), (_MUSIC, '{"music":1.0}')):
            await desk.client.set(desk.keys.weights(), value)
            await _comes_into_force(parts, text)
        await desk.client.delete(desk.keys.weights())
        await _comes_into_force(parts, default_weights().text)
        assert _source(parts) == "default"


@pytest.mark.parametrize(("name", "source"), [(None, "default"), ("d", "redis"), ("preset:night", "preset")])
async def test_a_key_that_vanishes_is_a_warning_that_says_what_is_in_force_now(
    desk: Desk, redis_url: str, prefix: str, log: LogLines, name: str | None, source: str
) -> None:
    if name is not None:
        await desk.client.set(desk.keys.weights(), _MUSIC)
    await desk.client.set(desk.keys.weights(name), _VOICE)
    async with _feeding(redis_url, prefix, _OFTEN) as parts:
        await parts.weights.read([name])
        before = parts.current.weights.in_force(name).weights.version
        await desk.client.set(desk.keys.weights(name), "refused")
        await wait_until(lambda: bool(log.of("weights.rejected")), timeout_s=DONE_S, what="the value is refused")
        assert log.of("weights.vanished") == []
        await desk.client.delete(desk.keys.weights(name))
        await wait_until(lambda: bool(log.of("weights.vanished")), timeout_s=DONE_S, what="it is told")
        now = parts.current.weights.in_force(name).weights
        await desk.client.set(desk.keys.weights(name), "{}")  # all zero: somebody wants the defaults
        await desk.client.set(desk.keys.weights(name), _VOICE)
        await wait_until(lambda: parts.current.weights.held(name).weights is not None, timeout_s=DONE_S, what="weights")
        await desk.client.set(desk.keys.weights(name), "{}")
        await wait_until(lambda: parts.current.weights.held(name).weights is None, timeout_s=DONE_S, what="no weights")
    [line] = log.of("weights.vanished")
    assert (line["level"], line["dataset"], line["version_before"]) == ("warning", name, before)
    assert (line["version"], line["source"]) == (now.version, source)


@pytest.mark.parametrize("dataset", [None, "d"])
async def test_a_change_while_the_subscription_was_broken_is_noticed_by_the_resync(
    desk: Desk, redis_url: str, prefix: str, log: LogLines, dataset: str | None
) -> None:
    async with _feeding(redis_url, prefix) as parts:
        await parts.weights.read([dataset])
        for value, text in ((_VOICE, '{"voice":1.0}'), (_MUSIC, '{"music":1.0}')):
            await _is_listening(desk)
            pipeline = desk.client.pipeline(transaction=True)
            pipeline.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
            pipeline.set(desk.keys.weights(dataset), value)
            await pipeline.execute()
            await _comes_into_force(parts, text, dataset)
        await wait_until(lambda: parts.availability.is_up, timeout_s=DONE_S, what="the link is restored")
    assert len(log.of("redis.lost")) == len(log.of("redis.restored"))


async def test_the_same_weights_in_other_words_are_no_change(
    desk: Desk, redis_url: str, prefix: str, log: LogLines
) -> None:
    await desk.client.set(desk.keys.weights(), '{"voice": 1, "music": 1}')
    async with _feeding(redis_url, prefix) as parts:
        await desk.client.set(desk.keys.weights(), '{"music": 0.2, "voice": 0.2, "custom": 0}')
        await parts.weights.read([None])
    assert len(log.of("weights.changed")) == 1


# -- what is refused -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["no JSON", '{"voice": -1}', '{"voice": NaN}', "[]", None])
async def test_a_value_that_is_not_valid_is_refused_and_the_last_valid_weights_stay(
    desk: Desk, redis_url: str, prefix: str, log: LogLines, value: str | None
) -> None:
    key = desk.keys.weights()
    await desk.client.set(key, _VOICE)
    async with _feeding(redis_url, prefix) as parts:
        version = parts.current.weights.in_force(None).weights.version
        # In one step: the feed may read at any moment, and a key that is gone for one means the defaults.
        replacing = desk.client.pipeline(transaction=True).delete(key)
        await (replacing.set(key, value) if value is not None else replacing.rpush(key, "x")).execute()
        for _ in range(3):
            await parts.weights.read([None])
            assert (_shares(parts), _source(parts)) == ({"voice": 1.0}, "last_known")
        await desk.client.set(key, _VOICE)
        await parts.weights.read([None])
        assert _source(parts) == "redis"
    [line] = log.of("weights.rejected")
    assert (line["dataset"], line["keeping_version"]) == (None, version)
    assert "accepted" in line["reason"]
    assert len(log.of("weights.changed")) == 1


async def test_without_a_last_valid_value_the_defaults_stay(
    desk: Desk, redis_url: str, prefix: str, log: LogLines
) -> None:
    await desk.client.set(desk.keys.weights(), "no JSON")
    async with _feeding(redis_url, prefix) as parts:
        assert _source(parts) == "default"
    [line] = log.of("weights.rejected")
    assert line["keeping_version"] == default_weights().version


# -- datasets --------------------------------------------------------------------------------------------------


async def test_a_dataset_is_followed_once_it_was_asked_for(
    desk: Desk, redis_url: str, prefix: str, log: LogLines
) -> None:
    store = desk.weights()
    async with _feeding(redis_url, prefix) as parts:
        await _is_listening(desk)
        await store.store_quietly("d", _VOICE)
        await store.store_quietly("never-asked-for", _VOICE)
        await parts.weights.read(["d"])
        assert (_shares(parts, "d"), _source(parts, "d")) == ({"voice": 1.0}, "dataset")
        await store.store_quietly("d", _MUSIC)
        await _comes_into_force(parts, '{"music":1.0}', "d")
        await store.remove("d")
        await _comes_into_force(parts, default_weights().text, "d")
        assert (_source(parts, "d"), parts.current.weights.known()) == ("default", [None, "d"])
    lines = [(line["dataset"], line["source"], line["before"], line["after"]) for line in log.of("weights.changed")]
    assert lines == [
        ("d", "dataset", None, '{"voice":1.0}'),
        ("d", "dataset", '{"voice":1.0}', '{"music":1.0}'),
        ("d", "default", '{"music":1.0}', default_weights().text),
    ]


async def test_a_dataset_without_weights_of_its_own_follows_the_global_ones(
    desk: Desk, redis_url: str, prefix: str, log: LogLines
) -> None:
    async with _feeding(redis_url, prefix) as parts:
        await parts.weights.read(["d"])
        await desk.client.set(desk.keys.weights(), _MUSIC)
        await parts.weights.read([None])
        assert (_shares(parts, "d"), _source(parts, "d")) == ({"music": 1.0}, "redis")
        await desk.client.set(desk.keys.weights("d"), "no JSON")
        await parts.weights.read(["d"])
        assert (_shares(parts, "d"), _source(parts, "d")) == ({"music": 1.0}, "redis")
    [line] = log.of("weights.rejected")
    assert (line["dataset"], line["keeping_version"]) == ("d", parts.current.weights.in_force("d").weights.version)


async def test_datasets_are_kept_fresh_without_notifications_until_they_are_forgotten(
    desk: Desk, redis_url: str, prefix: str
) -> None:
    async with _feeding(redis_url, prefix, _OFTEN) as parts:
        await parts.weights.read(["busy", "idle"])
        await desk.client.set(desk.keys.weights("busy"), _VOICE)
        await _comes_into_force(parts, '{"voice":1.0}', "busy")
        parts.current.weights._datasets["idle"].asked_at -= 61
        await wait_until(
            lambda: parts.current.weights.known() == [None, "busy"], timeout_s=DONE_S, what="the idle one is forgotten"
        )


# -- a server that is away -------------------------------------------------------------------------------------


async def test_a_feed_starts_without_the_server_and_finds_it_later(tmp_path: Path, log: LogLines) -> None:
    server = RedisServer(tmp_path)
    server.start()
    server.stop()
    client, book, availability = connect(server.url, timeout_s=2.0), WeightsBook(), redis_availability()
    feed = WeightsFeed(RedisWeights(client, Keys("p")), book, availability, refresh_s=0.02)
    async with anyio.create_task_group() as loops:
        with anyio.fail_after(DONE_S):
            await loops.start(endless, feed.run)
        assert book.in_force(None).weights.source == "default"
        await wait_until(
            lambda: (
                availability._failures.get("weights refresh", 0) > 2
                and availability._failures.get("weights notifications", 0) > 2
            ),
            timeout_s=DONE_S,
            what="both loops failed again and again",
        )
        with server:
            await wait_until(lambda: availability.is_up, timeout_s=DONE_S, what="the server is found")
            async with desk_at(server.url, "p") as desk:
                await desk.client.set(desk.keys.weights(), _VOICE)
                await wait_until(
                    lambda: book.in_force(None).weights.source == "redis", timeout_s=DONE_S, what="the key is read"
                )
            server.kill()
            await wait_until(lambda: not availability.is_up, timeout_s=DONE_S, what="the server is missed")
        assert book.in_force(None).weights.text == '{"voice":1.0}'
        loops.cancel_scope.cancel()
    feed.close()
    await client.aclose()
    assert (len(log.of("redis.lost")), len(log.of("redis.restored"))) == (2, 1)


# -- which of two values is the later one ----------------------------------------------------------------------

_LONG = b'{"voice": 1' + b" " * 2_000_000 + b"}"  # refused, which takes a while


def _reading(value: bytes, order: int) -> Reading:
    return Reading(mark_of(value), value, order)


class SlowOnce(RedisWeights):
    """A store whose first reading takes long, once the server has answered it."""

    def __init__(self, client: Client, keys: Keys) -> None:
        super().__init__(client, keys)
        self.has_read, self.may_go_on = anyio.Event(), anyio.Event()

    async def read(self, datasets: Sequence[str | None]) -> list[Reading]:
        readings = await super().read(datasets)
        if not self.has_read.is_set():
            self.has_read.set()
            await self.may_go_on.wait()
        return readings


async def _begin_slow_reading(desk: Desk) -> tuple[SlowOnce, WeightsBook, WeightsFeed, asyncio.Task[None]]:
    """Begin to read one value, and store another one before that reading ends."""
    store, book = SlowOnce(desk.client, desk.keys), WeightsBook()
    feed = WeightsFeed(store, book, redis_availability(), refresh_s=_NEVER_S)
    await desk.client.set(desk.keys.weights(), _VOICE)
    slow = asyncio.create_task(feed.read([None]))
    await store.has_read.wait()
    await desk.client.set(desk.keys.weights(), _MUSIC)
    return store, book, feed, slow


async def test_a_slow_reading_does_not_replace_what_a_later_one_found(desk: Desk) -> None:
    """The later one does not wait for it, either."""
    store, book, feed, slow = await _begin_slow_reading(desk)
    await feed.read([None])
    assert book.in_force(None).weights.text == '{"music":1.0}'
    store.may_go_on.set()
    await slow
    store.close()
    assert book.in_force(None).weights.text == '{"music":1.0}'
    assert repr(feed) == "<WeightsFeed of 1 keys, latest reading 2>"


async def test_a_slow_reading_does_not_replace_what_a_notification_brought(desk: Desk) -> None:
    store, book, feed, slow = await _begin_slow_reading(desk)
    came = asyncio.Event()

    def accept(reading: Reading | None) -> None:
        assert reading is not None
        assert feed.accept(None, reading)
        came.set()

    store.read_at_once(None, accept)
    await came.wait()
    store.may_go_on.set()
    await slow
    store.close()
    assert book.in_force(None).weights.text == '{"music":1.0}'


async def test_what_was_sent_for_later_counts_whatever_comes_first(desk: Desk, log: LogLines) -> None:
    """An earlier reading that comes late changes nothing, however often and in whatever order."""
    book = WeightsBook()
    feed = WeightsFeed(desk.weights(), book, redis_availability(), refresh_s=_NEVER_S)
    values = {order: f'{{"voice": {order}, "music": 1}}'.encode() for order in range(1, 6)}
    for order, newest in ((3, 3), (1, 3), (2, 3), (5, 5), (4, 5), (3, 5)):
        assert feed.accept(None, _reading(values[order], order))
        assert book.held(None).mark == mark_of(values[newest])
    assert len(log.of("weights.changed")) == 2


async def test_a_long_value_is_overtaken_by_a_later_short_one(desk: Desk, log: LogLines) -> None:
    """It is read in a thread, and is refused there; nobody hears of it, as it is not the newest any more."""
    store, book = desk.weights(), WeightsBook()
    feed = WeightsFeed(store, book, redis_availability(), refresh_s=_NEVER_S)
    await desk.client.set(desk.keys.weights(), _LONG)
    slow = asyncio.create_task(feed.read([None]))
    later = 1000
    while not slow.done():
        later += 1
        feed.accept(None, _reading(b'{"voice": %d, "music": 1}' % later, later))
        await asyncio.sleep(0)
    assert book.in_force(None).weights.source == "redis"
    assert log.of("weights.rejected") == []
    assert later > 1001


async def test_a_long_value_that_is_refused_keeps_the_weights_that_an_earlier_reading_brings_meanwhile(
    redis_url: str, prefix: str, log: LogLines
) -> None:
    async with wired(redis_url, prefix) as parts:
        reading = asyncio.create_task(parts.weights._accept_long(None, _reading(_LONG, 2)))
        await asyncio.sleep(0)
        assert parts.weights.accept(None, _reading(_VOICE.encode(), 1))
        await reading
        assert (_shares(parts), _source(parts)) == ({"voice": 1.0}, "last_known")
    assert len(log.of("weights.rejected")) == 1


async def test_a_long_value_that_two_find_at_once_is_told_once(
    desk: Desk, redis_url: str, prefix: str, log: LogLines
) -> None:
    await desk.client.set(desk.keys.weights(), _LONG)
    async with wired(redis_url, prefix) as parts:
        await asyncio.gather(*(parts.weights.read([None]) for _ in range(2)))
    assert len(log.of("weights.rejected")) == 1


async def test_a_reading_that_goes_on_and_on_ends_under_a_writer_that_never_rests(desk: Desk) -> None:
    store, book = desk.weights(), WeightsBook()
    feed = WeightsFeed(store, book, redis_availability(), refresh_s=_NEVER_S)
    writing = asyncio.create_task(_write_on_and_on(desk))
    with anyio.fail_after(DONE_S):
        for _ in range(50):
            await feed.read([None, "d"])
    await end(writing)
    assert book.in_force("d").weights.source == "dataset"


async def _write_on_and_on(desk: Desk) -> None:
    for number in itertools.count(1):
        for dataset in (None, "d"):
            await desk.client.set(desk.keys.weights(dataset), f'{{"voice": {number}, "music": 1}}')


# -- what settling found ---------------------------------------------------------------------------------------


async def test_what_settling_found_to_have_changed_is_read_again(
    desk: Desk, redis_url: str, prefix: str, log: LogLines
) -> None:
    long = json.dumps({f"c{i:04}": 1 for i in range(1000)}).encode()
    async with wired(redis_url, prefix) as parts:
        await desk.client.set(desk.keys.weights(), _VOICE)
        await desk.client.set(desk.keys.weights("d"), long)
        await parts.weights.catch_up(
            {None: mark_of(_VOICE.encode()), "d": mark_of(long), "e": ABSENT},
            drawn=dict.fromkeys((None, "d", "e"), b""),
        )
        book = parts.current.weights
        assert book.in_force(None).weights.text == '{"voice":1.0}'
        assert book.in_force(None).marks == ((None, mark_of(_VOICE.encode())),)
        assert len(book.in_force("d").weights.shares) == 1000
        assert book.in_force("e").dataset is None
    assert len(log.of("weights.changed")) == 2


async def test_what_a_notification_brought_before_settling_told_of_it_is_not_read_again(desk: Desk) -> None:
    store, book = Counting(desk.client, desk.keys), WeightsBook()
    feed = WeightsFeed(store, book, redis_availability(), refresh_s=_NEVER_S)
    assert feed.accept(None, _reading(_VOICE.encode(), 1))
    await feed.catch_up({None: mark_of(_VOICE.encode())}, drawn={None: b""})
    assert store.readings == 0
    await desk.client.set(desk.keys.weights(), _MUSIC)
    await feed.catch_up({None: mark_of(_MUSIC.encode())}, drawn={None: mark_of(_VOICE.encode())})
    assert store.readings == 1
    await feed.catch_up({None: ABSENT}, drawn={None: mark_of(_VOICE.encode())})  # it told late of what was before
    assert store.readings == 2
    store.close()
    assert book.in_force(None).weights.text == '{"music":1.0}'


class Counting(RedisWeights):
    """A store that counts how often keys are read.

    Attributes:
        readings: The count.
    """

    readings = 0

    async def read(self, datasets: Sequence[str | None]) -> list[Reading]:
        self.readings += 1
        return await super().read(datasets)


async def test_readings_that_do_not_find_what_settling_found_connect_anew(
    desk: Desk, redis_url: str, tmp_path: Path
) -> None:
    """The master was replaced: the old one still answers whoever is connected to it."""
    with RedisServer(tmp_path) as old, Proxy(old.port) as way:
        async with connect(way.url, timeout_s=DONE_S) as client, connect(old.url, timeout_s=DONE_S) as writer:
            store, book = RedisWeights(client, desk.keys), WeightsBook()
            feed = WeightsFeed(store, book, redis_availability(), refresh_s=_NEVER_S)
            await writer.set(desk.keys.weights(), _VOICE)
            await feed.read([None])
            way.lead_to(urlsplit(redis_url).port or 0)
            await desk.client.set(desk.keys.weights(), _MUSIC)
            await feed.read([None])
            assert book.in_force(None).weights.text == '{"voice":1.0}'
            for _ in range(3):
                assert book.in_force(None).weights.text == '{"voice":1.0}'
                await feed.catch_up({None: mark_of(_MUSIC.encode())}, drawn={None: mark_of(_VOICE.encode())})
            store.close()
    assert book.in_force(None).weights.text == '{"music":1.0}'


async def test_a_writer_that_changes_weights_there_and_back_costs_no_connection(desk: Desk) -> None:
    """Settling finds the other value, and the reading after it the first one again: for this once the link is right."""
    store, book = Closing(desk.client, desk.keys), WeightsBook()
    feed = WeightsFeed(store, book, redis_availability(), refresh_s=_NEVER_S)
    voice, music = mark_of(_VOICE.encode()), mark_of(_MUSIC.encode())
    await desk.client.set(desk.keys.weights(), _VOICE)
    await feed.read([None])
    for other in (music, music, ABSENT, ABSENT, music, music):
        await feed.catch_up({None: other}, drawn={None: voice})
    await desk.client.set(desk.keys.weights(), _MUSIC)
    await feed.catch_up({None: music}, drawn={None: voice})
    await desk.client.set(desk.keys.weights(), _VOICE)
    for other in (voice, music, music):
        await feed.catch_up({None: other}, drawn={None: voice})
    assert store.closings == 0
    store.close()


class Closing(RedisWeights):
    """A store that counts how often the connection is closed.

    Attributes:
        closings: The count.
    """

    closings = 0

    def close(self) -> None:
        self.closings += 1
        super().close()
