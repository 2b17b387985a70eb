"""`exclude` as a user runs it, and requests that name a list: exact from the first request after a change on."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from tests.e2e.conftest import Run, Settings, StartWorker
from tests.support.servers import execute
from tests.support.waiting import wait_until
from worker.client import SampleClient

CHUNKS = 40


@pytest.fixture
def library(settings: Settings) -> None:
    """Twenty chunks of voice, with odd ids, and twenty of music."""
    rows = "select case when i % 2 = 1 then 'voice' else 'music' end, 'READY' from generate_series(1, 40) as i"
    execute(settings["DATABASE_URL"], f"insert into audio_chunks (category, status) {rows}")
    execute(settings["DATABASE_URL"], "update audio_chunks set split = 'val' where id > 36")


def drawn(run: Run, *fields: str) -> dict[str, Any]:
    [line] = run("sample", "--json", *fields).stdout.splitlines()
    found: dict[str, Any] = json.loads(line)
    return found


@pytest.mark.usefixtures("library")
def test_a_list_holds_for_whoever_names_it(run: Run, start_worker: StartWorker, tmp_path: Path) -> None:
    for name in ("w-1", "w-2"):
        start_worker(name)
    refused = drawn(run, "--exclude", "held")
    assert (refused["error"], refused["message"]) == (
        "unknown_exclude",
        "there is no exclusion list held; accepted: a list that `sampling-worker exclude add held ID` has made",
    )
    (tmp_path / "ids.txt").write_text("3\n5\n77\n")
    assert run("exclude", "add", "held", "1", "--from", "ids.txt").stdout == "held: 4 ids, 0 before\n"
    every = ("--size", "17", "--no-replace", "--category", "voice")
    without = drawn(run, *every[:1], "15", *every[2:], "--exclude", "held")
    assert set(without["chunk_ids"]) == {*range(7, 37, 2)}
    assert drawn(run, *every, "--exclude", "held")["error"] == "too_few_chunks"
    assert drawn(run, "--size", "18", "--no-replace", "--category", "voice")["status"] == "ok"
    assert run("exclude", "remove", "held", "3", "5", "9").stdout == "held: 2 ids, 4 before\n"
    assert {3, 5} < set(drawn(run, *every, "--exclude", "held")["chunk_ids"])
    ready = drawn(run, "--probabilities", "--split", "val", "--exclude", "held")["ready"]
    assert ready == {"music": 2, "voice": 2}
    assert run("exclude", "show", "held").stdout == "1\n77\n"
    [listed] = json.loads(run("exclude", "list", "--json").stdout)
    assert (listed["name"], listed["ids"]) == ("held", 2)
    assert run("exclude", "clear", "held").stdout == "deleted; requests with exclude=held are refused now\n"
    assert drawn(run, "--exclude", "held")["error"] == "unknown_exclude"
    assert run("exclude", "clear", "held").returncode == 1


@pytest.mark.any_redis
@pytest.mark.usefixtures("library")
def test_where_the_share_of_a_category_goes_that_a_list_keeps_out_is_said(run: Run, start_worker: StartWorker) -> None:
    start_worker()
    assert run("weights", "set", "voice=0.7", "music=0.3").returncode == 0
    assert run("exclude", "add", "odd", *map(str, range(1, 40, 2))).returncode == 0
    asked = run("sample", "--exclude", "odd", "--size", "9")
    assert "left out, without READY chunks outside exclusion list odd: voice; the others get the share" in asked.stdout
    assert "voice has no READY chunk: its 70.0% go to music" in run("weights", "preview", "--exclude", "odd").stdout
    of_category = drawn(run, "--exclude", "odd", "--category", "voice")
    assert "outside exclusion list odd is READY" in of_category["message"]
    few = drawn(run, "--exclude", "odd", "--size", "99", "--no-replace")
    assert "at most the 18 READY chunks of music outside exclusion list odd" in few["message"]
    assert run("exclude", "add", "odd", *map(str, range(2, 41, 2))).returncode == 0
    assert "outside exclusion list odd" in drawn(run, "--exclude", "odd")["message"]


@pytest.mark.any_redis
@pytest.mark.usefixtures("library")
def test_ids_of_another_kind_than_those_of_the_library_are_said(run: Run, start_worker: StartWorker) -> None:
    start_worker()
    added = run("exclude", "add", "wrong", "00000000-0000-0000-0000-000000000001")
    assert added.returncode == 0
    assert "of another kind than uuid: requests that name wrong are refused" in added.stderr
    assert run("exclude", "add", "right", "1").stderr == ""
    assert "1 id of 2 was not on right" in run("exclude", "remove", "right", "1", "2").stderr
    refused = run("weights", "preview", "--exclude", "wrong")
    assert (refused.returncode, "those of the library are numbers" in refused.stderr) == (2, True)


@pytest.mark.any_redis
@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["add", "a b", "1"], 2, "exclusion list 'a b' is not accepted"),
        (["add", "held"], 2, "accepted are ids and --from FILE"),
        (["add", "held", "x"], 2, "'x' is no chunk id"),
        (["add", "held", "1", "00000000-0000-0000-0000-000000000001"], 2, "ids of one kind"),
        (["add", "held", "--from", "none.txt"], 2, "cannot be read"),
        (["remove", "held", "1"], 1, "there is no exclusion list held"),
        (["show", "held"], 1, "there is no exclusion list held"),
    ],
)
def test_what_is_wrong_is_said(run: Run, words: list[str], status: int, said: str) -> None:
    ended = run("exclude", *words)
    assert (ended.returncode, ended.stdout) == (status, "")
    assert said in ended.stderr


@pytest.mark.any_redis
@pytest.mark.usefixtures("library")
def test_the_first_request_after_a_change_follows_it(run: Run, start_worker: StartWorker, settings: Settings) -> None:
    """Requests of every method, each at once after a change of their list."""
    for name in ("w-1", "w-2"):
        start_worker(name)
    run("exclude", "add", "held", "1")

    def ask(client: SampleClient, number: int) -> set[int]:
        every: list[dict[str, Any]] = [
            {},
            {"method": "stratified"},
            {"session": "s", "method": "epoch"},
            {"category": "voice", "replace": False, "size": 8},
            {"replace": False, "size": 35},
        ]
        return {int(one) for one in client.sample(**{"size": 64, "exclude": "held", **every[number]}).chunk_ids}

    with SampleClient(settings["REDIS_URL"], prefix=settings["WORKER_PREFIX"]) as client:
        for turn in range(6):
            excluded = {1, *range(3 + 10 * (turn % 3), 13 + 10 * (turn % 3))}
            others = " ".join(map(str, (*excluded, *range(10**6, 10**6 + 2000))))
            Path(settings["WORKER_RUN_DIR"], "ids").write_text(others)
            run("exclude", "add", "held", "--from", str(Path(settings["WORKER_RUN_DIR"], "ids")))
            for number in range(4):
                assert not ask(client, number) & excluded
            gone = " ".join(map(str, excluded - {1}))
            run("exclude", "remove", "held", *gone.split())
            assert ask(client, 4) == {*range(2, 37)}


@pytest.mark.any_redis
@pytest.mark.usefixtures("library")
def test_a_list_that_cannot_be_used_is_told(run: Run, start_worker: StartWorker, settings: Settings) -> None:
    start_worker()
    prefix = settings["WORKER_PREFIX"]

    async def put(value: str) -> None:
        async with Redis.from_url(settings["REDIS_URL"]) as client:
            await client.set(f"{prefix}:sample:exclude:held", value)

    asyncio.run(put("junk"))
    refused = drawn(run, "--exclude", "held")
    assert refused["error"] == "unknown_exclude"
    assert "exclusion list held is refused" in refused["message"]
    assert "accepted: `sampling-worker exclude clear held`" in run("exclude", "show", "held").stderr
    run("exclude", "clear", "held")
    run("exclude", "add", "held", "00000000-0000-0000-0000-000000000001")
    assert "it holds ids of kind uuid" in drawn(run, "--exclude", "held")["message"]


@pytest.mark.any_redis
@pytest.mark.usefixtures("library")
def test_a_chunk_that_comes_later_is_held_back(run: Run, start_worker: StartWorker, settings: Settings) -> None:
    start_worker()
    run("exclude", "add", "held", "41")
    assert drawn(run, "--exclude", "held")["status"] == "ok"
    execute(
        settings["DATABASE_URL"],
        "insert into audio_chunks (category, status) values ('custom', 'READY'), ('voice', 'READY')",
    )

    async def is_there() -> bool:
        return bool(drawn(run, "--category", "custom").get("chunk_ids"))

    asyncio.run(wait_until(is_there, timeout_s=60, what="the new chunk is drawn"))
    assert drawn(run, "--category", "custom", "--exclude", "held")["error"] == "no_ready_chunks"
    ids = drawn(run, "--category", "voice", "--size", "2000", "--exclude", "held")["chunk_ids"]
    assert 42 in ids
