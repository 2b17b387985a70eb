"""What the desk's page looks at in tests and pictures: a library, workers, a training and a desk, all of them real."""

import json
import threading
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import anyio

from tests.support.command import RunningWorker
from tests.support.desks import RunningDesk, running_desk
from tests.support.servers import connect
from tests.support.waiting import wait_until_sync
from worker.adapters.postgres.chunks import import_chunks
from worker.client import SampleClient
from worker.core.catalog.manifest import ChunkRow
from worker.core.keys import Keys

MIX = {"voice": 0.4, "music": 0.3, "documentary": 0.2, "conference": 0.1}
SIZE = 32
_PAUSE_S = 0.03
_HEARD_S = 60.0
_SIZES = {"voice": 4000, "music": 6000, "documentary": 900, "conference": 400, "custom": 1500}


def library() -> Iterator[ChunkRow]:
    """Describe a small library of five categories."""
    for category, chunks in _SIZES.items():
        for number in range(chunks):
            yield ChunkRow(f"{category}/{number:05}.flac", category, "READY", 5.0)


class Training:
    """A training loop in a thread, which counts what it hears under each version of the weights."""

    def __init__(self, client: SampleClient, **options: str) -> None:
        self._client = client
        self._options = options
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._loop, daemon=True)
        self.heard: dict[str, Counter[str]] = defaultdict(Counter)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _loop(self) -> None:
        for sample in self._client.stream(SIZE, prefetch=2, **self._options):  # type: ignore[arg-type]
            self.heard[sample.weights_version].update(sample.counts)
            if self._over.wait(_PAUSE_S):
                return

    def wait_heard(self, version: str, chunks: int = 50 * SIZE) -> Counter[str]:
        """Wait until it has heard some chunks under a version, and return how many of each category."""
        wait_until_sync(
            lambda: self.heard[version].total() >= chunks,
            timeout_s=_HEARD_S,
            what=f"the training has heard {chunks} chunks under {version}",
        )
        return self.heard[version]


@dataclass(frozen=True, slots=True)
class Stage:
    """All parts of the stage, as they run.

    Attributes:
        settings: Where everything is.
        folder: What the processes write.
        workers: The workers.
        desk: The desk.
        client: A client of somebody else.
        training: The training.
    """

    settings: Mapping[str, str]
    folder: Path
    workers: Sequence[RunningWorker]
    desk: RunningDesk
    client: SampleClient
    training: Training

    def set_weights(self, weights: Mapping[str, float], who: str = "bob", reason: str = "") -> str:
        """Change weights as somebody else does; return their version."""
        return self.client.set_weights(weights, who=who, reason=reason).version or ""

    def stored(self, dataset: str | None = None) -> dict[str, float]:
        """Read what Redis holds as weights."""
        with connect(self.settings["REDIS_URL"]) as server:
            value = server.get(Keys(self.settings["WORKER_PREFIX"]).weights(dataset))
        assert isinstance(value, bytes)
        return dict(json.loads(value))


@contextmanager
def running_stage(
    settings: Mapping[str, str], folder: Path, *, rows: Iterable[ChunkRow] | None = None, workers: int = 1
) -> Iterator[Stage]:
    """Run it; the database has to have the schema."""
    (folder / "run").mkdir(mode=0o700, exist_ok=True)
    settings = {"WORKER_RUN_DIR": str(folder / "run"), "WORKER_STATS_INTERVAL_S": "1", **settings}
    anyio.run(import_chunks, settings["DATABASE_URL"], library() if rows is None else rows)
    with ExitStack() as stack:
        started = [RunningWorker(settings, folder, f"w-{number + 1}") for number in range(workers)]
        for worker in started:
            stack.callback(worker.start().stop)
            worker.wait_ready()
        url, prefix = settings["REDIS_URL"], settings["WORKER_PREFIX"]
        client, heard = (stack.enter_context(SampleClient(url, prefix=prefix)) for _ in range(2))
        client.set_weights(MIX, who="alice", reason="the first mix")
        desk = stack.enter_context(running_desk(settings, folder))
        training = stack.enter_context(Training(heard, session="asr-large-7"))
        yield Stage(settings, folder, started, desk, client, training)
