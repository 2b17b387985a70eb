"""Weights that start from the sizes of a library, and mixes that were made elsewhere, as people set them."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Run, Settings, StartWorker
from tests.support.command import run_command
from tests.support.manifest import audioset_manifest
from tests.support.servers import execute
from tests.support.waiting import wait_until_sync

pytestmark = pytest.mark.any_redis

LIBRARY = """path,category,status,duration_s,split
a1,voice,READY,3600,
a2,voice,READY,3600,train
a3,voice,READY,7200,
a4,voice,READY,3600,val
b1,music,READY,36000,
b2,music,READY,,
c1,hum,PENDING,3600,
d1,calls,READY,,
"""
ENERGON = """
__module__: megatron.energon
__class__: MetadatasetV2
splits:
  train:
    blend:
      - {weight: 6, path: ./voice}
      - {weight: 3, path: ./tunes}
      - {weight: 1, path: ./wiki}
"""
PHASES = {
    "phases": [
        {"name": "warm-up", "until": {"chunks": 1e6}, "weights": {"voice": 1}},
        {"name": "main", "weights": {"voice": 1, "music": 3}},
    ]
}
OPTIONS = [
    (["--by", "hours"], "--by alone says nothing; accepted: with --proportional, --temperature or --unimax"),
    (["--unimax", "8"], "--unimax and --budget go together; accepted: both, such as --unimax 8 --budget 1e6"),
    (["--budget", "8"], "--unimax and --budget go together"),
    (["voice=1", "--proportional"], "weights are given, and options that go by sizes; accepted: one of the two"),
    (["voice=1", "--temperature", "1", "--by", "hours"], "weights are given, and options that go by sizes"),
    (["--unimax", "8", "--budget", "9", "--proportional"], "--unimax excludes --proportional and --temperature"),
    (["--unimax", "8", "--budget", "9", "--temperature", "1"], "--unimax excludes --proportional and --temperature"),
    (["--unimax", "0", "--budget", "9"], "accepted: a number from 0.001 to 1,000,000"),
    (["--unimax", "8", "--budget", "lots"], "accepted: a number from 0.001 to 1e+15"),
    (["--proportional", "--by", "tokens"], "'tokens' is not one of 'chunks', 'hours'"),
]


@pytest.fixture
def library(run: Run, tmp_path: Path) -> None:
    (tmp_path / "library.csv").write_text(LIBRARY)
    assert run("catalog", "import", "library.csv").returncode == 0


def document(ended: subprocess.CompletedProcess[str]) -> Any:
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def newest(run: Run) -> Any:
    return document(run("weights", "history", "--count", "1", "--json"))[0]


@pytest.mark.usefixtures("library")
def test_weights_start_from_the_chunks_or_hours_that_are_drawn(run: Run) -> None:
    by_chunks = run("weights", "set", "--proportional", "--json")
    assert document(by_chunks)["weights"] == pytest.approx({"calls": 1 / 6, "music": 2 / 6, "voice": 3 / 6})
    assert by_chunks.stderr == "sampling-worker: left out, without READY chunks: hum\n"
    assert newest(run)["reason"] == "proportional by chunks"

    by_hours = run("weights", "set", "--proportional", "--by", "hours", "--reason", "as it is", "--json")
    assert document(by_hours)["weights"] == pytest.approx({"music": 10 / 14, "voice": 4 / 14})
    assert by_hours.stderr.splitlines() == [
        "sampling-worker: left out, without READY chunks: hum",
        "sampling-worker: left out, without a duration_s that counts: calls",
        "sampling-worker: 2 READY chunks without a duration_s: they count as 0 hours",
    ]
    assert newest(run)["reason"] == "proportional by hours: as it is"

    tempered = document(run("weights", "set", "--temperature", "0.5", "--by", "hours", "--json"))
    assert tempered["weights"]["voice"] / tempered["weights"]["music"] == pytest.approx((4 / 10) ** 0.5)
    assert newest(run)["reason"] == "size^0.5 by hours"
    in_force = document(run("weights", "set", "--temperature", "0", "--json"))
    assert in_force["weights"] == {"music": 0.5, "voice": 0.5}
    both = document(run("weights", "set", "--temperature", "0", "--proportional", "--dataset", "d", "--json"))
    assert (both["dataset"], both["weights"].keys()) == ("d", {"calls", "music", "voice"})


@pytest.mark.usefixtures("library")
def test_the_unit_of_sizes_is_that_of_the_weights(run: Run, start_worker: StartWorker) -> None:
    start_worker(WORKER_WEIGHT_UNIT="seconds")
    assert document(run("weights", "set", "--proportional", "--wait", "--json"))["weights"].keys() == {"music", "voice"}
    assert newest(run)["reason"] == "proportional by hours"
    mixed = run("weights", "preview", "--unimax", "2", "--budget", "9", "--by", "chunks", "--json")
    assert "weights are shares of seconds (WORKER_WEIGHT_UNIT), and these are by chunks" in str(document(mixed))


@pytest.mark.usefixtures("library")
def test_unimax_caps_what_would_repeat_too_often(run: Run) -> None:
    set_ = run("weights", "set", "--unimax", "2", "--budget", "9", "--json")
    # One chunk of calls may be heard 2 times. Two of music may be heard 4 times; their due is 3.5, as that of voice.
    assert document(set_)["weights"] == pytest.approx({"calls": 2 / 9, "music": 3.5 / 9, "voice": 3.5 / 9})
    assert "repeated 2 times, as often as is allowed: calls" in set_.stderr
    assert newest(run)["reason"] == "UniMax by chunks: 2 repeats, budget 9"
    beyond = run("weights", "set", "--unimax", "2", "--budget", "1e6", "--json")
    assert document(beyond)["weights"] == pytest.approx({"calls": 1 / 6, "music": 2 / 6, "voice": 3 / 6})
    assert "the budget is more than 2 times all chunks: the weights are proportional" in beyond.stderr


@pytest.mark.usefixtures("library")
def test_a_preview_stores_nothing_and_goes_by_the_budget(run: Run) -> None:
    words = ("weights", "preview", "--unimax", "2", "--budget", "9")
    shown = document(run(*words, "--json"))
    plays = {part["category"]: part["plays"] for part in shown["categories"]}
    assert shown["size"] == 9
    assert plays == pytest.approx({"calls": 2, "music": 1.75, "voice": 3.5 / 3})
    assert document(run(*words, "--size", "90", "--json"))["size"] == 90
    assert document(run("weights", "preview", "--proportional", "--json"))["size"] == 10_000
    assert document(run(*words, "--by", "hours", "--json"))["size"] == 10_000
    assert "as often as is allowed: calls" in run(*words).stderr
    assert "no change is in the history" in run("weights", "history").stdout


def test_the_real_library_is_weighed_by_its_sizes(run: Run, tmp_path: Path) -> None:
    assert run("catalog", "import", str(audioset_manifest(tmp_path))).returncode == 0
    counts = {row["category"]: row["count"] for row in document(run("catalog", "show", "--json"))}
    total = sum(counts.values())
    shares = document(run("weights", "set", "--proportional", "--json"))["weights"]
    assert shares == pytest.approx({name: count / total for name, count in counts.items()})
    shown = document(run("weights", "preview", "--unimax", "8", "--budget", "1e5", "--json"))
    assert max(part["plays"] for part in shown["categories"]) == pytest.approx(8)


def test_sizes_may_come_of_a_query(run: Run, database_url: str) -> None:
    execute(database_url, "create table own (id bigint, kind text, length float8)")
    execute(database_url, "insert into own values (1, 'voice', 3600), (2, 'voice', null), (3, 'music', 7200)")
    query = {"WORKER_CHUNKS_QUERY": "select id, kind as category, length as duration_s from own"}
    by_chunks = document(run("weights", "set", "--proportional", "--json", **query))
    assert by_chunks["weights"] == pytest.approx({"music": 1 / 3, "voice": 2 / 3})
    by_hours = run("weights", "set", "--proportional", "--by", "hours", "--json", **query)
    assert document(by_hours)["weights"] == pytest.approx({"music": 2 / 3, "voice": 1 / 3})
    assert "1 READY chunk not counted: no such name, or no duration" in by_hours.stderr
    lacking = {"WORKER_CHUNKS_QUERY": "select id, kind as category from own"}
    refused = run("weights", "set", "--proportional", "--by", "hours", **lacking)
    assert refused.returncode == 1
    assert "has to be a SELECT of id, category and duration_s" in refused.stderr


def test_an_empty_library_has_no_sizes(run: Run) -> None:
    refused = run("weights", "set", "--proportional", "--by", "hours")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "no category has READY chunks with a duration_s; accepted: a library where 1 to 10,000 have" in (
        refused.stderr
    )


@pytest.mark.parametrize(("words", "sentence"), OPTIONS, ids=[" ".join(words) for words, _ in OPTIONS])
def test_options_that_do_not_go_together_are_refused(run: Run, words: list[str], sentence: str) -> None:
    for verb in ("set", "preview"):
        refused = run("weights", verb, *words)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert sentence in refused.stderr


@pytest.mark.usefixtures("library")
def test_a_mix_from_elsewhere_is_stored_as_weights_are(run: Run, tmp_path: Path, start_worker: StartWorker) -> None:
    start_worker()
    (tmp_path / "mix.yaml").write_text(ENERGON)
    refused = run("weights", "import", "mix.yaml")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == (
        "sampling-worker: 2 sources of no category: './tunes', './wiki'; the library has calls, music, voice; "
        "accepted: --map ./tunes=CATEGORY, or --map ./tunes= to leave it out\n"
    )
    mapped = ("weights", "import", "mix.yaml", "--map", "./tunes=music", "--map", "./wiki=")
    tried = run(*mapped, "--dry-run")
    assert tried.returncode == 0
    assert "not stored" in tried.stdout
    assert "./tunes" in tried.stdout
    assert tried.stderr == "sampling-worker: left out, as --map says: ./wiki; their 10.0% go to the others\n"
    dry = document(run(*mapped, "--dry-run", "--json"))
    assert dry["weights"] == pytest.approx({"music": 1 / 3, "voice": 2 / 3})
    assert dry["sources"][2] == {"source": "./wiki", "weight": 1.0, "category": None}
    for more, status, sentence in (
        (("--for", "soon"), 2, "'soon' is no time span"),
        (("--if-version", "newest"), 2, "'newest' is no version"),
        (("--if-version", "0" * 12), 1, "is in force, set by"),
    ):
        checked = run(*mapped, "--dry-run", *more)
        assert (checked.returncode, checked.stdout) == (status, "")
        assert sentence in checked.stderr
    in_force = document(run("weights", "show", "--json"))["version"]
    assert run(*mapped, "--dry-run", "--for", "2h", "--if-version", in_force).returncode == 0
    assert "no change is in the history" in run("weights", "history").stdout

    stored = document(run(*mapped, "--reason", "fit of Monday", "--wait", "--json"))
    assert (stored["weights"], stored["version"], stored["applied"]) == (dry["weights"], dry["version"], ["w-1"])
    change = newest(run)
    assert (change["reason"], change["version_after"]) == ("import mix.yaml: fit of Monday", stored["version"])
    assert change["who"]
    stale = run(*mapped, "--dataset", "d", "--if-version", "0" * 12)
    assert (stale.returncode, "is in force" in stale.stderr) == (1, True)
    assert document(run(*mapped, "--for", "1h", "--dataset", "d", "--json"))["until_ms"] is not None


@pytest.mark.usefixtures("library")
def test_one_phase_of_a_mix_is_stored(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mix.json").write_text(json.dumps(PHASES))
    several = run("weights", "import", "mix.json")
    assert (several.returncode, several.stdout) == (2, "")
    told = "the file has 2 phases, and an import stores the weights of one; accepted: --phase with one of warm-up, main"
    assert f"{told}, or --as-schedule" in several.stderr
    unknown = run("weights", "import", "mix.json", "--phase", "last")
    assert "the file has no phase 'last'; accepted: --phase with one of warm-up, main" in unknown.stderr
    main = document(run("weights", "import", "mix.json", "--phase", "main", "--json"))
    assert main["weights"] == {"music": 0.75, "voice": 0.25}
    assert newest(run)["reason"] == "import mix.json, phase main"
    warm_up = run("weights", "import", "mix.json", "--phase", "warm-up", "--dry-run", "--json")
    assert document(warm_up)["phase"] == "warm-up"
    assert "phase warm-up would end at 1,000,000 chunks: these weights stay until somebody changes them" in (
        warm_up.stderr
    )


@pytest.mark.usefixtures("library")
def test_the_phases_of_a_mix_become_a_schedule_that_workers_follow(
    run: Run, tmp_path: Path, start_worker: StartWorker
) -> None:
    phases = [
        {"name": "warm-up", "until": {"chunks": 100}, "weights": {"speech": 1, "wiki": 1}},
        {"name": "main", "until": {"chunks": 300}, "weights": {"music": 1, "speech": 1}},
        {"name": "end", "until": {"chunks": 900}, "weights": {"music": 4}},
    ]
    (tmp_path / "mix.json").write_text(json.dumps({"phases": phases}))
    command = ("weights", "import", "mix.json", "--as-schedule", "--map", "speech=voice", "--map", "wiki=")
    said = (
        "sampling-worker: phase warm-up: left out, as --map says: wiki; their 50.0% go to the others\n"
        "sampling-worker: phase end would end at 900 chunks: these weights stay until somebody changes them\n"
    )
    tried = run(*command, "--floor", "voice=0.1", "--dry-run", "--json")
    assert tried.stderr == said
    steps = [(row["unit"], row["position"], row["weights"]) for row in document(tried)]
    last = {"music": pytest.approx(0.9), "voice": pytest.approx(0.1)}
    assert steps == [("chunks", 0, {"voice": 1}), ("chunks", 100, {"music": 0.5, "voice": 0.5}), ("chunks", 300, last)]
    assert document(run("adjust", "show", "--json")) == []

    [shadow] = document(run(*command, "--json"))
    assert (shadow["rule"], shadow["mode"], shadow["dataset"]) == ("schedule", "shadow", None)
    before = document(run("weights", "show", "--json"))["version"]
    start_worker()
    words = ("--mode", "on", "--floor", "voice=0.1", "--most-change", "none", "--between", "step", "--dataset", "d")
    [rule] = document(run(*command, *words, "--json"))
    assert (rule["mode"], rule["floor"], rule["most_change"]) == ("on", {"voice": 0.1}, None)
    assert rule["parameters"] == {
        "points": [
            {"at": 0.0, "weights": {"voice": 1.0}},
            {"at": 100.0, "weights": {"music": 1.0, "voice": 1.0}},
            {"at": 300.0, "weights": {"music": 4.0}},
        ],
        "unit": "chunks",
        "between": "step",
    }
    wait_until_sync(lambda: _is_at(run, 100), timeout_s=30, what="the rule begins")
    drawn = document(run("sample", "--size", "100", "--dataset", "d", "--json"))["counts"]
    assert drawn == {"voice": 100}
    wait_until_sync(lambda: _is_at(run, 300), timeout_s=30, what="the second phase begins")
    assert set(document(run("sample", "--size", "200", "--dataset", "d", "--json"))["counts"]) == {"voice", "music"}
    assert document(run("weights", "show", "--json"))["version"] == before


def _is_at(run: Run, next_at: int) -> bool:
    [rule] = document(run("adjust", "show", "--dataset", "d", "--json"))
    return bool(rule.get("next_at") == {"chunks": next_at})


@pytest.mark.usefixtures("library")
def test_weights_without_phases_become_a_schedule_of_one_point(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mix.json").write_text('{"voice": 3, "music": 1}')
    [rule] = document(run("weights", "import", "mix.json", "--as-schedule", "--mode", "off", "--json"))
    assert rule["parameters"]["points"] == [{"at": 0.0, "weights": {"music": 1.0, "voice": 3.0}}]
    assert rule["phase"] == "frozen"
    (tmp_path / "mix.json").write_text('{"vioce": 3, "music": 1}')
    refused = run("weights", "import", "mix.json", "--as-schedule")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "'vioce' (did you mean voice?)" in refused.stderr
    (tmp_path / "mix.json").write_text(json.dumps(PHASES))
    emptied = run("weights", "import", "mix.json", "--as-schedule", "--map", "voice=", "--map", "music=music")
    assert "phase warm-up: nothing is left that weighs anything" in emptied.stderr


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize(
    ("mix", "more", "sentence"),
    [
        ('{"voice": 1, "voice": 2}', [], "'voice' is given twice"),
        ('{"voice": 0.7}', ["--phase", "a"], "the file has no phases; accepted: without --phase a"),
        ('{"voice": 0.7}', ["--map", "tunes=music"], "--map: there is no source 'tunes'; accepted: 'voice'"),
        ('{"voice": 0.7}', ["--map", "music"], "--map 'music' is not accepted; accepted: --map THEIRS=OURS"),
        ('{"voice": 0.7}', ["--map", "voice=a", "--map", "voice=b"], "--map 'voice=b' names it twice"),
        ('{"vioce": 0.7}', [], "'vioce' (did you mean voice?); the library has calls, music, voice"),
        ('{"voice": 0}', [], "all weights are zero"),
        ("7", [], "this is no mix; accepted: an object of weights"),
    ],
)
def test_what_is_no_mix_is_status_2_and_one_sentence(
    run: Run, tmp_path: Path, mix: str, more: list[str], sentence: str
) -> None:
    (tmp_path / "mix.json").write_text(mix)
    refused = run("weights", "import", "mix.json", *more)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert len(refused.stderr.strip().splitlines()) == 1
    assert sentence in refused.stderr


def test_a_mix_is_taken_where_the_library_is_not_known(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "mix.json").write_text('{"weights": {"speech": 2, "songs": 2}}')
    alone = {name: value for name, value in settings.items() if name != "DATABASE_URL"}
    stored = run_command("weights", "import", "mix.json", "--json", settings=alone, cwd=tmp_path)
    assert document(stored)["weights"] == {"songs": 0.5, "speech": 0.5}
    assert "could not be checked: no worker runs" in stored.stderr
