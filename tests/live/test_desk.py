"""The live view is made of what Redis holds: one look for everybody, bounded, and it says what it does not know."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.live.conftest import Place
from tests.support.drawing import catalog_of
from tests.support.streams import Desk
from tests.support.tasks import end
from tests.support.waiting import wait_until
from tests.support.workers import DONE_S, Wiring, answers
from worker.core.live.rows import MOST_ROWS
from worker.core.weights.changes import WantedChange, plan_change
from worker.errors import SettingsError
from worker.live import LiveDesk
from worker.live.watched import MOST_DATASETS

VOICE, MUSIC = '{"voice": 3, "music": 1}', '{"music": 1}'


async def look(live: LiveDesk) -> None:
    """Read everything now, however recently it was read."""
    for pace in (live._reader.counting, live._reader._scan):
        pace.hurry()
    await live.look()


async def applied(live: LiveDesk, dataset: str | None = None, workers: int = 1) -> dict[str, Any]:
    """Look until all workers have applied the weights, and return the view."""

    async def have_all() -> bool:
        await look(live)
        found = live.view(dataset)["applied"]
        return (found["workers"], found["of"]) == (workers, workers)

    await wait_until(have_all, timeout_s=DONE_S, what=f"{workers} workers have applied the weights")
    return live.view(dataset)


async def change(desk: Desk, value: str, name: str | None = None, **wanted: Any) -> None:
    order = WantedChange(value, "ann", "louder", **wanted)
    assert await desk.writer().change(name, lambda found: plan_change(found, order))


def rows(view: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in view["categories"]}


async def test_a_view_shows_weights_and_what_was_drawn_under_them(desk: Desk, place: Place, live: LiveDesk) -> None:
    await desk.client.set(desk.keys.weights(), '{"voice": 3, "music": 1, "jazz": 0}')
    with live.watching(None):
        async with place.working():
            await answers(desk, await desk.add({"size": 7, "session": "s", "pin": 1}))
            await applied(live)
            await answers(desk, await desk.add({"size": 400}, {"size": 0}))
            await look(live)
            view = live.view(None, ["documentary", "other"])
    assert json.loads(json.dumps(view)) == view
    assert list(rows(view)) == ["voice", "music", "jazz", "documentary", "other"]
    voice, jazz = rows(view)["voice"], rows(view)["jazz"]
    assert (voice["weight"], voice["share"], voice["ready"]) == (3.0, 0.75, 50)
    assert (voice["drawn"]["expected"], voice["drawn"]["expected_share"], voice["drawn"]["is_enough"]) == (
        300,
        0.75,
        True,
    )
    assert voice["drawn"]["low"] < 0.75 < voice["drawn"]["high"]
    assert (jazz["weight"], jazz["share"], jazz["ready"], jazz["drawn"]["is_enough"]) == (0.0, 0.0, 0, False)
    assert (view["categories_total"], view["categories_left_out"], view["unweighted"]) == (4, 0, ["documentary"])
    assert (view["fit"]["chunks"], view["fit"]["is_enough"], view["problems"]) == (400, True, [])
    assert (view["weights"]["source"], view["weights"]["problem"], view["backlog"]["pending"]) == ("redis", None, 0)
    [worker] = view["workers"]
    assert (worker["name"], worker["state"], worker["has_applied"]) == ("one", "serving", True)
    [phase] = live.phases(None)[1]
    assert (phase["chunks"], phase["to_ms"], phase["version"]) == (400, None, view["weights"]["version"])
    assert live.find(None, "o") == (
        [{"name": name, "ready": 50, "share": share} for name, share in (("documentary", 0.0), ("voice", 0.75))],
        2,
    )


async def test_a_change_is_marked_with_who_and_why_and_begins_another_phase(
    desk: Desk, place: Place, live: LiveDesk
) -> None:
    await desk.client.set(desk.keys.weights(), VOICE)
    with live.watching(None):
        async with place.working():
            await applied(live)
            await answers(desk, await desk.add({"size": 300}))
            await look(live)
            await change(desk, MUSIC, lasts_ms=3_600_000, lasts="1h")
            view = await applied(live)
            await answers(desk, await desk.add({"size": 200}))
            await look(live)
            view = live.view(None)
            await desk.weights().store_quietly(None, VOICE)
            later = await applied(live)
            await look(live)
    [mark] = view["marks"]
    assert (mark["who"], mark["reason"], mark["points"]) == ("ann", "louder", {"music": 75.0, "voice": -75.0})
    assert view["weights"]["set_by"] == {name: mark[name] for name in ("who", "reason", "at_ms", "entry")}
    assert view["weights"]["then"]["shares"] == {"voice": 0.75, "music": 0.25}
    assert view["weights"]["until_ms"] > view["at_ms"]
    assert view["applied"]["took_ms"] is not None
    assert rows(view)["music"]["drawn"]["count"] == view["fit"]["chunks"] == 200
    first, second = live.phases(None)[1][:2]
    assert (first["chunks"], second["chunks"], second["version"]) == (300, 200, view["weights"]["version"])
    assert first["to_ms"] is not None
    assert [(one["who"], one["entry"]) for one in later["marks"]] == [("ann", mark["entry"]), ("", None)]
    assert (later["weights"]["set_by"], later["weights"]["until_ms"]) == (None, None)


async def test_a_dataset_falls_back_and_a_refused_value_is_told(desk: Desk, place: Place, live: LiveDesk) -> None:
    await desk.client.set(desk.keys.weights(), VOICE)
    with live.watching("d"):
        async with place.working():
            await answers(desk, await desk.add({"size": 1, "dataset": "d"}))
            view = await applied(live, "d")
            assert (view["dataset"], view["weights"]["source"], rows(view)["voice"]["share"]) == ("d", "redis", 0.75)
            await change(desk, MUSIC, "d")
            view = await applied(live, "d")
            assert (view["weights"]["source"], rows(view)["music"]["share"], view["datasets"]) == (
                "dataset",
                1.0,
                ["d"],
            )
            await answers(desk, await desk.add({"size": 150, "dataset": "d"}, {"size": 50}))
            await look(live)
            assert live.view("d")["fit"]["chunks"] == 150
            await desk.client.set(desk.keys.weights("d"), "refused")
            await desk.client.publish(desk.keys.weights("d"), "")

            async def is_told() -> bool:
                await look(live)
                return str(live.view("d")["weights"]["source"]) == "last_known"

            await wait_until(is_told, timeout_s=DONE_S, what="the refused value is told")
            view = live.view("d")
    assert "not JSON" in view["weights"]["problem"]
    assert rows(view)["music"]["share"] == 1.0


async def test_counts_that_are_cleared_begin_anew(desk: Desk, place: Place, live: LiveDesk) -> None:
    with live.watching(None):
        async with place.working():
            await applied(live)
            await answers(desk, await desk.add({"size": 500}))
            await look(live)
            assert live.view(None)["fit"]["chunks"] == 500
            await desk.client.delete(desk.keys.stats)
            await look(live)
            assert live.view(None)["fit"]["chunks"] == 0
            await answers(desk, await desk.add({"size": 20}))
            await look(live)
    assert live.view(None)["fit"] == {**live.view(None)["fit"], "chunks": 20, "is_enough": False}
    assert live.view(None)["rate"]["chunks_per_s"] > 0


async def test_ten_thousand_categories_are_a_bounded_view(desk: Desk, place: Place, live: LiveDesk) -> None:
    ready = {f"c{number}": 1 + number % 3 for number in range(10_000)}
    await desk.client.set(desk.keys.weights(), json.dumps({name: 1 + number for number, name in enumerate(ready)}))
    with live.watching(None):
        async with place.working(Wiring(catalog=catalog_of(ready))):
            await answers(desk, await desk.add({"size": 1000}))
            await applied(live)
            await answers(desk, await desk.add({"size": 5000}, {"size": 5000}))
            await look(live)
            view = live.view(None, ["c5"])
            pause_s = live._reader.counting.pause_s
    assert list(rows(view))[:2] == ["c9999", "c9998"]
    assert (len(view["categories"]), view["categories_left_out"]) == (MOST_ROWS + 1, 10_000 - MOST_ROWS - 1)
    assert (view["fit"]["chunks"], view["categories_total"]) == (10_000, 10_000)
    assert len(json.dumps(view)) < 60_000
    assert view["counts_every_s"] >= 1
    assert pause_s > live._reader.counting_s
    assert "workers name 1,024 of the 10,000 categories" in view["problems"][0]


@pytest.mark.any_redis
async def test_redis_is_looked_at_once_a_step_and_only_while_somebody_watches(desk: Desk) -> None:
    live = LiveDesk(desk.client, desk.keys, every_s=0.01)
    loop = asyncio.create_task(live.run())
    with live.watching(None), live.watching(None), live.watching("d"):
        assert await live.next_look(3) > 3
    await live.look()
    seen = live.looks
    for _ in range(100):
        await asyncio.sleep(0)  # nobody watches meanwhile
    assert live.looks == seen
    with live.watching(None):
        assert await live.next_look(seen) > seen
    assert [one for one in await end(loop) if isinstance(one, Exception)] == []
    assert repr(live).startswith(f"<LiveDesk of {desk.keys.prefix!r}: 0 watch 2 datasets")


@pytest.mark.any_redis
async def test_what_cannot_be_watched_is_refused(live: LiveDesk) -> None:
    with pytest.raises(SettingsError, match="dataset 'a b' is not accepted"), live.watching("a b"):
        pass
    for number in range(2 * MOST_DATASETS):
        live.view(f"d{number}")
    assert len(live._datasets) == MOST_DATASETS
    with live.watching("d63"):
        for number in range(MOST_DATASETS - 1):
            live._datasets.get(f"e{number}").watchers += 1
        with pytest.raises(SettingsError, match="at most 32"):
            live.view("more")
