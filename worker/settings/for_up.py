"""The settings of an `up`: what its worker gets, and which servers are given."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from worker.errors import SettingsError
from worker.settings.environment import DOTENV, default_run_dir, process_environment, read_sources, resolve
from worker.settings.names import VARIABLES
from worker.settings.servers import Server, read_server_settings, resolved

_URLS: Final[Mapping[str, Server]] = {"REDIS_URL": "redis", "DATABASE_URL": "database"}


def read_given(environ: Mapping[str, str] | None = None, dotenv: Path = DOTENV) -> dict[str, str]:
    """Read the settings that the environment and `.env` give, and check them.

    Args:
        environ: The environment; None: that of the process.
        dotenv: A file of `NAME=value` lines, which need not exist; the environment wins.

    Returns:
        Variable -> value, as far as given; `WORKER_RUN_DIR` and `WORKER_PREFIX` always.

    Raises:
        SettingsError: One cannot be read, or is not accepted.
    """
    environ = process_environment() if environ is None else environ
    values, problems = resolve(VARIABLES, read_sources(environ, dotenv))
    if problems:
        raise SettingsError("; ".join(problems.values()))
    need = [server for variable, server in _URLS.items() if variable in values]
    read_server_settings(resolved(environ, values), need=need, dotenv=dotenv)
    return {"WORKER_RUN_DIR": str(default_run_dir(environ)), "WORKER_PREFIX": "audio", **values}
