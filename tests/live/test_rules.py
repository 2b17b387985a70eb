"""Whoever watches sees the rule that moves the weights, as its driver writes it, and what its shadow would set."""

import asyncio
import json
import random
from pathlib import Path
from typing import Any

import pytest

from tests.faults.strange import VALUES
from tests.live.conftest import Place
from tests.support.command import run_command
from tests.support.rules import rule_settings, rule_state
from tests.support.streams import Desk
from worker.cli.printing import text_width
from worker.cli.watch.news import News
from worker.cli.watch.picture import Size, draw
from worker.core.adjust.settings import Settings
from worker.live import LiveDesk

_ROUNDS = 60


async def write(desk: Desk, name: str | None, told: Settings, **state: Any) -> None:
    """Write a rule and its state as people and the driver do."""
    await desk.client.hset(desk.keys.adjust, name or "", told.text)
    await desk.client.hset(desk.keys.adjust_state, name or "", rule_state(told, **state).text)


async def look(live: LiveDesk, dataset: str | None = None) -> dict[str, Any]:
    await live.look()
    return live.view(dataset)


@pytest.mark.any_redis
async def test_a_rule_in_shadow_stands_beside_the_weights_in_force(desk: Desk, live: LiveDesk) -> None:
    await desk.client.set(desk.keys.weights(), '{"voice": 3, "music": 1}')
    with live.watching(None):
        assert (await look(live))["rule"] is None
        assert {row["shadow"] for row in live.view(None)["categories"]} == {None}
        shares = {"voice": 0.7, "music": 0.2, "jazz": 0.1}
        await write(
            desk,
            None,
            rule_settings("shadow"),
            step=3,
            shadow=shares,
            evidence="cooler",
            held_by=("floor: jazz",),
            next_at={"chunks": 15.0},
        )
        view = await look(live)
        rule = view["rule"]
        assert (rule["name"], rule["mode"], rule["status"], rule["steps"]) == ("cooldown", "shadow", "running", 3)
        assert (rule["evidence"], rule["held_by"]) == ("cooler", ["floor: jazz"])
        assert rule["next"]["counts"] == [{"unit": "chunks", "category": None, "at": 15.0, "heard": None}]
        shown = {row["name"]: (row["share"], row["shadow"]) for row in live.view(None, ["jazz"])["categories"]}
        assert shown == {"voice": (0.75, 0.7), "music": (0.25, 0.2), "jazz": (0.0, 0.1)}
        await write(desk, None, rule_settings("on"), step=4, paused="bob changed the weights at 12:00", shadow=shares)
        view = await look(live)
        assert (view["rule"]["status"], view["rule"]["paused"]) == ("paused", "bob changed the weights at 12:00")
        assert {row["shadow"] for row in view["categories"]} == {None}
        await desk.client.delete(desk.keys.adjust)
        assert (await look(live))["rule"] is None
    assert json.loads(json.dumps(view)) == view


@pytest.mark.any_redis
async def test_a_dataset_has_its_own_rule_or_that_of_the_weights_in_force(desk: Desk, live: LiveDesk) -> None:
    await desk.client.set(desk.keys.weights(), '{"voice": 1}')
    await write(desk, None, rule_settings("on"), step=1)
    with live.watching(None), live.watching("d"):
        assert (await look(live, "d"))["rule"]["dataset"] is None
        await desk.client.set(desk.keys.weights("d"), '{"music": 1}')
        assert (await look(live, "d"))["rule"] is None
        await write(desk, "d", rule_settings("shadow"), step=2, shadow={"music": 1.0})
        own = (await look(live, "d"))["rule"]
        assert (own["dataset"], own["steps"]) == ("d", 2)
        assert live.view(None)["rule"]["steps"] == 1
        await desk.client.delete(desk.keys.weights("d"))
        assert (await look(live, "d"))["rule"]["dataset"] == "d"


@pytest.mark.any_redis
async def test_what_was_heard_is_shown_beside_the_count_of_the_next_step(desk: Desk, live: LiveDesk) -> None:
    await desk.client.set(desk.keys.weights("d"), '{"music": 1}')
    await write(desk, "d", rule_settings("on"), step=2, next_at={"chunks": 15.0, "requests": 7.0, "chunks:music": 20.0})
    with live.watching("d"):
        for text, heard in (("9", 9), ("nine", None)):
            counted = {"chunks:d": text, "requests:": "5", "chunks:d:music": "8", "chunks::music": "6"}
            await desk.client.hset(desk.keys.heard, mapping=counted)
            counts = (await look(live, "d"))["rule"]["next"]["counts"]
            assert [(one["unit"], one["category"], one["at"], one["heard"]) for one in counts] == [
                ("requests", None, 7.0, 0),
                ("chunks", None, 15.0, heard),
                ("chunks", "music", 20.0, 8),
            ]


@pytest.mark.any_redis
async def test_the_counts_of_a_cap_are_shown_of_each_category(desk: Desk, live: LiveDesk) -> None:
    await desk.client.set(desk.keys.weights(), '{"music": 1}')
    next_at = {f"chunks:c{number:03}": 1000.0 + number for number in range(300)} | {"chunks:no name": 1.0}
    await write(desk, None, rule_settings("on"), step=2, next_at=next_at)
    await desk.client.hset(desk.keys.heard, mapping={f"chunks::c{number:03}": number for number in range(1, 300)})
    with live.watching(None):
        due = (await look(live))["rule"]["next"]
        assert [(one["category"], one["heard"]) for one in due["counts"]] == [(f"c00{n}", n) for n in range(8)]
        assert due["counts_left_out"] == 292


@pytest.mark.any_redis
async def test_what_does_not_change_is_read_once(desk: Desk, live: LiveDesk) -> None:
    await write(desk, None, rule_settings("on"), step=1)
    with live.watching(None):
        await live.look()
        first = live._reader.reading.rules[None]
        await live.look()
        again = live._reader.reading.rules[None]
        assert first is not None
        assert again is not None
        assert again.state is first.state
        await write(desk, None, rule_settings("on"), step=2)
        assert (await look(live))["rule"]["steps"] == 2


@pytest.mark.fault("anything under every name in Redis, while somebody watches")
@pytest.mark.any_redis
async def test_what_cannot_be_read_of_a_rule_is_said_and_the_rest_is_shown(desk: Desk, live: LiveDesk) -> None:
    rng, news, told = random.Random(5), News(), set[str]()
    good = rule_settings("shadow")
    await desk.client.set(desk.keys.weights(), '{"voice": 1}')
    with live.watching(None):
        await write(desk, None, rule_settings("on"), next_at={"chunks": 15.0})
        await desk.client.set(desk.keys.heard, "no hash")
        assert desk.keys.heard in (await look(live))["problems"][0]
        await desk.client.delete(desk.keys.heard)
        for key in (desk.keys.adjust, desk.keys.adjust_state):
            for _ in range(_ROUNDS):
                await write(desk, None, good, shadow={"voice": 1.0})
                await desk.client.hset(key, "", rng.choice(VALUES))
                view = await look(live)
                assert live.error is None
                assert len(json.dumps(view, allow_nan=False)) < 20_000
                lines = draw(view, live.series(None), Size(60, 24))
                assert all(sum(text_width(text) for text, _ in line) <= 60 for line in lines)
                news.of(view)
                assert [row["share"] for row in view["categories"]] == [1.0]
                told.add(view["rule"]["status"])
            await desk.client.delete(key)
            await desk.client.set(key, "no hash")
            view = await look(live)
            [problem] = [one for one in view["problems"] if one.startswith("rules could not be read: ")]
            assert key in problem
            await desk.client.delete(key)
        assert not [one for one in (await look(live))["problems"] if one.startswith("rules")]
    assert told == {"refused"}


@pytest.mark.any_redis
async def test_watch_prints_the_rule_once_and_as_json(desk: Desk, place: Place, tmp_path: Path) -> None:
    server = {"REDIS_URL": place.url, "WORKER_PREFIX": place.prefix}
    await desk.client.set(desk.keys.weights(), '{"voice": 3, "music": 1}')
    shares = {"voice": 0.6, "music": 0.4}
    await write(
        desk, None, rule_settings("shadow"), step=3, shadow=shares, evidence="cooler", next_at={"requests": 1500.0}
    )
    once = await asyncio.to_thread(run_command, "watch", "--once", settings=server, cwd=tmp_path)
    as_json = await asyncio.to_thread(run_command, "watch", "--once", "--json", settings=server, cwd=tmp_path)
    assert (once.returncode, once.stderr) == (0, "")
    assert "rule cooldown (shadow)  next at 1,500 requests heard\n  step 3, " in once.stdout
    assert ": cooler\n" in once.stdout
    [voice] = [line for line in once.stdout.splitlines() if line.startswith("voice")]
    assert voice.split()[1:3] == ["75.0%", "60.0%"]
    document = json.loads(as_json.stdout)
    assert document["rule"]["next"] == {
        "at_ms": None,
        "counts": [{"unit": "requests", "category": None, "at": 1500.0, "heard": None}],
        "counts_left_out": 0,
    }
    assert {row["name"]: row["shadow"] for row in document["categories"]} == shares
