"""What the benchmarks share: servers and a worker of their own, and tables that are also JSON."""

import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

from tests.support.command import RunningWorker
from worker.adapters.postgres_migrations import migrate
from worker.embedded import PostgresServer, RedisServer

CATEGORIES = ("voice", "music", "documentary", "conference", "custom")


@dataclass(frozen=True, slots=True)
class Servers:
    """Hold servers that a benchmark started."""

    redis_url: str
    database_url: str
    folder: Path


@contextmanager
def servers() -> Iterator[Servers]:
    """Start Valkey and PostgreSQL in folders that go with them."""
    with ExitStack() as opened:
        folders = [Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="bench-"))) for _ in range(3)]
        redis = opened.enter_context(RedisServer(folders[0]))
        postgres = opened.enter_context(PostgresServer(folders[1]))
        yield Servers(redis.url, postgres.url, folders[2])


@contextmanager
def worker(at: Servers, **settings: str) -> Iterator[RunningWorker]:
    """Run a worker process."""
    running = RunningWorker(
        {"REDIS_URL": at.redis_url, "DATABASE_URL": at.database_url, **settings}, at.folder, f"w-{time.time_ns()}"
    )
    try:
        yield running.start().wait_ready()
    finally:
        running.stop()


async def fill(database_url: str, rows: int) -> None:
    """Create the schema and READY chunks, spread over the built-in categories."""
    await migrate(database_url)
    connection = await asyncpg.connect(database_url)
    await connection.execute("truncate audio_chunks")
    await connection.execute(
        "insert into audio_chunks (category, status) "
        "select ($1::text[])[1 + n % 5], 'READY' from generate_series(1, $2::int) n",
        list(CATEGORIES),
        rows,
    )
    await connection.execute("analyze audio_chunks")
    await connection.close()


def report(title: str, rows: Sequence[dict[str, Any]]) -> None:
    """Print a table, or with `--json` data; the machine and the date stand with it."""
    about = {"bench": title, "cores": os.cpu_count(), "python": platform.python_version(), "date": time.strftime("%F")}
    if "--json" in sys.argv:
        print(json.dumps({**about, "rows": rows}))
        return
    print("  ".join(f"{name} {value}" for name, value in about.items()))
    names = list(rows[0])
    cells = [[_shown(row[name]) for name in names] for row in rows]
    widths = [max(len(name), *(len(row[i]) for row in cells)) for i, name in enumerate(names)]
    for line in (names, *cells):
        print("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)))


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.3f}" if value < 100 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
