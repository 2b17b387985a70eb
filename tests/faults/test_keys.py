"""Keys vanish, are renamed, or hold another type: what can be served is served, the rest waits or is reported."""

from collections.abc import Callable
from contextlib import suppress

import pytest
import redis

from tests.faults.records import UNWRITTEN
from tests.faults.trial import DEADLINE_S, Trial
from tests.support.streams import LARGEST_ID
from tests.support.waiting import wait_until_sync
from worker.core.keys import GROUP

_OTHER_TYPE = "not what belongs here"


def _delete(trial: Trial) -> None:
    trial.client.delete(trial.keys.requests)


def _destroy(trial: Trial) -> None:
    trial.client.xgroup_destroy(trial.keys.requests, GROUP)


def _rename(trial: Trial) -> None:
    trial.client.rename(trial.keys.requests, "audio:elsewhere")


def _rename_there_and_back(trial: Trial) -> None:
    pipeline = trial.client.pipeline(transaction=True)
    pipeline.rename(trial.keys.requests, "audio:elsewhere")
    pipeline.rename("audio:elsewhere", trial.keys.requests)
    pipeline.execute()


@pytest.mark.fault("the stream is deleted, or renamed; its group is destroyed; five times under load", "B05")
@pytest.mark.parametrize("harm", [_delete, _destroy, _rename, _rename_there_and_back])
def test_the_stream_or_its_group_vanishes(trial: Trial, harm: Callable[[Trial], None]) -> None:
    trial.start_many("w-1", "w-2")
    with trial.load():
        for _ in range(5):
            trial.ask(50)
            trial.wait_some_answered()
            with suppress(redis.ResponseError):  # nobody has asked yet since the last time
                harm(trial)
    if harm in {_delete, _rename}:
        trial.forget_asked()
    trial.recover()
    trial.count(losses=None)


@pytest.mark.fault("another type stands under the stream's key for a while", "B05")
def test_something_else_stands_under_the_key_of_the_stream(trial: Trial) -> None:
    worker = trial.start()
    trial.ask(50)
    trial.wait_answered()
    trial.client.set(trial.keys.requests, _OTHER_TYPE)
    trial.wait_event(worker, "redis.lost")
    trial.client.delete(trial.keys.requests)
    trial.recover()
    trial.count()


@pytest.mark.fault("another type stands under the key of the counts", "B05")
def test_counts_cannot_be_kept(trial: Trial) -> None:
    worker = trial.start()
    trial.client.set(trial.keys.stats, _OTHER_TYPE)
    with trial.load():
        trial.wait_some_answered()
    trial.recover()
    trial.client.delete(trial.keys.stats)
    trial.count(losses=0, counts=False)
    assert {line["key"] for line in worker.events("stats.write_failed")} == {trial.keys.stats}


@pytest.mark.fault(
    "results cannot be written: another type stands there, or the stream takes no more entries", "B05", "G08"
)
@pytest.mark.parametrize("reply_to", [None, "spoilt", "full"])
def test_results_cannot_be_written(trial: Trial, reply_to: str | None) -> None:
    """They are tried again and end among the dead letters; others are not held up."""
    trial.start("w-1", WORKER_MAX_DELIVERIES="2")
    key = trial.keys.reply(reply_to) if reply_to else trial.keys.results
    if reply_to == "full":
        trial.client.xadd(key, {"request_id": "0", "entry_id": "0-1"}, id=LARGEST_ID)
    else:
        trial.client.set(key, _OTHER_TYPE)
    trial.ask(20, accepted=frozenset({UNWRITTEN}), **({"reply_to": reply_to} if reply_to else {}))
    trial.ask(20, reply_to="other")
    trial.wait_answered()
    trial.client.delete(key)
    trial.recover()
    run = trial.count(losses=0)
    assert len(run.dead) == 20


@pytest.mark.fault("neither results nor dead letters can be written for a while", "B05")
def test_there_is_no_place_for_dead_letters(trial: Trial) -> None:
    """They stay pending until there is one."""
    worker = trial.start("w-1", WORKER_MAX_DELIVERIES="1", WORKER_CLAIM_IDLE_S="0.2")
    for key in (trial.keys.dead, trial.keys.reply("spoilt")):
        trial.client.set(key, _OTHER_TYPE)
    trial.ask(5, accepted=frozenset({UNWRITTEN}), reply_to="spoilt")
    trial.ask(20)
    trial.wait_event(worker, "result.write_failed", 5)
    answered = trial.look()
    trial.ask(20)
    wait_until_sync(lambda: trial.look() > answered, timeout_s=DEADLINE_S, what="others are answered")
    assert worker.events("request.dead_lettered") == []
    trial.client.delete(trial.keys.dead)
    trial.recover()
    run = trial.count(losses=0)
    assert len(run.dead) == 5


@pytest.mark.fault("another type stands under the key of a session", "B05")
def test_a_session_cannot_be_kept(trial: Trial) -> None:
    trial.start()
    key = trial.keys.session("s")
    trial.client.set(key, _OTHER_TYPE)
    trial.ask(20, accepted=frozenset({"invalid_request"}), session="s", method="epoch")
    trial.ask(20)
    trial.wait_answered()
    trial.client.delete(key)
    trial.ask(20, session="s", method="epoch")
    trial.recover()
    trial.count(losses=0)


@pytest.mark.fault("another type stands under the worker's own key", "B05")
def test_the_key_of_the_worker_is_taken(trial: Trial) -> None:
    trial.client.rpush(trial.keys.worker("w-1"), "x")
    trial.start()
    with trial.load():
        trial.wait_some_answered()
    trial.recover()
    trial.count(losses=0)
