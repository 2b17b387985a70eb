"""`catalog who` tells who drew a chunk, by the results that Redis keeps."""

import asyncio
import json
from typing import Any

from redis.asyncio import Redis

from tests.e2e.conftest import Run, Settings, StartWorker
from tests.support.servers import execute
from tests.support.waiting import wait_until


def document(run: Run, chunk: str) -> dict[str, Any]:
    ended = run("catalog", "who", chunk, "--json")
    assert (ended.returncode, ended.stderr) == (0, "")
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


async def ask(settings: Settings, asked: list[dict[Any, Any]]) -> None:
    """Ask by plain XADD, each request once the one before is answered; the results stay."""
    prefix = settings["WORKER_PREFIX"]
    async with Redis.from_url(settings["REDIS_URL"]) as client:
        for fields in asked:
            await client.xadd(f"{prefix}:sample:requests", {**fields})

            async def is_answered() -> bool:
                return not await client.xlen(f"{prefix}:sample:requests")

            await wait_until(is_answered, timeout_s=60, what="it is answered")


def test_who_drew_a_chunk(run: Run, start_worker: StartWorker, settings: Settings) -> None:
    execute(settings["DATABASE_URL"], "insert into audio_chunks (category, status) values ('voice', 'READY')")
    start_worker()
    named: dict[Any, Any] = {"session": "run-é", "dataset": "news"}
    asked: list[dict[Any, Any]] = [
        {"request_id": "a", "size": "3", **named},
        {"request_id": "b", "size": "2", "encoding": "packed", **named},
        {"request_id": "c", "reply_to": "job-7"},
        {"request_id": "d", "category": "no-such"},
    ]
    asyncio.run(ask(settings, asked))
    found = document(run, "1")
    drawn = [
        (
            one["request_id"],
            one["session"],
            one["dataset"],
            one["times"],
            one["stream"].removeprefix(settings["WORKER_PREFIX"]),
        )
        for one in found["drawn"]
    ]
    assert drawn == [
        ("a", "run-é", "news", 3, ":sample:results"),
        ("b", "run-é", "news", 2, ":sample:results"),
        ("c", None, None, 1, ":sample:results:job-7"),
    ]
    assert (found["chunk_id"], found["streams"], found["unreadable"]) == (1, 2, [])
    assert found["oldest_ms"] == found["drawn"][0]["at_ms"]
    told = run("catalog", "who", "1", "--count", "2", COLUMNS="200").stdout
    assert "chunk 1: 6 draws in what Redis keeps" in told
    assert "the newest 2 of 3 results" in told
    assert "results in 2 streams looked at; the oldest is of 20" in told
    assert document(run, "2")["drawn"] == []
    assert "chunk 2: no draw in what Redis keeps" in run("catalog", "who", "2").stdout


def test_pages_and_strangers(run: Run, settings: Settings) -> None:
    prefix = settings["WORKER_PREFIX"]

    async def fill() -> None:
        async with Redis.from_url(settings["REDIS_URL"]) as client:
            for number in range(1, 1203):
                ids = f"[{number % 2}, 7]"
                fields: dict[Any, Any] = {"request_id": str(number), "chunk_ids": ids, "counts": '{"voice":2}'}
                await client.xadd(f"{prefix}:sample:results", fields, id=f"{number}-0")
            await client.xadd(f"{prefix}:sample:results:x", {"chunk_ids": "1"}, id="1202-0")
            await client.set(f"{prefix}:sample:results:y", "1")

    asyncio.run(fill())
    ended = run("catalog", "who", "1", "--json")
    found = json.loads(ended.stdout)
    assert [one["at_ms"] for one in found["drawn"]] == list(range(1, 1203, 2))
    assert (found["results"], found["streams"], found["oldest_ms"]) == (1203, 2, 1)
    assert found["unreadable"] == [f"{prefix}:sample:results:y"]
    assert "not looked at, as it is no stream" in ended.stderr
    wrong = run("catalog", "who", "x")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "accepted: a whole number of 64 bits, or a uuid" in wrong.stderr
