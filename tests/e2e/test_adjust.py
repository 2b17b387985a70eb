"""Rules as people set them, look at them and stop them, with a worker that makes their steps."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from redis.asyncio import Redis

from tests.e2e.conftest import Run, Settings, StartWorker
from tests.e2e.test_serving import DEADLINE_S, insert
from tests.support.rules import rule_settings, rule_state
from tests.support.waiting import wait_until_sync

pytestmark = pytest.mark.any_redis
_WRONG_CLOCK = Path(__file__).parents[1] / "faults" / "wrong_clock.py"
_HOUR_MS = 3_600_000


def document(ended: subprocess.CompletedProcess[str]) -> Any:
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def shown(run: Run, *words: str) -> dict[str, Any]:
    [rule] = document(run("adjust", "show", "--json", *words))
    assert isinstance(rule, dict)
    return rule


async def test_a_rule_is_set_looked_at_and_stopped(
    run: Run, start_worker: StartWorker, database_url: str, redis_client: Redis, prefix: str
) -> None:
    await insert(database_url, {"voice": 90, "music": 10})
    worker = start_worker()
    assert run("adjust", "show").stdout == "no rule is set: the weights move only when somebody sets them\n"
    document(run("weights", "set", "voice=1", "music=1", "--json"))
    words = ("cooldown", "over=1000", "steps=4", "from=4", "--floor", "music=0.2", "--interval", "0.5s")

    [shadow] = document(run("adjust", "set", *words, "--json"))
    assert (shadow["rule"], shadow["mode"], shadow["phase"]) == ("cooldown", "shadow", "not begun")
    assert shadow["floor"] == {"music": 0.2}
    assert shadow["prior"] == {"music": 0.5, "voice": 0.5}
    wait_until_sync(lambda: shown(run).get("shadow"), timeout_s=DEADLINE_S, what="the shadow moves")
    assert shown(run)["weights"] == {"music": 0.5, "voice": 0.5}
    text = run("adjust", "show", COLUMNS="100").stdout
    assert "the global weights: rule cooldown, shadow" in text
    assert "weights in force, and those of the shadow" in text

    run("adjust", "resume", "--mode", "on")
    wait_until_sync(lambda: shown(run)["step"] == 2, timeout_s=DEADLINE_S, what="the rule moves")
    rule = shown(run)
    assert (rule["phase"], rule["next_at"], rule["shadow"]) == ("on", {"chunks": 250}, None)
    assert rule["weights"] == pytest.approx({"music": 0.3660, "voice": 0.6340}, abs=1e-4)
    assert "  next at 250 chunks heard (0 so far)" in run("adjust", "show").stdout

    assert document(run("sample", "--size", "300", "--json"))["weights_version"] == rule["version"]
    wait_until_sync(lambda: shown(run)["step"] == 3, timeout_s=DEADLINE_S, what="the next step is made")
    assert shown(run)["heard"] == {"chunks": 300, "requests": 1}
    [newest, first] = document(run("adjust", "history", "--json"))
    assert [one["who"] for one in (newest, first)] == ["rule cooldown"] * 2
    assert newest["reason"] == "temperature 3.25 after 1 of 4 steps over 1,000 chunks"
    assert "temperature 4" in run("adjust", "history", "--count", "2").stdout
    assert [event["step"] for event in worker.events("weights.adjusted") if event["mode"] == "on"] == [2, 3]

    run("weights", "set", "voice=3", "music=1")
    wait_until_sync(lambda: shown(run)["paused"], timeout_s=DEADLINE_S, what="the rule pauses")
    paused = shown(run)
    assert "changed the weights at" in paused["paused"]
    assert paused["weights"] == {"music": 0.25, "voice": 0.75}
    assert "accepted: `adjust resume`, from these weights on" in run("adjust", "show").stdout
    assert len(worker.events("adjust.paused")) == 1

    [resumed] = document(run("adjust", "resume", "--json"))
    assert (resumed["phase"], resumed["prior"]) == ("on", {"music": 0.25, "voice": 0.75})
    wait_until_sync(lambda: shown(run)["step"] == 4, timeout_s=DEADLINE_S, what="the rule goes on")
    [frozen] = document(run("adjust", "freeze", "--json"))
    assert (frozen["phase"], frozen["step"]) == ("frozen", 4)
    assert await redis_client.exists(f"{prefix}:adjust:bounds") == 0
    assert "version" in run("adjust", "rollback").stdout
    assert await redis_client.get(f"{prefix}:category:weights") == b'{"voice": 3.0, "music": 1.0}'
    assert await redis_client.exists(f"{prefix}:adjust", f"{prefix}:adjust:state", f"{prefix}:adjust:heard") == 0


async def test_a_schedule_is_previewed_and_followed(
    run: Run, start_worker: StartWorker, database_url: str, redis_client: Redis, prefix: str
) -> None:
    await insert(database_url, {"voice": 90, "music": 10})
    document(run("weights", "preset", "save", "night", "music=3", "voice=1", "--json"))
    points = "points=0 night; 100 voice=1; 300 music=1"
    rows = document(run("adjust", "preview", "schedule", points, "--json"))
    assert [(row["unit"], row["position"]) for row in rows] == [("chunks", 0), ("chunks", 100), ("chunks", 300)]
    assert [row["weights"] for row in rows] == [{"music": 0.75, "voice": 0.25}, {"voice": 1}, {"music": 1}]
    assert await redis_client.exists(f"{prefix}:adjust") == 0
    smooth = run("adjust", "preview", "schedule", points, "between=linear", "--count", "7").stdout
    assert "7 of 351 steps" in smooth

    worker = start_worker()
    [rule] = document(run("adjust", "set", "schedule", points, "--mode", "on", "--json"))
    first = {"at": 0.0, "preset": "night", "weights": {"music": 0.75, "voice": 0.25}}
    assert rule["parameters"]["points"][0] == first
    assert "points 0 night (music=0.75 voice=0.25); 100 voice=1; 300 music=1" in run("adjust", "show").stdout
    wait_until_sync(lambda: shown(run).get("next_at") == {"chunks": 100}, timeout_s=DEADLINE_S, what="it begins")
    counts = [document(run("sample", "--size", size, "--json"))["counts"] for size in ("100", "200", "10")]
    assert set(counts[0]) == {"music", "voice"}
    assert counts[1:] == [{"voice": 200}, {"music": 10}]
    [last] = document(run("adjust", "preview", "--json"))
    assert (last["unit"], last["weights"]) == (None, {"music": 1})
    reasons = [one["reason"] for one in document(run("adjust", "history", "--json"))]
    assert reasons == [
        "point 3 of 3, from 300 chunks",
        "point 2 of 3, from 100 chunks",
        "point 1 of 3, from 0 chunks",
        "the rule begins",
    ]
    assert worker.events("adjust.overdue") == []


@pytest.mark.parametrize("rule", [("schedule", "points=0 voice=1; 100 music=1"), ("cap", "times=0.5")])
async def test_a_shadow_that_is_turned_on_goes_on_from_its_position_and_so_does_its_end(
    run: Run, start_worker: StartWorker, database_url: str, rule: tuple[str, str]
) -> None:
    await insert(database_url, {"voice": 200, "music": 100})
    start_worker()
    document(run("weights", "set", "voice=1", "--json"))
    document(run("adjust", "set", *rule, "--prior", "voice=1", "--prior", "music=0.000001", "--json"))
    wait_until_sync(lambda: shown(run).get("step"), timeout_s=DEADLINE_S, what="the shadow begins")
    assert document(run("sample", "--size", "60", "--json"))["counts"] == {"voice": 60}
    document(run("adjust", "resume", "--mode", "on", "--json"))
    wait_until_sync(lambda: shown(run)["heard"].get("chunks") == 60, timeout_s=DEADLINE_S, what="the rule is on")
    assert document(run("sample", "--size", "40", "--json"))["counts"]["voice"] >= 39
    wait_until_sync(lambda: shown(run)["weights"].get("music") == 1, timeout_s=DEADLINE_S, what="the step at 100")
    document(run("adjust", "resume", "--mode", "shadow", "--json"))
    wait_until_sync(lambda: shown(run).get("shadow"), timeout_s=DEADLINE_S, what="the rule is a shadow again")
    assert shown(run)["shadow"] == {"music": 1}


async def test_a_cap_is_said_before_and_when(run: Run, start_worker: StartWorker, database_url: str) -> None:
    await insert(database_url, {"voice": 90, "music": 10})
    worker = start_worker()
    document(run("weights", "set", "voice=1", "music=1", "--json"))
    document(run("adjust", "set", "cap", "times=4", "--mode", "on", "--json"))
    wait_until_sync(lambda: shown(run).get("next_at"), timeout_s=DEADLINE_S, what="it begins")
    [now, later] = document(run("adjust", "preview", "--json"))[:2]
    assert (now["weights"], later["weights"]) == ({"music": 0.5, "voice": 0.5}, {"voice": 1})
    assert later["position"] == 80
    text = run("adjust", "show").stdout
    assert "  next at 32 chunks of music heard (0 so far) or at 288 chunks of voice heard (0 so far)\n" in text
    while shown(run)["weights"] != {"voice": 1}:
        document(run("sample", "--size", "10", "--json"))
    assert document(run("sample", "--size", "50", "--json"))["counts"] == {"voice": 50}
    told = worker.events("mix.repeats")
    assert {line["category"] for line in told} == {"music"}
    assert [line["is_reached"] for line in told][-1]
    assert told[-1]["drawn"] >= 40


async def test_a_preview_goes_by_the_hours_of_the_library(
    run: Run, start_worker: StartWorker, database_url: str
) -> None:
    await insert(database_url, {"voice": 10, "music": 10})
    connection = await asyncpg.connect(database_url)
    await connection.execute("update audio_chunks set duration_s = case category when 'voice' then 3 else 1 end")
    await connection.close()
    start_worker(WORKER_WEIGHT_UNIT="seconds")
    words = ("preview", "cooldown", "over=10", "from=1", "steps=1", "by=hours", "--json")
    [now] = document(run("adjust", *words))
    assert now["weights"] == pytest.approx({"voice": 0.75, "music": 0.25})
    ended = run("adjust", *words, DATABASE_URL="")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "DATABASE_URL" in ended.stderr


async def test_a_preview_says_what_holds_a_rule_back(run: Run, start_worker: StartWorker, database_url: str) -> None:
    await insert(database_url, {"voice": 90, "music": 10})
    start_worker()
    document(run("weights", "set", "voice=1", "--json"))
    schedule = ("schedule", "points=1000 music=1", "--most-change", "0.4", "--interval", "20s")
    document(run("adjust", "set", *schedule, "--json"))
    wait_until_sync(lambda: shown(run)["phase"] == "shadow", timeout_s=DEADLINE_S, what="the shadow begins")
    rows = document(run("adjust", "preview", "--json"))
    assert [(row["position"], row["after_s"]) for row in rows] == [(0, 0), (1000, 0), (1000, 20), (1000, 40)]
    assert [row["weights"].get("music", 0) for row in rows] == pytest.approx([0, 0.4, 0.8, 1])
    text = " ".join(run("adjust", "preview", COLUMNS="150").stdout.split())
    assert "1,000 chunks, 20 s later" in text
    assert "the rule is a shadow: it says this, and moves nothing" in text
    assert "where counts come sooner, the weights are on their way" in text
    document(run("adjust", "freeze", "--json"))
    assert "the rule is frozen: this comes once `adjust resume` lets it go on" in run("adjust", "preview").stdout
    document(run("adjust", "set", "cooldown", "over=10", "--warm-up", "1000", "--json"))
    assert document(run("adjust", "preview", "--json"))[0]["evidence"].startswith("warm-up: nothing moves for ")


def test_a_rule_of_a_dataset_is_its_own(run: Run) -> None:
    [rule] = document(run("adjust", "set", "cooldown", "over=10", "--dataset", "d", "--prior", "voice=1", "--json"))
    assert (rule["dataset"], rule["prior"], rule["mode"]) == ("d", {"voice": 1.0}, "shadow")
    assert document(run("adjust", "show", "--json")) == [rule]
    assert document(run("adjust", "show", "--dataset", "e", "--json")) == []
    assert run("adjust", "off").returncode == 2
    [removed] = document(run("adjust", "off", "--dataset", "d", "--json"))
    assert (removed["dataset"], removed["phase"]) == ("d", "removed")
    assert document(run("adjust", "show", "--json")) == []


async def test_of_a_dataset_the_rule_of_the_weights_in_force_is_shown(run: Run) -> None:
    [rule] = document(run("adjust", "set", "cooldown", "over=10", "--json"))
    assert document(run("adjust", "show", "--dataset", "e", "--json")) == [rule]
    text = run("adjust", "show", "--dataset", "e").stdout
    assert text.startswith("dataset e has no rule of its own; the global weights are in force for it\nthe global weigh")
    document(run("weights", "set", "voice=1", "--dataset", "e", "--json"))
    assert document(run("adjust", "show", "--dataset", "e", "--json")) == []
    said = "no rule is set for dataset e: its weights move only when somebody sets them\n"
    assert run("adjust", "show", "--dataset", "e").stdout == said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("set", "magic"), "rule is 'magic'; accepted: "),
        (("set", "cooldown"), "over is missing; accepted: a number from 1 to 1e+15"),
        (("set", "cooldown", "over"), "'over' is not accepted; accepted: parameter=value, each once"),
        (("set", "cooldown", "over=9", "speed=2"), "rule cooldown has no 'speed'; accepted: from, to, over"),
        (("set", "cooldown", "over=9", "--floor", "x"), "--floor 'x' is not accepted; accepted: a share"),
        (("set", "cooldown", "over=9", "--floor", "2"), "floor of * is 2"),
        (("set", "cooldown", "over=9", "--ceiling", "a=1", "--ceiling", "a=1"), "accepted: each category once"),
        (("set", "cooldown", "over=9", "--most-change", "5"), "most_change is 5"),
        (("set", "cooldown", "over=9", "--interval", "soon"), "'soon' is no time span"),
        (("set", "cooldown", "over=9", "--dataset", "no name"), "--dataset 'no name' is not accepted"),
        (("set", "schedule"), "points is missing; accepted: a list such as"),
        (("set", "schedule", "points=0 nope"), "point 1 names 'nope', which is no preset"),
        (("set", "cap"), "times is missing; accepted: a number"),
        (("preview",), "no rule is set for the global weights; accepted: a rule's name"),
        (("preview", "schedule", "points=5 a=1; 5 b=1"), "accepted: positions that go up"),
        (("resume",), "no rule is set for the global weights"),
        (("freeze", "--dataset", "d"), "no rule is set for dataset d"),
        (("rollback",), "no rule is set for the global weights"),
    ],
)
def test_what_is_not_accepted_is_said_in_a_sentence(run: Run, words: tuple[str, ...], said: str) -> None:
    ended = run("adjust", *words)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert said in ended.stderr


@pytest.mark.parametrize("wrong_s", ["86400", "-86400"])
async def test_how_far_a_rule_is_goes_by_the_clock_of_redis(
    settings: Settings, redis_client: Redis, prefix: str, wrong_s: str, tmp_path: Path
) -> None:
    untyped: Any = redis_client
    now_ms = (await untyped.time())[0] * 1000
    told = rule_settings(set_at_ms=now_ms - 5 * _HOUR_MS)
    state = rule_state(told, began_ms=now_ms, stepped_ms=now_ms - 3 * _HOUR_MS, next_at={"time_ms": 2.5 * _HOUR_MS})
    await untyped.hset(f"{prefix}:adjust", "", told.text)
    await untyped.hset(f"{prefix}:adjust:state", "", state.text)
    command = [sys.executable, str(_WRONG_CLOCK), wrong_s, "python", "-m", "worker", "adjust", "show"]
    ended = subprocess.run(command, env=settings, cwd=tmp_path, capture_output=True, text=True, check=False)  # noqa: ASYNC221 - our own program
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "set by ann, 5 h ago\n  step 0, 3 h ago\n  next in 2 h\n" in ended.stdout


async def test_settings_that_are_refused_are_shown_with_status_1(run: Run, redis_client: Redis, prefix: str) -> None:
    untyped: Any = redis_client
    await untyped.hset(f"{prefix}:adjust", mapping={"": "junk", "d": '{"rule": "cooldown", "parameters": {"over": 9}}'})
    await untyped.hset(f"{prefix}:adjust:state", "d", "junk")
    ended = run("adjust", "show")
    assert ended.returncode == 1
    assert "the global weights: the rule's settings are refused: settings: the text is not JSON" in ended.stdout
    assert "its state is refused: the state of a rule: the text is not JSON" in ended.stdout
    found = json.loads(run("adjust", "show", "--json").stdout)
    assert [one["phase"] for one in found] == ["refused", "refused"]
