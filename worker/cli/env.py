"""What `env` prints: the variables that lead to the `up` that runs on this machine."""

import shlex
import sys
from pathlib import Path
from typing import Final

import click

from worker.cli.output import complain
from worker.cli.printing import print_json
from worker.errors import SettingsError
from worker.run_dir.announcement import Announcement, list_announced, read_announcement
from worker.settings.environment import default_run_dir, read_sources, resolve, run_dirs
from worker.settings.found import several

_RUN_DIR: Final = "WORKER_RUN_DIR"
_DEFAULTS: Final = {"WORKER_PREFIX": "audio"}


def print_environment(data: Path | None, *, as_json: bool) -> None:
    """Print the variables of the `up` that runs.

    Args:
        data: Its data folder; None: the one that runs.
        as_json: Whether to print one JSON object; else lines for a shell.

    Raises:
        SettingsError: Several run, and none was named.
        click.exceptions.Exit: None runs.
    """
    if (running := _find(data)) is None:
        where = "on this machine for this user" if data is None else f"in {data}"
        complain(f"no `sampling-worker up` runs {where}; accepted: one that runs, in another terminal")
        raise click.exceptions.Exit(1)
    implied = {**_DEFAULTS, _RUN_DIR: str(default_run_dir())}
    variables = {name: value for name, value in running.settings.items() if implied.get(name) != value}
    if as_json:
        print_json(variables)
        return
    for name, value in variables.items():
        sys.stdout.write(f"export {name}={shlex.quote(value)}\n")


def _find(data: Path | None) -> Announcement | None:
    if data is not None:
        return read_announcement(data / "running.json")
    given, problems = resolve([_RUN_DIR], read_sources(wanted=[_RUN_DIR]))
    if problems:
        raise SettingsError("; ".join(problems.values()))
    running = list_announced([Path(given[_RUN_DIR])] if given else run_dirs())
    if len(running) > 1:
        raise SettingsError(several(running))
    return running[0] if running else None
