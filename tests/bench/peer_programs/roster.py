"""The queues that are measured, and our worker: how each is installed, run and counted."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import redis

PROGRAMS = "tests.bench.peer_programs"

Count = Callable[[redis.Redis, int], int]
"""Returns how many requests of a backlog have a result."""


def in_stream(key: str) -> Count:
    return lambda client, _: int(client.xlen(key))


def gone_from_set(key: str) -> Count:
    return lambda client, total: total - int(client.zcard(key))


def in_second_database(client: redis.Redis, _: int) -> int:
    keyspace: Any = client.info("keyspace")
    return int(keyspace.get("db1", {}).get("keys", 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """How a queue is installed, run and counted.

    Attributes:
        name: As in the table.
        requires: What pip installs, the queue first; NumPy comes with it.
        program: Its program in this folder.
        work: What starts its worker, after `python -m`.
        requests: Length of the backlog, for some seconds of work.
        done: Counts results.
        results_in: Where it keeps results.
        settings: What was set for throughput.
    """

    name: str
    requires: tuple[str, ...] = ()
    program: str
    work: tuple[str, ...] = ()
    requests: int
    done: Count
    results_in: str
    settings: str


OURS = Peer(
    name="ours",
    program="ours",
    requests=100_000,
    done=in_stream("audio:sample:results"),
    results_in="stream",
    settings="defaults",
)
FASTSTREAM = ("faststream[cli,redis]>=0.6", "hiredis>=3", "orjson>=3.10", "uvloop>=0.20")
PEERS = (
    Peer(
        name="faststream-batch",
        requires=FASTSTREAM,
        program="faststream_peer",
        work=("faststream", "run", f"{PROGRAMS}.faststream_peer:BATCH"),
        requests=120_000,
        done=in_stream("results"),
        results_in="stream",
        settings="stream group, batches of 256, pipeline, orjson, uvloop",
    ),
    Peer(
        name="faststream",
        requires=FASTSTREAM,
        program="faststream_peer",
        work=("faststream", "run", f"{PROGRAMS}.faststream_peer:ONE"),
        requests=12_000,
        done=in_stream("results"),
        results_in="stream",
        settings="stream group, 100 a read, max_workers 10, apply_types off, orjson, uvloop",
    ),
    Peer(
        name="taskiq",
        requires=("taskiq[orjson,uv]>=0.11", "taskiq-redis>=1", "hiredis>=3"),
        program="taskiq_peer",
        work=(
            *("taskiq", "worker", "--workers", "1", "--no-parse", "--log-level", "WARNING"),
            f"{PROGRAMS}.taskiq_peer:BROKER",
        ),
        requests=10_000,
        done=in_second_database,
        results_in="result backend",
        settings="RedisStreamBroker, 100 tasks at once, no parse, orjson, uvloop",
    ),
    Peer(
        name="arq",
        requires=("arq>=0.26", "hiredis>=3", "orjson>=3.10"),
        program="arq_peer",
        work=(
            *("arq", "--custom-log-dict", f"{PROGRAMS}.arq_peer.QUIET"),
            f"{PROGRAMS}.arq_peer.WorkerSettings",
        ),
        requests=10_000,
        done=gone_from_set("arq:queue"),
        results_in="result keys",
        settings="10 jobs at once, poll_delay 1 ms, orjson",
    ),
    Peer(
        name="saq",
        # SAQ imports typing_extensions and does not say so.
        requires=("saq[hiredis,redis]>=0.24", "orjson>=3.10", "typing-extensions>=4"),
        program="saq_peer",
        work=("saq", f"{PROGRAMS}.saq_peer.SETTINGS"),
        requests=14_000,
        done=gone_from_set("saq:default:incomplete"),
        results_in="job record",
        settings="concurrency 50, orjson",
    ),
    Peer(
        name="celery",
        requires=("celery[redis]>=5.5", "hiredis>=3"),
        program="celery_peer",
        work=(
            *("celery", "--app", f"{PROGRAMS}.celery_peer:APP", "worker", "--pool", "solo", "--loglevel", "WARNING"),
            *("--without-gossip", "--without-mingle", "--without-heartbeat"),
        ),
        requests=4_000,
        done=in_second_database,
        results_in="result backend",
        settings="pool solo, prefetch 128, no gossip, mingle or heartbeat",
    ),
)
