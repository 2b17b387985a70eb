"""The link breaks, falls silent, is slow or speaks nonsense; the server is well."""

import random
import resource
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from itertools import cycle

import pytest

from tests.faults.trial import DEADLINE_S, Trial
from tests.support.nonsense import NONSENSE
from tests.support.proxy import Link, Pace, Proxy
from tests.support.tampering import KINDS, Tamperer
from tests.support.waiting import wait_until_sync

_LARGEST = 65_536
_ONE_IN = 25
_OFTEN = 20  # tries to connect: several of each loop of a worker
_CUT_EVERY_S = 5.0
_COMMANDS = ["XREADGROUP", "EVALSHA", "GET", "XGROUP", "TIME", "XAUTOCLAIM", "XPENDING", "EVAL", "SET", "PSUBSCRIBE"]


@pytest.mark.fault("CLIENT KILL of each connection that the worker holds, one after the other, under load", "B08")
def test_each_connection_is_killed(trial: Trial) -> None:
    trial.start()
    with trial.load():
        trial.wait_answered()
        numbers = [one["id"] for one in trial.client.client_list() if one["name"] == "sampling-worker"]
        assert len(numbers) >= 3  # for reading and settling, for weights, for notifications
        for number in numbers:
            trial.client.execute_command("CLIENT", "KILL", "ID", number)
            trial.wait_some_answered()
    trial.recover()
    trial.count(losses=None)


@pytest.mark.fault("every connection is killed again and again under load, by the server or the network", "B08", "D01")
@pytest.mark.parametrize("killer", ["server", "network"])
def test_every_connection_is_killed_again_and_again(trial: Trial, proxy: Proxy, killer: str) -> None:
    workers = trial.start_many("w-1", "w-2", REDIS_URL=proxy.url)
    with trial.load():
        for _ in range(15):
            trial.wait_some_answered()
            if killer == "network":
                proxy.cut()
                continue
            for kind in ("normal", "pubsub"):
                trial.client.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")
    trial.recover()
    trial.count(losses=None, lines=100)
    assert all(worker.events("redis.lost") for worker in workers)


def _cut_until(predicate: Callable[[], bool], proxy: Proxy, *, what: str) -> None:
    """Cut links, so that a worker opens, recovers and subscribes again, until something has come of it.

    Once may not be enough. If another command is sent right after a command, the latter is no longer the latest when
    its reply comes.
    """
    due = time.monotonic()

    def cut_and_look() -> bool:
        nonlocal due
        if time.monotonic() >= due:
            proxy.cut()
            due = time.monotonic() + _CUT_EVERY_S
        return predicate()

    wait_until_sync(cut_and_look, timeout_s=DEADLINE_S, what=what)


@pytest.mark.fault("replies are lost that Redis gave, of each command that the worker sends", "D02")
def test_replies_are_lost(trial: Trial, proxy: Proxy) -> None:
    trial.start(REDIS_URL=proxy.url, WORKER_CLAIM_IDLE_S="0.1", WORKER_MAX_DELIVERIES="20")
    lost: Counter[str] = Counter()

    def lose(command: str, link: Link) -> None:
        lost[command] += 1
        link.cut()

    with trial.load():
        for command in _COMMANDS:
            proxy.on_reply(command, partial(lose, command), times=2)
            trial.abandon(4)
            _cut_until(lambda name=command: lost[name] >= 2, proxy, what=f"{command} loses replies")  # type: ignore[misc]
    trial.recover()
    trial.count(losses=None, lines=200)


@pytest.mark.fault("replies are made up: other shapes, errors of no known kind", "D05")
def test_replies_make_no_sense(trial: Trial, proxy: Proxy) -> None:
    """The true reply comes after the nonsense. From then on each reply would go to another command."""
    worker = trial.start(REDIS_URL=proxy.url, WORKER_CLAIM_IDLE_S="0.1", WORKER_MAX_DELIVERIES="1000")
    nonsense, said = cycle(NONSENSE), Counter[str]()

    def say(command: str, link: Link) -> None:
        said[command] += 1
        link.say(next(nonsense))

    with trial.load():
        for command in _COMMANDS:
            proxy.on_command(command, partial(say, command), times=4)
        trial.abandon(4)
        _cut_until(lambda: said.total() == 4 * len(_COMMANDS), proxy, what="nonsense is said to each command")
    trial.recover()
    trial.count(losses=None, lines=200)
    assert worker.is_running


def _let_tamper(trial: Trial, proxy: Proxy, kinds: tuple[str, ...], times: int) -> None:
    """Serve two workers over a link that tampers with replies, so many times; then check every promise."""
    patient = {"WORKER_CLAIM_IDLE_S": "0.2", "WORKER_MAX_DELIVERIES": "100000"}
    # A reply that is left out costs its timeout. That is so often that 5 s of it would be all of this test.
    trial.start_many("w-1", "w-2", REDIS_URL=f"{proxy.url}?socket_timeout=2", **patient)
    tamperer = proxy.tamperer = Tamperer(11, every=_ONE_IN, kinds=kinds)
    deadline_s = DEADLINE_S + times
    with trial.load():
        wait_until_sync(lambda: tamperer.done.total() >= times, timeout_s=deadline_s, what="much was tampered with")
        trial.weigh(voice=1, music=3)
        wait_until_sync(lambda: tamperer.done.total() >= times + 20, timeout_s=DEADLINE_S, what="and again")
    tamperer.every = 0
    proxy.cut()  # what is out of step
    trial.recover()
    trial.count(losses=None, lines=100_000)
    assert all(worker.is_running for worker in trial.workers)
    assert [worker.stop() for worker in trial.workers] == [0, 0]


@pytest.mark.fault("replies are replaced, torn, doubled, swapped, left out, slipped in, under load", "D05")
def test_replies_are_tampered_with(trial: Trial, proxy: Proxy) -> None:
    _let_tamper(trial, proxy, KINDS, 60)


@pytest.mark.any_redis
@pytest.mark.fault("replies come twice, in another order, or those of other commands, under load", "D05")
@pytest.mark.parametrize("kinds", [("doubled", "swapped"), ("an earlier one before it", "left out")])
def test_replies_are_out_of_step(trial: Trial, proxy: Proxy, kinds: tuple[str, ...]) -> None:
    _let_tamper(trial, proxy, kinds, 40)


@pytest.mark.soak
def test_replies_are_tampered_with_for_long(trial: Trial, proxy: Proxy) -> None:
    _let_tamper(trial, proxy, KINDS, 5_000)


@pytest.mark.fault("a black hole: nothing passes, and nothing is said", "D03")
def test_nothing_passes(trial: Trial, proxy: Proxy) -> None:
    worker = trial.start(REDIS_URL=proxy.url)
    with trial.load():
        trial.wait_answered()
        proxy.hold()
        trial.wait_event(worker, "redis.lost")
        proxy.release()
    trial.recover()
    trial.count()


@pytest.mark.fault("a black hole for the subscription alone: weights are followed all the same", "D04", "E02")
def test_the_subscription_is_deaf(trial: Trial, proxy: Proxy) -> None:
    worker = trial.start(REDIS_URL=proxy.url)
    with trial.load():
        trial.wait_answered()
        proxy.hold(using="PSUBSCRIBE")
        trial.weigh(voice=1, music=3)
        trial.wait_weights(worker)
        trial.weigh(voice=3, music=1)
        trial.wait_weights(worker)
        trial.wait_event(worker, "redis.lost")
        proxy.release()
    trial.recover()
    trial.count()


@pytest.mark.fault("connections are refused for a while", "D08")
def test_connections_are_refused(trial: Trial, proxy: Proxy) -> None:
    worker = trial.start(REDIS_URL=proxy.url)
    with trial.load():
        trial.wait_answered()
        proxy.is_refusing = True
        proxy.cut()
        trial.wait_event(worker, "redis.lost")
        # A loop that finds out after the others are back tells of a second loss. Each has tried often by then.
        wait_until_sync(lambda: proxy.refused >= _OFTEN, timeout_s=DEADLINE_S, what="each loop has found out")
        proxy.is_refusing = False
    trial.recover()
    trial.count()


@pytest.mark.fault("replies are torn: half of one and then silence, half closed, nonsense", "D05")
@pytest.mark.parametrize("words", [b"*3\r\n$7\r\nset", b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_replies_are_torn(trial: Trial, proxy: Proxy, words: bytes) -> None:
    worker = trial.start(REDIS_URL=proxy.url)

    def tear(link: Link) -> None:
        link.say(words)
        link.half_close() if not words else link.hold()

    with trial.load():
        trial.wait_answered()
        proxy.on_reply("EVALSHA", tear)
        trial.wait_event(worker, "redis.lost")
        proxy.release()
    trial.recover()
    trial.count()


@pytest.mark.fault(
    "a link that is slow (20 to 100 ms), lossy (one in fifty stalls for 0.5 s), passes 7 bytes at a time", "D06"
)
@pytest.mark.parametrize("pace", ["slow", "lossy", "in crumbs"])
def test_the_link_is_slow(trial: Trial, proxy: Proxy, pace: str) -> None:
    chance = random.Random(6)
    workers = trial.start_many("w-1", "w-2", REDIS_URL=proxy.url, WORKER_CLAIM_IDLE_S="5")
    proxy.pace = {
        "slow": Pace(delay=lambda: chance.uniform(0.02, 0.1)),
        "lossy": Pace(delay=lambda: 0.5 if chance.random() < 0.02 else 0.0),
        "in crumbs": Pace(piece=7),
    }[pace]
    trial.ask(300)
    trial.wait_answered()
    trial.ask(300)
    trial.wait_answered()
    proxy.pace = Pace()
    trial.recover()
    trial.count(losses=0)
    assert not any(worker.events("request.claimed") for worker in workers)


@pytest.mark.fault("a narrow link: a giant result takes longer to pass than Redis is waited for", "D07")
def test_the_link_is_narrow(trial: Trial, proxy: Proxy) -> None:
    trial.start(REDIS_URL=proxy.url, WORKER_CLAIM_IDLE_S="60")
    trial.ask(1)
    trial.wait_answered()
    proxy.pace = Pace(bytes_per_s=45_000, piece=4_500)
    trial.ask(1, size=_LARGEST)
    trial.wait_answered()
    proxy.pace = Pace()
    trial.recover()
    trial.count(losses=0)


@pytest.mark.fault("the worker has no file descriptor left to connect with", "D10")
def test_file_descriptors_run_out(trial: Trial) -> None:
    worker = trial.start()
    with trial.load():
        trial.wait_answered()
        assert worker.process is not None
        pid, nofile = worker.process.pid, resource.RLIMIT_NOFILE
        before = resource.prlimit(pid, nofile)
        resource.prlimit(pid, nofile, (3, before[1]))
        trial.client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        trial.wait_event(worker, "redis.lost")
        resource.prlimit(pid, nofile, before)
    trial.recover()
    trial.count()
