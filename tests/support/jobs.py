"""Training jobs as programs of their own, and what their clients keep in Redis."""

import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.children import ending_with_us
from tests.support.servers import connect
from worker.settings.environment import environment_with

PROGRAMS = Path(__file__).parents[1] / "client" / "programs"
ENDS_S = 300.0
_ROOT = Path(__file__).parents[2]


def start_job(*words: str, settings: dict[str, str] | None = None, **options: Any) -> subprocess.Popen[str]:
    """Start Python with some words behind it."""
    environment = environment_with({"PYTHONPATH": str(_ROOT), **(settings or {})})
    return subprocess.Popen(ending_with_us(sys.executable, *words), env=environment, text=True, **options)


def start_quiet_job(*words: str, **options: Any) -> subprocess.Popen[str]:
    """Start a job whose output `finish_job` returns."""
    return start_job(*words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


def finish_job(process: subprocess.Popen[str]) -> str:
    """Wait for the end of a job, which has to be a quiet one, and return what it wrote."""
    with process:
        out, err = process.communicate(timeout=ENDS_S)
    assert (process.returncode, err) == (0, ""), err
    return out


def run_job(*words: str, **options: Any) -> str:
    """Run a job to its end, and return what it wrote."""
    return finish_job(start_quiet_job(*words, **options))


def keys_of_clients(url: str, prefix: str) -> list[str]:
    """List the keys that clients make, but for the requests."""
    with connect(url) as server:
        found = server.keys(f"{prefix}:sample:asked:*") + server.keys(f"{prefix}:sample:results:*")
    return sorted(key.decode() for key in found)
