"""The command line asks for batches of a budget in seconds, and foresees them."""

import json
from typing import Any

import pytest

from tests.e2e.conftest import Run, StartWorker
from tests.support.library import session
from tests.support.waiting import wait_until_sync

pytestmark = pytest.mark.any_redis

_INSERT = """
insert into audio_chunks (category, status, duration_s)
select case when n % 2 = 0 then 'voice' else 'music' end, 'READY', 1 + n % 10 from generate_series(0, 199) as n
"""


async def test_batches_are_asked_for_and_foreseen(run: Run, start_worker: StartWorker, database_url: str) -> None:
    async with session(database_url) as connection:
        await connection.execute(_INSERT)
    start_worker(WORKER_CATALOG_COLUMNS="duration_s")
    words = ("--budget-s", "60", "--buckets", "5", "--count", "20", "--columns", "duration_s", "--json")
    drawn = [json.loads(line) for line in run("sample", *words).stdout.splitlines()]
    rows = json.loads(run("weights", "preview", "voice=1", "music=1", *words[:4], "--json").stdout)["batches"]
    sizes = {row["chunks"] for row in rows}
    for one in drawn:
        assert max(one["durations_s"]) * len(one["durations_s"]) <= 60
        assert len(one["chunk_ids"]) in sizes
    [added] = run(
        "sample", "--budget-s", "60", "--budget", "sum", "--columns", "duration_s", "--json"
    ).stdout.splitlines()
    assert 50 < sum(json.loads(added)["durations_s"]) <= 60
    told = run("weights", "preview", "voice=1", "music=1", *words[:4]).stdout
    assert "batches of 60 s" in told
    assert "padding of all batches: " in told
    summed = run("weights", "preview", "voice=1", "music=1", "--budget-s", "60", "--budget", "sum")
    assert "batches of 60 s, summed" in summed.stdout
    padded = run("weights", "preview", "voice=1", "music=1", *words[:4], "--budget", "sum").stdout
    assert padded == told  # with several buckets they are the same
    unsaid = run("weights", "preview", "voice=1", "--budget", "sum")
    assert (unsaid.returncode, unsaid.stderr.count("--budget sum is of batches, and needs --budget-s")) == (2, 1)
    other = run("weights", "preview", "voice=1", "--budget-s", "60", "--budget", "sums")
    assert (other.returncode, other.stderr.count("or padded or sum")) == (2, 1)
    alone = run("weights", "preview", "voice=1", "--buckets", "5")
    assert (alone.returncode, alone.stderr.count("needs --budget-s")) == (2, 1)
    nothing = run("weights", "preview", "voic=1", *words[:4])
    assert (nothing.returncode, nothing.stderr.count("voic has no READY chunk; did you mean voice?")) == (2, 1)
    refused = run("sample", "--budget-s", "5")
    assert refused.returncode == 1
    assert "the longest chunk that can be drawn, of music, lasts 10 s; accepted: at least that" in refused.stdout
    too_short = run("weights", "preview", "voice=1", "--budget-s", "5")
    assert "the longest chunk that can be drawn, of voice, lasts 9 s; accepted: at least that" in too_short.stderr


async def test_a_chunk_that_is_taken_out_while_batches_are_drawn_bounds_them_no_more(
    run: Run, start_worker: StartWorker, database_url: str
) -> None:
    async with session(database_url) as connection:
        await connection.execute(_INSERT)
        taken = {row["id"] for row in await connection.fetch("select id from audio_chunks where duration_s = 10")}
    for name in ("w-1", "w-2"):
        start_worker(name, WORKER_CATALOG_COLUMNS="duration_s")

    def drawn(*words: str) -> list[dict[str, Any]]:
        asked = run("sample", "--budget-s", "90", "--columns", "duration_s", "--json", *words)
        return [json.loads(line) for line in asked.stdout.splitlines()]

    assert {len(one["chunk_ids"]) for one in drawn("--count", "8")} == {9}
    assert run("catalog", "quarantine", *map(str, sorted(taken)), "--reason", "too long").returncode == 0
    wait_until_sync(
        lambda: {len(one["chunk_ids"]) for one in drawn("--count", "8")} == {10},
        timeout_s=60,
        what="both workers cut batches without the chunks that last 10 s",
    )
    for one in [*drawn("--buckets", "5", "--count", "40"), *drawn("--budget", "sum", "--count", "40")]:
        assert not taken & set(one["chunk_ids"])
        assert max(one["durations_s"]) <= 9
    for one in drawn("--buckets", "5", "--count", "40"):
        assert 90 - 9 < max(one["durations_s"]) * len(one["chunk_ids"]) <= 90
