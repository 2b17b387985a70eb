"""What the benchmarks share: servers and a worker on a core each, CPU times, and tables that are also JSON."""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

from tests.bench.printed import FIGURES
from tests.support.command import RunningWorker
from tests.support.servers import redis_binaries
from worker.adapters.postgres.migrate import migrate
from worker.embedded import PostgresServer, RedisServer

CATEGORIES = ("voice", "music", "documentary", "conference", "custom")
SERVER_CORE = 0
WORKER_CORE = 1
CLIENT_CORES = range(2, min(os.cpu_count() or 1, 10))
"""Cores to spare for clients; none where there are but two."""
_ALL_OF_A_PROCESS = 2  # what Linux calls CPUCLOCK_SCHED: time on a core, of all its threads, in ns


@dataclass(frozen=True, slots=True)
class Servers:
    """Servers of a benchmark. Redis has the first core for itself, if the system can do that."""

    redis_url: str
    database_url: str
    folder: Path
    redis_pid: int


def arguments(description: str | None) -> argparse.ArgumentParser:
    """Make a parser with the options that every benchmark has."""
    lines = (description or "").strip().splitlines()
    parser = argparse.ArgumentParser(description=lines[0] if lines else "")
    parser.add_argument("--json", action="store_true", help="print data instead of a table")
    parser.add_argument(
        "--server", choices=sorted(redis_binaries()), default="valkey", help="which server to run on (default: valkey)"
    )
    return parser


@contextmanager
def servers(kind: str = "valkey") -> Iterator[Servers]:
    """Start Redis or Valkey, and PostgreSQL, in folders that go with them."""
    with ExitStack() as opened:
        folders = [Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="bench-"))) for _ in range(3)]
        redis = opened.enter_context(RedisServer(folders[0], binary=redis_binaries()[kind]))
        postgres = opened.enter_context(PostgresServer(folders[1]))
        pin(redis.pid, SERVER_CORE)
        yield Servers(redis.url, postgres.url, folders[2], redis.pid)


@contextmanager
def worker(
    at: Servers, *, cores: Sequence[int] = (WORKER_CORE,), says_ready: bool = True, **settings: str
) -> Iterator[RunningWorker]:
    """Run a worker process, from the moment it says that it is ready; one that does not log that is not waited for."""
    urls = {"REDIS_URL": at.redis_url, "DATABASE_URL": at.database_url}
    running = RunningWorker({**urls, **settings}, at.folder, f"w-{time.time_ns()}", fresh=True)
    try:
        running.start()
        assert running.process is not None
        pin(running.process.pid, *cores)
        yield running.wait_ready() if says_ready else running
    finally:
        running.stop()


def pin(pid: int, *cores: int) -> None:
    """Pin a process to some cores, on Linux and if there are so many."""
    if hasattr(os, "sched_setaffinity") and max(cores) < (os.cpu_count() or 1):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), cores)


def cpu_s(pid: int) -> float:
    """Return the CPU seconds that a process has used, its kernel time included (Linux: to the ns; elsewhere by `ps`).

    Raises:
        ProcessLookupError: The process is gone.
    """
    if sys.platform == "linux":
        try:
            return time.clock_gettime_ns((~pid << 3) | _ALL_OF_A_PROCESS) / 1e9  # see clock_getcpuclockid(3)
        except OSError as error:
            raise ProcessLookupError(f"there is no process {pid}") from error
    shown = subprocess.run(["ps", "-o", "time=", "-p", str(pid)], check=True, capture_output=True, text=True)  # noqa: S607
    seconds = 0.0
    for part in shown.stdout.strip().split(":"):
        seconds = seconds * 60 + float(part)
    return seconds


async def fill(database_url: str, rows: int, categories: Sequence[str] = CATEGORIES) -> None:
    """Create the schema and READY chunks, spread evenly over categories."""
    await migrate(database_url)
    connection = await asyncpg.connect(database_url)
    await connection.execute("truncate audio_chunks restart identity")
    # Ten million rows are inserted in half the time while nothing follows each of them.
    indexes = await connection.fetch(
        "select indexname, indexdef from pg_indexes where tablename = 'audio_chunks' and indexname !~ 'pkey$'"
    )
    await connection.execute("alter table audio_chunks disable trigger user")
    await connection.execute("".join(f"drop index {index['indexname']};" for index in indexes))
    await connection.execute(
        "insert into audio_chunks (category, status) "
        "select ($1::text[])[1 + n % cardinality($1::text[])], 'READY' from generate_series(1, $2::int) n",
        list(categories),
        rows,
    )
    await connection.execute("".join(f"{index['indexdef']};" for index in indexes))
    await connection.execute("alter table audio_chunks enable trigger user")
    await connection.execute("vacuum analyze audio_chunks")
    await connection.close()


def report(title: str, rows: Sequence[dict[str, Any]], *, as_json: bool) -> None:
    """Print a table, or data; the machine and the date stand with it."""
    if as_json:
        print(_as_json(title, rows))
        return
    about = _about(title)
    print("  ".join(f"{name} {value}" for name, value in about.items()))
    names = list(rows[0])
    cells = [[_shown(row[name]) for name in names] for row in rows]
    widths = [max(len(name), *(len(row[i]) for row in cells)) for i, name in enumerate(names)]
    for line in (names, *cells):
        print("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)))
    sys.stdout.flush()


def keep(title: str, rows: Sequence[dict[str, Any]]) -> None:
    """Write the figures that README.md shows of a benchmark."""
    (FIGURES / f"{title}.json").write_text(f"{_as_json(title, rows)}\n", encoding="utf-8")


def _as_json(title: str, rows: Sequence[dict[str, Any]]) -> str:
    return json.dumps({**_about(title), "rows": rows})


def _about(title: str) -> dict[str, str]:
    return {
        "bench": title,
        "machine": f"{os.cpu_count()} x {_processor()}",
        "python": platform.python_version(),
        "date": time.strftime("%F"),
    }


def _processor() -> str:
    described = Path("/proc/cpuinfo")
    if described.exists():
        for line in described.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.3f}" if abs(value) < 100 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
