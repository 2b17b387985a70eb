"""A desk as browsers see it: the live mix, changes with author and reason, and no overwriting of unseen changes."""

import asyncio
import json
import signal
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import StartWorker, settings, start_worker
from tests.e2e.test_serving import insert
from tests.support.desks import Event, EventStream, RunningDesk, running_desk
from tests.support.servers import connect
from worker.client import SampleClient
from worker.core.weights.values import MAX_CATEGORIES
from worker.desk.hub import MOST_STREAMS

__all__ = ["settings", "start_worker"]

pytestmark = pytest.mark.any_redis

MIB = 1 << 20


@pytest.fixture
def desk(settings: dict[str, str], tmp_path: Path) -> Iterator[RunningDesk]:
    with running_desk(settings, tmp_path) as desk:
        yield desk


def view_of(stream: Iterator[Event], version: str) -> Any:
    """Wait for a view with a version in force that all workers have applied."""
    views = (event.document for event in stream if event.kind == "view")
    return next(
        view
        for view in views
        if view["weights"]["version"] == version and view["applied"]["of"] == 1 and not view["applied"]["missing"]
    )


def test_two_people_on_two_desks_see_and_never_overwrite_each_other(
    desk: RunningDesk, settings: dict[str, str], tmp_path: Path, database_url: str, start_worker: StartWorker
) -> None:
    asyncio.run(insert(database_url, {"voice": 60, "music": 30}))
    start_worker()
    with running_desk(settings, tmp_path) as other, closing(EventStream(other)) as stream:
        assert stream.answer.headers["X-Accel-Buffering"] == "no"
        assert stream.answer.headers["Content-Type"].startswith("text/event-stream")
        events = iter(stream)
        assert [next(events).kind for _ in range(3)] == ["series", "view", "phases"]
        seen = desk.get("/api/view").document
        assert [row["name"] for row in seen["categories"]][:2] == ["voice", "music"]
        change = {"weights": {"voice": 3, "music": 1}, "if_version": seen["weights"]["version"]}
        made = desk.post("/api/weights", {**change, "who": "ann", "reason": "more speech"}).document
        assert {key: made["applied"][key] for key in ("workers", "of", "missing")} == {
            "workers": 1,
            "of": 1,
            "missing": [],
        }
        assert made["warnings"] == []
        view = view_of(events, made["version"])
        assert {key: view["weights"]["set_by"][key] for key in ("who", "reason")} == {
            "who": "ann (desk)",
            "reason": "more speech",
        }
        assert {row["name"]: row["weight"] for row in view["categories"] if row["weight"]} == {
            "voice": 3.0,
            "music": 1.0,
        }
        late = other.post("/api/weights", {**change, "weights": {"voice": 1}, "who": "bob"})
        assert (late.status, late.document["error"]) == (409, "stale")
        assert late.document["in_force"] == {
            "version": made["version"],
            "who": "ann (desk)",
            "reason": "more speech",
            "at_ms": made["at_ms"],
            "shares": {"voice": 0.75, "music": 0.25},
        }
        assert other.post("/api/rollback", {"if_version": seen["weights"]["version"]}).status == 409
        back = other.post("/api/rollback", {"if_version": made["version"], "reason": "too loud"}).document
        assert back["version"] == seen["weights"]["version"]
        assert view_of(events, back["version"])["marks"][-1]["reason"].endswith(": too loud")
    changes = desk.get("/api/history").document
    assert [one["entry"] for one in changes["changes"]] == [back["entry"], made["entry"]]
    older = desk.get(f"/api/history?before={back['entry']}").document
    assert ([one["entry"] for one in older["changes"]], older["more"]) == ([made["entry"]], False)
    assert desk.get("/api/history?before=x").status == 400


def test_weights_presets_and_previews_of_a_page(
    desk: RunningDesk, database_url: str, start_worker: StartWorker, redis_url: str, prefix: str
) -> None:
    asyncio.run(insert(database_url, {"voice": 60, "music": 30}))
    start_worker()
    first = desk.post("/api/weights", {"weights": {"voice": 7, "music": 3}}).document
    ahead = desk.post("/api/preview", {"weights": {"music": 7, "podcast": 7}, "keep_others": True, "size": 21}).document
    assert [(row["name"], row["ready"], row["share"], row["expected"]) for row in ahead["categories"]] == [
        ("music", 30, 0.5, 10.5),
        ("podcast", 0, 0.0, 0.0),
        ("voice", 60, 0.5, 10.5),
    ]
    assert ahead["empty"] == ["podcast"]
    assert "podcast" in ahead["warnings"][0]
    assert desk.get("/api/view").document["weights"]["version"] == first["version"]
    kept = desk.post("/api/weights", {"weights": {"music": 7}, "keep_others": True, "for_s": 600}).document
    view = desk.get("/api/view").document
    assert (view["weights"]["version"], view["weights"]["until_ms"]) == (kept["version"], kept["until_ms"])
    assert view["weights"]["then"]["version"] == first["version"]
    assert {row["name"]: row["weight"] for row in view["categories"] if row["weight"]} == {"voice": 7.0, "music": 7.0}
    saved = desk.post("/api/presets", {"name": "night", "weights": {"music": 1}, "who": "ann"})
    assert (saved.status, saved.document["applied"]) == (200, None)
    applied = desk.post(
        "/api/presets/apply", {"name": "night", "if_version": kept["version"], "reason": "late"}
    ).document
    assert applied["version"] == saved.document["version"]
    assert desk.get("/api/history").document["changes"][0]["reason"] == "preset night: late"
    assert desk.post("/api/presets/apply", {"name": "nihgt"}).status == 400
    assert desk.post("/api/presets", {"name": "night", "weights": None}).status == 200
    assert desk.post("/api/presets/apply", {"name": "night"}).status == 400
    assert desk.post("/api/weights", {"weights": None, "reason": "defaults"}).document["version"] == "2b630f93c191"
    own = desk.post("/api/weights", {"weights": {"voice": 1}, "dataset": "d1"}).document
    assert desk.get("/api/view?dataset=d1").document["weights"]["version"] == own["version"]
    found = desk.get("/api/categories?q=voi").document
    assert ([row["name"] for row in found["categories"]], found["total"]) == (["voice"], 1)
    with SampleClient(redis_url, prefix=prefix) as client:
        client.sample(size=4, session="run-1", method="epoch")
    session = desk.get("/api/session?name=run-1").document
    assert (session["requests"], sum(session["chunks"].values())) == (1, 4)
    assert {one["most_repeats"] for name, one in session["repeats"].items() if session["chunks"][name]} == {1}
    assert desk.get("/api/session?name=run-2").status == 404


def test_a_read_only_desk_shows_everything_and_refuses_each_change(
    settings: dict[str, str], tmp_path: Path, redis_url: str, prefix: str
) -> None:
    with running_desk(settings, tmp_path, "--read-only") as desk:
        assert "(read-only)" in desk.printed.read_text()
        assert desk.get("/api/desk").document["read_only"] is True
        assert desk.get("/api/view").document["read_only"] is True
        for path in ("/api/weights", "/api/rollback", "/api/presets", "/api/presets/apply"):
            refused = desk.post(path, {"weights": {"voice": 1}, "name": "night"})
            assert (refused.status, refused.document["error"]) == (403, "read_only")
        assert desk.post("/api/preview", {"weights": {"voice": 1}}).status == 200
    with connect(redis_url) as client:
        assert client.keys(f"{prefix}*") == []


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_all_streams_and_the_desk_in_order(
    settings: dict[str, str], tmp_path: Path, how: signal.Signals
) -> None:
    with running_desk(settings, tmp_path) as desk, closing(EventStream(desk)) as stream:
        events = iter(stream)
        assert next(events).kind == "series"
        assert desk.stop(how) == 0
        assert {event.kind for event in events} <= {"view", "phases", "point", "beat"}
        assert len(desk.printed.read_text().splitlines()) == 1


@pytest.mark.needs_linux
def test_ten_thousand_categories_and_many_browsers_take_bounded_memory(
    desk: RunningDesk, database_url: str, start_worker: StartWorker
) -> None:
    """Some of them never read; each of their connections holds what its buffers hold."""
    asyncio.run(insert(database_url, {"voice": 60, "music": 30}))
    start_worker()
    weights = {f"category-{number:05}": 1 + number % 7 for number in range(MAX_CATEGORIES - 1)} | {"voice": 1000}
    made = desk.post("/api/weights", {"weights": weights}).document
    kept = desk.post("/api/weights", {"weights": {"voice": 900}, "keep_others": True}).document
    assert kept["version_before"] == made["version"]
    view = desk.get("/api/view?with=category-00000").document
    assert (view["categories_total"], len(view["categories"])) == (MAX_CATEGORIES + 1, 65)
    stalled = [EventStream(desk) for _ in range(25)]
    reading = [EventStream(desk, "/api/events?with=category-00000") for _ in range(25)]
    seen = [0] * len(reading)
    enough = threading.Barrier(len(reading) + 1, timeout=120)

    def read(number: int) -> None:
        for event in reading[number]:
            seen[number] += event.kind == "view"
            if seen[number] in {2, 8}:
                enough.wait()
            if seen[number] == 8:
                return

    readers = [threading.Thread(target=read, args=(number,)) for number in range(len(reading))]
    for reader in readers:
        reader.start()
    enough.wait()
    before = desk.memory_bytes()
    enough.wait()
    assert desk.memory_bytes() - before < 32 * MIB
    rest = [EventStream(desk) for _ in range(MOST_STREAMS - len(stalled) - len(reading))]
    refused = desk.get("/api/events")
    assert (refused.status, refused.document["error"]) == (503, "too_many")
    for stream in (*stalled, *reading, *rest):
        stream.close()
    assert json.dumps(desk.get("/api/desk").document)
