"""`--wait` of the verbs that change the library: once they end, the next request is drawn from the library as it is."""

import json
import signal
from pathlib import Path

import pytest

from tests.e2e.conftest import Run, Settings, StartWorker
from tests.support.servers import execute

CHUNKS = 6


@pytest.fixture
def library(settings: Settings) -> None:
    rows = "select 'voice', 'READY', '/a/' || i || '.wav' from generate_series(1, 6) as i"
    execute(settings["DATABASE_URL"], f"insert into audio_chunks (category, status, path) {rows}")


def drawn(run: Run) -> set[int]:
    """Draw every chunk that the worker has READY."""
    result = json.loads(run("sample", "--size", "99", "--no-replace", "--json").stdout)
    most = int(result["message"].partition("at most the ")[2].partition(" ")[0])
    return set(json.loads(run("sample", "--size", str(most), "--no-replace", "--json").stdout)["chunk_ids"])


@pytest.mark.any_redis
@pytest.mark.usefixtures("library")
def test_once_a_verb_has_waited_every_request_goes_by_the_changed_library(
    run: Run, start_worker: StartWorker, tmp_path: Path
) -> None:
    for name in ("w-1", "w-2"):
        start_worker(name)
    for number in range(1, CHUNKS):
        ended = run("catalog", "quarantine", str(number), "--reason", "x", "--wait")
        assert ended.returncode == 0, ended
        assert "followed by 2 of 2 workers within" in ended.stdout
        assert f": {CHUNKS - number} READY chunk" in ended.stdout
        assert drawn(run) == set(range(number + 1, CHUNKS + 1))
    told = json.loads(run("catalog", "release", "1", "2", "--wait", "--json").stdout)
    assert (told["released"], sorted(told["applied"]), told["missing"]) == (["1", "2"], ["w-1", "w-2"], [])
    assert told["ready"] == 3
    assert drawn(run) == {1, 2, CHUNKS}
    assert "followed by 2 of 2" in run("catalog", "remove", "1", "--yes", "--wait").stdout
    assert drawn(run) == {2, CHUNKS}
    (tmp_path / "more.csv").write_text("path,category\n/b/1.wav,voice\n")
    assert "followed by 2 of 2" in run("catalog", "import", "more.csv", "--wait").stdout
    assert len(drawn(run)) == 3
    again = json.loads(run("catalog", "import", "more.csv", "--wait", "--json").stdout)
    assert (again["unchanged"], again["missing"], again["ready"]) == (1, [], 3)
    (tmp_path / "audio").mkdir()
    assert "followed by 2 of 2" in run("catalog", "scan", "audio", "--wait").stdout


@pytest.mark.any_redis
@pytest.mark.usefixtures("library")
def test_a_worker_that_does_not_follow_is_named_and_the_status_is_1(run: Run, start_worker: StartWorker) -> None:
    alone = run("catalog", "quarantine", "1", "--reason", "x", "--wait")
    assert (alone.returncode, alone.stdout) == (1, "1 chunk QUARANTINED; `catalog release` puts it back\n")
    assert "no worker is alive, so that none follows" in alone.stderr
    worker = start_worker("w-1")
    worker.send(signal.SIGSTOP)
    try:
        late = run("catalog", "release", "1", "--wait", "--timeout", "0.5", "--json")
    finally:
        worker.send(signal.SIGCONT)
    assert (late.returncode, json.loads(late.stdout)["missing"]) == (1, ["w-1"])
    assert "followed by 0 of 1 worker within 0.5 s; not by w-1" in late.stderr


@pytest.mark.any_redis
@pytest.mark.usefixtures("library")
def test_what_was_done_is_told_also_where_nobody_can_be_waited_for(run: Run) -> None:
    lost = run("catalog", "quarantine", "1", "99", "--reason", "x", "--wait", REDIS_URL="redis://127.0.0.1:9/0")
    assert lost.returncode == 3
    assert "1 chunk QUARANTINED" in lost.stdout
    assert "no chunk of id or path '99'" in lost.stderr
    assert "is not reachable" in lost.stderr
    told = run("catalog", "release", "1", "--wait", "--json", REDIS_URL="redis://127.0.0.1:9/0")
    assert (told.returncode, json.loads(told.stdout)["released"]) == (3, ["1"])
    missing = run("catalog", "quarantine", "99", "--reason", "x", "--wait", REDIS_URL="")
    assert (missing.returncode, missing.stdout) == (2, "")


@pytest.mark.any_redis
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("scan", ".", "--watch", "--wait"), "--wait and --watch exclude each other"),
        (("scan", ".", "--dry-run", "--wait"), "--wait and --dry-run exclude each other"),
        (("remove", "1", "--timeout", "3"), "--timeout is for --wait"),
        (("quarantine", "--list", "--wait"), "--wait is not for --list"),
    ],
)
def test_a_wait_that_makes_no_sense_is_refused(run: Run, words: tuple[str, ...], said: str) -> None:
    ended = run("catalog", *words)
    assert (ended.returncode, said in ended.stderr) == (2, True)
