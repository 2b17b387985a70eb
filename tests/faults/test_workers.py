"""Workers that die, hang, are stopped and started again: each request gets one result all the same."""

import json
import os
import resource
import shutil
import signal
import threading
import time
from pathlib import Path

import pytest

from tests.faults.trial import DEADLINE_S, Figure, Trial
from tests.support.proxy import Link, Proxy
from tests.support.waiting import wait_until_sync
from worker.core.workers.states import WIRE_VERSION

_PACKAGE = Path(__file__).parents[2] / "worker"
_ENTRIES = b"request_id"
_TOO_LONG_S = 1.5  # the trial's claim time is 1 s
_CONSUMERS = 500


@pytest.mark.fault("SIGKILL at a point of the batch", "A01", "A02", "A04")
@pytest.mark.parametrize("point", ["reading", "having read", "settling", "having settled", "taking over"])
def test_a_worker_is_killed_at_any_point_of_the_batch(trial: Trial, proxy: Proxy, point: str) -> None:
    victim = trial.start("w-1", REDIS_URL=proxy.url)
    killed = threading.Event()

    def kill(_: Link) -> None:
        victim.kill()
        killed.set()

    {
        "reading": lambda: proxy.on_command("XREADGROUP", kill),
        "having read": lambda: proxy.on_reply("XREADGROUP", kill, holding=_ENTRIES),
        "settling": lambda: proxy.on_command("EVALSHA", kill),
        "having settled": lambda: proxy.on_reply("EVALSHA", kill, holding=b"settled"),
        "taking over": lambda: proxy.on_reply("XAUTOCLAIM", kill),
    }[point]()
    with trial.load():
        if point == "taking over":
            trial.abandon(4)  # else there is nothing to take over
        assert killed.wait(20)
        trial.launch("w-2")
    trial.recover()
    run = trial.count(losses=0)
    assert len(run.answers) == len(run.asked)


@pytest.mark.fault("SIGKILL of every worker, again and again, under load", "A03", "A05")
def test_all_workers_are_killed_again_and_again(trial: Trial) -> None:
    workers = trial.start_many("w-1", "w-2")
    with trial.load(size=50):
        for _ in range(3):
            for worker in workers:
                worker.kill()
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.wait_ready()
    trial.recover()
    trial.count(losses=0)


@pytest.mark.fault("SIGSTOP for longer than the claim time, then SIGCONT: a settling that comes too late", "A06")
def test_a_worker_that_wakes_up_too_late_writes_nothing(trial: Trial, proxy: Proxy) -> None:
    trial.start("w-2")
    sleeper = trial.start("w-1", REDIS_URL=proxy.url)
    asleep = threading.Event()

    def fall_asleep(link: Link) -> None:
        link.hold()  # its results are on their way
        sleeper.send(signal.SIGSTOP)
        asleep.set()

    proxy.on_command("EVALSHA", fall_asleep)
    with trial.load():
        assert asleep.wait(20)
    trial.wait_answered()
    proxy.release()
    sleeper.send(signal.SIGCONT)
    trial.recover()
    trial.count(losses=None)
    assert trial.workers[0].events("request.claimed")


@pytest.mark.fault("SIGSTOP for longer than the claim time, then SIGCONT, at any moment", "A06")
def test_workers_fall_asleep_at_any_moment_and_wake_up_late(trial: Trial) -> None:
    workers = trial.start_many("w-1", "w-2")
    with trial.load():
        for sleeper in workers * 2:
            sleeper.send(signal.SIGSTOP)
            time.sleep(_TOO_LONG_S)
            sleeper.send(signal.SIGCONT)
    trial.recover()
    trial.count(losses=None)


@pytest.mark.fault("a rolling restart of three workers under load, by SIGTERM", "A07", "H10")
def test_workers_are_restarted_one_after_the_other(trial: Trial) -> None:
    workers = trial.start_many("w-1", "w-2", "w-3")
    with trial.load():
        for worker in workers:
            worker.send(signal.SIGTERM)
            assert worker.wait() == 0
            worker.start().wait_ready()
    trial.recover()
    trial.count(losses=0)
    assert not any(worker.events("request.claimed") for worker in workers)
    ends = [end["reason"] for worker in workers for end in worker.events("worker.stopped")]
    assert ends == ["drained"] * len(workers)


@pytest.fixture
def next_release(tmp_path: Path) -> str:
    """Make a release as the next one may be: a wire version more, other scripts, and a field more in its state."""
    place = tmp_path / "next"
    shutil.copytree(_PACKAGE, place / "worker")
    for script in place.rglob("*.lua"):
        script.write_text(script.read_text() + "\n-- of the next release\n")
    raised = f"WIRE_VERSION: Final = {WIRE_VERSION}", f"WIRE_VERSION: Final = {WIRE_VERSION + 1}"
    for name, (old, new) in {
        "core/workers/states.py": raised,
        "service/reporter.py": ('"wire_version"', '"of_the_next_release": 1, "wire_version"'),
    }.items():
        module = place / "worker" / name
        text = module.read_text()
        assert text.count(old) == 1
        module.write_text(text.replace(old, new))
    return str(place)


@pytest.mark.fault(
    "a rolling upgrade and downgrade of two workers under load, both releases serve at once", "A07", "H10"
)
def test_workers_of_two_releases_serve_one_group(trial: Trial, next_release: str) -> None:
    serving = trial.start_many("w-1", "w-2")
    with trial.load():
        for upgraded, version in ((0, 1), (1, 1), (0, 0)):
            trial.wait_some_answered()
            old = serving[upgraded]
            old.send(signal.SIGTERM)
            assert old.wait() == 0
            release = {"PYTHONPATH": next_release} if version else {}
            serving[upgraded] = trial.start(old.consumer, **release)
            states = [json.loads(trial.client.get(trial.keys.worker(worker.consumer))) for worker in serving]
            assert states[upgraded]["wire_version"] == WIRE_VERSION + version
            assert ("of_the_next_release" in states[upgraded]) == bool(version)
            trial.weigh(voice=0.5, music=0.5 + upgraded)
    trial.recover()
    run = trial.count(losses=0)
    assert len(run.answers) == len(run.asked)
    told = [line for worker in serving for line in worker.lines()]
    assert [line["reason"] for line in told if line["event"] == "worker.stopped"] == ["drained"] * 3
    assert not {"request.claimed", "request.rejected"} & {line["event"] for line in told}


@pytest.mark.fault("SIGTERM to a worker that waits for requests, in the very moment in which one is added", "A08")
def test_a_worker_is_told_to_stop_as_a_request_comes(trial: Trial) -> None:
    leaver, _ = trial.start_many("w-1", "w-2")
    for _ in range(5):
        leaver.send(signal.SIGTERM)
        trial.ask(1)
        trial.wait_answered()
        assert leaver.wait() == 0
        leaver.start().wait_ready()
    trial.recover()
    trial.count(losses=0)


@pytest.mark.fault("SIGTERM while Redis hangs", "A09")
def test_a_worker_is_told_to_stop_while_redis_hangs(trial: Trial, figure: Figure) -> None:
    stuck = trial.start("w-1", WORKER_DRAIN_TIMEOUT_S="0.5")
    with trial.load():
        trial.wait_answered()
        os.kill(trial.server.pid, signal.SIGSTOP)
        begun = time.monotonic()
        stuck.send(signal.SIGTERM)
        assert stuck.wait() == 1
        figure("beyond the drain time", time.monotonic() - begun - 0.5, "s")
        os.kill(trial.server.pid, signal.SIGCONT)
    assert stuck.events("worker.stopped")[0]["exit_status"] == 1
    trial.launch("w-2")
    trial.recover()
    trial.count(losses=None)


@pytest.mark.fault("SIGTERM twice; SIGINT; SIGHUP", "A10")
@pytest.mark.parametrize(
    ("numbers", "statuses"),
    [
        ([signal.SIGTERM, signal.SIGTERM], {0, 1}),
        ([signal.SIGINT], {0}),
        ([signal.SIGHUP], {-signal.SIGHUP}),
    ],
    ids=["SIGTERM twice", "SIGINT", "SIGHUP"],
)
def test_other_signals_end_a_worker_and_nothing_else(
    trial: Trial, numbers: list[signal.Signals], statuses: set[int]
) -> None:
    worker = trial.start("w-1")
    with trial.load():
        trial.wait_answered()
        for number in numbers:
            worker.send(number)
        assert worker.wait() in statuses
    trial.launch("w-2")
    trial.recover()
    trial.count(losses=0)


@pytest.mark.needs_root
@pytest.mark.fault("SIGTERM to a worker that is process 1, as in a container", "A10")
def test_process_1_is_told_to_stop(trial: Trial) -> None:
    worker = trial.start("w-1", wrapped=("unshare", "--pid", "--fork", "--kill-child"))
    with trial.load():
        trial.wait_answered()
        worker.send(signal.SIGTERM)
        assert worker.wait() == 0
    assert worker.events("worker.started")[0]["pid"] == 1
    trial.launch("w-2")
    trial.recover()
    trial.count(losses=0)


@pytest.mark.fault("a request that brings down every worker that tries it, as an out-of-memory kill does", "A11", "A12")
def test_a_request_kills_whoever_tries_it(trial: Trial, proxy: Proxy) -> None:
    """It dies with a dead letter, and takes no other with it."""
    worker = trial.start("w-1", REDIS_URL=proxy.url, WORKER_MAX_DELIVERIES="3")
    deaths: list[float] = []

    def kill(_: Link) -> None:
        worker.kill()
        deaths.append(time.monotonic())

    for command in ("XREADGROUP", "EVAL"):  # read, and delivered again
        proxy.on_reply(command, kill, times=100, holding=b"poison")
    trial.ask(20)
    [poison] = trial.ask(1, accepted=frozenset({"too_many_deliveries"}), note="poison")
    trial.ask(20)
    while not trial.are_answered():
        if not worker.is_running:
            worker.start()
    trial.recover()
    run = trial.count(losses=0)
    assert len(deaths) == 3
    assert [letter["entry_id"] for letter in run.dead] == [poison]


@pytest.mark.fault("memory runs out (RLIMIT_AS) under giant requests; others are answered meanwhile", "A11")
def test_memory_runs_out(trial: Trial) -> None:
    worker = trial.start("w-1", WORKER_CLAIM_IDLE_S="0.2", WORKER_MAX_DELIVERIES="1000")
    trial.ask(20)
    trial.wait_answered()
    assert worker.process is not None
    before = resource.prlimit(worker.process.pid, resource.RLIMIT_AS)
    resource.prlimit(worker.process.pid, resource.RLIMIT_AS, (worker.memory_kb("VmSize") * 1024, before[1]))
    trial.ask(4, size=65_536)
    trial.wait_event(worker, "request.failed")
    trial.ask(20)
    wait_until_sync(lambda: trial.look() >= 40, timeout_s=DEADLINE_S, what="all but the giants are answered")
    resource.prlimit(worker.process.pid, resource.RLIMIT_AS, before)
    trial.recover()
    run = trial.count(losses=0, bugs=("worker.failed", "library.message"))
    assert run.dead == []


@pytest.mark.fault("two workers by the same consumer name")
def test_two_workers_have_the_same_name(trial: Trial) -> None:
    trial.start_many("w-1", "w-1b", WORKER_CONSUMER="w-1")
    with trial.load():
        trial.workers[1].kill()
        trial.workers[1].start().wait_ready()
    trial.recover()
    run = trial.count(losses=0)
    assert run.dead == []


@pytest.mark.fault("five hundred workers that came, served and died, each by a name of its own", "A13")
def test_the_names_of_the_dead_are_forgotten(trial: Trial) -> None:
    """What they held is answered first."""
    trial.start("w-1", WORKER_CLAIM_IDLE_S="0.02")
    for number in range(_CONSUMERS):
        trial.abandon(number % 2, f"pod-{number}")
    wait_until_sync(lambda: trial.consumers() == ["w-1"], timeout_s=DEADLINE_S, what="only the living are in the group")
    trial.recover()
    run = trial.count(losses=0, lines=_CONSUMERS // 2)  # so no line a name, however long they took to come
    assert len(run.answers) == _CONSUMERS // 2 + 1
