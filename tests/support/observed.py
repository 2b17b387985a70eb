"""A worker's life on real servers, short and eventful, for tests of what is made of its log."""

from pathlib import Path
from urllib.parse import urlsplit

import redis

from tests.support.command import RunningWorker, run_command
from tests.support.proxy import Proxy
from tests.support.servers import connect, execute
from tests.support.waiting import wait_until_sync
from worker.core.keys import Keys

_DEADLINE_S = 60.0
_WEIGHTS = ["voice=0.7 music=0.3", "music=1", "music=1 silence=1"]


def observed_log(redis_url: str, database_url: str, prefix: str, folder: Path) -> Path:
    """Run a worker that is asked, re-weighted, misled and cut off; return its log.

    Its weights are set three times: voice and music, music alone, then a category without chunks; `reason 0` and so on.
    Somebody stores weights that are not valid, and asks for what is not accepted. Redis is lost and restored.
    """
    (folder / "run").mkdir(mode=0o700)
    rows = "insert into audio_chunks (category, status) select unnest(array['voice', 'music']), 'READY'"
    execute(database_url, f"{rows} from generate_series(1, 50)")
    servers = {"DATABASE_URL": database_url, "WORKER_PREFIX": prefix, "WORKER_RUN_DIR": str(folder / "run")}
    with Proxy(urlsplit(redis_url).port or 6379) as link, connect(redis_url) as client:
        settings = {**servers, "REDIS_URL": link.url, "WORKER_STATS_INTERVAL_S": "0.5"}
        worker = RunningWorker(settings, folder).start()
        try:
            worker.wait_ready()
            for number, weights in enumerate(_WEIGHTS):
                set_weights = ["weights", "set", *weights.split(), "--reason", f"reason {number}", "--wait"]
                assert (
                    run_command(*set_weights, settings={**servers, "REDIS_URL": redis_url}, cwd=folder).returncode == 0
                )
                _ask(client, worker, Keys(prefix))
            _mislead(client, worker, Keys(prefix))
            _cut_off(link, worker)
            assert worker.stop() == 0
        finally:
            worker.end()
    return worker.log


def _ask(client: redis.Redis, worker: RunningWorker, keys: Keys) -> None:
    """Make the worker draw, and wait until it has logged all of it."""
    wanted = _served(worker) + 50
    for _ in range(50):
        client.xadd(keys.requests, {"size": 64})
    wait_until_sync(lambda: _served(worker) >= wanted, timeout_s=_DEADLINE_S, what="worker.stats has what was asked")


def _served(worker: RunningWorker) -> int:
    return sum(line["requests"] for line in worker.events("worker.stats"))


def _mislead(client: redis.Redis, worker: RunningWorker, keys: Keys) -> None:
    client.xadd(keys.requests, {"size": -1})
    _wait(worker, "request.rejected", 1)
    client.set(keys.weights(None), '{"voice": -1}')
    client.publish(keys.weights(None), "changed")
    _wait(worker, "weights.rejected", 1)


def _cut_off(link: Proxy, worker: RunningWorker) -> None:
    link.is_refusing = True
    link.cut()
    _wait(worker, "redis.lost", 1)
    link.is_refusing = False
    _wait(worker, "redis.restored", 1)


def _wait(worker: RunningWorker, event: str, count: int) -> None:
    wait_until_sync(
        lambda: len(worker.events(event)) >= count, timeout_s=_DEADLINE_S, what=f"{event} is logged {count} times"
    )
