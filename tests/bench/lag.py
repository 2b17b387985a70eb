"""What looks at the stream find while closed loops ask: all that is not answered (XLEN), and what nobody has read.

    python tests/bench/lag.py [--json] [--seconds S]

Some loops ask one worker over `worker.client`; each asks again when it has its answer, some after a pause of 0.1 s on
average. Meanwhile another connection looks at random moments. `unread` is the lag, XLEN less pending: `> 0` is how
often a look finds some, `part` is its mean over that of XLEN. `autoscale.py` simulates looks by these figures.
"""

import asyncio
import random
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any, Final

import redis

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.harness import Servers, arguments, cpu_s, fill, report, servers, worker
from worker.client import AsyncSampleClient
from worker.core.keys import GROUP, Keys

KEYS: Final = Keys("audio")
_CHUNKS: Final = 100_000
_GAPS_S: Final = (0.001, 0.01)


@dataclass(frozen=True, slots=True)
class Loops:
    """Closed loops.

    Attributes:
        count: How many; each has one request in flight at most.
        pause_s: How long each pauses after an answer, on average.
        size: Ids of a request.
    """

    count: int
    pause_s: float
    size: int


LOADS: Final = (
    Loops(4, 0.1, 64),
    Loops(32, 0.1, 64),
    Loops(128, 0.1, 64),
    Loops(16, 0.1, 65_536),
    Loops(64, 0.0, 65_536),
    Loops(128, 0.0, 65_536),
)


@dataclass(slots=True)
class Looks:
    """What looks found: XLEN, and what of it nobody has read."""

    lengths: list[int] = field(default_factory=list)
    unread: list[int] = field(default_factory=list)


@contextmanager
def looking(url: str) -> Iterator[Looks]:
    """Look at random moments, each time in one step."""
    looks, is_ended = Looks(), threading.Event()

    def look() -> None:
        chance = random.Random(1)
        with redis.Redis.from_url(url) as client:
            while not is_ended.wait(chance.uniform(*_GAPS_S)):
                both = client.pipeline(transaction=True).xlen(KEYS.requests).xpending(KEYS.requests, GROUP).execute()
                looks.lengths.append(both[0])
                looks.unread.append(both[0] - both[1]["pending"])

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield looks
    finally:
        is_ended.set()
        thread.join()


async def _ask(url: str, loops: Loops, seconds: float) -> int:
    """Ask for some time; return how many requests were answered."""
    answered, until, chance = 0, time.monotonic() + seconds, random.Random(2)
    async with AsyncSampleClient(url, prefix=KEYS.prefix) as client:

        async def loop() -> None:
            nonlocal answered
            while time.monotonic() < until:
                await client.sample(loops.size)
                answered += 1
                if loops.pause_s:
                    await asyncio.sleep(chance.expovariate(1 / loops.pause_s))

        await asyncio.gather(*(loop() for _ in range(loops.count)))
    return answered


def measure(at: Servers, pid: int, loops: Loops, seconds: float) -> dict[str, Any]:
    """Look at a worker while it is asked."""
    began, used = time.monotonic(), cpu_s(pid)
    with looking(at.redis_url) as looks:
        answered = asyncio.run(_ask(at.redis_url, loops, seconds))
    took = time.monotonic() - began
    return {
        "loops": loops.count,
        "pause s": loops.pause_s,
        "size": loops.size,
        "requests/s": answered / took,
        "worker % of a core": 100 * (cpu_s(pid) - used) / took,
        "looks": len(looks.lengths),
        "XLEN": mean(looks.lengths),
        "XLEN > 0 %": 100 * mean(length > 0 for length in looks.lengths),
        "unread": mean(looks.unread),
        "unread > 0 %": 100 * mean(unread > 0 for unread in looks.unread),
        "part": mean(looks.unread) / mean(looks.lengths),
    }


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--seconds", type=float, default=8, help="for each row (default: 8)")
    options = parser.parse_args()
    with servers(options.server) as at:
        asyncio.run(fill(at.database_url, _CHUNKS))
        with worker(at) as running:
            assert running.process is not None
            rows = [measure(at, running.process.pid, loops, options.seconds) for loops in LOADS]
    report("lag", rows, as_json=options.json)


if __name__ == "__main__":
    main()
