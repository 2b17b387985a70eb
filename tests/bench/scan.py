"""A folder of tiny files, half wav and half flac, scanned by the command: seconds and memory.

The files have just been written, so that the system holds them in memory. Beside each scan stands a plain loop over
the same files, in one process, by `soundfile.info`. Memory is that of the largest process, which is the command's own;
each of the four that read headers has less.

    python tests/bench/scan.py [--files N] [--json]
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import soundfile

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.harness import CATEGORIES, arguments, report, servers
from tests.support.audio import audio_bytes
from worker.adapters.postgres.migrate import migrate
from worker.settings.environment import environment_with

FILES = 100_000
FOLDERS = 20
SECONDS = 0.1


def write_files(folder: Path, number: int) -> list[Path]:
    """Write the files, spread evenly over categories and the folders in them."""
    paths = []
    for index in range(number):
        category, kind = CATEGORIES[index % len(CATEGORIES)], (".wav", ".flac")[index // len(CATEGORIES) % 2]
        paths.append(folder / category / f"{index % FOLDERS:02}" / f"clip-{index:07}{kind}")
    for parent in {path.parent for path in paths}:
        parent.mkdir(parents=True)
    for path in paths:
        path.write_bytes(audio_bytes(path.suffix, SECONDS))
    return paths


def scanned(folder: Path, database_url: str, *words: str) -> tuple[float, float, float]:
    """Scan by the command; return seconds, those of all its processes' cores, and the largest's peak memory in MB."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "worker", "catalog", "scan", str(folder), "--json", *words],
        env=environment_with({"DATABASE_URL": database_url, "PYTHONPATH": str(Path(__file__).parents[2])}),
        stdout=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"the scan ended with {status}")
    memory = usage.ru_maxrss / (1024 if sys.platform == "linux" else 1024 * 1024)
    return time.perf_counter() - began, usage.ru_utime + usage.ru_stime, memory


def rows(number: int) -> Iterator[dict[str, Any]]:
    with servers() as at:
        anyio.run(migrate, at.database_url)
        folder = at.folder / "audio"
        paths = write_files(folder, number)
        began, began_cpu = time.perf_counter(), time.process_time()
        for path in paths:
            soundfile.info(str(path))
        yield _row(number, "plain loop", time.perf_counter() - began, time.process_time() - began_cpu, 0.0)
        for what, words in (("first scan", ()), ("again", ()), ("in segments", ("--segment", "0.05", "--prune"))):
            yield _row(number, what, *scanned(folder, at.database_url, *words))


def _row(number: int, what: str, *figures: float) -> dict[str, Any]:
    seconds, cpu, memory = figures
    return {
        "files": number,
        "what": what,
        "seconds": seconds,
        "files/s": number / seconds,
        "CPU s": cpu,
        "files/CPU s": number / cpu,
        "peak MB": memory,
    }


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--files", type=int, default=FILES, help="how many (default: 100,000)")
    chosen = parser.parse_args()
    report("scan", list(rows(chosen.files)), as_json=chosen.json)


if __name__ == "__main__":
    main()
