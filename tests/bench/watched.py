"""Workers whose event loops are watched, and libraries that they draw from."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.backlog import BATCH, ROWS
from tests.bench.harness import CATEGORIES, WORKER_CORE, Servers, fill, pin
from tests.bench.stillness import Spans, read_spans
from tests.support.children import ending_with_us
from tests.support.command import RunningWorker
from worker.settings.environment import environment_with

PROGRAM = Path(__file__).with_name("watched_worker.py")


@dataclass(frozen=True, slots=True)
class Library:
    """The READY chunks that a benchmark needs."""

    chunks: int = ROWS
    categories: tuple[str, ...] = CATEGORIES


class WatchedWorker(RunningWorker):
    """A worker whose event loop is watched; what was seen can be read once it stopped."""

    def start(self) -> "WatchedWorker":
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                ending_with_us(sys.executable, str(PROGRAM), str(self._seen), "run"),
                env=environment_with(self._settings),
                cwd=self._folder,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        pin(self.process.pid, WORKER_CORE)
        return self

    @property
    def _seen(self) -> Path:
        return self.log.with_suffix(".spans")

    def spans(self) -> Spans:
        return read_spans(self._seen)


@contextmanager
def watched_workers(at: Servers, count: int) -> Iterator[list[WatchedWorker]]:
    """Run some workers."""
    settings = {"REDIS_URL": at.redis_url, "DATABASE_URL": at.database_url, "WORKER_BATCH": str(BATCH)}
    with ExitStack() as opened:
        running = []
        for number in range(count):
            one = WatchedWorker(settings, at.folder, f"w-{number}-{time.time_ns()}")
            opened.callback(one.stop)
            running.append(one)
            one.start()
        for one in running:
            one.wait_ready()
        yield running


def ensure(at: Servers, library: Library) -> None:
    """Fill the library, unless it is what it has to be."""
    mark = at.folder / "library"
    if not mark.exists() or mark.read_text() != repr(library):
        asyncio.run(fill(at.database_url, library.chunks, library.categories))
        mark.write_text(repr(library))
