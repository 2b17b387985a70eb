"""`health`: whether the worker here is alive and serving; imports nothing but the standard library."""

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from worker.cli import HEALTH_HELP
from worker.cli.output import complain
from worker.core.redaction import escape
from worker.errors import OutputError, ReaderGoneError, SettingsError
from worker.run_dir.health import Place, find_problem, look_around, url_digest
from worker.settings.environment import default_run_dir, read_sources, resolve
from worker.settings.found import find_up

_URLS = ("REDIS_URL", "DATABASE_URL")
_NAMES = ("WORKER_PREFIX", "WORKER_CONSUMER", "WORKER_RUN_DIR", *_URLS)


def probe(arguments: Sequence[str]) -> int:
    """Answer by the exit status whether the worker here is alive and serving.

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


class _Parser(argparse.ArgumentParser):
    """A parser that complains about words as the other verbs do."""

    def error(self, message: str) -> NoReturn:
        """Complain, and end with status 2."""
        complain(message)
        sys.exit(2)


def _answer(arguments: Sequence[str]) -> int:
    parser = _Parser(
        prog="sampling-worker health",
        description=HEALTH_HELP,
        epilog="Example: sampling-worker health && echo serving",
    )
    parser.add_argument("--all", action="store_true", help="every worker here has to serve, not any of them")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    words = parser.parse_args(arguments)
    try:
        found, problem = _look()
    except SettingsError as error:
        complain(str(error))
        return 2
    serving = sorted(name for name, trouble in found.items() if trouble is None)
    troubles = {name: trouble for name, trouble in sorted(found.items()) if trouble is not None}
    if words.all and problem is None and troubles:
        problem = "; ".join(troubles.values())
    if words.json:
        about = {"healthy": problem is None, "problem": problem, "serving": serving, "not_serving": troubles}
        sys.stdout.write(json.dumps(about) + "\n")
    else:
        _print_answer(problem, serving, list(troubles.values()))
    return 0 if problem is None else 1


def _print_answer(problem: str | None, serving: Sequence[str], troubles: Sequence[str]) -> None:
    """Print the workers that serve; those that do not are named on standard error, whatever the answer is."""
    if serving:
        sys.stdout.write(f"serving: {escape(', '.join(serving))}\n")
    if problem is not None or troubles:
        complain("; ".join(troubles) or problem or "")


def _look() -> tuple[Mapping[str, str | None], str | None]:
    """Find the workers here, what is wrong with each of them, and with all of them."""
    values, problems = resolve(_NAMES, read_sources(wanted=_NAMES))
    if wrong := [problem for name, problem in problems.items() if name not in _URLS]:
        raise SettingsError("; ".join(wrong))
    if not {*_URLS} & {*values, *problems}:
        values = {**find_up(values).settings, **values}
    run_dir = Path(values.get("WORKER_RUN_DIR") or default_run_dir())
    place = Place(values.get("WORKER_PREFIX", "audio"), *(url_digest(values.get(name, "")) for name in _URLS))
    consumer, now = values.get("WORKER_CONSUMER"), time.time()
    found = look_around(run_dir, place, consumer=consumer, now=now)
    return found, find_problem(run_dir, place, consumer=consumer, now=now)
