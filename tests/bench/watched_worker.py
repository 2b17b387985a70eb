"""Run a worker as `python -m worker` does, but on a watched event loop; write what was seen to a file.

python tests/bench/watched_worker.py FILE run
"""

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.stillness import Watch, write_spans
from worker.__main__ import main


class WatchedPolicy(asyncio.DefaultEventLoopPolicy):
    """A policy that makes watched loops."""

    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self._watch = watch

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        return self._watch.loop()


if __name__ == "__main__":
    seen = Watch()
    path = Path(sys.argv.pop(1))
    asyncio.set_event_loop_policy(WatchedPolicy(seen))
    try:
        main()
    finally:
        write_spans(path, seen.spans)
