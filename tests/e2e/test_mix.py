"""Each command reports truly what was asked for, is in force and is drawn, whatever Redis holds."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from tests.e2e.conftest import Run, Settings, StartWorker
from tests.e2e.test_serving import DEADLINE_S, insert
from tests.support.command import run_command
from tests.support.waiting import wait_until

pytestmark = pytest.mark.any_redis

WRONG_CLOCK = Path(__file__).parents[1] / "faults" / "wrong_clock.py"
OWN = {"speech": 200, "songs": 100, "noise": 50}


def document(ended: subprocess.CompletedProcess[str], status: int = 0) -> Any:
    assert ended.returncode == status, ended.stderr
    return json.loads(ended.stdout)


async def test_a_library_of_other_categories_is_drawn_from_before_anybody_sets_weights(
    run: Run, start_worker: StartWorker, database_url: str
) -> None:
    await insert(database_url, OWN)
    worker = start_worker()
    drawn = document(run("sample", "--size", "300", "--json"))
    assert (drawn["weights_source"], drawn["counts"].keys()) == ("default", OWN.keys())
    shown = document(run("weights", "show", "--json"))
    assert (shown["version"], shown["source"]) == (drawn["weights_version"], "default")
    assert shown["weights"] == pytest.approx(dict.fromkeys(OWN, 1 / 3))
    assert (shown["left_out"], shown["in_force"][0]["workers"]) == ({}, ["w-1"])
    assert "33.3%" in run("weights", "show").stdout
    previewed = document(run("weights", "preview", "--size", "10", "--json"))
    assert (previewed["version"], previewed["warnings"]) == (drawn["weights_version"], [])
    assert "speech" in run("sample", "--preset", "balanced", "--size", "300").stdout
    assert "fits the weights" in run("check", "--samples", "2000", "--significance", "1e-6").stdout

    set_ = document(run("weights", "set", "speech=1", "--if-version", shown["version"], "--wait", "--json"))
    assert (set_["version_before"], set_["applied"]) == (shown["version"], ["w-1"])
    assert document(run("weights", "remove", "--wait", "--json"))["applied"] == ["w-1"]
    assert "applied by 1 of 1 worker in " in run("weights", "rollback", "--wait").stdout
    assert "the defaults are in force" in run("weights", "remove", "--wait").stdout
    evened = document(run("weights", "set", "--temperature", "0", "--json"))
    assert evened["version"] == shown["version"]
    run("weights", "remove")
    await insert(database_url, {"hum": 5})
    await wait_until(
        lambda: "hum" in worker.events("weights.changed")[-1]["after"], timeout_s=DEADLINE_S, what="hum is weighed"
    )
    assert document(run("sample", "--json"))["weights_version"] == worker.events("weights.changed")[-1]["version"]


async def test_a_category_without_chunks_is_told_wherever_somebody_looks(
    run: Run, start_worker: StartWorker, database_url: str
) -> None:
    await insert(database_url, OWN)
    worker = start_worker()
    sentence = "speach has no READY chunk: its 83.3% go to songs; did you mean speech?"
    for words in (["set", "speach=1", "songs=0.2", "--wait"], ["preset", "save", "night", "speach=1", "songs=0.2"]):
        stored = run("weights", *words)
        assert stored.returncode == 0
        assert sentence in stored.stderr
        told = document(run("weights", *words, "--json"))
        assert (told["left_out"], told["warnings"]) == ({"speach": 0.833333}, [sentence])
    assert sentence in run("weights", "preset", "apply", "night", "--dataset", "d").stderr
    assert sentence in run("weights", "show").stderr
    assert document(run("weights", "show", "--json"))["left_out"] == {"speach": 0.833333}
    assert sentence in run("weights", "preview").stdout
    assert "left out, without READY chunks: speach" in run("sample", "--size", "3").stdout
    run("sample", "--dataset", "d", "--size", "3")
    counts = run("stats")
    assert f"global weights: {sentence}" in counts.stderr
    assert f"dataset d: {sentence}" in counts.stderr
    told = document(run("stats", "--json"))["left_out"]
    assert [(one["dataset"], one["category"]) for one in told] == [(None, "speach"), ("d", "speach")]
    lines = worker.events("mix.left_out")
    assert {(line["dataset"], line["categories"], line["share"], line["level"]) for line in lines} >= {
        (None, "speach", 0.833, "warning")
    }
    right = run("weights", "set", "speech=1", "songs=0.2", "--wait")
    assert (right.returncode, right.stderr) == (0, "")
    assert sentence in run("weights", "rollback").stderr
    await wait_until(lambda: bool(worker.events("mix.complete")), timeout_s=DEADLINE_S, what="all of it is there")


async def test_where_it_cannot_be_known_what_is_ready_a_change_says_so(
    run: Run, settings: Settings, database_url: str, tmp_path: Any
) -> None:
    await insert(database_url, OWN)
    from_postgres = run("weights", "set", "speach=1", "songs=0.2")
    assert "did you mean speech?" in from_postgres.stderr
    alone = {name: value for name, value in settings.items() if name != "DATABASE_URL"}
    unknown = run_command("weights", "set", "speach=1", settings=alone, cwd=tmp_path)
    assert unknown.returncode == 0
    assert "could not be checked: no worker runs, and no DATABASE_URL is given that is accepted" in unknown.stderr
    told = document(run_command("weights", "set", "speach=1", "--json", settings=alone, cwd=tmp_path))
    assert (told["left_out"], len(told["warnings"])) == (None, 1)
    assert "no worker runs" in run_command("weights", "show", settings=alone, cwd=tmp_path).stdout


async def test_while_a_value_is_refused_everything_tells_what_workers_draw_under(
    run: Run, start_worker: StartWorker, database_url: str, redis_client: Redis, prefix: str
) -> None:
    await insert(database_url, {"voice": 20, "music": 20, "speech": 20})
    workers = [start_worker(name) for name in ("w-1", "w-2")]
    key = f"{prefix}:category:weights"
    valid = document(run("weights", "set", "speech=3", "music=1", "--reason", "baseline", "--wait", "--json"))
    for hidden in ('{"speech": "lots"}', "no JSON"):
        await redis_client.set(key, hidden)
        await redis_client.publish(key, "x")
        await wait_until(
            lambda: all(worker.events("weights.rejected") for worker in workers), timeout_s=DEADLINE_S, what="refusals"
        )
    drawn = document(run("sample", "--json"))
    assert (drawn["weights_version"], drawn["weights_source"]) == (valid["version"], "last_known")

    async def is_shown() -> bool:
        shown = [json.loads(await redis_client.get(f"{prefix}:worker:{name}") or "{}") for name in ("w-1", "w-2")]
        return all(one.get("kept") for one in shown)

    await wait_until(is_shown, timeout_s=DEADLINE_S, what="the workers show what they keep")
    shown = document(run("weights", "show", "--json"), status=1)
    assert (shown["version"], shown["source"], shown["weights"]) == (valid["version"], "last_known", valid["weights"])
    assert (shown["reason"], shown["in_force"][0]["workers"]) == ("baseline", ["w-1", "w-2"])
    assert shown["who"]
    assert shown["problem"]
    text = run("weights", "show")
    assert text.returncode == 1
    assert f"weights {valid['version']}, the last valid ones, set by " in text.stdout
    assert "in force on 2 of 2 workers" in text.stdout
    assert "the key holds a value that is refused: the value is not JSON" in text.stdout
    assert document(run("weights", "preview", "--json"))["version"] == valid["version"]
    of_dataset = document(run("weights", "show", "--dataset", "d", "--json"), status=1)
    assert of_dataset["version"] == valid["version"]
    saved = document(run("weights", "preset", "save", "kept", "--json"))
    assert saved["weights"] == valid["weights"]

    late = start_worker("w-3")
    differing = run("weights", "show").stdout
    assert "in force on 2 of 3 workers" in differing
    assert "w-3 draws under 2b630f93c191, the defaults: " in differing
    assert late.events("weights.rejected")


async def test_a_key_that_vanishes_is_a_warning(
    run: Run, start_worker: StartWorker, database_url: str, redis_client: Redis, prefix: str
) -> None:
    await insert(database_url, OWN)
    worker = start_worker()
    stored = document(run("weights", "set", "speech=1", "--wait", "--json"))
    await redis_client.delete(f"{prefix}:category:weights")
    await wait_until(lambda: bool(worker.events("weights.vanished")), timeout_s=DEADLINE_S, what="it is told")
    [line] = worker.events("weights.vanished")
    assert (line["level"], line["dataset"], line["version_before"]) == ("warning", None, stored["version"])
    assert (line["source"], line["version"]) == ("default", document(run("sample", "--json"))["weights_version"])


async def test_weights_that_somebody_takes_away_have_not_vanished(
    run: Run, start_worker: StartWorker, redis_client: Redis, prefix: str
) -> None:
    worker = start_worker(WORKER_WEIGHTS_REFRESH_S="0.2")

    async def taken_away(version: str) -> None:
        await wait_until(
            lambda: version in [line["after"] for line in worker.events("weights.changed")][-1],
            timeout_s=DEADLINE_S,
            what="they are gone",
        )

    for words in ([], ["--dataset", "d"]):
        run("sample", *words)
        run("weights", "set", "voice=1", *words)
        run("weights", "remove", "--wait", *words)
        run("weights", "set", "voice=1", *words)
        run("weights", "rollback", "--wait", *words)
        run("weights", "set", "voice=1", "--for", "1s", *words)
        await taken_away("music")
    run("check", "--samples", "2000", "--significance", "1e-6")
    assert worker.events("weights.vanished") == []
    run("weights", "set", "voice=1", "--dataset", "d", "--wait")
    await redis_client.delete(f"{prefix}:category:weights:d")
    await wait_until(lambda: bool(worker.events("weights.vanished")), timeout_s=DEADLINE_S, what="it is told")
    assert [line["dataset"] for line in worker.events("weights.vanished")] == ["d"]


async def test_two_workers_of_one_name_are_told_wherever_somebody_looks(
    run: Run, redis_client: Redis, prefix: str, start_worker: StartWorker, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir(mode=0o700)
    workers = [start_worker("w-1"), start_worker("w-1", WORKER_RUN_DIR=str(tmp_path / "other"))]

    async def is_known() -> bool:
        """Return whether both have seen the other: until then, one of them overwrites what the other one reports."""
        if not all(worker.events("consumer.shared") for worker in workers):
            return False
        return b'"shared_with"' in (await redis_client.get(f"{prefix}:worker:w-1") or b"")

    await wait_until(is_known, timeout_s=DEADLINE_S, what="they have met")
    told = "two live workers have one name, and what one of them holds is not known: w-1 (the other one is "
    assert told in run("weights", "show").stderr
    assert told in run("stats").stderr
    [sentence] = document(run("watch", "--once", "--json"))["problems"]
    assert sentence.startswith(told)
    waited = run("weights", "set", "voice=1", "--wait")
    assert (waited.returncode, told in waited.stderr) == (1, True)
    assert "applied by" not in waited.stdout


@pytest.mark.parametrize("ahead_s", ["-120", "120"])
async def test_a_sender_with_a_wrong_clock_gets_its_sample(
    start_worker: StartWorker, settings: Settings, database_url: str, tmp_path: Path, ahead_s: str
) -> None:
    """Requests end by the clock of Redis, so it does not matter what the sender believes."""
    await insert(database_url, OWN)
    start_worker()
    words = [sys.executable, str(WRONG_CLOCK), ahead_s, "python", "-m", "worker", "sample", "--json"]
    ended = subprocess.run(  # noqa: ASYNC221 - our own program
        words, env={**os.environ, **settings}, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert document(ended)["status"] == "ok"


async def test_all_zero_weights_are_refused(run: Run) -> None:
    refused = run("weights", "set", "voice=0")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "all weights are zero; accepted: at least one above zero" in refused.stderr
    assert "no change is in the history" in run("weights", "history").stdout


async def test_a_rollback_makes_no_temporary_weights_permanent(run: Run) -> None:
    before = document(run("weights", "set", "voice=1", "--json"))
    run("weights", "set", "music=1", "--for", "20m")
    told = run("weights", "preset", "apply", "voice-heavy", "--for", "10m").stdout
    assert f"for 10 min, then back to {before['version']}" in told
    assert document(run("weights", "rollback", "--json"))["version"] == before["version"]
    assert document(run("weights", "show", "--json"))["until_ms"] is None
    assert "the defaults are in force" in run("weights", "rollback").stdout


async def test_a_preview_goes_by_the_unit_and_the_catalog_of_the_workers(
    run: Run, start_worker: StartWorker, database_url: str
) -> None:
    await insert(database_url, {"voice": 10, "music": 10})
    query = "select id, category, case category when 'voice' then 1.0 else 3.0 end as duration_s from audio_chunks"
    alone = run("weights", "preview", "voice=1", "music=1")
    assert "no worker runs: this goes by WORKER_WEIGHT_UNIT=chunks of this shell" in alone.stderr
    start_worker(WORKER_CHUNKS_QUERY=query, WORKER_WEIGHT_UNIT="seconds")
    theirs = document(
        run("weights", "preview", "voice=1", "music=1", "--size", "9", "--json", WORKER_CHUNKS_QUERY=query)
    )
    assert theirs["weight_unit"] == "seconds"
    assert {part["category"]: part["share"] for part in theirs["categories"]} == pytest.approx(
        {"voice": 0.75, "music": 0.25}
    )
    assert theirs["warnings"] == ["workers have WORKER_WEIGHT_UNIT=seconds, which this goes by; this shell has chunks"]
    other = run("weights", "preview", "voice=1", WORKER_CHUNKS_QUERY=f"{query} limit 7", WORKER_WEIGHT_UNIT="seconds")
    assert "7 chunks are READY by DATABASE_URL and WORKER_CHUNKS_QUERY of this shell, and workers draw from 20" in (
        other.stderr
    )
