"""A worker process against real servers: life cycle, exactly one result, weights in force."""

import json
import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import redis
import scipy
from redis.asyncio import Redis

from tests.e2e.conftest import Run, StartWorker
from tests.support.command import RunningWorker
from tests.support.manifest import audioset_manifest
from tests.support.waiting import wait_until, wait_until_sync

DEADLINE_S = 60.0


async def insert(database_url: str, counts: dict[str, int]) -> None:
    connection = await asyncpg.connect(database_url)
    for category, count in counts.items():
        await connection.execute(
            "insert into audio_chunks (category, status) select $1, 'READY' from generate_series(1, $2::int)",
            category,
            count,
        )
    await connection.close()


async def add(client: Redis, prefix: str, **fields: int) -> str:
    words = [word for pair in fields.items() for word in pair]
    untyped: Any = client
    entry: bytes = await untyped.execute_command("XADD", f"{prefix}:sample:requests", "*", *words)
    return entry.decode()


async def read_all(client: Redis, stream: str) -> list[dict[str, str]]:
    entries: Any = await client.xrange(stream)
    return [{k.decode(): v.decode() for k, v in fields.items()} for _, fields in entries]


async def wait_results(client: Redis, stream: str, count: int) -> list[dict[str, str]]:
    async def enough() -> bool:
        return int(await client.xlen(stream)) >= count

    await wait_until(enough, timeout_s=DEADLINE_S, what=f"{count} results")
    return await read_all(client, stream)


@pytest.mark.any_redis
async def test_acceptance_of_the_audioset_library(
    redis_client: Redis, prefix: str, database_url: str, run: Run, start_worker: StartWorker, tmp_path: Path
) -> None:
    manifest = audioset_manifest(tmp_path)
    assert run("catalog", "import", str(manifest)).returncode == 0
    start_worker()
    weights = {"voice": 0.7, "music": 0.2, "documentary": 0.1}
    await redis_client.set(f"{prefix}:category:weights", json.dumps(weights))
    await redis_client.publish(f"{prefix}:category:weights", "changed")
    asked = [await add(redis_client, prefix, size=100) for _ in range(1000)]

    results = await wait_results(redis_client, f"{prefix}:sample:results", 1000)

    assert Counter(result["entry_id"] for result in results) == Counter(asked)
    connection = await asyncpg.connect(database_url)
    rows = await connection.fetch("select id, category from audio_chunks where status = 'READY'")
    await connection.close()
    category_of = {row["id"]: row["category"] for row in rows}
    drawn: Counter[str] = Counter()
    for result in results:
        assert result["status"] == "ok"
        seen = Counter(category_of[chunk] for chunk in json.loads(result["chunk_ids"]))
        assert dict(seen) == json.loads(result["counts"])
        drawn.update(seen)
    assert drawn.keys() == weights.keys()
    assert (
        scipy.stats.chisquare([drawn[name] for name in weights], [100_000 * w for w in weights.values()]).pvalue > 1e-6
    )
    pending = await redis_client.xpending(f"{prefix}:sample:requests", "samplers")
    assert pending["pending"] == 0
    assert await redis_client.xlen(f"{prefix}:sample:requests") == 0


async def test_no_request_is_answered_under_weights_older_than_it(
    redis_client: Redis, prefix: str, database_url: str, start_worker: StartWorker
) -> None:
    await insert(database_url, {"voice": 50, "music": 50})
    for consumer in ("w-1", "w-2"):
        start_worker(consumer)
    chance = random.Random(7)
    key, versions, asked = f"{prefix}:category:weights", [], {}
    for change in range(1000):
        weights = {"voice": change + 1, "music": 1}
        await redis_client.set(key, json.dumps(weights))
        if chance.random() < 0.5:
            await redis_client.publish(key, "x")
        versions.append(json.dumps(weights))
        for _ in range(chance.randrange(4)):
            asked[await add(redis_client, prefix, size=1, probabilities=1)] = change

    results = await wait_results(redis_client, f"{prefix}:sample:results", len(asked))

    assert Counter(result["entry_id"] for result in results) == Counter(asked.keys())
    for result in results:
        share = json.loads(result["weights"])["voice"]
        drawn_under = round(share / (1 - share)) - 1
        assert drawn_under >= asked[result["entry_id"]]


@pytest.mark.fault("workers of a session are killed: every chunk comes once a pass")
async def test_every_chunk_comes_once_a_pass_though_workers_are_killed(
    redis_client: Redis, prefix: str, database_url: str, start_worker: StartWorker
) -> None:
    """Eight workers share one session, and half of them are killed while they draw for it."""
    await insert(database_url, {"voice": 700, "music": 60})
    workers = [start_worker(f"w-{i}", ready=False, WORKER_CLAIM_IDLE_S="0.5", WORKER_BATCH="16") for i in range(8)]
    for worker in workers:
        worker.wait_ready()
    asked: list[str] = []
    for victim in workers[:4]:
        pipeline = redis_client.pipeline(transaction=False)
        for i in range(250):
            fields: dict[Any, Any] = {"session": "s", "method": "epoch", "size": 1 + i % 20}
            pipeline.xadd(f"{prefix}:sample:requests", fields)
        asked += [entry.decode() for entry in await pipeline.execute()]
        await wait_results(redis_client, f"{prefix}:sample:results", len(asked) - 200)
        victim.kill()
        victim.start()

    results = await wait_results(redis_client, f"{prefix}:sample:results", len(asked))

    assert Counter(result["entry_id"] for result in results) == Counter(asked)
    heard = Counter(chunk for result in results for chunk in json.loads(result["chunk_ids"]))
    drawn: Counter[str] = Counter()
    for result in results:
        passes = {name: sum(spans.values()) for name, spans in json.loads(result["passes"]).items()}
        assert passes == json.loads(result["counts"])
        drawn.update(passes)
    connection = await asyncpg.connect(database_url)
    rows = await connection.fetch("select id, category from audio_chunks")
    await connection.close()
    for category in ("voice", "music"):
        counts = [heard[row["id"]] for row in rows if row["category"] == category]
        assert sum(counts) == drawn[category]
        assert max(counts) - min(counts) <= 1
    assert sum(drawn.values()) == 4 * sum(1 + i % 20 for i in range(250))


async def test_sigterm_finishes_what_is_held_and_ends_with_status_0(
    redis_client: Redis, prefix: str, database_url: str, start_worker: StartWorker
) -> None:
    await insert(database_url, {"voice": 10})
    worker = start_worker()
    pipeline = redis_client.pipeline(transaction=False)
    for _ in range(500):
        pipeline.xadd(f"{prefix}:sample:requests", {"size": 1000})
    await pipeline.execute()
    worker.send(signal.SIGTERM)

    assert worker.wait() == 0
    pending = await redis_client.xpending(f"{prefix}:sample:requests", "samplers")
    left = await redis_client.xlen(f"{prefix}:sample:requests")
    answered = await redis_client.xlen(f"{prefix}:sample:results")
    assert pending["pending"] == 0
    assert left + answered == 500
    names = [line["event"] for line in worker.lines()]
    assert names.count("worker.draining") == 1
    assert names[-1] == "worker.stopped"
    assert worker.events("worker.stopped")[0]["exit_status"] == 0
    assert await redis_client.exists(f"{prefix}:worker:w-1") == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_before_it_serves_ends_it_in_order_too(start_worker: StartWorker, number: signal.Signals) -> None:
    worker = start_worker(ready=False, PYTHONPROFILEIMPORTTIME="1")
    wait_until_sync(lambda: "pydantic_core" in worker.log.read_text(), timeout_s=DEADLINE_S, what="it is starting")
    worker.send(number)
    assert worker.wait() == 0
    assert "Traceback" not in worker.log.read_text()


def test_a_signal_is_not_lost_in_an_import_that_is_tried_and_given_up() -> None:
    program = """
import os, signal, sys, types
import worker.__main__
def execute(arguments):
    try:
        os.kill(os.getpid(), signal.SIGTERM)
    except BaseException:
        pass
    return 3
sys.modules["worker.cli.commands"] = commands = types.ModuleType("commands")
commands.execute = execute
sys.argv[1:] = ["run"]
worker.__main__.main()
"""
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=DEADLINE_S).returncode == 0


def test_a_second_signal_ends_it_at_once(start_worker: StartWorker) -> None:
    worker = start_worker(ready=False, REDIS_URL="redis://127.0.0.1:9/0", WORKER_DRAIN_TIMEOUT_S="600")
    wait_lost(worker)
    worker.send(signal.SIGTERM)
    status = worker.wait()
    assert status in {0, 1}


def wait_lost(worker: RunningWorker) -> None:
    wait_until_sync(lambda: bool(worker.events("redis.lost")), timeout_s=DEADLINE_S, what="redis.lost")


async def test_logs_are_json_and_hold_no_secret(
    prefix: str, redis_client: Redis, database_url: str, start_worker: StartWorker
) -> None:
    await insert(database_url, {"voice": 10})
    worker = start_worker(WORKER_STATS_INTERVAL_S="0.2", LOG_LEVEL="debug")
    await redis_client.xadd(f"{prefix}:sample:requests", {"size": 8, "request_id": "a"})
    await redis_client.xadd(f"{prefix}:sample:requests", {"size": "x"})
    await wait_results(redis_client, f"{prefix}:sample:results", 2)
    await wait_until(
        lambda: sum(line["requests"] for line in worker.events("worker.stats")) >= 2, timeout_s=DEADLINE_S, what="stats"
    )
    worker.stop()
    lines = worker.lines()
    assert all({"event", "timestamp", "level"} <= line.keys() for line in lines)
    assert {line["event"] for line in lines} >= {
        "worker.started",
        "worker.ready",
        "worker.stats",
        "category.stats",
        "catalog.loaded",
        "request.served",
        "request.rejected",
        "worker.draining",
        "worker.stopped",
    }
    stats = worker.events("category.stats")[0]
    assert {"dataset", "category", "count", "weight", "share", "expected", "z"} <= stats.keys()


@pytest.mark.parametrize("wrong", [{"WORKER_MAXSIZE": "1"}, {"WORKER_MAX_SIZE": "0"}, {"REDIS_URL": "localhost"}])
def test_wrong_settings_end_the_start_with_status_2(run: Run, wrong: dict[str, str]) -> None:
    ended = run("run", **wrong)
    assert ended.returncode == 2
    assert next(iter(wrong)) in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1


def test_sync_client_sees_the_group_lag_as_a_number(redis_url: str, prefix: str, start_worker: StartWorker) -> None:
    start_worker()
    client = redis.Redis.from_url(redis_url)
    groups = client.xinfo_groups(f"{prefix}:sample:requests")
    client.close()
    assert [group["name"] for group in groups] == [b"samplers"]
    assert groups[0]["lag"] == 0


@pytest.mark.any_redis
def test_a_worker_without_a_table_says_which_command_makes_it_and_that_it_has_no_catalog(
    run: Run, start_worker: StartWorker, empty_database_url: str
) -> None:
    given = {"DATABASE_URL": empty_database_url, "WORKER_CATALOG_WAIT_S": "0.1"}
    for number, more in enumerate(({}, {"WORKER_CATALOG_COLUMNS": "path"}, {"WORKER_WEIGHT_UNIT": "seconds"})):
        worker = start_worker(f"w-{number}", ready=False, **given, **more)

        def has_said(worker: RunningWorker = worker) -> bool:
            return bool(worker.events("catalog.missing"))

        wait_until_sync(has_said, timeout_s=DEADLINE_S, what="the worker says that it has no catalog")
        [lost, *_] = worker.events("postgres.lost")
        assert "sampling-worker migrate" in lost["message"], lost
        assert "postgres.lost says why" in worker.events("catalog.missing")[0]["message"]
    assert "catalog_unavailable" in run("sample", **given).stdout
    assert run("migrate", **given).returncode == 0
    wait_until_sync(lambda: bool(worker.events("catalog.loaded")), timeout_s=DEADLINE_S, what="the catalog is read")
