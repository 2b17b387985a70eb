"""Splits and columns from a table to the terminal."""

import json

import pytest

from tests.e2e.conftest import Run, StartWorker
from tests.support.library import session

pytestmark = pytest.mark.any_redis

FILL = """
insert into audio_chunks (category, status, split, path, start_s, duration_s)
select (array['voice', 'music'])[1 + i % 2], 'READY', (array[null, 'train', 'val'])[1 + i % 3], 'f' || i, i, 2.5
from generate_series(1, 60) as i"""


async def test_splits_and_columns_are_said_where_people_look(
    run: Run, start_worker: StartWorker, database_url: str
) -> None:
    async with session(database_url) as connection:
        await connection.execute(FILL)
    start_worker(WORKER_CATALOG_COLUMNS="path,start_s")
    asked = ("sample", "--size", "9", "--split", "val", "--columns", "category,start_s,path")
    [result] = [json.loads(line) for line in run(*asked, "--json").stdout.splitlines()]
    ids = result["chunk_ids"]
    assert result["split"] == "val"
    assert {chunk % 3 for chunk in ids} == {2}
    assert result["categories"] == [("voice", "music")[chunk % 2] for chunk in ids]
    assert result["starts_s"] == [float(chunk) for chunk in ids]
    assert result["paths"] == [f"f{chunk}" for chunk in ids]
    assert "  ids: " in run("sample", "--category", "music").stdout.splitlines()[1]
    shown = run(*asked).stdout
    assert "split val" in shown
    assert "paths" in shown
    refused = run("sample", "--columns", "duration_s")
    assert refused.returncode == 1
    assert "column duration_s is not held by this worker; accepted: category, start_s, path, or" in refused.stdout

    counts = json.loads(run("stats", "--json").stdout)
    assert counts["splits"] == {"val": {"requests": 2, "chunks": 18}}
    assert "split val: 2 requests, 18 chunks" in run("stats").stdout
    rows = json.loads(run("catalog", "show", "--json").stdout)
    assert {(row["category"], row["split"]): row["count"] for row in rows} == {
        (category, split): 10 for category in ("music", "voice") for split in (None, "train", "val")
    }
    assert "split" in run("catalog", "show").stdout
    dev = run("sample", "--split", "dev")
    assert "no READY chunk is of split dev; accepted: train, val, or no split" in dev.stdout
