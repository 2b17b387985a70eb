"""Rules that move the weights, made by workers that are killed again and again: each step once, none lost."""

import json
import random
from itertools import pairwise
from typing import Any

import pytest

from tests.faults.adjusting import WORKERS, history_of, kill_one, state_of, steps_of
from tests.faults.trial import DEADLINE_S, Trial
from tests.support.waiting import wait_until_sync
from worker.core.weights.values import parse_weights

_KILLS = 12
_PORTION = 100


def _set(trial: Trial, value: dict[str, float], **settings: Any) -> None:
    """Set a rule for the global weights as a program does that knows the contract alone."""
    trial.client.set(trial.keys.weights(), json.dumps(value))
    trial.client.hset(trial.keys.adjust, "", json.dumps({"rule": "cooldown", "mode": "on", **settings}))


def _is_at_its_end(trial: Trial) -> bool:
    """Return whether the last step was not held back any more."""
    state = state_of(trial)
    return state is not None and state.step > 0 and not state.held_by


def _ask(trial: Trial, chance: random.Random) -> int:
    """Add a portion of requests of random sizes; return how many there are."""
    pipeline = trial.client.pipeline(transaction=False)
    for _ in range(_PORTION):
        pipeline.xadd(trial.keys.requests, {"size": chance.randint(1, 7)})
    return len(pipeline.execute())


def _wait_answered(trial: Trial, count: int) -> None:
    wait_until_sync(
        lambda: trial.client.xlen(trial.keys.results) >= count, timeout_s=DEADLINE_S, what=f"{count} answers"
    )


@pytest.mark.fault("workers are killed again and again while a rule moves the weights: each step is made once")
def test_steps_are_made_once_each_while_workers_are_killed(trial: Trial) -> None:
    chance = random.Random(21)
    trial.start_many(*WORKERS)
    start = {"documentary": 1.0, "music": 0.001, "voice": 0.001}
    _set(trial, start, parameters={"over": 1, "unit": "seconds", "from": 1}, interval_s=0, most_change=0.001)
    kills = 0
    while not _is_at_its_end(trial):
        before = steps_of(trial)
        wait_until_sync(
            lambda: steps_of(trial) >= before + 25 or _is_at_its_end(trial),  # noqa: B023 - it is called at once
            timeout_s=DEADLINE_S,
            what="more steps are made",
        )
        kill_one(trial, chance)
        kills += 1
    entries = history_of(trial)
    assert kills >= 5
    assert len(entries) == steps_of(trial) > 800
    assert all(before["after"] == after["before"] for before, after in pairwise(entries))
    weights = parse_weights(trial.client.get(trial.keys.weights()), "redis")
    assert weights is not None
    assert weights.shares == pytest.approx({"documentary": 1 / 6, "music": 2 / 6, "voice": 3 / 6}, abs=1e-6)


@pytest.mark.fault("workers are killed while rules go by counts: each request is drawn at its position")
def test_requests_are_drawn_at_their_position_while_the_drivers_are_killed(trial: Trial) -> None:
    """With one request a batch, the results stand in the order of their positions."""
    chance = random.Random(22)
    over, steps = 4000, 20
    trial.start_many(*WORKERS, WORKER_BATCH="1", WORKER_CLAIM_IDLE_S="0.5")
    _set(trial, dict.fromkeys(("documentary", "music", "voice"), 1.0), parameters={"over": over, "steps": steps})
    wait_until_sync(lambda: steps_of(trial) == 1, timeout_s=DEADLINE_S, what="the first step is made")
    asked = 0
    for _ in range(_KILLS):
        asked += _ask(trial, chance)
        _wait_answered(trial, asked - _PORTION // 2)
        kill_one(trial, chance)
    _wait_answered(trial, asked)
    wait_until_sync(lambda: steps_of(trial) == steps + 1, timeout_s=DEADLINE_S, what="the last step is made")
    versions = [entry["version_after"] for entry in history_of(trial)][1:]  # the first one is the begin of the rule
    assert len(versions) == steps + 1
    results = [fields for _, fields in trial.client.xrange(trial.keys.results)]
    assert len(results) == asked
    position, wrong = 0, []
    for result in results:
        place = versions.index(result[b"weights_version"].decode())
        if place != min(steps, position * steps // over):
            wrong.append((position, place))
        position += len(json.loads(result[b"chunk_ids"]))
    assert int(trial.client.hget(trial.keys.heard, "chunks:")) == position > over
    assert wrong == []
