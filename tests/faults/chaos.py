"""Break what can be broken, at random, while producers ask and workers answer; then stop breaking, and count.

    python tests/faults/chaos.py [--seconds 60] [--seed 1] [--workers 3] [--producers 3] [--rate 300] [--server redis7]

Prints what it did, and the promises with figures. Exit status 1 when one of them does not hold.
"""

import argparse
import heapq
import random
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.faults.chaos_changes import Librarian, Weigher
from tests.faults.chaos_count import Done, End, Round, Tale, count, tell
from tests.faults.chaos_faults import FAULTS
from tests.faults.chaos_place import Place, Plan, a_place
from tests.support.servers import redis_binaries

_MOST_IN_A_ROUND = 6
_MOST_AT_ONCE = 3
_LONGEST_GAP_S = 0.8
_LONGEST_CALM_S = 0.5
_HUNG_S = 60.0
_END_S = 60.0


class _Open(NamedTuple):
    """A fault that has begun and has not ended; the first to be gone on with sorts first."""

    due: float
    number: int
    name: str
    begun_ns: int
    steps: Iterator[float]


def break_things(place: Place, plan: Plan) -> list[Round]:
    """Break things for the time given, in rounds: some faults, at the same time or not, then a moment to recover."""
    rng = random.Random(plan.seed)
    over = time.monotonic() + plan.seconds
    rounds: list[Round] = []
    while time.monotonic() < over:
        time.sleep(rng.uniform(0, _LONGEST_CALM_S))
        done = _break_some(place, rng)
        ended_ns = time.time_ns()
        rounds.append(Round(done, ended_ns, place.wait_answered(ended_ns, _HUNG_S)))
        print(rounds[-1].sentence, flush=True)
    return rounds


def _break_some(place: Place, rng: random.Random) -> list[Done]:
    """Begin some faults, up to three of which go on at the same time, and mend them all."""
    names = rng.choices(list(FAULTS), [often for often, _ in FAULTS.values()], k=rng.randint(1, _MOST_IN_A_ROUND))
    opened: list[_Open] = []
    done: list[Done] = []
    next_at = time.monotonic()
    while names or opened:
        now = time.monotonic()
        if opened and opened[0].due <= now:
            _go_on(heapq.heappop(opened), opened, done)
        elif names and next_at <= now and len(opened) < _MOST_AT_ONCE:
            name = names.pop()
            steps = FAULTS[name][1](place, random.Random(rng.random()))
            _go_on(_Open(now, len(names), name, time.time_ns(), steps), opened, done)
            next_at = time.monotonic() + rng.uniform(0, _LONGEST_GAP_S)
        time.sleep(0.005)
    return done


def _go_on(fault: _Open, opened: list[_Open], done: list[Done]) -> None:
    """Begin a fault, or go on with it; note it once it has ended."""
    pause = next(fault.steps, None)
    if pause is None:
        done.append(Done(fault.name, fault.begun_ns, time.time_ns()))
    else:
        heapq.heappush(opened, fault._replace(due=time.monotonic() + pause))


def run(plan: Plan) -> Tale:
    """Run the whole course."""
    with a_place(plan) as place:
        librarian = Librarian(place.postgres_server.url, plan.seed)
        weigher = Weigher(place.redis_server.url, place.keys, plan.seed)
        librarian.fill()
        for slot in place.slots:
            place.start_worker(slot)
        for slot in place.slots:
            assert slot.worker is not None
            slot.worker.wait_ready()
        librarian.start()
        weigher.start()
        for number in range(plan.producers):
            place.start_producer(number)
        rounds = break_things(place, plan)
        place.end_producers()
        weigher.end()
        librarian.end()
        place.wait_quiet(_END_S)
        at_the_end = End(place.peak_memory_mb(), place.end_workers())
        return count(place, rounds, changes=weigher.changes, stays=librarian.stays, end=at_the_end)


def _plan() -> Plan:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60, help="how long things are broken (default: 60)")
    parser.add_argument("--seed", type=int, default=1, help="of all chances (default: 1)")
    parser.add_argument("--workers", type=int, default=3, help="worker processes (default: 3)")
    parser.add_argument("--producers", type=int, default=3, help="producer processes (default: 3)")
    parser.add_argument("--rate", type=float, default=300, help="requests a second, of all producers (default: 300)")
    parser.add_argument("--server", choices=sorted(redis_binaries()), default="valkey", help="(default: valkey)")
    parser.add_argument("--keep", action="store_true", help="leave the folders of servers and workers, logs included")
    return Plan(**vars(parser.parse_args()))


def main() -> int:
    """Run the program."""
    plan = _plan()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # take everything down
    tale = run(plan)
    tell(plan, tale)
    return 1 if tale.violations else 0


if __name__ == "__main__":
    sys.exit(main())
