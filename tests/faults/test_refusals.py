"""The server refuses: commands, keys, channels or the login are denied, it is read-only, or has too few replicas."""

import pytest

from tests.faults.trial import DEADLINE_S, Trial
from tests.support.command import RunningWorker
from tests.support.waiting import wait_until_sync

_USER = "worker"
_NOT_THE_WORKERS = {"acl|setuser", "config|resetstat", "info", "publish"}


def _start(trial: Trial, **settings: str) -> RunningWorker:
    _rule(trial, "on", ">secret", "allkeys", "allchannels", "+@all")
    return trial.start(REDIS_URL=trial.server.url.replace("//", f"//{_USER}:secret@"), **settings)


def _rule(trial: Trial, *rules: str) -> None:
    trial.client.execute_command("ACL", "SETUSER", _USER, *rules)


def _ask_for_everything(trial: Trial) -> None:
    """Make the worker use all its commands, also those that take over abandoned entries."""
    trial.abandon(4)
    trial.ask(2, reply_to="job")
    trial.ask(2, session="s", method="epoch")


def _used(trial: Trial) -> list[str]:
    names = {name.removeprefix("cmdstat_") for name in trial.client.info("commandstats")}
    return sorted(names - _NOT_THE_WORKERS)


def _is_calm(worker: RunningWorker) -> bool:
    return worker.losses() == len(worker.events("redis.restored"))


def _keys_but(trial: Trial, missing: int) -> list[str]:
    keys = trial.keys
    names = [keys.requests, keys.results, keys.reply("*"), keys.dead, keys.stats, keys.weights(), keys.session("*")]
    names += [keys.worker("*")]
    return [f"~{name}" for name in names[:missing] + names[missing + 1 :]]


@pytest.mark.fault("each command, key and channel that the worker uses is denied (ACL), one after the other", "B13")
def test_any_right_may_be_taken_away(trial: Trial) -> None:
    """Where the worker cannot do without, requests wait."""
    worker = _start(trial, WORKER_CLAIM_IDLE_S="0.1")
    trial.client.config_resetstat()
    expected = {"xreadgroup", "xclaim", "xautoclaim", "evalsha", "get", "hset", "set"}
    while not expected <= set(_used(trial)):  # what was left for the worker to take over, it may have read first
        _ask_for_everything(trial)
        trial.wait_answered()
    used = _used(trial)
    denials = [[f"-{command}"] for command in used]
    denials += [["resetkeys", *_keys_but(trial, missing)] for missing in range(8)]
    denials += [["resetchannels"]]
    for denial in denials:
        losses = len(worker.events("redis.lost"))
        _rule(trial, *denial)
        _ask_for_everything(trial)
        wait_until_sync(
            lambda losses=losses: len(worker.events("redis.lost")) > losses or trial.are_answered(),  # type: ignore[misc]
            timeout_s=DEADLINE_S,
            what=f"{denial} is missed, or nothing needs it",
        )
        _rule(trial, "allkeys", "allchannels", "+@all")
        trial.wait_answered()
        wait_until_sync(lambda: _is_calm(worker), timeout_s=DEADLINE_S, what=f"the worker is calm after {denial}")
    trial.recover()
    run = trial.count(losses=None, lines=400)
    assert run.dead == []


@pytest.mark.fault("the login is refused: another password, the user switched off, a denied command of it", "B13")
@pytest.mark.parametrize("denial", ["resetpass", "off", "-psubscribe"])
def test_the_login_may_be_refused(trial: Trial, denial: str) -> None:
    worker = _start(trial)
    with trial.load():
        trial.wait_answered()
        _rule(trial, denial)
        trial.client.execute_command("CLIENT", "KILL", "USER", _USER)
        trial.wait_event(worker, "redis.lost")
        _rule(trial, "on", ">secret", "+@all")
    trial.recover()
    trial.count()


@pytest.mark.fault("niceties are denied: the client's name, the worker's own key, the look at what waits", "B13")
def test_niceties_may_be_denied_from_the_start(trial: Trial) -> None:
    """It serves, is healthy, and says once what it does without."""
    _rule(trial, "on", ">secret", "resetkeys", "allchannels", "+@all", "-client|setname", "-xlen", *_keys_but(trial, 7))
    url = trial.server.url.replace("//", f"//{_USER}:secret@")
    worker = trial.start(REDIS_URL=url, WORKER_STATS_INTERVAL_S="0.2")
    with trial.load():
        trial.wait_answered()
        trial.wait_event(worker, "worker.listing_refused")
        wait_until_sync(lambda: len(worker.events("worker.stats")) > 3, timeout_s=DEADLINE_S, what="some statistics")
    trial.recover()
    assert [event["message"] for event in worker.events("redis.lost")] == []
    trial.count(losses=0)
    assert len(worker.events("worker.listing_refused")) == 1


@pytest.mark.fault("writes are refused: READONLY (a replica now), NOREPLICAS (too few of them)", "C05")
@pytest.mark.parametrize("word", ["READONLY", "NOREPLICAS"])
def test_writes_are_refused(trial: Trial, word: str) -> None:
    worker = trial.start()
    with trial.load():
        trial.wait_answered()
        if word == "READONLY":
            trial.client.execute_command("REPLICAOF", "127.0.0.1", 1)
        else:
            trial.client.config_set("min-replicas-to-write", 1)
        trial.wait_event(worker, "redis.lost")
        if word == "READONLY":
            trial.client.execute_command("REPLICAOF", "NO", "ONE")
        else:
            trial.client.config_set("min-replicas-to-write", 0)
    trial.recover()
    trial.count()
