"""What is in hand is settled under the weights of the moment, lost, or left pending; nothing else."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from redis import Redis

from tests.support.log_lines import captured_log
from tests.support.proxy import losing_replies
from tests.support.servers import connect
from tests.support.streams import Desk, batch_of, result_of
from tests.support.waiting import wait_until_sync
from tests.support.workers import Wiring, answers, serving, settled, wired
from worker.core.draw.answer import answer
from worker.core.draw.groups import Answers
from worker.core.draw.prepare import Snapshots
from worker.core.weights.values import parse_weights
from worker.core.wire import Decoder, Request, Result
from worker.errors import RedisError
from worker.service.settler import Draw
from worker.service.snapshots import WeightsBook
from worker.service.wiring import Serving

_NOW_MS = 10
_FENCED = 9
VOICE, MUSIC, DOCUMENTARY = (json.dumps({name: 1}) for name in ("voice", "music", "documentary"))


async def _hold_all(parts: Serving) -> list[str]:
    """Take in hand what waits in the stream."""
    await parts.stream.open()
    entries = await parts.stream.read(1000, _NOW_MS)
    parts.settlers[0].in_hand.add([Decoder().decode(entry) for entry in entries])
    return [entry.id for entry in entries]


class Meddler:
    """A normal draw that changes something in Redis after each draw.

    Attributes:
        draws: How many requests each draw was for.
    """

    def __init__(self, url: str, change: Callable[[Redis, int], object]) -> None:
        self._url = url
        self._change = change
        self.draws: list[int] = []

    def draw(self, requests: Sequence[Request | Result], snapshots: Snapshots, rng: np.random.Generator) -> Answers:
        answers = answer(requests, snapshots, rng)
        self.draws.append(len(requests))
        with connect(self._url) as client:
            self._change(client, len(self.draws))
        return answers


async def _serve_under(desk: Desk, url: str, draw: Draw, *requests: dict[str, object]) -> list[dict[str, str]]:
    """Serve requests with a draw, and return their results in order."""
    async with serving(url, desk.keys.prefix, Wiring(draw=draw)):
        ids = await desk.add(*requests)
        found = await answers(desk, ids)
        await settled(desk)
    return [found[entry_id] for entry_id in ids]


# -- weights that change under a draw --------------------------------------------------------------------------


@pytest.mark.parametrize("dataset", [None, "d"])
async def test_a_batch_is_drawn_again_when_its_weights_changed(desk: Desk, redis_url: str, dataset: str | None) -> None:
    await desk.client.set(desk.keys.weights(), VOICE)

    def change(client: Redis, draw: int) -> None:
        if draw <= 3:
            client.set(desk.keys.weights(dataset), (MUSIC, VOICE, DOCUMENTARY)[draw - 1])

    meddler = Meddler(redis_url, change)
    request: dict[str, object] = {"size": 3} if dataset is None else {"size": 3, "dataset": dataset}
    [result] = await _serve_under(desk, redis_url, meddler.draw, request)
    assert result["counts"] == '{"documentary":3}'
    assert result["weights_source"] == ("redis" if dataset is None else "dataset")
    assert meddler.draws == [1, 1, 1, 1]


async def test_weights_that_change_while_a_long_draw_runs_beside_are_seen(desk: Desk, redis_url: str) -> None:
    """The notification arrives meanwhile: what is in force at the end is not what was drawn under."""
    await desk.client.set(desk.keys.weights(), VOICE)
    books: list[WeightsBook] = []

    def change(client: Redis, draw: int) -> None:
        if draw == 1:
            client.set(desk.keys.weights(), MUSIC)
            client.publish(desk.keys.weights(), "")
            wait_until_sync(lambda: "music" in books[0].in_force(None).weights.shares, timeout_s=60, what="it is heard")

    meddler = Meddler(redis_url, change)
    async with serving(redis_url, desk.keys.prefix, Wiring(draw=meddler.draw)) as parts:
        books.append(parts.current.weights)
        ids = await desk.add({"size": 40_000, "method": "stratified"})
        found = await answers(desk, ids)
    assert found[ids[0]]["counts"] == '{"music":40000}'
    assert meddler.draws == [1, 1]


@pytest.mark.parametrize(
    ("change", "source"),
    [
        (lambda client, key: client.delete(key), "default"),
        (lambda client, key: client.set(key, "no JSON"), "last_known"),
        (lambda client, key: (client.delete(key), client.rpush(key, "x")), "last_known"),
        (lambda client, key: client.set(key, '{"voice": 0}'), "default"),
        (lambda client, key: client.set(key, ' {"voice": 2}'), "redis"),
    ],
)
async def test_whatever_the_key_becomes_the_batch_is_drawn_again_once(
    desk: Desk, redis_url: str, change: Callable[[Redis, str], object], source: str
) -> None:
    await desk.client.set(desk.keys.weights(), VOICE)
    meddler = Meddler(redis_url, lambda client, draw: draw == 1 and change(client, desk.keys.weights()))
    [result] = await _serve_under(desk, redis_url, meddler.draw, {"size": 3})
    assert (result["weights_source"], meddler.draws) == (source, [1, 1])


async def test_weights_of_other_datasets_do_not_matter(desk: Desk, redis_url: str) -> None:
    await desk.client.set(desk.keys.weights("own"), VOICE)
    meddler = Meddler(redis_url, lambda client, draw: client.set(desk.keys.weights(), f'{{"music": {draw}}}'))
    [result] = await _serve_under(desk, redis_url, meddler.draw, {"dataset": "own"})
    assert (result["counts"], meddler.draws) == ('{"voice":1}', [1])


async def test_refused_requests_are_held_against_no_weights(desk: Desk, redis_url: str) -> None:
    meddler = Meddler(redis_url, lambda client, draw: client.set(desk.keys.weights(), f'{{"music": {draw}}}'))
    [result] = await _serve_under(desk, redis_url, meddler.draw, {"size": 0})
    assert (result["error"], meddler.draws) == ("invalid_request", [1])


async def test_a_writer_that_never_rests_starves_nobody(desk: Desk, redis_url: str, prefix: str) -> None:
    meddler = Meddler(redis_url, lambda client, draw: client.set(desk.keys.weights(), f'{{"music": {draw}}}'))
    async with serving(redis_url, prefix, Wiring(draw=meddler.draw)) as parts:
        found = await answers(desk, await desk.add_many(4))
    batches, rest = divmod(len(meddler.draws), _FENCED)
    assert (rest, parts.meter.requests, parts.meter.interval.redrawn) == (0, 4, batches * (_FENCED - 1))
    assert {result["counts"] for result in found.values()} == {'{"music":1}'}


async def test_after_some_redraws_the_weights_read_last_are_good_enough(desk: Desk, redis_url: str) -> None:
    meddler = Meddler(
        redis_url, lambda client, draw: client.set(desk.keys.weights(), f'{{"music": 1, "voice": {draw}}}')
    )
    [result] = await _serve_under(desk, redis_url, meddler.draw, {"size": 1})
    last_read = parse_weights(json.dumps({"music": 1, "voice": _FENCED - 1}).encode(), "redis")
    assert last_read is not None
    assert (result["weights_version"], meddler.draws) == (last_read.version, [1] * _FENCED)


# -- datasets --------------------------------------------------------------------------------------------------


async def test_a_batch_cannot_push_out_its_own_datasets(desk: Desk, redis_url: str, prefix: str) -> None:
    """A book that is full forgets the one asked for least recently: which may be one of this very batch."""
    async with wired(redis_url, prefix) as parts:
        await parts.weights.read([f"d{i}" for i in range(2048)])
        ids = await desk.add({"dataset": "d0"}, {"dataset": "new"}, {"dataset": "d1"})
        assert await _hold_all(parts) == ids
        await parts.settlers[0].settle_held()
        assert len(parts.current.weights.known()) == 2049
    assert [result["entry_id"] for result in await desk.results()] == ids


class Forgetful(WeightsBook):
    """A book that forgets all datasets the first times that an unknown one is asked for."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def unknown(self, datasets: object) -> list[str | None]:
        if self.times:
            self.times -= 1
            self._datasets.clear()
        return super().unknown(datasets)  # type: ignore[arg-type]


async def test_datasets_forgotten_while_others_were_read_are_read_again(
    desk: Desk, redis_url: str, prefix: str
) -> None:
    ids = await desk.add({"dataset": "a"}, {"dataset": "b"})
    async with wired(redis_url, prefix) as parts:
        parts.current.weights = book = Forgetful(3)
        parts.weights._book = book
        await _hold_all(parts)
        await parts.settlers[0].settle_held()
    assert book.times == 0
    assert [result["entry_id"] for result in await desk.results()] == ids


# -- what stays in hand ----------------------------------------------------------------------------------------


async def test_what_the_server_refused_stays_in_hand_and_is_settled_later(
    desk: Desk, redis_url: str, prefix: str
) -> None:
    ids = await desk.add_many(5)
    async with wired(redis_url, prefix) as parts:
        await _hold_all(parts)
        await desk.client.config_set("maxmemory", "1")
        try:
            with pytest.raises(RedisError):
                await parts.settlers[0].settle_held()
        finally:
            await desk.client.config_set("maxmemory", "0")
        assert (len(parts.settlers[0].in_hand), await desk.results()) == (5, [])
        await parts.settlers[0].settle_held()
        assert len(parts.settlers[0].in_hand) == 0
    assert [result["entry_id"] for result in await desk.results()] == ids


async def test_what_was_settled_although_the_reply_was_lost_is_let_go_and_not_settled_again(
    desk: Desk, redis_url: str, prefix: str
) -> None:
    ids = await desk.add_many(5)
    await desk.client.script_flush()  # so that it is EVAL that settles
    async with losing_replies(redis_url, "EVAL") as url, wired(url, prefix) as parts:
        await parts.weights.read([None])
        await _hold_all(parts)
        with pytest.raises(RedisError):
            await parts.settlers[0].settle_held()
        assert (len(parts.settlers[0].in_hand), await desk.pending()) == (5, 0)
        await parts.settlers[0].settle_held()
        assert (len(parts.settlers[0].in_hand), parts.meter.requests) == (0, 0)
    assert [result["entry_id"] for result in await desk.results()] == ids


async def test_what_another_settled_meanwhile_is_let_go_and_the_rest_is_settled(
    desk: Desk, redis_url: str, prefix: str
) -> None:
    ids = await desk.add_many(5)
    async with wired(redis_url, prefix) as parts:
        await _hold_all(parts)
        await parts.stream.settle(batch_of([result_of(entry_id) for entry_id in ids[:3]]))
        await parts.settlers[0].settle_held()
        assert (len(parts.settlers[0].in_hand), parts.meter.requests) == (0, 2)
    assert [result["entry_id"] for result in await desk.results()] == ids
    assert await desk.pending() == 0


async def test_a_bug_drops_the_requests_drawn_together_and_no_others(
    desk: Desk, redis_url: str, prefix: str, tmp_path: Path
) -> None:
    def draw(requests: Sequence[Request | Result], snapshots: Snapshots, rng: np.random.Generator) -> Answers:
        if any(isinstance(request, Request) and request.terms.size == 65_536 for request in requests):
            raise IndexError("a bug of giants")
        return answer(requests, snapshots, rng)

    giants = [65_536, 65_536, 65_536]
    ids = await desk.add(*({"size": size} for size in (100_000 - 65_536, 1, *giants, 4, 65_535, 65_535)))
    with captured_log(tmp_path) as log:
        async with wired(redis_url, prefix, Wiring(draw=draw)) as parts:
            await _hold_all(parts)
            await parts.settlers[0].settle_held()
            assert len(parts.settlers[0].in_hand) == 0
            failed = set(parts.reclaim.resting)
            assert {pending.id for pending in await parts.stream.pending()} == failed
    answered = {result["entry_id"] for result in await desk.results()}
    assert failed >= set(ids[2:5])
    assert (answered | failed, answered & failed) == (set(ids), set())
    assert answered
    assert sum(line["requests"] for line in log.of("request.failed")) == len(failed)
    assert all("a bug of giants" in line["traceback"] for line in log.of("request.failed"))


async def test_a_refusal_of_the_server_is_not_taken_for_a_bug(desk: Desk, redis_url: str, prefix: str) -> None:
    await desk.add_many(1)
    async with wired(redis_url, prefix) as parts:
        await _hold_all(parts)
        await desk.client.delete(desk.keys.requests)
        await desk.client.set(desk.keys.requests, "not a stream")
        with pytest.raises(RedisError):
            await parts.settlers[0].settle_held()
        assert (len(parts.settlers[0].in_hand), list(parts.reclaim.resting)) == (1, [])
        parts.settlers[0].in_hand.clear()
        assert len(parts.settlers[0].in_hand) == 0
        await parts.settlers[0].settle_held()


async def test_the_time_of_redis_decides_what_has_expired(desk: Desk, redis_url: str, prefix: str) -> None:
    seconds, _ = await desk.client.time()
    ids = await desk.add(*({"expires_at": (seconds + shift) * 1000} for shift in (-1800, 1800)))
    async with wired(redis_url, prefix) as parts:
        await parts.weights.read([None])
        await _hold_all(parts)
        parts.stream._learn_clock((seconds - 3600) * 1000)  # as if this host were an hour ahead
        await parts.settlers[0].settle_held()
        late = await desk.add({"expires_at": (seconds - 1800) * 1000})
        await _hold_all(parts)
        await parts.settlers[0].settle_held()
    outcomes = {result["entry_id"]: result.get("error") for result in await desk.results()}
    assert [outcomes[entry_id] for entry_id in (*ids, *late)] == [None, None, "expired"]
