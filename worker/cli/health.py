"""`health`: whether the worker here is alive and serving; imports nothing but the standard library."""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from worker.errors import SettingsError
from worker.health import find_problem
from worker.settings.environment import default_run_dir, read_sources, resolve

HELP = "Exit with status 0 when the worker here is alive and serving; for container and service probes."


def probe(arguments: Sequence[str]) -> int:
    """Tell by the exit status whether the worker here is alive and serving.

    Args:
        arguments: The words after `health`.

    Returns:
        0 when it is, 1 when it is not, 2 when a setting cannot be read.
    """
    parser = argparse.ArgumentParser(
        prog="sampling-worker health",
        description=HELP,
        epilog="Example: sampling-worker health && echo serving",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    as_json = parser.parse_args(arguments).json
    try:
        problem = _problem()
    except SettingsError as error:
        sys.stderr.write(f"sampling-worker: {error}\n")
        return 2
    if as_json:
        sys.stdout.write(json.dumps({"healthy": problem is None, "problem": problem}) + "\n")
    elif problem is None:
        sys.stdout.write("serving\n")
    else:
        sys.stderr.write(f"sampling-worker: {problem}\n")
    return 0 if problem is None else 1


def _problem() -> str | None:
    names = ("WORKER_PREFIX", "WORKER_CONSUMER", "WORKER_RUN_DIR")
    values, problems = resolve(names, read_sources(wanted=names))
    if problems:
        raise SettingsError("; ".join(problems.values()))
    return find_problem(
        Path(values.get("WORKER_RUN_DIR") or default_run_dir()),
        prefix=values.get("WORKER_PREFIX", "audio"),
        consumer=values.get("WORKER_CONSUMER"),
        now=time.time(),
    )
