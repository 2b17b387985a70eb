"""What it costs to move a prefix to another node of a cluster: how long trainings wait, there and beside it.

A six-node cluster has three prefixes, with a worker and a training each. A training asks for one sample after another.
The slot of one prefix is moved there and back while it holds some results or many. Each way that servers offer is
measured.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.harness import arguments, fill, report
from tests.support.command import RunningWorker
from tests.support.servers import connect, redis_binaries
from tests.support.six_nodes import Shard, SixNodes, six_nodes
from tests.support.steady import Steady, steady
from worker.core.keys import Keys
from worker.embedded import PostgresServer

CHUNKS = 10_000
KEYS_AT_ONCE = {"10 keys at once, as redis-cli": 10, "key by key": 1}
IN_ONE_STEP = "MIGRATESLOTS of Valkey 9"
NODE_TIMEOUT_MS = 15_000  # as servers have it: a large key holds up its node while it moves
SETTLED_S = 1.0  # before and after a move
RESULT = b"x" * 1000
PAGE = 1000  # results of this size are a megabyte


def measure(cluster: SixNodes, trainings: Sequence[Steady], way: str, moves: int) -> dict[str, Any]:
    """Move the slot of the first prefix there and back, and note what its training, and the others', waited for."""
    here, there, _ = cluster.shards
    took, waited, beside = [], [], []
    for move in range(moves):
        source, target = (here, there) if move % 2 == 0 else (there, here)
        time.sleep(SETTLED_S)
        first = [len(training.waits_s) for training in trainings]
        began = time.monotonic()
        move_by(cluster, way, here._replace(master=source.master), target)
        took.append(time.monotonic() - began)
        time.sleep(SETTLED_S)
        longest = [max(training.waits_s[at:]) for training, at in zip(trainings, first, strict=True)]
        waited.append(longest[0])
        beside.append(max(longest[1:]))
    return {
        "way": way,
        "moves": moves,
        "the move took (ms)": round(median(took) * 1000, 1),
        "its training waited (ms)": round(median(waited) * 1000, 1),
        "at most (ms)": round(max(waited) * 1000, 1),
        "others waited (ms)": round(median(beside) * 1000, 1),
    }


def move_by(cluster: SixNodes, way: str, shard: Shard, target: Shard) -> None:
    """Move a slot."""
    if way == IN_ONE_STEP:
        cluster.hand_over(shard, target)
        return
    for _ in cluster.moving(shard, target, KEYS_AT_ONCE[way]):
        pass


def add_results(shard: Shard, megabytes: int) -> None:
    """Fill the shared result stream of a prefix with so many megabytes."""
    with connect(shard.master.url) as client:
        for _ in range(megabytes):
            pipeline: Any = client.pipeline(transaction=False)
            for _ in range(PAGE):
                pipeline.xadd(Keys(shard.prefix).results, {"x": RESULT})
            pipeline.execute()


def run(kind: str, megabytes: int, moves: int) -> Iterator[dict[str, Any]]:
    """Measure each way of one server, with so many results in the prefix that is moved."""
    with ExitStack() as opened:
        folders = [Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="bench-"))) for _ in range(3)]
        cluster = opened.enter_context(six_nodes(folders[0], redis_binaries()[kind], NODE_TIMEOUT_MS))
        postgres = opened.enter_context(PostgresServer(folders[1]))
        asyncio.run(fill(postgres.url, CHUNKS))
        (folders[2] / "run").mkdir(mode=0o700)
        for number, shard in enumerate(cluster.shards):
            settings = {"REDIS_URL": cluster.url, "DATABASE_URL": postgres.url, "WORKER_PREFIX": shard.prefix}
            worker = RunningWorker(settings, folders[2], f"w-{number}").start()
            opened.callback(worker.stop)
            worker.wait_ready()
        add_results(cluster.shards[0], megabytes)
        trainings = [opened.enter_context(steady(cluster.url, shard.prefix)) for shard in cluster.shards]
        for way in (*KEYS_AT_ONCE, *([IN_ONE_STEP] if kind == "valkey" else [])):
            yield {"results (MB)": megabytes, **measure(cluster, trainings, way, moves)}


def main() -> None:
    """Measure, and print."""
    parser = arguments(__doc__)
    parser.add_argument("--megabytes", type=int, nargs="+", default=[0, 50], help="results that the prefix holds")
    parser.add_argument("--moves", type=int, default=6, help="moves in each way (default: 6)")
    asked = parser.parse_args()
    rows = [row for megabytes in asked.megabytes for row in run(asked.server, megabytes, asked.moves)]
    report("moving", rows, as_json=asked.json)


if __name__ == "__main__":
    main()
