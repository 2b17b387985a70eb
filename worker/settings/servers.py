"""The few settings that commands use, read without the settings model as long as nothing is wrong with them.

The model checks every setting, and its library takes longer to import than most commands take to run. Here the same
sources are read, and the few values are checked by the same rules. The model decides wherever a value is wrong or
missing, or another given setting has to be checked, too. So the errors are always its own.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from worker.core.keys import PREFIX_PATTERN
from worker.settings.environment import DOTENV, process_environment, read_sources, resolve
from worker.settings.found import with_up
from worker.settings.names import DESK_TOKEN, FILE_SUFFIX, VARIABLES, meant_by
from worker.settings.postgres_url import read_postgres_url
from worker.settings.redis_url import read_redis_url
from worker.settings.urls import check_prefix, is_quoted

Server = Literal["redis", "database"]

_URLS: Final[Mapping[Server, str]] = {"redis": "REDIS_URL", "database": "DATABASE_URL"}
_OF_OTHERS: Final = ("LOG_LEVEL", "LOG_FORMAT", DESK_TOKEN)
"""What only `run` and `desk` read."""
_PREFIX, _QUERY, _UNIT = "WORKER_PREFIX", "WORKER_CHUNKS_QUERY", "WORKER_WEIGHT_UNIT"
_RUN_DIR, _COLUMNS = "WORKER_RUN_DIR", "WORKER_CATALOG_COLUMNS"
_CHECKED_HERE: Final = frozenset({*_URLS.values(), _PREFIX, _QUERY, _UNIT, _RUN_DIR, _COLUMNS})
_SELECT: Final = re.compile(r"(?i)\bselect\b")
_UNITS: Final = ("chunks", "seconds")


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """The settings that a command uses; a URL that it does not need is empty.

    Attributes:
        redis_url: `REDIS_URL`.
        database_url: `DATABASE_URL`.
        prefix: `WORKER_PREFIX`.
        chunks_query: `WORKER_CHUNKS_QUERY`.
        weight_unit: `WORKER_WEIGHT_UNIT`: chunks or seconds.
    """

    redis_url: str = field(repr=False)
    database_url: str = field(repr=False)
    prefix: str
    chunks_query: str | None
    weight_unit: str


def read_server_settings(
    environ: Mapping[str, str] | None = None,
    *,
    need: Collection[Server],
    dotenv: Path = DOTENV,
    prefix: str | None = None,
) -> ServerSettings:
    """Read and check the settings that a command needs.

    Where a URL is missing, the settings are those of the `up` that runs on this machine, if any.

    Args:
        environ: The environment; None: that of the process.
        need: Servers whose URL has to be given.
        dotenv: A file of `NAME=value` lines, which need not exist; the environment wins.
        prefix: Given in the place of `WORKER_PREFIX`; None: it is not.

    Raises:
        SettingsError: Something is missing, wrong or misspelt, as `worker.settings.model.load_settings` says it.
    """
    environ = process_environment() if environ is None else environ
    environ = environ if prefix is None else _with_prefix(environ, prefix)
    needed = {_URLS[server] for server in need}
    wanted = [name for name in VARIABLES if name not in {*_URLS.values(), *_OF_OTHERS} - needed]
    sources = read_sources(environ, dotenv, wanted)
    values, problems = resolve(wanted, sources)
    given = {*values}
    found, _ = with_up(values, needed - {*values, *problems}, sources, environ)
    values = {name: value for name, value in found.items() if name in given | _CHECKED_HERE}
    misspelt = any(meant_by(name) for source in sources for name in source)
    if problems or misspelt or not _are_fine(values, needed):
        return _by_model(resolved(environ, values), need, dotenv)
    return ServerSettings(
        values.get("REDIS_URL", ""),
        values.get("DATABASE_URL", ""),
        values.get(_PREFIX, "audio"),
        values.get(_QUERY),
        values.get(_UNIT, _UNITS[0]).lower(),
    )


def _with_prefix(environ: Mapping[str, str], prefix: str) -> Mapping[str, str]:
    return {name: value for name, value in environ.items() if name != _PREFIX + FILE_SUFFIX} | {_PREFIX: prefix}


def _are_fine(values: Mapping[str, str], needed: Collection[str]) -> bool:
    """Return whether all values are given, can be checked here, and are accepted."""
    prefix, query, unit = values.get(_PREFIX, "audio"), values.get(_QUERY, "select"), values.get(_UNIT, _UNITS[0])
    run_dir = values.get(_RUN_DIR, "/")
    return (
        values.keys() <= _CHECKED_HERE
        and values.keys() >= set(needed)
        and not any(map(is_quoted, values.values()))
        and PREFIX_PATTERN.fullmatch(prefix) is not None
        and _SELECT.search(query) is not None
        and unit.lower() in _UNITS
        and Path(run_dir).is_absolute()
        and "\0" not in run_dir
        and _can_be_read(values, prefix)
    )


def _can_be_read(values: Mapping[str, str], prefix: str) -> bool:
    """Return whether the URLs that are given can be used, with this prefix, and the columns are known."""
    try:
        if (columns := values.get(_COLUMNS)) is not None:  # as `env` sets it
            from worker.settings.columns import read_columns  # noqa: PLC0415 - the wire format, here alone

            read_columns(columns)
        if (redis_url := values.get("REDIS_URL")) is not None:
            read_redis_url(redis_url)
            check_prefix(prefix, redis_url)
        if (database_url := values.get("DATABASE_URL")) is not None:
            read_postgres_url(database_url)
    except ValueError:
        return False
    return True


def resolved(environ: Mapping[str, str], values: Mapping[str, str]) -> Mapping[str, str]:
    """Return an environment with the values that were found: a file such as a pipe can be read once only."""
    by_file = {name + FILE_SUFFIX for name in values}
    return {name: value for name, value in environ.items() if name not in by_file} | dict(values)


def _by_model(environ: Mapping[str, str], need: Collection[Server], dotenv: Path) -> ServerSettings:
    """Read the settings by their model."""
    from worker.settings.model import load_settings  # noqa: PLC0415 - pydantic, which most commands do without

    settings = load_settings(environ, need=need, dotenv=dotenv)
    return ServerSettings(
        settings.redis_url.get_secret_value(),
        settings.database_url.get_secret_value(),
        settings.prefix,
        settings.chunks_query,
        settings.weight_unit,
    )
