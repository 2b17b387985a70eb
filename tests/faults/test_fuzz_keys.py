"""Anything may stand in Redis: workers serve on and say what they refuse, verbs and clients end with a sentence."""

import re
import socket
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.fuzz_keys import Figures, environment, fuzz
from tests.faults.redis_surface import BY_MEMBER, KEYS, NAME, TABLE, member_of
from tests.faults.trial import Trial
from tests.support.servers import connect
from worker.cli.commands import execute
from worker.client import SampleClient
from worker.core.keys import Keys
from worker.embedded import RedisServer
from worker.embedded.loopback import HOST

ROUNDS = 8
SOAK_S = 1800.0
_WORD = re.compile(rb'"((?:[^"\\]|\\.)*)"')
# What is said about a connection or about nothing, by whichever program.
_KEYLESS = {"SCAN", "TIME", "CLIENT", "INFO", "SELECT", "HELLO", "PING", "AUTH", "ACL", "SCRIPT", "CONFIG", "COMMAND"}
_TOUR = (
    *(verb for kind in TABLE for verb in kind.verbs),
    ("weights", "set", "voice=1", "--for", "0.2s"),
    ("dead", "requeue", "--all"),
)


def hold(figures: Figures) -> None:
    """Check that nothing broke, and that the worker has logged what it refused."""
    assert figures.broken == []
    assert set(figures.values) == set(BY_MEMBER)
    assert {"weights.rejected", "weights.revert_refused", "stats.write_failed"} <= set(figures.events)
    assert figures.served == 6 * (figures.values.total() + 1)
    assert figures.samples, "the client is served between what it refuses"


@pytest.mark.fault(
    "anything under every name in Redis, while a worker serves and verbs and a client look", "B05", "G04"
)
def test_anything_may_stand_in_redis(own_server: RedisServer, database_url: str, tmp_path: Path) -> None:
    hold(fuzz(own_server.url, database_url, tmp_path, seed=1, rounds=ROUNDS))


@pytest.mark.soak
def test_anything_may_stand_in_redis_for_half_an_hour(
    own_server: RedisServer, database_url: str, tmp_path: Path
) -> None:
    hold(fuzz(own_server.url, database_url, tmp_path, seed=3, seconds=SOAK_S))


# -- the table is complete ---------------------------------------------------------------------------------------------


def test_every_name_is_in_the_table() -> None:
    named = {name for name in vars(Keys) if not name.startswith("_")} - {"prefix"}
    assert set(BY_MEMBER) == named
    for kind in TABLE:
        if kind.holds != "channel":
            assert member_of(kind.key(KEYS)) == kind.member
    assert member_of(KEYS.weights("preset:night")) == member_of(KEYS.weights()) == "weights"
    assert member_of(KEYS.worker("w-1")) == "worker"
    assert member_of("audio:elsewhere") is None


def _note(line: bytes, seen: dict[str, set[str]]) -> None:
    """Note one command, by the kind of the names in it; `?` for names of no kind."""
    name, *words = [word.decode(errors="replace") for word in _WORD.findall(line)] or ["PING"]
    for word in words if name.upper() not in _KEYLESS else ():
        if word.startswith("audio:") and "*" not in word:
            seen[member_of(word) or f"? {word}"].add(name.upper())


@contextmanager
def watching(server: RedisServer) -> Iterator[dict[str, set[str]]]:
    """Note every command that a server sees."""
    seen: dict[str, set[str]] = defaultdict(set)

    def note() -> None:
        for line in lines:
            if b'"PING" "enough"' in line:
                return
            _note(line, seen)

    with socket.create_connection((HOST, server.port)) as link, link.makefile("rb") as lines:
        link.sendall(b"MONITOR\r\n")
        assert lines.readline() == b"+OK\r\n"
        thread = threading.Thread(target=note)
        thread.start()
        try:
            yield seen
        finally:
            with connect(server.url) as other:
                other.execute_command("PING", "enough")
            thread.join(20.0)


@pytest.mark.fault("every name in Redis that is read is in the table of what strangers may write")
def test_every_command_that_a_server_sees_is_in_the_table(trial: Trial, tmp_path: Path) -> None:
    urls = {"REDIS_URL": trial.server.url, "DATABASE_URL": trial.library.url}
    settings = {**urls, "WORKER_RUN_DIR": str(tmp_path / "run")}
    trial.client.set(KEYS.reply("spoilt"), "no stream")
    with watching(trial.server) as seen:
        worker = trial.start(WORKER_CLAIM_IDLE_S="0.1", WORKER_MAX_DELIVERIES="1")
        with SampleClient(trial.server.url, prefix="audio", name=NAME) as client:
            client.sample(3, session=NAME, method="epoch")
            client.sample(3, session=NAME, pin=True)
            client.release(NAME)
        trial.client.xadd(KEYS.requests, {"reply_to": "spoilt"})
        trial.wait_event(worker, "request.dead_lettered")
        for verb in _TOUR:
            with environment(settings):
                execute(verb)
        worker.stop()
    unknown = {kind: names for kind, names in seen.items() if kind.startswith("?")}
    assert not unknown
    beyond = {
        kind: missing
        for kind, names in seen.items()
        if (missing := {name for name in names if name not in BY_MEMBER[kind].commands}) and kind != "weights"
    }
    assert beyond == {}
    assert seen["weights"] <= BY_MEMBER["weights"].commands | BY_MEMBER["weights_pattern"].commands
    assert set(seen) >= set(BY_MEMBER) - {"weights_pattern"}
