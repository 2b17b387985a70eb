"""Too much at once: floods, giants, huge entries; others wait their turn and no longer."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import redis

from tests.faults.records import Run
from tests.faults.trial import DEADLINE_S, Figure, Trial
from tests.support.streams import LARGEST_ID
from tests.support.waiting import wait_until_sync

_LARGEST = 65_536
_CHUNKS_AT_ONCE = 131_072
_BATCH = 256
_LANES = 2
_WAITING = 4
_MIB = 1 << 20
_GROWTH_MB = 64


@contextmanager
def _giants(trial: Trial) -> Iterator[None]:
    """Keep some giant requests waiting at any time."""
    is_over = threading.Event()

    def go_on() -> None:
        while not is_over.wait(0.002):
            if (missing := _WAITING - trial.client.xlen(trial.keys.requests)) > 0:
                trial.ask(missing, size=_LARGEST, reply_to="giants", encoding="packed")

    asking = threading.Thread(target=go_on)
    asking.start()
    try:
        yield
    finally:
        is_over.set()
        asking.join()


def _overtaken(run: Run, name: str) -> int:
    """Return the most requests of one name that overtook a single request of another name."""
    rivals = [(_order(answer.entry_id), answer.at_ms) for answer in run.answers if answer.reply_to == name]
    others = [(_order(answer.entry_id), answer.at_ms) for answer in run.answers if answer.reply_to != name]
    return max(sum(asked > order and at < settled for asked, at in rivals) for order, settled in others)


def _order(entry_id: str) -> tuple[int, ...]:
    return tuple(map(int, entry_id.split("-")))


@pytest.mark.fault("giants of 65,536 chunks wait at any time, tiny requests come between", "H04")
def test_giants_do_not_starve_tiny_requests(trial: Trial) -> None:
    trial.start()
    with _giants(trial):
        for i in range(1, 13):
            trial.ask(3, size=1)
            wait_until_sync(
                lambda count=3 * i: trial.client.xlen(trial.keys.results) == count,  # type: ignore[misc]
                timeout_s=DEADLINE_S,
                what="the tiny ones are answered",
            )
    trial.recover()
    run = trial.count(losses=0)
    assert _overtaken(run, "giants") <= _WAITING


@pytest.mark.fault("giants that have waited all together: a batch is settled in bounded steps", "H04")
def test_what_is_settled_at_once_is_bounded(trial: Trial) -> None:
    count = 40
    trial.ask(count, size=_LARGEST, encoding="packed")
    trial.start()
    trial.wait_answered()
    steps = trial.client.info("commandstats")["cmdstat_evalsha"]["calls"]
    assert steps >= count * _LARGEST / _CHUNKS_AT_ONCE
    trial.recover()
    trial.count(losses=0)


@pytest.mark.fault("a job asks for far more than can be served, a hundred others for one each", "H03", "H04")
def test_a_hot_job_has_its_turn_and_no_more(trial: Trial) -> None:
    trial.start()
    hot = threading.Thread(target=lambda: [trial.ask(1_000, size=20, reply_to="hot") for _ in range(20)])
    hot.start()
    for i in range(100):
        trial.ask(1, reply_to=f"job-{i}")
    hot.join()
    trial.recover("a backlog of 20,000 answered in")
    run = trial.count(losses=0)
    assert _overtaken(run, "hot") <= _LANES * _BATCH


@pytest.mark.fault("an entry of 64 MB, one of 100,000 fields", "G03")
def test_entries_are_huge(trial: Trial, figure: Figure) -> None:
    worker = trial.start(WORKER_CLAIM_IDLE_S="60")
    trial.ask_raw([[b"size", b"4", b"note", bytes(64 * _MIB)]])
    trial.ask(20)
    trial.ask_raw([[word for i in range(100_000) for word in (b"field-%d" % i, b"x")]])
    trial.recover()
    figure("most memory", worker.peak_memory_mb(), "MB")
    trial.count(losses=0)


@pytest.mark.fault(
    "a stranger trims the stream (XADD MAXLEN 0): what was not read is gone, all else is answered", "G11"
)
def test_a_stranger_trims_the_stream(trial: Trial) -> None:
    """No worker can tell that there was something; who asked can, and the project's client asks again."""
    trial.start_many("w-1", "w-2")
    for number in (*[signal.SIGCONT] * 4, signal.SIGSTOP):  # the last time nobody can have read it before
        for worker in trial.workers:
            worker.send(number)
        trial.ask(3_000)
        trial.client.xadd(trial.keys.requests, {"size": 1}, maxlen=0, approximate=False)
    for worker in trial.workers:
        worker.send(signal.SIGCONT)
    trial.forget_asked()
    trial.recover()
    run = trial.count(losses=0)
    assert 0 < len(run.answers) < len(run.asked)


@pytest.mark.fault("a stranger takes the largest id: nobody can ask until somebody deletes the stream", "G11")
def test_a_stranger_takes_the_last_id(trial: Trial) -> None:
    trial.start()
    trial.ask(20)
    trial.ask_raw([[b"size", b"4"]], entry_id=LARGEST_ID)
    trial.wait_answered()
    with pytest.raises(redis.ResponseError, match="last possible ID"):
        trial.ask()
    trial.client.delete(trial.keys.requests)
    trial.recover()
    trial.count(losses=None)


@pytest.mark.soak
@pytest.mark.fault("a million requests, and giants among them", "H03", "H04")
def test_none_of_a_million_is_lost_or_doubled(trial: Trial, figure: Figure) -> None:
    worker = trial.start(WORKER_RESULTS_MAXLEN="2000000")
    peaks = []
    for _ in range(100):
        trial.ask(10_000, size=1)
        trial.ask(2, size=_LARGEST, reply_to="giants", encoding="packed")
        trial.wait_some_answered()
        peaks.append(worker.peak_memory_mb())
    trial.recover("the rest answered in")
    figure("most memory", worker.peak_memory_mb(), "MB")
    assert worker.peak_memory_mb() - peaks[len(peaks) // 10] < _GROWTH_MB
    run = trial.count(losses=0, lines=400)
    assert len(run.answers) == len(run.asked) > 1_000_000
