"""Fork at every kind of moment, with a client at work, and have each child ask as well; write how many could.

    python forks.py URL PREFIX FORKS

A child that hangs is ended by its alarm, and counted as one that could not.
"""

import os
import random
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager

from worker.client import ClientClosedError, SampleClient

PATIENCE_S = 60


def fork(ask: Callable[[], None]) -> bool:
    """Fork, ask in the child, and return whether it came to its end."""
    child = os.fork()
    if child == 0:
        signal.alarm(PATIENCE_S)
        ask()
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0


def fork_while_held(lock: AbstractContextManager[object], ask: Callable[[], None]) -> bool:
    """Fork while another thread holds a lock."""
    is_held, is_forked = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            is_held.set()
            is_forked.wait(PATIENCE_S)

    holder = threading.Thread(target=hold)
    holder.start()
    is_held.wait(PATIENCE_S)
    try:
        return fork(ask)
    finally:
        is_forked.set()
        holder.join()


def main(url: str, prefix: str, forks: int) -> None:
    client = SampleClient(url, prefix=prefix, timeout_s=PATIENCE_S)
    stream = client.stream(1, prefetch=32)

    def ask() -> None:
        for _ in range(40):
            next(stream)
        client.sample()

    pending = client.submit(timeout_s=PATIENCE_S, dataset="a", category="voice")

    def ask_for_pending() -> None:
        try:
            pending.result(PATIENCE_S)
        except ClientClosedError:
            return

    ask()
    done = [fork_while_held(lock, ask) for lock in (stream._arrived, client._starting)]
    done.append(fork_while_held(pending._condition, ask_for_pending))
    rng = random.Random(7)
    for _ in range(forks):
        for _ in range(rng.randrange(60)):
            next(stream)
        done.append(fork(ask))
    ask()
    client.close()
    sys.stdout.write(f"{sum(done)} of {len(done)}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
