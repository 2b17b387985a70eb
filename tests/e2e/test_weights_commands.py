"""Weights as people move them: with a history, for a time, upon what they have seen, by presets, and before trying."""

import json
import signal
import subprocess
from typing import Any

import pytest
from redis.asyncio import Redis

from tests.e2e.conftest import Run, StartWorker
from tests.e2e.test_serving import DEADLINE_S, insert
from tests.support.waiting import wait_until
from worker.client import SampleClient, WeightsWarning

pytestmark = pytest.mark.any_redis

NO_VERSION = "0" * 12


def document(ended: subprocess.CompletedProcess[str]) -> Any:
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


async def test_history_tells_who_changed_what_and_rollback_undoes_it(
    run: Run, redis_client: Redis, prefix: str
) -> None:
    assert "no change" in run("weights", "history").stdout
    first = document(run("weights", "set", "voice=7", "music=3", "--reason", "more speech", "--json"))
    second = document(run("weights", "set", "--temperature", "0", "--json"))
    assert (second["version_before"], second["weights"]) == (first["version"], {"music": 0.5, "voice": 0.5})
    document(run("weights", "set", "music=1", "--dataset", "d1", "--json"))
    changes = document(run("weights", "history", "--json"))
    assert [(one["dataset"], one["version_before"], one["version_after"]) for one in changes[1:]] == [
        (None, first["version"], second["version"]),
        (None, first["version_before"], first["version"]),
    ]
    assert (changes[2]["reason"], changes[2]["points"]["voice"]) == ("more speech", 30.0)
    assert changes[2]["who"]
    table = run("weights", "history", "--count", "1", "--dataset", "d1", COLUMNS="160").stdout
    assert "none -> " in table
    assert "music +100" in table
    assert first["version"] in run("weights", "rollback", "--reason", "too loud").stdout
    newest = document(run("weights", "history", "--count", "1", "--json"))[0]
    assert newest["reason"] == f"rollback to {first['version']}: too loud"
    assert "the defaults are in force" in run("weights", "rollback").stdout
    assert document(run("weights", "rollback", second["version"], "--json"))["version"] == second["version"]
    assert "the global weights are in force" in run("weights", "remove", "--dataset", "d1").stdout
    await redis_client.set(f"{prefix}:category:weights", "no JSON")
    untempered = run("weights", "set", "--temperature", "0.5")
    assert (untempered.returncode, "refused" in untempered.stderr) == (2, True)
    unknown = run("weights", "rollback", NO_VERSION)
    assert unknown.returncode == 2
    assert first["version"] in unknown.stderr


def test_the_command_line_and_a_client_say_the_same(run: Run, redis_url: str, prefix: str) -> None:
    with SampleClient(redis_url, prefix=prefix) as client:
        typed = document(run("weights", "set", "voice=3", "music=1", "--reason", "typed", "--dataset", "d", "--json"))
        shown = client.weights("d")
        assert (shown.version, shown.weights, shown.reason) == (typed["version"], typed["weights"], "typed")
        with pytest.warns(WeightsWarning, match="could not be checked: no worker runs"):
            called = client.set_weights({"music": 1}, "d", reason="called", for_s=60, wait=False)
        told = document(run("weights", "show", "--dataset", "d", "--json"))
        assert (told["version"], told["reason"], told["until_ms"]) == (called.version, "called", called.until_ms)
        entries = document(run("weights", "history", "--json"))
        changes = client.weights_history()
    assert [one["entry"] for one in entries] == [change.entry for change in changes]
    assert [one["who"] for one in entries] == [change.who for change in changes]
    assert [one["version_after"] for one in entries] == [called.version, typed["version"]]


async def test_a_change_that_was_not_seen_is_not_overwritten(run: Run) -> None:
    seen = document(run("weights", "show", "--json"))["version"]
    stored = document(run("weights", "set", "voice=1", "--if-version", seen, "--json"))["version"]
    refused = run("weights", "set", "music=1", "--if-version", seen)
    assert refused.returncode == 1
    assert len(refused.stderr.strip().splitlines()) == 1
    assert f"version {stored} is in force, set by " in refused.stderr
    assert document(run("weights", "show", "--json"))["version"] == stored


async def test_weights_for_a_time_give_way_although_who_set_them_is_gone(
    run: Run, start_worker: StartWorker, database_url: str
) -> None:
    await insert(database_url, {"voice": 10})
    workers = [start_worker(f"w-{i}", WORKER_WEIGHTS_REFRESH_S="0.05") for i in range(2)]
    before = document(run("weights", "set", "voice=1", "--json"))
    for_a_time = document(run("weights", "set", "music=1", "--for", "30m", "--json"))
    assert document(run("weights", "show", "--json"))["until_ms"] == for_a_time["until_ms"]
    assert "until 20" in run("weights", "show").stdout
    assert "until 20" in run("weights", "set", "music=2", "--for", "1s").stdout

    def gave_way() -> bool:
        return bool(document(run("weights", "show", "--json"))["version"] == before["version"])

    await wait_until(gave_way, timeout_s=DEADLINE_S, what="the weights have given way")
    changes = document(run("weights", "history", "--json"))
    assert [one["reason"] for one in changes] == ["return after 1s", "", "", ""]
    assert changes[0]["at_ms"] >= changes[0]["returned_ms"]
    assert document(run("weights", "show", "--json"))["until_ms"] is None
    for worker in workers:
        changed = worker.events("weights.changed")
        assert changed[-1]["version"] == before["version"]


async def test_weights_for_good_end_the_return(run: Run) -> None:
    run("weights", "set", "voice=1", "--for", "1h")
    kept = run("weights", "set", "voice=1")
    assert "for good" in kept.stdout
    assert document(run("weights", "show", "--json"))["until_ms"] is None


async def test_waiting_tells_how_many_workers_have_applied_it(
    run: Run, start_worker: StartWorker, database_url: str
) -> None:
    alone = run("weights", "set", "voice=1", "--wait")
    assert (alone.returncode, "no worker is alive" in alone.stderr) == (1, True)
    await insert(database_url, {"voice": 10, "music": 10})
    workers = [start_worker(f"w-{i}") for i in range(3)]
    assert "applied by 3 of 3 workers in " in run("weights", "set", "voice=1", "music=1", "--wait").stdout
    assert "have not been asked" in run("weights", "set", "voice=1", "--wait", "--dataset", "d").stdout
    run("sample", "--dataset", "d", "--count", "30")
    own = document(run("weights", "set", "music=1", "--wait", "--dataset", "d", "--json"))
    assert own["applied"]
    assert (own["missing"], len(own["applied"]) + len(own["unasked"])) == ([], 3)
    workers[0].send(signal.SIGSTOP)
    late = run("weights", "set", "voice=1", "--wait", "--timeout", "0.5")
    assert late.returncode == 1
    assert late.stderr.strip() == "sampling-worker: applied by 2 of 3 workers within 0.5 s; not by w-0"


async def test_presets_are_saved_used_and_removed(run: Run, start_worker: StartWorker, database_url: str) -> None:
    await insert(database_url, {"voice": 10, "music": 10})
    start_worker()
    saved = document(run("weights", "preset", "save", "night", "voice=1", "music=3", "--json"))
    assert saved["dataset"] == "preset:night"
    drawn = json.loads(run("sample", "--size", "8", "--field", "preset=night", "--json").stdout)
    assert (drawn["weights_version"], drawn["weights_source"]) == (saved["version"], "preset")
    run("weights", "set", "voice=1", "--wait")
    now = document(run("weights", "preset", "save", "now", "--json"))
    assert now["weights"] == {"voice": 1.0}
    listed = {one["preset"]: one for one in document(run("weights", "preset", "list", "--json"))}
    assert list(listed) == ["balanced", "voice-heavy", "music-heavy", "night", "now"]
    assert (listed["night"]["weights"], listed["balanced"]["weights"]) == ({"music": 0.75, "voice": 0.25}, None)
    assert "READY chunks alike" in run("weights", "preset", "list", COLUMNS="160").stdout
    assert "voice" in run("weights", "preset", "show", "balanced").stdout
    balanced = document(run("weights", "preset", "apply", "balanced", "--json"))
    assert balanced["weights"] == {"music": 0.5, "voice": 0.5}
    applied = document(run("weights", "preset", "apply", "night", "--dataset", "d", "--json"))
    assert applied["version"] == saved["version"]
    newest = document(run("weights", "history", "--count", "1", "--json"))[0]
    assert (newest["dataset"], newest["reason"]) == ("d", "preset night")
    assert "removed" in run("weights", "preset", "remove", "night").stdout
    assert "unknown_preset" in run("sample", "--field", "preset=night").stdout
    assert document(run("weights", "rollback", "--preset", "night", "--json"))["version"] == saved["version"]
    assert "night" in run("weights", "preset", "list").stdout


async def test_a_preview_says_what_would_be_drawn(
    run: Run, database_url: str, redis_client: Redis, prefix: str
) -> None:
    await insert(database_url, {"voice": 1000, "documentary": 60})
    words = ("weights", "preview", "voice=0.5", "documentary=0.3", "conference=0.2", "--size", "80000")
    shown = document(run(*words, "--json"))
    assert shown["empty"] == ["conference"]
    parts = {part["category"]: part for part in shown["categories"]}
    assert parts["documentary"]["expected"] == pytest.approx(30_000)
    assert parts["documentary"]["plays"] == pytest.approx(500)
    table = run(*words).stdout
    assert "documentary: each of the 60 chunks would be heard 500 times on average, more than 16" in table
    assert "conference has no READY chunk" in table
    assert [key async for key in redis_client.scan_iter(match=f"{prefix}*")] == []
    run("weights", "set", "documentary=1")
    assert len(document(run("weights", "preview", "--json"))["categories"]) == 1
    query = "select id, 'own' as category from audio_chunks limit 7"
    own = document(run("weights", "preview", "own=1", "--json", WORKER_CHUNKS_QUERY=query))
    assert own["categories"][0]["ready"] == 7
    lasting = "select id, category, 2.5 as duration_s from audio_chunks"
    seconds = {"WORKER_CHUNKS_QUERY": lasting, "WORKER_WEIGHT_UNIT": "seconds"}
    by_time = document(run("weights", "preview", "voice=1", "--size", "100", "--json", **seconds))
    assert by_time["categories"][0]["expected_s"] == pytest.approx(250)
    assert " 6:56:40\n" in run("weights", "preview", "voice=1", **seconds).stdout
