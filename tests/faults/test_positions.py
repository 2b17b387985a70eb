"""Rules that go by counts: each request is drawn under the weights of its batch's position, whoever is killed."""

import json
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import cycle, groupby, islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.faults.adjusting import WORKERS, history_of, kill_one, texts_of
from tests.faults.trial import DEADLINE_S, Trial
from tests.support.command import run_command
from tests.support.proxy import Proxy
from tests.support.waiting import wait_until_sync
from worker.core.adjust.preview import preview
from worker.core.adjust.rule import Inputs
from worker.core.adjust.settings import read_settings
from worker.core.weights.values import parse_weights

_TROUBLES = 10
_PORTION = 200
_REQUESTS = _TROUBLES * _PORTION
_LARGEST = 9

_STEPS = {
    "redis": {"points": "; ".join(f"{at} voice={7 + at} music=900" for at in range(0, 5000, 100))},
    "dataset": {
        "points": "; ".join(f"{at} voice={7 + at} music=90" for at in range(0, 900, 7)),
        "unit": "requests",
    },
}
_MORPHS = {
    "redis": {
        "points": "0 voice=1; 500 music=1; 2000 voice=1 music=1; 4000 documentary=1",
        "between": "linear",
    },
    "dataset": {
        "points": "0 music=1; 100 voice=1; 300 music=1; 800 voice=3 music=1",
        "unit": "requests",
        "between": "cosine",
    },
}
"""Schedules of the global weights and of dataset `d`, by the `weights_source` of what is drawn under them."""

Result = Mapping[str, str]


class Played:
    """A schedule, played ahead."""

    def __init__(self, parameters: Mapping[str, str]) -> None:
        names = ("documentary", "music", "voice")
        alike, ready = np.full(3, 1 / 3), np.array([100, 200, 300])
        known = Inputs(None, 0, names, alike, alike, ready, None, {}, np.zeros(3, np.int64))
        settings = read_settings(json.dumps({"rule": "schedule", "parameters": parameters}).encode())
        rows = list(preview(settings, known, {}))
        self._positions = [row.position for row in rows[1:]]
        rounded = [{name: round(share, 9) for name, share in row.shares.items()} for row in rows]
        found = [parse_weights(json.dumps(shares).encode(), "redis") for shares in rounded]
        self._versions = [weights.version for weights in found if weights is not None]

    def version_at(self, position: int) -> str:
        """Return the version of the weights at a position."""
        return self._versions[sum(at <= position for at in self._positions)]


def _set_rule(trial: Trial, folder: Path, *words: str) -> None:
    """Set a rule as a person does."""
    settings = {"REDIS_URL": trial.server.url, "DATABASE_URL": trial.library.url}
    ended = run_command("adjust", "set", *words, "--mode", "on", settings=settings, cwd=folder)
    assert ended.returncode == 0, ended.stderr


def _start(trial: Trial, folder: Path, schedules: Mapping[str, Mapping[str, str]], batch: int, **settings: str) -> None:
    """Set schedules, and start workers that follow them."""
    for kind, parameters in schedules.items():
        dataset = ("--dataset", "d") if kind == "dataset" else ()
        _set_rule(trial, folder, "schedule", *(f"{name}={text}" for name, text in parameters.items()), *dataset)
    trial.start_many(*WORKERS, WORKER_BATCH=str(batch), WORKER_CLAIM_IDLE_S="0.5", **settings)
    _wait_begun(trial, len(schedules))


def _wait_begun(trial: Trial, bounds: int) -> None:
    wait_until_sync(lambda: trial.client.hlen(trial.keys.bounds) == bounds, timeout_s=DEADLINE_S, what="rules begin")


def _ask(trial: Trial, chance: random.Random, count: int, *datasets: str | None) -> list[str]:
    """Add requests of random sizes for some datasets; return the ids of their entries."""
    pipeline = trial.client.pipeline(transaction=False)
    for _ in range(count):
        dataset = chance.choice(datasets)
        fields: dict[str, Any] = {"size": chance.randint(1, _LARGEST)}
        pipeline.xadd(trial.keys.requests, fields if dataset is None else {**fields, "dataset": dataset})
    return [entry_id.decode() for entry_id in pipeline.execute()]


def _wait_answered(trial: Trial, count: int) -> None:
    wait_until_sync(
        lambda: trial.client.xlen(trial.keys.results) >= count, timeout_s=DEADLINE_S, what=f"{count} answers"
    )


def _ask_and_break(
    trial: Trial, chance: random.Random, *datasets: str | None, kinds: Sequence[Callable[[], object]] = ()
) -> list[str]:
    """Ask in portions, break something while each is answered, and wait until all is; return the ids of entries.

    Args:
        trial: Whom to ask.
        chance: Chooses sizes, datasets and workers.
        datasets: Datasets to ask for; None: for none.
        kinds: What is done in turn; by default, some worker is killed and started again.
    """
    ids: list[str] = []
    for trouble in islice(cycle(kinds or [partial(kill_one, trial, chance)]), _TROUBLES):
        ids += _ask(trial, chance, _PORTION, *datasets)
        _wait_answered(trial, len(ids) - _PORTION // 2)
        trouble()
    _wait_answered(trial, len(ids))
    return ids


class Batches:
    """A listener for the results of each batch: a settling adds results, then it counts them as heard."""

    def __init__(self, trial: Trial) -> None:
        self._client, self._key, keys = trial.client, trial.keys.results, trial.keys
        self._client.config_set("notify-keyspace-events", "Kth")
        self._results = f"__keyspace@0__:{keys.results}".encode()
        self._listener = self._client.pubsub()
        self._listener.subscribe(self._results, f"__keyspace@0__:{keys.heard}")

    def read(self) -> Iterator[list[Result]]:
        """Yield the results of each batch, in the order in which they were settled."""
        found = iter(texts_of(self._client.xrange(self._key)))
        batch: list[Result] = []
        while message := self._listener.get_message(timeout=1.0):
            is_result = message["channel"] == self._results
            if is_result and message["data"] == b"xadd":
                batch.append(next(found))
            elif not is_result and batch:
                yield batch
                batch = []
        assert not batch
        assert next(found, None) is None
        self._listener.close()


def _size(result: Result) -> int:
    return len(result["chunk_ids"].strip("[]").split(","))


def _heard(trial: Trial) -> dict[str, int]:
    return {name.decode(): int(count) for name, count in trial.client.hgetall(trial.keys.heard).items()}


def _by_moment(found: Iterable[tuple[bytes, Any]]) -> list[list[Result]]:
    """Put results of one millisecond together: those of a batch are, since a script has but one time."""
    return [texts_of(group) for _, group in groupby(found, lambda entry: entry[0].partition(b"-")[0])]


def _hold_positions(
    trial: Trial,
    schedules: Mapping[str, Mapping[str, str]],
    batches: Iterable[Iterable[Result]],
    *,
    perhaps_several: bool = False,
) -> None:
    """Check that each result was drawn at the position of its batch, and that all count.

    Args:
        trial: What was asked and answered.
        schedules: The rules.
        batches: Results of each batch.
        perhaps_several: Each may be several batches, one after the other.
    """
    played = {kind: Played(parameters) for kind, parameters in schedules.items()}
    positions, sizes, wrong = dict.fromkeys(schedules, 0), 0, []
    for batch in batches:
        begun = [dict(positions)]
        for result in batch:
            kind = result["weights_source"]
            if perhaps_several:
                begun.append(dict(positions))
            if result["weights_version"] not in {played[kind].version_at(start[kind]) for start in begun}:
                wrong.append((kind, begun, positions[kind], result["weights_version"]))
            positions[kind] += 1 if schedules[kind].get("unit") == "requests" else _size(result)
            sizes += _size(result)
    assert not wrong, (len(wrong), wrong[:5])
    heard = _heard(trial)
    assert (heard["chunks:"], heard["requests:d"]) == (positions["redis"], positions["dataset"])
    assert heard["requests:"] + heard["requests:d"] == _REQUESTS
    assert heard["chunks:"] + heard["chunks:d"] == sizes
    assert not [line for worker in trial.workers for line in worker.events("adjust.overdue")]


@pytest.mark.any_redis
def test_every_request_is_drawn_at_its_position(trial: Trial, tmp_path: Path) -> None:
    batches = Batches(trial)
    _start(trial, tmp_path, _STEPS, 1)
    ids = _ask(trial, random.Random(15), _REQUESTS, None, "d")
    _wait_answered(trial, len(ids))
    _hold_positions(trial, _STEPS, batches.read())
    who = [fields[b"who"] for _, fields in trial.client.xrange(trial.keys.history)]
    assert set(who) == {b"rule schedule"}
    assert len(who) >= 100


@pytest.mark.fault("workers are killed while rules go by counts: each request is drawn at its position")
@pytest.mark.parametrize("batch", [1, 16])
def test_every_request_is_drawn_at_its_position_while_workers_are_killed(
    trial: Trial, tmp_path: Path, batch: int
) -> None:
    chance, batches = random.Random(16), Batches(trial)
    _start(trial, tmp_path, _MORPHS, batch)
    ids = _ask_and_break(trial, chance, None, "d")
    assert sorted(result["entry_id"] for result in texts_of(trial.client.xrange(trial.keys.results))) == sorted(ids)
    _hold_positions(trial, _MORPHS, batches.read())
    who = [fields[b"who"] for _, fields in trial.client.xrange(trial.keys.history)]
    assert set(who) == {b"rule schedule"}
    assert len(who) >= 100


@pytest.mark.fault("Redis is restarted, links are cut and workers killed while schedules move the weights")
def test_every_request_is_drawn_at_its_position_while_all_else_breaks(
    trial: Trial, proxy: Proxy, tmp_path: Path
) -> None:
    chance = random.Random(20)
    _start(trial, tmp_path, _MORPHS, 1, REDIS_URL=proxy.url)
    kinds: list[Callable[[], object]] = [proxy.cut, partial(_restart, trial), partial(kill_one, trial, chance)]
    ids = _ask_and_break(trial, chance, None, "d", kinds=kinds)
    for worker in trial.workers:
        worker.wait_ready()  # one that was killed last may be starting still
    assert [worker.stop() for worker in trial.workers] == [0] * len(WORKERS)
    batches = _by_moment(trial.client.xrange(trial.keys.results))
    assert sorted(result["entry_id"] for batch in batches for result in batch) == sorted(ids)
    assert sum(len(batch) == 1 for batch in batches) >= len(ids) // 10
    _hold_positions(trial, _MORPHS, batches, perhaps_several=True)
    history = history_of(trial)
    for name in ("", "d"):
        entries = [entry for entry in history if entry["dataset"] == name]
        assert all(before["after"] == after["before"] for before, after in pairwise(entries))


def _restart(trial: Trial) -> None:
    trial.server.stop()
    trial.server.start()


@pytest.mark.fault("workers are killed while rules go by counts: each request is drawn at its position")
def test_a_cap_is_kept_to_the_batch_while_workers_are_killed(trial: Trial, tmp_path: Path) -> None:
    """The 100 READY chunks are drawn at most 4 times on average, plus the batch that reaches that."""
    chance, batches = random.Random(19), Batches(trial)
    trial.weigh(voice=1, music=1, documentary=1)
    _set_rule(trial, tmp_path, "cap", "times=4")
    trial.start_many(*WORKERS, WORKER_BATCH="1", WORKER_CLAIM_IDLE_S="0.5")
    _wait_begun(trial, 3)
    _ask_and_break(trial, chance, None)
    heard = _heard(trial)
    assert heard["requests:"] == _REQUESTS
    names = ("documentary", "music", "voice")
    assert sum(heard[f"chunks::{name}"] for name in names) == heard["chunks:"]
    reached = 0
    for batch in batches.read():
        before = reached
        reached += sum(json.loads(result["counts"]).get("documentary", 0) for result in batch)
        assert before < 400 or reached == before
    assert reached == heard["chunks::documentary"] >= 400
    lines = [line for worker in trial.workers for line in worker.events("mix.repeats")]
    assert {(line["category"], line["is_reached"]) for line in lines} >= {("documentary", False), ("documentary", True)}
    assert max(line["drawn"] for line in lines if line["category"] == "documentary") == reached
