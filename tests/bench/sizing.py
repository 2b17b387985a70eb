"""The size that a fleet needs, from what one request takes of a worker, Redis and the network.

Theory. A worker serves as many requests as one core of its own allows, and a server likewise; the scarcer of both is
the limit. Nothing else is shared by prefixes that are on servers of their own. A fleet is planned for cores that are
busy to a part (`BUSY`), with a second worker for each prefix. Quiet workers take more CPU for a request, as batches are
smaller; how much more is in `loads.py`.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from tests.bench.backlog import Timing
from tests.bench.loads import SMALL, between

RECKONED: Final = (6, 13)
WANTED: Final = ((1_000, 1), (10_000, 1), (50_000, 1), (100_000, 10), (300_000, 10), (1_000_000, 10))
"""Requests/s, and millions of chunks."""
BUSY: Final = 0.7
SPARE: Final = 2
RESULTS_MB: Final = 256
"""The default of WORKER_RESULTS_MAX_BYTES, for each result stream."""
CHUNK_BYTES: Final = 10.2
"""Of a worker, for each chunk with an id below 2^31, as a worker keeps what loading took (`deploy/README.md`)."""
_KEEP: Final = "older ones go; WORKER_RESULTS_MAX_BYTES"
_MB: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Costs:
    """What one request of a size takes, and what a worker holds.

    Attributes:
        own_us: CPU time of a worker, in us.
        server_us: CPU time of Redis, in us.
        result_bytes: Memory of Redis for a result that is kept.
        network_bytes: To Redis, or from it with the reading of the result, whichever is more.
        worker_mb: Resident memory of a worker that has served, with the chunks of the run.
        chunks: READY chunks of the run.
    """

    own_us: float
    server_us: float
    result_bytes: float
    network_bytes: float
    worker_mb: float
    chunks: int


def row(size: int, prefixes: int, workers: int, timing: Timing) -> dict[str, Any]:
    """Make a row of what was measured, with what cores of their own would allow."""
    by_workers, by_servers = workers / timing.own_us * 1e6, prefixes / timing.server_us * 1e6
    return {
        "size": size,
        "prefixes": prefixes,
        "workers": workers,
        "requests/s": timing.rate,
        "worker us/request": timing.own_us,
        "server us/request": timing.server_us,
        "workers' core %": 100 * timing.rate * timing.own_us / 1e6,
        "servers' core %": 100 * timing.rate * timing.server_us / 1e6,
        "reckoned requests/s": min(by_workers, by_servers),
        "limit": "workers" if by_workers < by_servers else "Redis",
    }


def reckoned_rows(costs: Costs) -> Iterator[dict[str, Any]]:
    """Make rows of more prefixes than there are cores for, out of what one request takes."""
    for prefixes in RECKONED:
        told = row(64, prefixes, prefixes, Timing(0.0, costs.own_us, costs.server_us, (0.0, 0.0)))
        yield told | {"requests/s": "-", "workers' core %": "-", "servers' core %": "-"}


def sizing_rows(costs: Costs, price: float) -> Iterator[dict[str, Any]]:
    """Make rows of fleets of all sizes.

    Args:
        costs: Of a request of 64 ids.
        price: Of a core for an hour.
    """
    return (sizing_row(rate, millions, costs, price) for rate, millions in WANTED)


def sizing_row(rate: int, millions: int, costs: Costs, price: float) -> dict[str, Any]:
    """Make the row of a fleet that answers so many requests of 64 ids a second."""
    prefixes = math.ceil(rate * costs.server_us / 1e6 / BUSY)
    most = 1e6 / costs.own_us
    cpu = [*(point for point in SMALL.cpu if point[0] < most), (most, costs.own_us / 1e6)]
    workers = SPARE * prefixes
    while (rate / workers) * between(cpu, rate / workers) > BUSY:
        workers += 1
    memory_mb = costs.worker_mb + (millions * 1_000_000 - costs.chunks) * CHUNK_BYTES / _MB
    hours = (prefixes + workers) / rate * 1e6 / 3600
    return {
        "requests/s": rate,
        "million chunks": millions,
        "prefixes": prefixes,
        "workers": workers,
        "cores": prefixes + workers,
        "a worker MB": memory_mb,
        "workers GB": workers * memory_mb / 1024,
        "Redis GB at most": prefixes * RESULTS_MB / 1024,
        "network MB/s a way": rate * costs.network_bytes / 1e6,
        "core hours a million": hours,
        "price a million": f"{hours * price:.2g}",
    }


def limit_rows(costs: dict[int, Costs]) -> Iterator[dict[str, Any]]:
    """Make rows of what each part carries, and of what to do beyond that."""
    small, large = costs[64], costs[1024]
    for part, of, value, then in (
        ("a worker, one core", "requests/s of 64 ids", 1e6 / small.own_us, "another worker"),
        ("a worker, one core", "requests/s of 1,024 ids", 1e6 / large.own_us, "another worker"),
        ("Redis, one core", "requests/s of 64 ids", 1e6 / small.server_us, "another prefix on another master"),
        ("Redis, one core", "requests/s of 1,024 ids", 1e6 / large.server_us, "another prefix; encoding=packed"),
        ("workers to fill Redis", "of 64 ids", small.own_us / small.server_us, "more do not help"),
        ("workers to fill Redis", "of 1,024 ids", large.own_us / large.server_us, "more do not help"),
        ("1 Gbit/s to Redis", "requests/s of 64 ids", 1e9 / 8 / small.network_bytes, "encoding=packed; a faster link"),
        ("1 Gbit/s to Redis", "requests/s of 1,024 ids", 1e9 / 8 / large.network_bytes, "encoding=packed"),
        (f"{RESULTS_MB} MiB of a result stream", "results of 64 ids", RESULTS_MB * _MB / small.result_bytes, _KEEP),
        (f"{RESULTS_MB} MiB of a result stream", "results of 1,024 ids", RESULTS_MB * _MB / large.result_bytes, _KEEP),
        ("1 GiB of a worker", "million chunks", _most_chunks(small) / 1e6, "shards of the catalog"),
    ):
        yield {"part": part, "carries": value, "of": of, "beyond that": then}


def _most_chunks(costs: Costs) -> float:
    """Return how many chunks a worker of 1 GiB holds."""
    return costs.chunks + (1024 - costs.worker_mb) * _MB / CHUNK_BYTES
