"""Measure how long an event loop stood still, that is, did not look for events.

A loop looks at its selector between turns. We record how long each turn took, from one look to the next. We also record
how much longer a look took than it had to wait. In that time a thread waits to get the interpreter back. A look waits 2
ms at most, so that an idle loop is measured too. This costs about 1 us for each turn. A busy worker makes a few turns
for each batch, and an idle loop 500 a second.
"""

import asyncio
import json
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

LOOK_S = 0.002
SPANS_A_S = 100
READY_S = 60.0

Spans = Mapping[int, float]
"""When, in hundredths of a second by `time.perf_counter` -> the longest standstill that began then, in s."""


class Watch:
    """A record of how long an event loop stands still."""

    def __init__(self) -> None:
        self.spans: dict[int, float] = {}

    def loop(self) -> asyncio.AbstractEventLoop:
        """Make a loop that is watched."""
        return asyncio.SelectorEventLoop(_WatchedSelector(self))

    def note(self, began: float, length: float) -> None:
        span = int(began * SPANS_A_S)
        if length > self.spans.get(span, 0.0):
            self.spans[span] = length


class _WatchedSelector(selectors.DefaultSelector):
    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self._note = watch.note
        self._returned = time.perf_counter()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Look for what is ready."""
        waits = LOOK_S if timeout is None else max(0.0, min(timeout, LOOK_S))
        looked = time.perf_counter()
        self._note(self._returned, looked - self._returned)
        ready: list[tuple[selectors.SelectorKey, int]] = super().select(waits)
        self._returned = time.perf_counter()
        self._note(looked, self._returned - looked - waits)
        return ready


def longest_ms(spans: Spans, began: float, ended: float) -> float:
    """Return the longest standstill that began within some time, by `time.perf_counter`."""
    first, last = int(began * SPANS_A_S) + 1, int(ended * SPANS_A_S) - 1
    return max((length for span, length in spans.items() if first <= span <= last), default=0.0) * 1000


def write_spans(path: Path, spans: Spans) -> None:
    path.write_text(json.dumps(spans))


def read_spans(path: Path) -> Spans:
    return {int(span): length for span, length in json.loads(path.read_text()).items()}


@contextmanager
def quiet_loop() -> Iterator[Callable[[], Spans]]:
    """Run the reference: a loop that has nothing to do, in a process of its own, as long as this machine lets it.

    Yields:
        What ends it, and tells how long it stood still.
    """
    from tests.support.children import ending_with_us

    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        path = Path(folder) / "spans.json"
        process = subprocess.Popen(ending_with_us(sys.executable, __file__, str(path)), stdout=subprocess.PIPE)
        try:
            assert process.stdout is not None
            assert process.stdout.readline()

            def end() -> Spans:
                process.send_signal(signal.SIGTERM)
                process.wait(READY_S)
                return read_spans(path)

            yield end
        finally:
            process.kill()
            process.wait()


async def _be_quiet() -> None:
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    print("quiet", flush=True)
    await stopped.wait()


if __name__ == "__main__":
    watch = Watch()
    with asyncio.Runner(loop_factory=watch.loop) as runner:
        runner.run(_be_quiet())
    write_spans(Path(sys.argv[1]), watch.spans)
