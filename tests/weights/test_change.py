"""Changes of weights by people: none overwrites a change unseen, and reports of who applied one are true."""

import asyncio
import json
from typing import Any

import pytest

from tests.support.streams import Desk
from worker.adapters.redis.stats import RedisStats
from worker.adapters.redis.weights_writer import RedisWeightsWriter
from worker.core.weights.changes import StoredWeights, WantedChange, version_by_key
from worker.core.weights.history import Change, read_change
from worker.core.weights.in_force import UNREAD, mark_of, observe
from worker.core.weights.values import default_weights
from worker.core.workers.state_document import version_shown
from worker.errors import StaleError, WeightsError
from worker.service.snapshots import CurrentSnapshots
from worker.weights.change import Applied, change_weights, roll_back, wait_until_applied, who_applied

VOICE, MUSIC, BOTH = '{"voice": 1}', '{"music": 1}', '{"voice": 1, "music": 1}'


@pytest.fixture
async def writer(desk: Desk) -> RedisWeightsWriter:
    return desk.writer()


def _version(text: str) -> str:
    return version_by_key(None, text.encode())


async def _set(
    writer: RedisWeightsWriter, value: str, name: str | None = None, *, if_version: str | None = None, who: str = "ann"
) -> Change:
    return await change_weights(writer, name, lambda _: WantedChange(value, who, "a test"), if_version=if_version)


# -- if-version ------------------------------------------------------------------------------------------------


async def test_weights_are_stored_upon_the_version_that_was_seen(writer: RedisWeightsWriter) -> None:
    await _set(writer, VOICE, if_version=default_weights().version)
    change = await _set(writer, MUSIC, if_version=_version(VOICE))
    assert (change.version_before, change.version_after) == (_version(VOICE), _version(MUSIC))


async def test_a_change_that_was_not_seen_is_not_overwritten(desk: Desk, writer: RedisWeightsWriter) -> None:
    await _set(writer, VOICE)
    await _set(writer, MUSIC, who="bob")
    with pytest.raises(StaleError, match=rf"version {_version(MUSIC)} is in force, set by bob at .* \(a test\)"):
        await _set(writer, BOTH, if_version=_version(VOICE))
    await desk.client.set(desk.keys.weights(), BOTH)
    with pytest.raises(StaleError, match="set by somebody whose change is not in the history; accepted: version"):
        await _set(writer, VOICE, if_version=_version(MUSIC))
    assert await desk.client.get(desk.keys.weights()) == BOTH.encode()
    assert len([change async for change in writer.history()]) == 2


async def test_of_many_who_have_seen_the_same_version_one_stores(desk: Desk) -> None:
    await _set(desk.writer(), VOICE)
    values = [json.dumps({"voice": 1, "music": i + 1}) for i in range(10)]
    made = await asyncio.gather(
        *(_set(desk.writer(), value, if_version=_version(VOICE)) for value in values), return_exceptions=True
    )
    assert sorted(type(one).__name__ for one in made) == ["Change", *["StaleError"] * 9]


async def test_a_dataset_without_weights_of_its_own_has_the_version_of_the_global_ones(
    writer: RedisWeightsWriter,
) -> None:
    await _set(writer, VOICE)
    with pytest.raises(StaleError):
        await _set(writer, MUSIC, "d", if_version=default_weights().version)
    change = await _set(writer, MUSIC, "d", if_version=_version(VOICE))
    assert (change.version_before, change.version_after) == ("", _version(MUSIC))


async def test_an_order_is_made_by_what_stands_there_when_it_is_stored(writer: RedisWeightsWriter) -> None:
    await _set(writer, VOICE)
    seen: list[StoredWeights] = []

    def make(found: StoredWeights) -> WantedChange:
        seen.append(found)
        return WantedChange(MUSIC, "ann", "")

    await change_weights(writer, None, make)
    assert [found.value for found in seen] == [VOICE.encode()]


# -- rollback --------------------------------------------------------------------------------------------------


async def _back(writer: RedisWeightsWriter, version: str | None = None, name: str | None = None) -> Change:
    return await roll_back(writer, name, WantedChange(None, "bob", "too loud"), version=version)


async def test_undoing_goes_further_back_each_time(desk: Desk, writer: RedisWeightsWriter) -> None:
    for value in (VOICE, MUSIC, BOTH):
        await _set(writer, value)
        await _set(writer, value, "d")
    undone = [await _back(writer) for _ in range(3)]
    assert [change.after for change in undone] == [MUSIC, VOICE, ""]
    assert undone[0].reason == f"rollback to {_version(MUSIC)}: too loud"
    assert undone[2].version_after == default_weights().version
    with pytest.raises(WeightsError, match="no change left to undo; accepted: "):
        await _back(writer)
    assert await desk.client.exists(desk.keys.weights()) == 0
    assert await desk.client.get(desk.keys.weights("d")) == BOTH.encode()


async def test_a_version_of_the_history_comes_back(desk: Desk, writer: RedisWeightsWriter) -> None:
    for value in (VOICE, MUSIC, BOTH):
        await _set(writer, value, "d")
    await _back(writer, name="d")
    change = await _back(writer, _version(BOTH), "d")
    assert (change.after, change.undone_from) == (BOTH, "")
    assert (await _back(writer, name="d")).after == MUSIC
    assert await desk.client.get(desk.keys.weights("d")) == MUSIC.encode()


async def test_a_version_that_is_not_there_is_an_error_that_names_those_that_are(writer: RedisWeightsWriter) -> None:
    with pytest.raises(WeightsError, match="accepted: one that is; there is none in the history"):
        await _back(writer, "0" * 12)
    for value in (VOICE, MUSIC):
        await _set(writer, value)
    await _set(writer, BOTH, "d")
    newest = f"the newest of the history are {_version(MUSIC)}, {_version(VOICE)}, {default_weights().version}"
    with pytest.raises(WeightsError, match=newest):
        await _back(writer, _version(BOTH))


@pytest.mark.parametrize("version", [None, MUSIC], ids=["undo", "version"])
async def test_what_positions_the_weights_of_a_rule_does_not_come_back(
    desk: Desk, writer: RedisWeightsWriter, version: str | None
) -> None:
    for value in (VOICE, f" {VOICE}", f" {MUSIC}", BOTH):
        await _set(writer, value)
    await _back(writer, version and _version(version))
    assert await desk.client.get(desk.keys.weights()) == MUSIC.encode()


async def test_a_change_that_only_positions_the_weights_is_not_one_to_undo(
    desk: Desk, writer: RedisWeightsWriter
) -> None:
    """A rule begins by one, and ends by one when it is removed."""
    for value in (BOTH, VOICE, f" {VOICE}", f" {MUSIC}", MUSIC):
        await _set(writer, value)
    for expected in (VOICE, BOTH):
        await _back(writer)
        assert await desk.client.get(desk.keys.weights()) == expected.encode()


async def test_what_workers_would_refuse_does_not_come_back(desk: Desk, writer: RedisWeightsWriter) -> None:
    await desk.client.set(desk.keys.weights(), "no JSON")
    await _set(writer, VOICE)
    with pytest.raises(WeightsError, match="what stood there before is refused by workers: the value is not JSON"):
        await _back(writer)
    assert await desk.client.get(desk.keys.weights()) == VOICE.encode()


class Meddled(RedisWeightsWriter):
    """A writer whose weights somebody else changes after the history was read."""

    async def change(self, name: str | None, decide: Any) -> Change | None:
        await self._client.set(self._keys.weights(name), BOTH)
        return await super().change(name, decide)


async def test_a_change_meanwhile_is_not_rolled_back_unseen(desk: Desk) -> None:
    await _set(desk.writer(), VOICE)
    with pytest.raises(StaleError, match="changed meanwhile; accepted: the same again"):
        await _back(Meddled(desk.client, desk.keys))
    assert await desk.client.get(desk.keys.weights()) == BOTH.encode()


# -- applied ---------------------------------------------------------------------------------------------------


def _change(name: str | None, text: str) -> Change:
    return read_change("1-0", {"dataset": name or "", "after": text})


def test_workers_are_sorted_by_what_they_show() -> None:
    version = _version(VOICE)
    states: list[dict[str, Any]] = [
        {"consumer": "new", "weights_version": version, "datasets": {"d": version}},
        {"consumer": "old", "weights_version": "0" * 12, "datasets": {"d": ""}},
        {"consumer": "idle", "weights_version": version, "datasets": {}},
        {"consumer": "older program", "weights_version": version},
    ]
    shared = who_applied(states, _change(None, VOICE), 0.5)
    assert shared == Applied(("new", "idle", "older program"), ("old",), (), 0.5)
    own = who_applied(states, _change("d", VOICE), 0.5)
    assert own == Applied(("new",), ("old",), ("idle", "older program"), 0.5)


def test_a_holder_of_many_datasets_is_told_from_one_that_was_not_asked() -> None:
    """What a state has no room for by name is there by the short form of its name."""
    version, book = _version(VOICE), CurrentSnapshots().weights
    for number in range(2000):
        book.put(f"d{number}", UNREAD)
    book.put("d3", observe(UNREAD, mark_of(VOICE.encode()), VOICE.encode(), "dataset")[0])
    shown = {"consumer": "one", "datasets": book.versions(64), "datasets_more": book.versions_beyond(64)}
    assert len(shown["datasets"]) + len(shown["datasets_more"]) == 2000
    assert len(json.dumps(shown)) < 50_000
    assert version_shown(shown, "d3") == version
    assert who_applied([shown], _change("d3", VOICE), 0.5).applied == ("one",)
    assert who_applied([shown], _change("d4", VOICE), 0.5).missing == ("one",)
    assert who_applied([shown], _change("nobody", VOICE), 0.5).unasked == ("one",)


async def test_waiting_ends_when_all_have_applied_it_or_are_gone(desk: Desk, writer: RedisWeightsWriter) -> None:
    stats = RedisStats(desk.client, desk.keys)
    workers = {name: desk.consumer(name) for name in ("one", "two", "three")}

    async def show(name: str, version: str) -> None:
        await workers[name].show(json.dumps({"consumer": name, "weights_version": version}), ttl_s=60)

    for name in workers:
        await show(name, default_weights().version)
    worker_keys = await stats.worker_keys()
    change = await _set(writer, VOICE)
    early = await wait_until_applied(stats, worker_keys, change, timeout_s=0.01)
    assert (early.applied, sorted(early.missing)) == ((), ["one", "three", "two"])
    waiting = asyncio.create_task(wait_until_applied(stats, worker_keys, change, timeout_s=60))
    await show("one", change.version_after)
    await show("two", change.version_after)
    await workers["three"].remove_presence()
    found = await waiting
    assert (sorted(found.applied), found.missing, found.unasked) == (["one", "two"], (), ())
