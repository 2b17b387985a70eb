"""Weights as shares of audio time, from a manifest to the proof of what was heard."""

import json
import math
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import scipy
from redis.asyncio import Redis

from tests.e2e.conftest import Run, StartWorker
from tests.e2e.test_serving import read_all, wait_results
from tests.support.manifest import audioset_manifest
from tests.support.waiting import wait_until

pytestmark = pytest.mark.any_redis  # tests of the scripts count seconds on both

BY_SECONDS = {"WORKER_WEIGHT_UNIT": "seconds"}
FALSE_ALARM = 1e-6
WEIGHTS = {"voice": 0.5, "music": 0.3, "documentary": 0.2}
STRETCH = """
update audio_chunks set duration_s = duration_s
  * (case category when 'music' then 18 when 'documentary' then 0.31 else 1 end) * (1 + id % 7)"""


async def _add(client: Redis, prefix: str, requests: list[dict[Any, Any]]) -> list[str]:
    pipeline = client.pipeline(transaction=False)
    for fields in requests:
        pipeline.xadd(f"{prefix}:sample:requests", fields)
    return [entry.decode() for entry in await pipeline.execute()]


async def _durations_ms(database_url: str) -> dict[int, tuple[str, int]]:
    connection = await asyncpg.connect(database_url)
    rows = await connection.fetch("select id, category, round(duration_s * 1000)::int as ms from audio_chunks")
    await connection.close()
    return {row["id"]: (row["category"], row["ms"]) for row in rows}


async def test_the_audioset_library_is_heard_by_seconds(
    redis_client: Redis, prefix: str, database_url: str, run: Run, start_worker: StartWorker, tmp_path: Path
) -> None:
    """With two workers, every id's duration is looked up, and shares of seconds are compared with the weights."""
    assert run("catalog", "import", str(audioset_manifest(tmp_path))).returncode == 0
    connection = await asyncpg.connect(database_url)
    await connection.execute(STRETCH)
    await connection.close()
    workers = [start_worker(name, **BY_SECONDS) for name in ("w-1", "w-2")]
    assert {worker.events("worker.started")[0]["weight_unit"] for worker in workers} == {"seconds"}
    await redis_client.set(f"{prefix}:category:weights", json.dumps(WEIGHTS))
    asked = await _add(redis_client, prefix, [{"size": 100}] * 1000)

    results = await wait_results(redis_client, f"{prefix}:sample:results", 1000)

    assert Counter(result["entry_id"] for result in results) == Counter(asked)
    lasting = await _durations_ms(database_url)
    drawn_ms: dict[str, list[int]] = defaultdict(list)
    for result in results:
        of_result: Counter[str] = Counter()
        for chunk in json.loads(result["chunk_ids"]):
            category, milliseconds = lasting[chunk]
            of_result[category] += milliseconds
            drawn_ms[category].append(milliseconds)
        assert {name: round(s * 1000) for name, s in json.loads(result["seconds"]).items()} == of_result
    assert drawn_ms.keys() == WEIGHTS.keys()
    total = sum(sum(own) for own in drawn_ms.values())
    squares = {name: sum(ms * ms for ms in own) for name, own in drawn_ms.items()}
    for name, weight in WEIGHTS.items():
        off = sum(drawn_ms[name]) - weight * total  # a sum over draws of d ([c] - w), by its own squares
        spread = math.sqrt(squares[name] * (1 - 2 * weight) + weight**2 * sum(squares.values()))
        assert 2 * scipy.stats.norm.sf(abs(off / spread)) > FALSE_ALARM / 3, (name, sum(drawn_ms[name]) / total)
    assert abs(len(drawn_ms["music"]) / 100_000 - WEIGHTS["music"]) > 0.2, "the shares of chunks are others"


async def test_stats_are_the_results_added_up_whatever_was_asked_for(
    redis_client: Redis, prefix: str, run: Run, start_worker: StartWorker, tmp_path: Path
) -> None:
    assert run("catalog", "import", str(audioset_manifest(tmp_path))).returncode == 0
    worker = start_worker(**BY_SECONDS, WORKER_STATS_INTERVAL_S="0.2")
    requests: list[dict[Any, Any]] = [
        {"size": 20},
        {"size": 7, "method": "stratified"},
        {"size": 60_000, "replace": 0},
        {"size": 60, "replace": 0, "category": "documentary"},
        {"size": 5, "preset": "balanced", "encoding": "packed"},
        {"size": 9, "session": "s", "method": "epoch"},
        {"size": 3, "category": "nobody"},
        {"size": 4, "seed": 7},
    ]
    asked = await _add(redis_client, prefix, requests * 25)
    stream: Any = await wait_results_raw(redis_client, f"{prefix}:sample:results", len(asked))
    counts: Counter[str] = Counter()
    milliseconds: Counter[str] = Counter()
    for fields in stream:
        counts.update(json.loads(fields.get(b"counts", b"{}")))
        milliseconds.update({k: round(v * 1000) for k, v in json.loads(fields.get(b"seconds", b"{}")).items()})
    told = json.loads(run("stats", "--json").stdout)
    by_category: Counter[str] = Counter()
    chunks: Counter[str] = Counter()
    for row in told["categories"]:
        by_category[row["category"]] += round(row["seconds"] * 1000)
        chunks[row["category"]] += row["count"]
    assert +by_category == milliseconds
    assert +chunks == counts
    assert (told["requests"], told["errors"], told["mixed"]) == (200, 50, False)
    assert "seconds" in run("stats").stdout
    of_session = json.loads(run("stats", "--session", "s", "--json").stdout)
    assert sum(row["count"] for row in of_session["categories"]) == 9 * 25
    assert all(row["seconds"] > 0 or not row["count"] for row in of_session["categories"])

    def heard() -> bool:
        told: int = sum(line["count"] for line in worker.events("category.stats"))
        return told == sum(counts.values())

    await wait_until(heard, timeout_s=30, what="all is told")
    lines = worker.events("category.stats")
    assert sum(round(line["audio_s"] * 1000) for line in lines) == sum(milliseconds.values())
    assert all(0 <= line["share"] <= 1 and line["expected"] >= 0 for line in lines)


async def wait_results_raw(client: Redis, stream: str, count: int) -> list[dict[bytes, bytes]]:
    """Wait for results of which some are packed."""

    async def enough() -> bool:
        return int(await client.xlen(stream)) >= count

    await wait_until(enough, timeout_s=30, what=f"{count} results")
    entries: Any = await client.xrange(stream)
    return [fields for _, fields in entries]


async def test_check_fits_by_seconds_and_leaves_nothing(
    run: Run, start_worker: StartWorker, redis_client: Redis, prefix: str, tmp_path: Path
) -> None:
    manifest = tmp_path / "library.csv"
    kinds = [("voice", 3.0), ("music", 200.0), ("documentary", 60.0), ("brief", 0.05)]
    lines = [f"{i}-{n}.flac,{n},READY,{d * (0.2 + i % 17 / 8)}" for i in range(300) for n, d in kinds]
    manifest.write_text("\n".join(["path,category,status,duration_s", *lines, "none.flac,voice,READY,", ""]))
    assert run("catalog", "import", str(manifest)).returncode == 0
    worker = start_worker(**BY_SECONDS)
    assert worker.events("catalog.loaded")[0]["ignored"] == 1
    before = {key async for key in redis_client.scan_iter(match=f"{prefix}*")}
    checked = run("check", "--samples", "30000", "--significance", "1e-6", "--json")
    document = json.loads(checked.stdout)
    assert (checked.returncode, document["fits"], document["problem"]) == (0, True, None), checked.stdout
    for entry in document["rounds"]:
        assert sum(row["count"] for row in entry["rows"]) == entry["drawn"] == 30_000
        assert all(row["seconds"] > 0 for row in entry["rows"])
    shown = run("check", "--samples", "2000", "--significance", "1e-6")
    assert "seconds" in shown.stdout
    assert "fits the weights" in shown.stdout
    assert {key async for key in redis_client.scan_iter(match=f"{prefix}*")} == before
    assert all(b":check-" not in name for name in await redis_client.hkeys(f"{prefix}:sample:stats"))


async def test_workers_that_differ_in_their_unit_are_told_of(
    run: Run, start_worker: StartWorker, redis_client: Redis, prefix: str, tmp_path: Path
) -> None:
    manifest = tmp_path / "library.csv"
    manifest.write_text("path,category,status,duration_s\na,voice,READY,2\nb,music,READY,30\n")
    assert run("catalog", "import", str(manifest)).returncode == 0
    start_worker("w-1", **BY_SECONDS)
    await _add(redis_client, prefix, [{"size": 8}])
    await wait_results(redis_client, f"{prefix}:sample:results", 1)
    left_out = run("stats").stderr.splitlines()
    assert [line.partition(" has no READY chunk")[0] for line in left_out] == [
        "sampling-worker: global weights: conference",
        "sampling-worker: global weights: documentary",
    ]
    start_worker("w-2")
    differ = "live workers differ in WORKER_WEIGHT_UNIT: w-1 has seconds, w-2 has chunks; accepted: the same"
    told = run("stats", "--json")
    assert differ in told.stderr
    assert told.returncode == 0
    checked = run("check", "--samples", "1000", "--json")
    assert (checked.returncode, differ in json.loads(checked.stdout)["problem"]) == (1, True)

    async def mixed() -> bool:
        await _add(redis_client, prefix, [{"size": 8}] * 50)
        return bool(json.loads(run("stats", "--json").stdout)["mixed"])

    await wait_until(mixed, timeout_s=60, what="both workers have drawn")
    assert "some by seconds" in run("stats").stderr
    run("stats", "--clear")
    results = await read_all(redis_client, f"{prefix}:sample:results")
    assert len({result["catalog_version"] for result in results}) == 2


async def test_a_query_without_durations_is_told_by_an_event(
    redis_client: Redis, prefix: str, start_worker: StartWorker
) -> None:
    query = "select id, category from audio_chunks"
    worker = start_worker(**BY_SECONDS, WORKER_CHUNKS_QUERY=query, WORKER_CATALOG_WAIT_S="0.1")
    await _add(redis_client, prefix, [{"size": 8}])
    (result,) = await wait_results(redis_client, f"{prefix}:sample:results", 1)
    assert result["error"] == "catalog_unavailable"
    assert "has to be a SELECT of id, category and duration_s" in worker.events("postgres.lost")[0]["message"]
