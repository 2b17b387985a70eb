"""A session's schedule: each of its requests is drawn at its position, whoever is killed."""

import json
import random

import pytest

from tests.faults.trial import DEADLINE_S, Trial
from tests.support.waiting import wait_until_sync
from worker.core.draw.session_schedules import read_schedule
from worker.core.keys import POSITION, SCHEDULE

_REQUESTS = 2000
_WORKERS = ("w-1", "w-2", "w-3", "w-4")


def _wait_answered(trial: Trial, count: int) -> None:
    wait_until_sync(
        lambda: trial.client.xlen(trial.keys.results) >= count, timeout_s=DEADLINE_S, what=f"{count} answers"
    )


@pytest.mark.fault("workers are killed while rules go by counts: each request is drawn at its position")
@pytest.mark.parametrize("batch", [1, 16])
def test_every_request_of_a_session_is_drawn_at_its_position_while_workers_are_killed(trial: Trial, batch: int) -> None:
    chance = random.Random(31)
    points = {"points": "0 voice=1; 3000 music=1; 9000 voice=1 music=1", "between": "cosine"}
    schedule = read_schedule(json.dumps(points).encode())
    key = trial.keys.session("s")
    trial.client.hset(key, SCHEDULE, schedule.text)
    trial.start_many(*_WORKERS, WORKER_BATCH=str(batch), WORKER_CLAIM_IDLE_S="0.5")
    sizes = [chance.randint(1, 9) for _ in range(_REQUESTS)]
    pipeline = trial.client.pipeline(transaction=False)
    for size in sizes:
        pipeline.xadd(trial.keys.requests, {"size": size, "session": "s", "pin": 1})
    ids = pipeline.execute()
    kills, answered = 0, 0
    while answered < _REQUESTS:
        wanted = min(_REQUESTS, answered + 150)
        _wait_answered(trial, wanted)
        victim = chance.choice(trial.workers)
        victim.kill()
        victim.start()
        kills += 1
        answered = trial.client.xlen(trial.keys.results)
    assert kills >= 5
    results = [fields for _, fields in trial.client.xrange(trial.keys.results)]
    assert sorted(fields[b"entry_id"] for fields in results) == sorted(ids)
    position = 0
    for fields in results:
        weights = schedule.weights_at(position, {})
        assert weights is not None
        assert fields[b"weights_version"].decode() == weights.version, position
        position += len(json.loads(fields[b"chunk_ids"]))
    assert trial.client.hget(key, POSITION) == b"%d" % position
    assert position == sum(sizes)
