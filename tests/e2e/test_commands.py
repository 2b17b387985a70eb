"""Every verb as a user runs it: what it prints, how it ends, what it leaves behind."""

import json
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from tests.e2e.conftest import Run, Settings, StartWorker
from tests.e2e.test_serving import insert, read_all
from tests.support.command import start_command
from tests.support.waiting import wait_until
from worker.core.wire.seeds import seed_of
from worker.settings.environment import environment_with

pytestmark = pytest.mark.any_redis

CANARY = "h1dden"
NOWHERE = {
    "REDIS_URL": f"redis://user:{CANARY}@127.0.0.1:9/0",
    "DATABASE_URL": f"postgresql://postgres:{CANARY}@127.0.0.1:9/postgres",
}
VERBS = [
    ["demo"],
    ["run"],
    ["migrate"],
    ["sample"],
    ["stats"],
    ["watch"],
    ["report"],
    ["check"],
    ["health"],
    ["weights", "show"],
    ["weights", "set"],
    ["weights", "import"],
    ["weights", "remove"],
    ["weights", "watch"],
    ["weights", "history"],
    ["weights", "rollback"],
    ["weights", "preview"],
    ["weights", "preset", "save"],
    ["weights", "preset", "list"],
    ["weights", "preset", "show"],
    ["weights", "preset", "apply"],
    ["weights", "preset", "remove"],
    ["dead", "show"],
    ["dead", "requeue"],
    ["session", "list"],
    ["session", "show"],
    ["session", "release"],
    ["session", "end"],
    ["catalog", "import"],
    ["catalog", "show"],
]


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_help_shows_an_example(verb: list[str], tmp_path: Path) -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "worker", *verb, "--help"],
        env=environment_with({**NOWHERE, "PYTHONPATH": str(Path.cwd()), "COLUMNS": "200"}),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "Example: " in shown
    assert f"sampling-worker {' '.join(verb)}" in shown
    assert CANARY not in shown


@pytest.mark.fault("a server is away, or refuses: each verb ends in a sentence that names it")
@pytest.mark.parametrize(
    "words",
    [
        ["sample"],
        ["stats"],
        ["check"],
        ["weights", "show"],
        ["weights", "set", "voice=1"],
        ["weights", "remove"],
        ["weights", "watch"],
        ["weights", "history"],
        ["weights", "rollback"],
        ["weights", "preview", "voice=1"],
        ["weights", "preset", "apply", "night"],
        ["migrate"],
        ["catalog", "show"],
    ],
    ids=" ".join,
)
def test_a_server_that_cannot_be_reached_is_status_3_and_one_sentence(words: list[str], run: Run) -> None:
    ended = run(*words, **NOWHERE)
    assert ended.returncode == 3, ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1
    assert ended.stderr.startswith("sampling-worker: ")
    assert CANARY not in ended.stderr + ended.stdout


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["nonsense"], "nonsense"),
        (["sample", "--size", "x"], "--size"),
        (["sample", "--field", "seed"], "NAME=VALUE"),
        (["weights", "set", "voice"], "category=weight"),
        (["weights", "set", "voice=nan"], "finite"),
        (["weights", "set", "voice=1_0"], "plain decimal digits"),
        (["weights", "set", "voice=0"], "above zero"),
        (["weights", "set", "Voice=1"], "[a-z0-9_-]"),
        (["weights", "set", "voice=1", "voice=2"], "twice"),
        (["weights", "set"], "--temperature"),
        (["weights", "set", "--temperature", "-1"], "from 0 to 1,000"),
        (["weights", "set", "voice=1", "--for", "2 hours"], "90s"),
        (["weights", "set", "voice=1", "--if-version", "newest"], "12 hex digits"),
        (["weights", "show", "--dataset", "a b"], "[A-Za-z0-9_.-]"),
        (["weights", "rollback", "newest"], "12 hex digits"),
        (["weights", "rollback", "0123456789ab"], "in the history"),
        (["weights", "history", "--dataset", "a", "--preset", "b"], "exclude each other"),
        (["weights", "history", "--preset", "a b"], "[A-Za-z0-9_.-]"),
        (["weights", "preset", "save", "balanced", "voice=1"], "built in"),
        (["weights", "preset", "save", "a b", "voice=1"], "[A-Za-z0-9_.-]"),
        (["weights", "preset", "save", "night", "voice=0"], "above zero"),
        (["weights", "preset", "remove", "music-heavy"], "built in"),
        (["weights", "preset", "remove", "night"], "preset list"),
        (["weights", "preset", "apply", "night"], "balanced, voice-heavy, music-heavy"),
        (["catalog", "import", "missing.csv"], "missing.csv"),
        # an option that would say nothing is refused, and not passed over
        (["weights", "set", "voice=1", "--timeout", "5"], "--timeout is for --wait, which is not given"),
        (["weights", "import", "mix.json", "--timeout", "5"], "--timeout is for --wait"),
        (["weights", "remove", "--timeout", "5"], "--timeout is for --wait"),
        (["weights", "rollback", "--timeout", "5"], "--timeout is for --wait"),
        (["weights", "preset", "apply", "balanced", "--timeout", "5"], "--timeout is for --wait"),
        (["weights", "preset", "save", "night", "voice=1", "--dataset", "d"], "accepted: one of both"),
        (["weights", "import", "mix.json", "--mode", "on"], "--mode is for --as-schedule, which is not given"),
        (["weights", "import", "mix.json", "--most-change", "1"], "--most-change is for --as-schedule"),
        (["weights", "import", "mix.json", "--floor", "0.1"], "--floor is for --as-schedule"),
        (["weights", "import", "mix.json", "--as-schedule", "--for", "2h"], "--for is not for --as-schedule"),
        (["weights", "import", "mix.json", "--as-schedule", "--wait"], "--wait is not for --as-schedule"),
        (["weights", "import", "mix.json", "--as-schedule", "--phase", "a"], "--phase is not for --as-schedule"),
        (["stats", "--session", "s", "--all"], "--all is not for --session"),
        (["stats", "--session", "s", "--clear"], "--clear and --session"),
        (["report", "w.log", "--every", "5"], "--every without --follow"),
        (["catalog", "export", "-", "--json"], "--json and - exclude each other"),
        (["catalog", "export", "a.csv.gz", "--format", "parquet"], "Parquet is compressed in itself"),
        (["catalog", "scan", "folder", "--by", "folder"], "--by is for --split"),
        (["catalog", "scan", "folder", "--hop", "5"], "--hop is for --segment"),
        (["up", "--segment", "5"], "--segment is for a LIBRARY"),
        (["feedback", "--dead", "--kind", "train"], "--kind is not for --dead"),
        (["feedback", "--dead", "--dataset", "d"], "--dataset is not for --dead"),
    ],
)
def test_wrong_usage_is_status_2_and_says_what_is_accepted(words: list[str], hint: str, run: Run) -> None:
    ended = run(*words)
    assert ended.returncode == 2
    assert hint in ended.stderr
    assert ended.stdout == ""


def test_missing_settings_are_named(run: Run) -> None:
    ended = run("stats", REDIS_URL="")
    assert ended.returncode == 2
    assert "REDIS_URL" in ended.stderr


def test_migrate_can_be_run_again(run: Run, empty_database_url: str) -> None:
    first = json.loads(run("migrate", "--json", DATABASE_URL=empty_database_url).stdout)
    again = run("migrate", DATABASE_URL=empty_database_url)
    assert first["applied"]
    assert again.returncode == 0
    assert "up to date" in again.stdout


def test_catalog_show(run: Run, tmp_path: Path) -> None:
    manifest = tmp_path / "library.csv"
    manifest.write_text("path,category,status,duration_s\na.flac,voice,READY,2.5\nb.flac,music,PENDING,\n")
    assert run("catalog", "import", str(manifest)).returncode == 0
    shown = json.loads(run("catalog", "show", "--json").stdout)
    assert {(row["category"], row["status"], row["count"]) for row in shown} == {
        ("voice", "READY", 1),
        ("music", "PENDING", 1),
    }
    assert "voice" in run("catalog", "show").stdout


async def test_weights_set_and_show(run: Run, redis_client: Redis, prefix: str) -> None:
    before = json.loads(run("weights", "show", "--json").stdout)
    assert (before["source"], before["version"]) == ("default", "2b630f93c191")
    stored = json.loads(run("weights", "set", "voice=7", "music=3", "--reason", "more speech", "--json").stdout)
    shown = json.loads(run("weights", "show", "--json").stdout)
    assert shown["weights"] == {"music": 0.3, "voice": 0.7}
    assert shown["version"] == stored["version"]
    assert "voice" in run("weights", "show").stdout
    run("weights", "set", "music=1", "--dataset", "d1")
    assert json.loads(run("weights", "show", "--dataset", "d1", "--json").stdout)["source"] == "dataset"
    await redis_client.set(f"{prefix}:category:weights", '{"voice": NaN}')
    assert "NaN" in run("weights", "show").stdout


def _has_lines(out: Path, count: int) -> bool:
    return out.read_text().count("\n") == count


async def test_weights_watch_of_a_session_prints_what_it_is_pinned_to(
    settings: Settings, redis_client: Redis, prefix: str, tmp_path: Path
) -> None:
    out = tmp_path / "watch.out"
    watching = start_command("weights", "watch", "--session", "s", "--json", settings=settings, out=out)
    untyped: Any = redis_client
    for lines, pinned in enumerate(('{"voice": 1}', '{"music": 1}', None), 1):
        await wait_until(partial(_has_lines, out, lines), timeout_s=30, what="weights")
        if pinned is None:
            await untyped.hdel(f"{prefix}:session:s", "weights")
        else:
            await untyped.hset(f"{prefix}:session:s", "weights", pinned)
    await wait_until(lambda: out.read_text().count("\n") == 4, timeout_s=30, what="the release")
    watching.send_signal(signal.SIGINT)
    assert watching.wait(20) == 130
    shown = [json.loads(line) for line in out.read_text().splitlines()]
    assert [one["source"] for one in shown] == ["default", "session", "session", "default"]
    assert [one["weights"] for one in shown[1:3]] == [{"voice": 1.0}, {"music": 1.0}]


async def test_weights_watch_prints_each_change(
    settings: Settings, redis_client: Redis, prefix: str, tmp_path: Path
) -> None:
    out = tmp_path / "watch.out"
    watching = start_command("weights", "watch", "--json", settings=settings, out=out)
    await wait_until(lambda: out.read_text().count("\n") == 1, timeout_s=30, what="the first weights")
    await redis_client.set(f"{prefix}:category:weights", '{"voice": 1}')
    await redis_client.publish(f"{prefix}:category:weights", "x")
    await wait_until(lambda: out.read_text().count("\n") == 2, timeout_s=30, what="the change")
    watching.send_signal(signal.SIGINT)
    assert watching.wait(20) == 130
    assert json.loads(out.read_text().splitlines()[1])["weights"] == {"voice": 1.0}


async def test_sample_stats_and_health(run: Run, start_worker: StartWorker, database_url: str) -> None:
    assert run("health").returncode == 1
    await insert(database_url, {"voice": 10, "music": 10})
    worker = start_worker()
    healthy = run("health", "--json", WORKER_CONSUMER="w-1")
    assert (healthy.returncode, json.loads(healthy.stdout)["healthy"]) == (0, True)
    lines = run("sample", "--size", "5", "--count", "3", "--method", "stratified", "--json").stdout.splitlines()
    assert [len(json.loads(line)["chunk_ids"]) for line in lines] == [5, 5, 5]
    assert "voice" in run("sample", "--field", "category=voice").stdout
    refused = run("sample", "--size", "70000")
    assert refused.returncode == 1
    assert "invalid_request" in refused.stdout
    counts = json.loads(run("stats", "--clear", "--json").stdout)
    assert (counts["requests"], counts["errors"], counts["chunks"]) == (5, 1, 16)
    for row in counts["categories"]:
        assert (row["ready"], row["repeats"]) == (10, row["count"] / 10)
        assert row["repeats"] <= row["most_repeats"] <= row["count"]
    assert json.loads(run("stats", "--json").stdout)["requests"] == 0
    assert "0 requests" in run("stats").stdout
    worker.kill()
    assert run("health", WORKER_CONSUMER="w-2").returncode == 1


async def test_of_a_seed_each_of_several_samples_has_its_own(
    run: Run, start_worker: StartWorker, database_url: str
) -> None:
    await insert(database_url, {"voice": 500})
    start_worker()

    def drawn(*words: str) -> list[list[int]]:
        lines = run("sample", "--size", "8", "--json", *words).stdout.splitlines()
        return [json.loads(line)["chunk_ids"] for line in lines]

    for seed in (("--field", "seed=7"), ("--seed", "7")):
        several = drawn("--count", "5", *seed)
        assert several == drawn("--count", "5", *seed)
        assert len({tuple(ids) for ids in several}) == 5
        assert drawn("--field", f"seed={seed_of(7, 4)}") == several[4:]
        assert drawn(*seed) == drawn(*seed)
    refused = run("sample", "--count", "2", "--field", "request_id=a")
    assert refused.returncode == 2
    assert "names one request; accepted: with --count 1, or none" in refused.stderr


def test_sample_without_a_worker_says_so(run: Run) -> None:
    ended = run("sample", "--timeout", "0.5")
    assert ended.returncode == 1
    assert "is a worker running?" in ended.stderr


async def test_check_fits_and_leaves_nothing(
    run: Run, start_worker: StartWorker, database_url: str, redis_client: Redis, prefix: str
) -> None:
    await insert(database_url, {"voice": 100, "music": 50, "documentary": 2})
    start_worker()
    before = {key async for key in redis_client.scan_iter(match=f"{prefix}*")}
    checked = run("check", "--samples", "20000", "--significance", "1e-6", "--json")
    document = json.loads(checked.stdout)
    assert (checked.returncode, document["fits"], len(document["rounds"])) == (0, True, 2)
    assert "fits the weights" in run("check", "--samples", "2000", "--significance", "1e-6").stdout
    after = {key async for key in redis_client.scan_iter(match=f"{prefix}*")}
    assert after == before
    assert all(b":check-" not in name for name in await redis_client.hkeys(f"{prefix}:sample:stats"))


def test_check_without_a_worker_fails_with_a_reason(run: Run) -> None:
    checked = run("check", "--timeout", "1")
    assert checked.returncode == 1
    assert "is a worker running?" in checked.stderr


def test_check_with_an_empty_library_fails_with_a_reason(run: Run, start_worker: StartWorker) -> None:
    start_worker()
    checked = run("check", "--samples", "1000")
    assert checked.returncode == 1
    assert "no_ready_chunks" in checked.stderr


async def test_packed_samples_are_shown_in_hex(run: Run, start_worker: StartWorker, database_url: str) -> None:
    await insert(database_url, {"voice": 10})
    start_worker()
    words = ("sample", "--size", "2", "--field", "encoding=packed", "--field", "category=voice")
    assert len(bytes.fromhex(json.loads(run(*words, "--json").stdout)["chunk_ids"])) == 16
    assert "packed" in run(*words).stdout


async def test_a_session_follows_a_schedule_that_a_person_types(
    database_url: str, run: Run, start_worker: StartWorker
) -> None:
    await insert(database_url, {"voice": 30, "music": 5})
    start_worker()
    assert run("weights", "preset", "save", "evening", "music=1").returncode == 0
    asked = ("session", "schedule", "s", "0 voice=1 nothing=0.0001; 20 evening")
    typed = run(*asked)
    assert typed.returncode == 0
    assert "nothing" in typed.stderr
    shown = "by chunks, now at 0, step: 0 voice=1 nothing=0.0001; 20 evening (music=1)"
    assert shown in " ".join(typed.stdout.split())
    ask = ("sample", "--session", "s", "--size", "10", "--count", "3", "--field", "pin=1", "--json")
    samples = [json.loads(line) for line in run(*ask).stdout.splitlines()]
    assert [sample["counts"] for sample in samples][-1] == {"music": 10}
    document = json.loads(run("session", "show", "s", "--json").stdout)
    assert (document["position"], document["schedule"]["unit"]) == (30, "chunks")
    assert "by chunks, now at 30" in " ".join(run("session", "show", "s").stdout.split())
    assert json.loads(run(*asked, "--json").stdout)["position"] == 0
    for words, said in (
        (("0 nope",), "no preset"),
        (("[1", "--unit", "requests"), "accepted"),
        (("5 voice=1; 5 music=1",), "positions that go up"),
        (("0 voice=1", "--keep", "long"), "no time span"),
        (("0 voice=1", "--unit", "seconds"), "chunks"),
        (("; ".join(f"{at} voice=1 music=1 documentary=1 conference=1" for at in range(900)),), "at most 65536"),
    ):
        refused = run("session", "schedule", "s", *words)
        assert (refused.returncode, said in refused.stderr) == (2, True), refused.stderr
    assert "workers count chunks" in run("session", "schedule", "s", "0 voice=1", "--unit", "hours").stderr
    assert run("session", "release", "s").stdout == "released\n"
    assert json.loads(run("session", "show", "s", "--json").stdout)["schedule"] is None


async def test_a_session_is_looked_at_released_and_ended(
    redis_client: Redis, prefix: str, database_url: str, run: Run, start_worker: StartWorker
) -> None:
    await insert(database_url, {"voice": 30, "music": 5})
    start_worker()
    assert run("session", "show", "s").returncode == 1
    ask = ["sample", "--session", "s", "--method", "epoch", "--size", "8", "--count", "5", "--field", "pin=1"]
    assert run(*ask).returncode == 0

    shown = json.loads(run("session", "show", "s", "--json").stdout)
    assert shown["pinned"]["weights"] == {"conference": 0.1, "documentary": 0.2, "music": 0.3, "voice": 0.4}
    assert shown["passes"]["music"] > 1
    assert (shown["requests"], sum(shown["chunks"].values())) == (5, 40)
    assert shown["repeats"]["voice"]["most_repeats"] == shown["passes"]["voice"]
    assert shown["repeats"]["music"]["repeats"] == shown["chunks"]["music"] / 5
    text = run("session", "show", "s").stdout
    assert "pinned to" in text
    assert "repeats  most" in text
    assert json.loads(run("session", "list", "--json").stdout) == ["s"]
    narrowed = json.loads(run("stats", "--session", "s", "--json").stdout)
    assert (narrowed["requests"], narrowed["chunks"]) == (5, 40)
    of_stats = {row["category"]: row["most_repeats"] for row in narrowed["categories"] if row["count"]}
    assert of_stats == {name: one["most_repeats"] for name, one in shown["repeats"].items() if shown["chunks"][name]}
    assert run("stats", "--session", "s", "--clear").returncode == 2

    assert run("session", "release", "s").stdout == "released\n"
    assert run("session", "release", "s").stdout == "it was not pinned\n"
    assert json.loads(run("session", "show", "s", "--json").stdout)["pinned"] is None
    assert run("session", "end", "s").stdout == "ended\n"
    assert run("session", "end", "s").stdout == "there is no session 's'\n"
    assert run("session", "list").stdout == "no session\n"
    assert run("session", "show", "a\tb").returncode == 2
    await redis_client.set(f"{prefix}:session:text", "x")
    assert "it cannot be used, its key holds no hash" in run("session", "show", "text").stdout


async def test_dead_letters_are_shown_and_sent_again_once(
    redis_client: Redis, prefix: str, database_url: str, run: Run, start_worker: StartWorker
) -> None:
    assert run("dead", "show").stdout == "no dead letter\n"
    await insert(database_url, {"voice": 30})
    start_worker(WORKER_CLAIM_IDLE_S="0.05", WORKER_MAX_DELIVERIES="2")
    await redis_client.set(f"{prefix}:sample:results:taken", "no stream")
    untyped: Any = redis_client
    for i in range(3):
        fields = {"size": i + 1, "reply_to": "taken", "request_id": f"r{i}", "error": "its own\n"}
        await untyped.xadd(f"{prefix}:sample:requests", fields)
    await wait_until(lambda: _are_dead(redis_client, prefix, 3), timeout_s=30, what="three dead letters")

    letters = json.loads(run("dead", "show", "--json").stdout)
    assert [letter["fields"]["request_id"] for letter in letters] == ["r2", "r1", "r0"]
    assert {letter["fields"]["error"] for letter in letters} == {"too_many_deliveries"}
    shown = run("dead", "show", "--count", "1").stdout
    assert "request_id=r2" in shown
    assert "error=its own\\n" in shown
    assert shown.endswith("3 dead letters\n")

    await redis_client.delete(f"{prefix}:sample:results:taken")
    oldest = letters[-1]["id"]
    assert run("dead", "requeue", oldest).stdout == "1 request sent again\n"
    again = run("dead", "requeue", oldest)
    assert (again.returncode, again.stderr) == (1, f"sampling-worker: there is no dead letter {oldest}\n")
    assert len(json.loads(run("dead", "requeue", "--all", "--json").stdout)) == 2
    await wait_until(lambda: _are_answered(redis_client, prefix, 3), timeout_s=30, what="three results")
    results = await read_all(redis_client, f"{prefix}:sample:results:taken")
    assert [(result["request_id"], len(json.loads(result["chunk_ids"]))) for result in results] == [
        (f"r{i}", i + 1) for i in range(3)
    ]
    for words in (["requeue"], ["requeue", "--all", oldest], ["requeue", "1"], ["requeue", "a-b"]):
        assert run("dead", *words).returncode == 2


async def _are_dead(client: Redis, prefix: str, count: int) -> bool:
    return int(await client.xlen(f"{prefix}:sample:dead")) == count


async def _are_answered(client: Redis, prefix: str, count: int) -> bool:
    return int(await client.xlen(f"{prefix}:sample:results:taken")) == count
