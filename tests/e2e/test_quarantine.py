"""`catalog quarantine` and `release` as a user runs them, and what a worker draws after."""

import json
import re
from pathlib import Path

import pytest

from tests.e2e.conftest import Run, StartWorker
from tests.support.waiting import wait_until_sync

LIMIT_S = 60
FILES = "path,category\n" + "".join(f"/a/{number}.wav,voice\n" for number in range(1, 9))


@pytest.fixture
def manifest(tmp_path: Path, run: Run) -> Path:
    path = tmp_path / "library.csv"
    path.write_text(FILES)
    assert run("catalog", "import", str(path)).returncode == 0
    return path


def drawn(run: Run) -> set[int]:
    """Draw so often that each of eight READY chunks is missed with a chance below 1e-13."""
    [sampled] = run("sample", "--size", "256", "--json").stdout.splitlines()
    return set(json.loads(sampled)["chunk_ids"])


def test_no_worker_draws_what_is_taken_out(run: Run, start_worker: StartWorker, manifest: Path) -> None:
    for name in ("w-1", "w-2"):
        start_worker(name)
    assert drawn(run) == set(range(1, 9))
    asked = ("1", "/a/2.wav", "a/3.wav", "99", "--reason", "hum", "--who", "ada", "--wait")
    taken = run("catalog", "quarantine", *asked)
    assert taken.returncode == 1
    assert taken.stdout.startswith("2 chunks QUARANTINED; `catalog release` puts them back\n")
    assert taken.stderr.splitlines() == [
        "sampling-worker: there is no chunk of id or path 'a/3.wav'; did you mean '/a/3.wav'?",
        "sampling-worker: there is no chunk of id or path '99'",
    ]
    assert [drawn(run) for _ in range(4)] == [set(range(3, 9))] * 4
    again = run("catalog", "import", str(manifest))
    assert "2 chunks stay QUARANTINED; `catalog release` puts them back" in again.stderr
    assert [drawn(run) for _ in range(4)] == [set(range(3, 9))] * 4
    assert run("catalog", "release", "1", "2").stdout == "2 chunks released\n"
    wait_until_sync(lambda: drawn(run) == set(range(1, 9)), timeout_s=LIMIT_S, what="the chunks are drawn again")


@pytest.mark.any_redis
def test_a_path_in_another_folder_or_in_other_letters_is_asked_for(run: Run, tmp_path: Path) -> None:
    apart, whole = "/d/e\u0301t\u0301e.wav", "/d/n\u00e9.wav"
    paths = (apart, whole, "/d/100%_sure.wav", "/d/100x-sure.wav", "/d/back\\slash.wav")
    (tmp_path / "l.csv").write_text("path,category\n" + "".join(f"{path},voice\n" for path in paths), encoding="utf-8")
    assert run("catalog", "import", "l.csv").returncode == 0
    for name, near in (
        ("/d/\u00e9t\u0301e.wav", apart),
        ("/d/ne\u0301.wav", whole),
        ("/else/where/n\u00e9.wav", whole),
        ("100%_sure.wav", "/d/100%_sure.wav"),
        ("back\\slash.wav", "/d/back\\slash.wav"),
        ("100_sure.wav", None),
        ("", None),
    ):
        said = f"; did you mean {near!r}?" if near else ""
        taken = run("catalog", "quarantine", name, "--reason", "x")
        assert (taken.returncode, taken.stdout) == (1, "0 chunks QUARANTINED\n")
        assert taken.stderr == f"sampling-worker: there is no chunk of id or path {name!r}{said}\n"
        removed = run("catalog", "remove", "--path", name, "--yes")
        assert (removed.returncode, f"did you mean {near!r}?" in removed.stderr) == (1, near is not None)


@pytest.mark.any_redis
@pytest.mark.usefixtures("manifest")
def test_what_is_taken_out_is_listed(run: Run) -> None:
    assert run("catalog", "quarantine", "--list").stdout == "no chunk is taken out\n"
    assert json.loads(run("catalog", "quarantine", "1", "2", "--reason", "hum", "--json").stdout) == {
        "quarantined": ["1", "2"],
        "already": [],
        "unknown": [],
    }
    twice = run("catalog", "quarantine", "2", "--reason", "hum")
    assert (twice.returncode, twice.stderr) == (0, "sampling-worker: already QUARANTINED: 2\n")
    assert "QUARANTINED" in run("catalog", "show").stdout
    free = run("catalog", "release", "1", "3", "--who", "bob", "--json")
    assert (free.returncode, json.loads(free.stdout)) == (1, {"released": ["1"], "free": ["3"], "unknown": []})
    assert free.stderr == "sampling-worker: not in quarantine: 3\n"
    listed = run("catalog", "quarantine", "--list", COLUMNS="200").stdout.splitlines()
    assert listed[0] == "1 chunk taken out"
    assert re.split(r"  +", listed[3])[:3] == ["2", "/a/2.wav", "READY"]
    [first, second] = json.loads(run("catalog", "quarantine", "--list", "--all", "--json").stdout)
    assert (first["id"], first["released_by"], first["status"]) == ("1", "bob", "READY")
    assert (second["id"], second["released_at"], second["status"], second["reason"]) == (
        "2",
        None,
        "QUARANTINED",
        "hum",
    )


@pytest.mark.any_redis
@pytest.mark.usefixtures("manifest")
def test_many_unknown_names_are_cut(run: Run) -> None:
    ended = run("catalog", "quarantine", *map(str, range(100, 113)), "--reason", "x")
    assert ended.returncode == 1
    assert len(ended.stderr.splitlines()) == 11
    assert "of 3 more names; --json lists all" in ended.stderr


@pytest.mark.any_redis
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["quarantine", "--reason", "x"], "accepted are ids and paths"),
        (["quarantine", "1"], "--reason is missing"),
        (["quarantine", "1", "--reason", " "], "--reason is missing"),
        (["quarantine", "1", "--list"], "names is not for --list"),
        (["quarantine", "1", "--reason", "x", "--all"], "--all is for --list, which is not given"),
        (["release"], "accepted are ids and paths"),
    ],
)
def test_words_that_say_too_little_are_refused(run: Run, words: list[str], said: str) -> None:
    ended = run("catalog", *words)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert said in ended.stderr
