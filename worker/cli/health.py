"""`health`: whether the worker here is alive and serving; imports nothing but the standard library."""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from worker.cli.output import complain
from worker.errors import OutputError, ReaderGoneError, SettingsError
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
    try:
        return _answer(arguments)
    except OutputError as error:
        if not isinstance(error, ReaderGoneError):
            complain(str(error))
        return error.exit_status


def _answer(arguments: Sequence[str]) -> int:
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
        complain(str(error))
        return 2
    if as_json:
        sys.stdout.write(json.dumps({"healthy": problem is None, "problem": problem}) + "\n")
    elif problem is None:
        sys.stdout.write("serving\n")
    else:
        complain(problem)
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
