"""Limits of how often chunks are repeated: each warns once when it nears, and stops nothing."""

import json

import pytest

from tests.e2e.conftest import Run, StartWorker
from tests.e2e.test_serving import DEADLINE_S, insert
from tests.support.waiting import wait_until_sync

pytestmark = pytest.mark.any_redis


async def test_the_limit_of_a_session_is_told_by_one_worker_when_it_nears_and_when_it_is_reached(
    run: Run, start_worker: StartWorker, database_url: str
) -> None:
    await insert(database_url, {"voice": 10, "music": 10})
    workers = [start_worker(name, WORKER_STATS_INTERVAL_S="0.1") for name in ("w-1", "w-2")]
    limited = json.loads(run("session", "limit", "s", "4", "--json").stdout)
    assert (limited["repeats_limit"], limited["requests"]) == (4.0, 0)

    def told() -> list[tuple[str, str, int, bool]]:
        lines = [line for worker in workers for line in worker.events("mix.repeats")]
        assert {line["dataset"] for line in lines} <= {None}
        return [(line["session"], line["category"], line["drawn"], line["is_reached"]) for line in lines]

    def hear(count: int, size: int) -> None:
        ask = ("sample", "--session", "s", "--category", "voice", "--count", str(count), "--size", str(size))
        assert run(*ask).returncode == 0

    hear(31, 1)
    assert told() == []
    hear(1, 1)
    wait_until_sync(lambda: told() == [("s", "voice", 32, False)], timeout_s=DEADLINE_S, what="the limit nears")
    hear(1, 10)
    both = [("s", "voice", 32, False), ("s", "voice", 42, True)]
    wait_until_sync(lambda: sorted(told()) == both, timeout_s=DEADLINE_S, what="the limit is reached")
    hear(8, 1)
    assert run("session", "limit", "s", "6").returncode == 0
    hear(1, 1)
    wait_until_sync(lambda: len(told()) > 2, timeout_s=DEADLINE_S, what="another limit is told of")
    [again] = set(told()).difference(both)
    assert again in {("s", "voice", drawn, False) for drawn in (50, 51)}
    assert "limit: 6 repeats of a category" in run("session", "show", "s").stdout


def test_a_limit_is_set_and_removed_without_a_session_and_is_checked(run: Run) -> None:
    assert run("session", "limit", "s", "0").stdout == "there is no session 's', and so no limit\n"
    assert "limit: 0.5 repeats" in run("session", "limit", "s", "0.5", "--keep", "2h").stdout
    assert "ends in 2 h" in run("session", "show", "s").stdout
    assert run("session", "limit", "s", "0").stdout == "there is no session 's', and so no limit\n"
    for words, said in (
        (("0.0001",), "0.0001 repeats are not accepted; accepted: 0.001 to"),
        (("2e9",), "accepted"),
        (("x",), "accepted"),
        (("4", "--keep", "long"), "no time span"),
    ):
        refused = run("session", "limit", "s", *words)
        assert (refused.returncode, said in refused.stderr) == (2, True), refused.stderr


async def test_a_cap_in_shadow_is_a_limit_that_only_warns(
    run: Run, start_worker: StartWorker, database_url: str
) -> None:
    await insert(database_url, {"voice": 90, "music": 10})
    worker = start_worker()
    [rule] = json.loads(run("adjust", "set", "cap", "times=4", "--interval", "0.2s", "--json").stdout)
    assert rule["mode"] == "shadow"
    wait_until_sync(
        lambda: json.loads(run("adjust", "show", "--json").stdout)[0].get("step"),
        timeout_s=DEADLINE_S,
        what="the shadow begins",
    )
    for size, drawn, is_reached in ((35, 35, False), (10, 45, True)):
        heard = len(worker.events("mix.repeats"))
        assert run("sample", "--category", "music", "--size", str(size)).returncode == 0
        wait_until_sync(
            lambda: len(worker.events("mix.repeats")) > heard,  # noqa: B023 - it is called at once
            timeout_s=DEADLINE_S,
            what="the limit is told of",
        )
        line = worker.events("mix.repeats")[-1]
        told = (line["category"], line["session"], line["drawn"], line["limit"], line["is_reached"])
        assert told == ("music", None, drawn, 4, is_reached)
    sample = json.loads(run("sample", "--size", "400", "--method", "stratified", "--json").stdout)
    assert sample["counts"]["music"] > 0
    assert sample["weights_source"] == "default"
