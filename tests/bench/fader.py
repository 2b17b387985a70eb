"""Measure the time from a fader's release in a browser to a training's first sample under its weights.

The training loop takes 200 samples of 32 ids a second. It asks ahead for as many as it does by default. The browser
drags a fader of the desk and releases it. It does so again once the training has heard the change.
"""

import asyncio
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.harness import Servers, arguments, fill, report, servers, worker
from tests.support.browsers import DeskPage, running_browser
from tests.support.desks import running_desk
from tests.support.waiting import wait_until_sync
from worker.client import SampleClient

SIZE = 32
STEP_S = 0.005
HEARD_S = 60.0
MIX = {"voice": 0.4, "music": 0.3, "documentary": 0.2, "conference": 0.1}
_NOTE = "addEventListener('pointerup', () => (window.releasedMs = performance.timeOrigin + performance.now()), true)"


class Loop:
    """A training loop in a thread; it notes when it hears another version of the weights."""

    def __init__(self, url: str) -> None:
        self.heard_ms: list[float] = []
        self._url = url
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Loop":  # noqa: PYI034 - nobody derives from it
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        version = ""
        with SampleClient(self._url) as client:
            for sample in client.stream(SIZE):
                if sample.weights_version != version:
                    version = sample.weights_version
                    self.heard_ms.append(time.time() * 1000)
                if self._over.wait(STEP_S):
                    return


def release(desk: DeskPage, loop: Loop, by: int) -> float:
    """Drag a fader, let it go, and return in how many ms the loop heard it."""
    known = len(loop.heard_ms)
    desk.drag("music", by)
    wait_until_sync(lambda: len(loop.heard_ms) > known, timeout_s=HEARD_S, what="the loop hears the change")
    desk.wait_shown("#says", "Applied by")
    released: float = desk.page.evaluate("window.releasedMs")
    return loop.heard_ms[known] - released


def measure(at: Servers, releases: int) -> dict[str, Any]:
    """Move a fader up and down."""
    asyncio.run(fill(at.database_url, 100_000))
    with ExitStack() as running:
        running.enter_context(worker(at, WORKER_PREFIX="audio"))
        with SampleClient(at.redis_url) as client:
            client.set_weights(MIX)
        desk = running.enter_context(running_desk({"REDIS_URL": at.redis_url}, at.folder))
        loop = running.enter_context(Loop(at.redis_url))
        page = running.enter_context(running_browser()).new_page()
        page.add_init_script(_NOTE)
        page.goto(desk.url)
        opened = DeskPage(page).wait_strips()
        wait_until_sync(lambda: loop.heard_ms, timeout_s=HEARD_S, what="the loop hears something")
        took = [release(opened, loop, 30 if number % 2 else -30) for number in range(releases)]
    return {
        "releases": releases,
        "p50 ms": round(float(np.percentile(took, 50)), 1),
        "p99 ms": round(float(np.percentile(took, 99)), 1),
        "max ms": round(max(took), 1),
    }


def main() -> None:
    """Run the program."""
    parser = arguments(__doc__)
    parser.add_argument("--releases", type=int, default=200, help="how often the fader is let go (default: 200)")
    given = parser.parse_args()
    with servers(given.server) as at:
        report("fader", [measure(at, given.releases)], as_json=given.json)


if __name__ == "__main__":
    main()
