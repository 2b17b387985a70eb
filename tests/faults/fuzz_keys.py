"""Write strange things under every name in Redis while a worker serves, a client asks and verbs look; then count.

    python tests/faults/fuzz_keys.py [--seconds 60] [--seed 1] [--server redis7]

Prints figures. Exit status 1 when a request was not served, somebody ended with a traceback, or a verb without a word.
"""

import argparse
import os
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.faults.redis_surface import NAME, TABLE, Kind, Verb
from tests.faults.strange import spoil
from tests.support.command import RunningWorker
from tests.support.library import fill
from tests.support.servers import connect, execute, new_database, redis_binaries, running
from tests.support.waiting import wait_until_sync
from worker.adapters.postgres.migrate import migrate
from worker.cli.commands import execute as run_verb
from worker.client import SampleClient
from worker.core.keys import Keys
from worker.embedded import PostgresServer, RedisServer
from worker.errors import SamplingError

DEADLINE_S = 60.0
_BUGS = ("worker.failed", "request.failed", "loop.failed", "adjust.failed", "library.message")
_STATUSES = (0, 1, 2)
_KINDS_ASKED: tuple[dict[str, Any], ...] = (
    {},
    {"session": NAME, "method": "epoch"},
    {"session": NAME, "pin": 1},
    {"dataset": NAME},
    {"preset": NAME},
    {"exclude": NAME},
)


@dataclass(slots=True)
class Figures:
    """Counts of what was done, and of what must not happen."""

    values: Counter[str] = field(default_factory=Counter)
    served: int = 0
    samples: int = 0
    refused: int = 0
    verbs: Counter[int] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)

    def tell(self) -> Iterator[str]:
        """Write them for people."""
        yield f"{self.values.total()} strange values under {len(self.values)} kinds of names: {dict(self.values)}"
        yield f"{self.served} requests served; the client got {self.samples} samples and {self.refused} errors"
        yield f"{self.verbs.total()} verbs, by exit status {dict(sorted(self.verbs.items()))}"
        yield f"events of the worker: {dict(self.events)}"
        yield f"tracebacks, and all else that must not be: {len(self.broken)}"
        yield from self.broken


class Fuzz:
    """A run that spoils one kind of name after the other, and lets all its readers read it."""

    def __init__(self, redis_url: str, database_url: str, folder: Path, seed: int) -> None:
        self.rng = random.Random(seed)
        self.figures = Figures()
        self.keys = Keys("audio")
        self.server: Any = connect(redis_url)
        self._settings = {"REDIS_URL": redis_url, "DATABASE_URL": database_url, "WORKER_RUN_DIR": str(folder / "run")}
        often = {"WORKER_STATS_INTERVAL_S": "1", "WORKER_CLAIM_IDLE_S": "1", "WORKER_MAX_DELIVERIES": "2"}
        self.worker = RunningWorker({**self._settings, **often}, folder)
        self._client = SampleClient(redis_url, prefix="audio", name=NAME, timeout_s=3.0)
        self._asked = 0

    def round(self, kind: Kind, verbs: Sequence[Verb]) -> None:
        """Spoil one kind of name, let everybody read it, and repair it."""
        how = spoil(self.rng, self.server, self.keys, kind)
        self.figures.values[kind.member] += 1
        what = f"{kind.member}, {how}"
        if kind.member == "requests" and self.server.type(self.keys.requests) != b"stream":
            self._mend(kind)
        self.serve(what)
        for verb in verbs:
            self.run(verb, what)
        if kind.member in {"reply", "asked", "session", "results"}:
            self.sample(what)
        self._mend(kind)

    def serve(self, what: str) -> None:
        """Ask correct requests: a plain one must be answered ok, others as the contract allows."""
        self._asked += 1
        own = f"fuzz-{self._asked}"
        for number, more in enumerate(_KINDS_ASKED):
            self.server.xadd(self.keys.requests, {"size": 3, "reply_to": own, "request_id": number, **more})

        def are_there() -> bool:
            return int(self.server.xlen(self.keys.reply(own))) == len(_KINDS_ASKED)

        try:
            wait_until_sync(are_there, timeout_s=DEADLINE_S, what="all are answered")
        except AssertionError:
            self.figures.broken.append(f"a request was not served after {what}")
        for _, result in self.server.xrange(self.keys.reply(own)):
            self.figures.served += 1
            code = result.get(b"error", b"").decode()
            if code == "internal" or (result[b"request_id"] == b"0" and code):
                self.figures.broken.append(f"{result} after {what}")
        self.server.delete(self.keys.reply(own))

    def run(self, verb: Verb, what: str) -> None:
        """Run a verb in this process: whatever it raises is a traceback for whoever typed it."""
        out, err = StringIO(), StringIO()
        try:
            with environment(self._settings), redirect_stdout(out), redirect_stderr(err):
                status = run_verb(verb)
        except BaseException as error:  # noqa: BLE001 - that is what is looked for
            self.figures.broken.append(
                f"{' '.join(verb)} raised {type(error).__name__}: {str(error)[:200]} after {what}"
            )
            return
        self.figures.verbs[status] += 1
        told = err.getvalue() + out.getvalue()
        if status not in _STATUSES or "Traceback" in told or (status and not told.strip()):
            self.figures.broken.append(f"{' '.join(verb)} ended with {status}: {told[:300]!r} after {what}")

    def sample(self, what: str) -> None:
        """Ask by the client library; what it raises has to be one of ours."""
        self._ask(what, self.rng.choice(({}, {"request_id": "again"}, {"session": NAME})))

    def _ask(self, what: str, options: Mapping[str, Any]) -> None:
        try:
            self._client.sample(3, **options)
            self.figures.samples += 1
        except SamplingError:
            self.figures.refused += 1
        except BaseException as error:  # noqa: BLE001 - that is what is looked for
            self.figures.broken.append(f"the client raised {type(error).__name__}: {error} after {what}")

    def _mend(self, kind: Kind) -> None:
        """Repair what was spoilt, now and then: mostly strange values pile up."""
        if kind.holds != "channel" and (self.rng.random() < 0.3 or self._is_of_another_type(kind)):
            self.server.delete(kind.key(self.keys))

    def _is_of_another_type(self, kind: Kind) -> bool:
        return self.server.type(kind.key(self.keys)).decode() not in {kind.holds, "none"}

    def end(self) -> Figures:
        """Repair everything, check that everybody works as before, and count the worker's events."""
        for kind in TABLE:
            if kind.holds != "channel":
                self.server.delete(kind.key(self.keys))
        self.serve("everything was put right")
        refused_before = self.figures.refused
        # Not by an id of before: the client may hold a strange result of it, which it still hands out.
        self._ask("everything was put right", {})
        if self.figures.refused > refused_before:
            self.figures.broken.append("the client is not served after everything was put right")
        self._client.close()
        status = self.worker.stop()
        if status:
            self.figures.broken.append(f"the worker ended with {status}")
        self.figures.events.update(line["event"] for line in self.worker.lines())
        for bug in _BUGS:
            self.figures.broken += [f"{bug}: {line}" for line in self.worker.events(bug)]
        self.server.close()
        return self.figures


def fuzz(redis_url: str, database_url: str, folder: Path, *, seed: int, rounds: int = 0, seconds: float = 0) -> Figures:
    """Fuzz for some rounds, each of all kinds of names, or for some seconds.

    Args:
        redis_url: A server of its own.
        database_url: Empty, and migrated.
        folder: For logs and the run directory.
        seed: Of all chances.
        rounds: How many; 0: as many as there is time for.
        seconds: How long, in seconds.
    """
    (folder / "run").mkdir(mode=0o700)
    execute(database_url, fill(300))
    place = Fuzz(redis_url, database_url, folder, seed)
    over_at = time.monotonic() + seconds
    try:
        place.worker.start().wait_ready()
        done = 0
        while done < rounds or (not rounds and time.monotonic() < over_at):
            for kind in place.rng.sample(TABLE, len(TABLE)):
                place.round(kind, place.rng.sample(kind.verbs, min(2, len(kind.verbs))))
            done += 1
        return place.end()
    finally:
        place.worker.end()


@contextmanager
def environment(settings: Mapping[str, str]) -> Iterator[None]:
    """Set the environment variables of the servers and the prefix."""
    before = dict(os.environ)
    os.environ.update(settings)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def main() -> int:
    """Run the program."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60, help="how long (default: 60)")
    parser.add_argument("--seed", type=int, default=1, help="of all chances (default: 1)")
    parser.add_argument("--server", choices=sorted(redis_binaries()), default="valkey", help="(default: valkey)")
    given = parser.parse_args()
    binary = redis_binaries()[given.server]
    with (
        tempfile.TemporaryDirectory() as folder,
        running(PostgresServer) as postgres,
        new_database(postgres) as url,
        running(lambda place: RedisServer(place, binary=binary)) as server,
    ):
        import asyncio

        asyncio.run(migrate(url))
        figures = fuzz(server.url, url, Path(folder), seed=given.seed, seconds=given.seconds)
    for line in figures.tell():
        print(re.sub(r"\s+", " ", line)[:2000], flush=True)
    return 1 if figures.broken else 0


if __name__ == "__main__":
    sys.exit(main())
