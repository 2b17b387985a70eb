"""What a worker writes in a real run is what `schema` prints, and what the models read."""

import json
from collections import Counter
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from redis.asyncio import Redis

from tests.e2e.conftest import Run, StartWorker
from tests.e2e.test_serving import DEADLINE_S, insert
from tests.support.waiting import wait_until
from worker.core.keys import Keys
from worker.models import CategoryWeights, SampleRequest, SampleResult, WeightsChange, WorkerState
from worker.models.schema import PARTS

pytestmark = pytest.mark.any_redis

EVENTS = {
    "worker.started",
    "worker.ready",
    "worker.stats",
    "category.stats",
    "worker.draining",
    "worker.stopped",
    "weights.changed",
    "weights.rejected",
    "catalog.loaded",
    "catalog.changed",
    "mix.left_out",
    "request.served",
    "request.rejected",
}


def schema(run: Run, *words: str) -> Draft202012Validator:
    printed = run("schema", *words)
    assert (printed.returncode, printed.stderr) == (0, "")
    return Draft202012Validator(json.loads(printed.stdout))


def text_of(model: Any) -> Any:
    return json.loads(model.model_dump_json())


async def test_a_run_writes_what_the_schema_says(
    redis_client: Redis, prefix: str, database_url: str, run: Run, start_worker: StartWorker
) -> None:
    keys = Keys(prefix)
    untyped: Any = redis_client
    await insert(database_url, {"voice": 10, "music": 10})
    worker = start_worker(LOG_LEVEL="debug", WORKER_STATS_INTERVAL_S="0.2")
    checks = {part: schema(run, part) for part in PARTS}
    assert run("weights", "set", "voice=7", "music=2", "jazz=1", "--for", "1h", "--wait").returncode == 0
    requests = [
        SampleRequest(size=8, probabilities=True, seed=7),
        SampleRequest(size=8, encoding="packed", request_id="packed", columns=("category",)),
        SampleRequest(size=4, session="s", pin=True, method="epoch"),
        SampleRequest(size=4, category="nothing"),
        SampleRequest(size=4, dataset="d", expires_at=1),
    ]
    for request in requests:
        checks["request"].validate(text_of(request))
        await untyped.xadd(keys.requests, request.fields())

    async def are_answered() -> bool:
        return int(await redis_client.xlen(keys.results)) == len(requests)

    await wait_until(are_answered, timeout_s=DEADLINE_S, what="all results")
    results = [SampleResult.from_fields(fields) for _, fields in await untyped.xrange(keys.results)]
    for result in results:
        checks["result"].validate(text_of(result))
    assert Counter(result.status for result in results) == {"ok": 3, "error": 2}
    packed = next(result for result in results if result.request_id == "packed")
    assert len(packed.chunk_ids) == 8
    assert all(isinstance(one, int) for one in packed.chunk_ids)
    assert Counter(packed.categories or []) == packed.counts
    printed = run("sample", "--size", "3", "--json").stdout
    checks["result"].validate(json.loads(printed))
    weights = CategoryWeights.model_validate_json(await redis_client.get(keys.weights()) or b"")
    checks["weights"].validate(text_of(weights))
    assert {result.weights_version for result in results if result.status == "ok"} == {weights.version}
    [(entry_id, fields)] = await untyped.xrange(keys.history)
    change = WeightsChange.from_fields(entry_id.decode(), fields)
    checks["change"].validate(text_of(change))
    assert (change.version, change.after) == (weights.version, weights.shares)
    state = await redis_client.get(keys.worker("w-1")) or b""
    checks["worker"].validate(json.loads(state))
    assert WorkerState.model_validate_json(state).weights_version == weights.version
    await redis_client.set(keys.weights(), '{"voice": NaN}')
    await insert(database_url, {"voice": 1})
    late = ("weights.rejected", "catalog.changed", "worker.stats", "category.stats")
    await wait_until(lambda: all(map(worker.events, late)), timeout_s=DEADLINE_S, what=", ".join(late))
    worker.stop()
    lines = worker.lines()
    for line in lines:
        checks["events"].validate(line)
    assert {line["event"] for line in lines} >= EVENTS


def test_a_part_that_there_is_not_is_refused(run: Run) -> None:
    ended = run("schema", "bogus")
    accepted = "request, result, weights, change, worker, events, or nothing for all of them"
    assert ended.stderr == f"sampling-worker: there is no schema of 'bogus'; accepted: {accepted}\n"
    assert ended.returncode == 2
