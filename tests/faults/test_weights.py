"""Weights whose messages or values go wrong: the last valid ones stay, and no request is answered under older ones."""

import json
import random
import signal

import pytest

from tests.faults.trial import Trial

_REFUSED = {
    "no JSON": b"voice=1",
    "empty": b"",
    "NaN": b'{"voice": NaN}',
    "infinite": b'{"voice": 1e999}',
    "negative": b'{"voice": -1}',
    "nested": b'{"voice": {"weight": 1}}',
    "nested a hundred thousand times": b'{"voice":' * 100_000,
    "a key twice": b'{"voice": 1, "voice": 2}',
    "a number as text": b'{"voice": "1"}',
    "true": b'{"voice": true}',
    "a name of another kind": b'{"Voice!": 1}',
    "no UTF-8": b'{"voice\xff": 1}',
    "a list": None,
    "10 MB": b'{"voice": 1' + b" " * 10_000_000 + b"}",
    "100,000 categories": json.dumps({f"c{i}": 1 for i in range(100_000)}).encode(),
}


@pytest.mark.fault("a value that is refused: NaN, negative, nested, doubled, a list, 10 MB, 100,000 categories", "E04")
def test_values_are_refused_and_the_last_valid_one_stays(trial: Trial) -> None:
    worker = trial.start()
    with trial.load():
        for number, value in enumerate(_REFUSED.values(), 1):
            trial.weigh(voice=number, music=1)
            trial.wait_weights(worker)
            trial.spoil(value)
            trial.wait_event(worker, "weights.rejected", number)
            trial.ask(20)
    trial.recover()
    run = trial.count(losses=0, lines=100)
    rejected = worker.events("weights.rejected")
    assert len(rejected) == len(_REFUSED), rejected
    assert "last_known" in {answer.source for answer in run.answers}


@pytest.mark.fault("messages lost, doubled, out of order, before the key is set; writers that never ring", "E01", "E03")
def test_notifications_are_missing_or_false(trial: Trial) -> None:
    """The key is the truth, whatever is said on the channel."""
    trial.start_many("w-1", "w-2")
    chance = random.Random(3)
    with trial.load():
        for change in range(150):
            before, after = (chance.randrange(3) for _ in range(2))
            for _ in range(before):
                trial.ring()
            trial.weigh_quietly(voice=change + 1, music=1)
            trial.ask(chance.randrange(4))
            for _ in range(after):
                trial.ring()
    for worker in trial.workers:
        trial.wait_weights(worker)
    trial.recover()
    trial.count(losses=0, lines=400)


@pytest.mark.fault("the key is deleted, expires, goes back to an older value", "E05", "E08")
def test_the_key_vanishes_and_comes_back(trial: Trial) -> None:
    worker = trial.start()
    with trial.load():
        for _ in range(5):
            trial.weigh(voice=9, music=1)
            trial.wait_weights(worker)
            trial.weigh(voice=1, music=9)
            trial.wait_weights(worker)
            trial.unset(by="DEL")
            trial.wait_weights(worker)
            trial.weigh(voice=9, music=1)
            trial.unset(by="PEXPIRE")
            trial.wait_weights(worker)
    trial.recover()
    trial.count(losses=0, lines=100)


@pytest.mark.fault("weights change while the subscription is broken", "E02")
def test_weights_change_in_a_gap_of_the_subscription(trial: Trial) -> None:
    worker = trial.start()
    with trial.load():
        for change in range(20):
            trial.client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
            trial.weigh(voice=change + 1, music=1)
            trial.wait_weights(worker)
    trial.recover()
    trial.count(losses=None, lines=150)


@pytest.mark.fault("a storm of notifications; more of them than the server keeps for a worker that sleeps", "E06")
@pytest.mark.parametrize("options", [["--client-output-buffer-limit", "pubsub 1mb 512kb 1"]])
def test_notifications_come_without_end(trial: Trial) -> None:
    worker = trial.start()
    trial.ask(20)
    trial.wait_answered()
    worker.send(signal.SIGSTOP)
    while any(one["name"] == "sampling-worker" for one in trial.client.client_list(_type="pubsub")):
        trial.ring_often(1000, words=b"x" * 4000)
    trial.weigh_quietly(voice=1, music=3)
    worker.send(signal.SIGCONT)
    trial.wait_weights(worker)
    trial.ring_often(20_000)
    trial.recover()
    trial.count(losses=None)


@pytest.mark.fault("a category without weight, without READY chunks, of one chunk", "E09")
def test_categories_are_empty_or_tiny(trial: Trial) -> None:
    worker = trial.start()
    trial.add_chunk(1_000_000, "tiny")
    for values in ({"voice": 0, "music": 1}, {"voice": 1, "conference": 1}, {"tiny": 1, "music": 1}):
        trial.weigh(**values)
        trial.wait_weights(worker)
        trial.ask(100)
        trial.wait_answered()
    trial.weigh(conference=1)
    trial.wait_weights(worker)
    trial.ask(20, accepted=frozenset({"no_ready_chunks"}))
    trial.wait_answered()
    trial.weigh(voice=1)
    trial.recover()
    trial.count(losses=0)
