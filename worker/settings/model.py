"""Define every setting, what it accepts, and the sentence about a value that is refused.

We do not use pydantic-settings. Measured (best of 10, on a shared machine): a start with this module takes 0.53 s, one
with `pydantic_settings` 1.16 s. It would replace about 20 lines, `environment.resolve`. The rest has no counterpart in
it: both of `NAME` and `NAME_FILE`, the `.env` of other programs, misspelt names, settings that a command does not need.
"""

import difflib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, SecretStr, ValidationError

from worker.core.events import Level
from worker.core.keys import PREFIX_PATTERN
from worker.core.redaction import redact
from worker.errors import SettingsError
from worker.settings.columns import read_columns
from worker.settings.declared import (
    LONGEST_CONSUMER,
    Whole,
    check_absolute,
    check_consumer,
    check_database_url,
    check_redis_url,
    check_token,
    seconds,
    setting,
    url,
    whole,
)
from worker.settings.environment import DOTENV, default_run_dir, read_sources, resolve
from worker.settings.found import WAYS, with_up
from worker.settings.levels import read_level
from worker.settings.names import DESK_TOKEN, VARIABLES, is_setting, meant_by
from worker.settings.postgres_url import POSTGRES_SCHEMES
from worker.settings.redis_url import REDIS_SCHEMES
from worker.settings.urls import check_prefix, is_quoted

Need = Literal["redis", "database", "logs", "desk"]

_LONGEST_SHOWN = 80


class Settings(BaseModel):
    """The settings. Each field has its variable, a description, and `accepted` and `default` in words."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    redis_url: Annotated[SecretStr, AfterValidator(check_redis_url)] = url(
        "REDIS_URL", "where Redis or Valkey is", "redis://localhost:6379/0", REDIS_SCHEMES
    )
    database_url: Annotated[SecretStr, AfterValidator(check_database_url)] = url(
        "DATABASE_URL", "where PostgreSQL is", "postgresql://worker@localhost:5432/audio", POSTGRES_SCHEMES
    )
    log_level: Annotated[Level, BeforeValidator(read_level)] = setting(
        "LOG_LEVEL",
        "least level of the lines that are logged",
        "debug, info, warning or error; names of others too: trace, notice, WARN, critical, fatal, 10 to 50",
        "info",
    )
    log_format: Annotated[Literal["json", "console"], BeforeValidator(str.lower)] | None = setting(
        "LOG_FORMAT",
        "form of the log lines",
        "json or console",
        None,
        default_words="console on a terminal, else json",
    )
    prefix: str = setting(
        "WORKER_PREFIX",
        "start of every name in Redis; for Redis Cluster a hash tag such as {audio}",
        "1 to 64 of A-Z a-z 0-9 _ . : { } -",
        "audio",
        pattern=f"^{PREFIX_PATTERN.pattern}$",
    )
    consumer: Annotated[str, AfterValidator(check_consumer)] | None = setting(
        "WORKER_CONSUMER",
        "consumer name, the same after a restart",
        f"1 to {LONGEST_CONSUMER} printable characters without spaces",
        None,
        default_words="host name, with a number that no live worker of this host has",
    )
    max_size: Whole = whole("WORKER_MAX_SIZE", "largest `size` of a request", 65_536, 65_536)
    batch: Whole = whole("WORKER_BATCH", "most requests answered in one batch", 256, 1000)
    linger_ms: Whole = whole(
        "WORKER_LINGER_MS", "longest wait for more requests while they come fast; 0: none", 0, 1000, low=0
    )
    claim_idle_s: float = seconds("WORKER_CLAIM_IDLE_S", "another consumer's entry is taken over after this", 5)
    max_deliveries: Whole = whole(
        "WORKER_MAX_DELIVERIES", "after so many a request goes to the dead letters", 5, 1_000_000
    )
    weights_refresh_s: float = seconds("WORKER_WEIGHTS_REFRESH_S", "weights keys are read again at least this often", 1)
    catalog_refresh_s: float = seconds(
        "WORKER_CATALOG_REFRESH_S", "the catalog is compared with PostgreSQL this often, see PROTOCOL.md", 30
    )
    catalog_wait_s: float = seconds(
        "WORKER_CATALOG_WAIT_S", "how long requests wait at the start for a first catalog", 5
    )
    chunks_query: str | None = setting(
        "WORKER_CHUNKS_QUERY",
        "a SELECT of `id, category` of READY chunks, instead of the table `audio_chunks`",
        "a SELECT that returns id and category, duration_s where WORKER_WEIGHT_UNIT=seconds, and split if any have one",
        None,
        default_words="none",
        pattern=r"(?i)\bselect\b",
    )
    weight_unit: Annotated[Literal["chunks", "seconds"], BeforeValidator(str.lower)] = setting(
        "WORKER_WEIGHT_UNIT",
        "what weights are shares of: the chunks drawn, or their audio time; the same for all workers of a prefix",
        "chunks or seconds",
        "chunks",
    )
    catalog_columns: Annotated[tuple[str, ...], BeforeValidator(read_columns)] = setting(
        "WORKER_CATALOG_COLUMNS",
        "columns of chunks that workers hold in memory, so that requests may ask for them; the same for all workers",
        "some of duration_s, start_s, path, with commas between",
        (),
        default_words="none",
    )
    results_maxlen: Whole = whole(
        "WORKER_RESULTS_MAXLEN", "most entries that a result stream keeps", 1_000_000, 1_000_000_000
    )
    results_max_bytes: Whole = whole(
        "WORKER_RESULTS_MAX_BYTES",
        "about the most bytes that a result stream keeps; beyond them the oldest results go",
        256 << 20,
        1 << 40,
        low=16 << 20,
    )
    reply_ttl_s: float = seconds("WORKER_REPLY_TTL_S", "life of an unused reply stream", 3600)
    session_ttl_s: float = seconds("WORKER_SESSION_TTL_S", "life of an idle session", 86_400)
    stats_interval_s: float = seconds("WORKER_STATS_INTERVAL_S", "time between `worker.stats` lines", 10)
    drain_timeout_s: float = seconds("WORKER_DRAIN_TIMEOUT_S", "longest stop after the first signal", 10)
    desk_token: Annotated[SecretStr, AfterValidator(check_token)] | None = setting(
        "WORKER_DESK_TOKEN",
        "what browsers have to give to `desk`, once; needed where it listens on more than loopback",
        "16 to 1024 printable characters of ASCII without spaces",
        None,
        default_words="none",
    )
    run_dir: Annotated[Path, AfterValidator(check_absolute)] = setting(
        "WORKER_RUN_DIR",
        "where health files and consumer locks live",
        "an absolute path",
        ...,
        default_words="$XDG_RUNTIME_DIR/sampling-worker, or sampling-worker-<uid> in the temporary directory",
    )


_ACCEPTED: Mapping[str, str] = {
    field.alias: str(field.json_schema_extra["accepted"])
    for field in Settings.model_fields.values()
    if field.alias and isinstance(field.json_schema_extra, dict)
}
_NEEDED: Mapping[Need, tuple[str, ...]] = {
    "redis": ("REDIS_URL",),
    "database": ("DATABASE_URL",),
    "logs": ("LOG_LEVEL", "LOG_FORMAT"),
    "desk": (DESK_TOKEN,),
}
_ALL: tuple[Need, ...] = ("redis", "database", "logs")
_URLS = ("REDIS_URL", "DATABASE_URL")


def load_settings(
    environ: Mapping[str, str] | None = None, *, need: Collection[Need] = _ALL, dotenv: Path = DOTENV
) -> Settings:
    """Read and check the settings that are needed.

    Where a URL is missing, the settings are those of the `up` that runs on this machine, if any.

    Args:
        environ: The environment; None: that of the process.
        need: Servers whose URL is required, and whether lines are logged. Other settings of these are not read, since
            other programs use the same names. The token of `desk` is read for it alone.
        dotenv: A file of `NAME=value` lines, which need not exist. The environment has precedence.

    Raises:
        SettingsError: A setting is missing, not valid or misspelt: one sentence for each, joined.
    """
    unneeded = {name for server in _NEEDED.keys() - set(need) for name in _NEEDED[server]}
    wanted = [name for name in VARIABLES if name not in unneeded]
    sources = read_sources(environ, dotenv, wanted)
    values, problems = resolve(wanted, sources)
    given = {name for source in sources for name in source}
    missing = [name for name in _URLS if name in wanted and name not in {**values, **problems}]
    found, hint = with_up(values, missing, sources, environ)
    values = {name: value for name, value in found.items() if name in wanted}
    problems |= {name: _missing(name, given, hint) for name in missing if name not in values}
    misspelt = ((name, meant_by(name)) for name in sorted(given))
    problems |= {name: _misspelt(name, meant) for name, meant in misspelt if meant}
    problems |= {name: _in_quotes(name) for name, value in values.items() if is_quoted(value)}
    values.setdefault("WORKER_RUN_DIR", str(default_run_dir(environ)))
    problems = _wrong_prefix(values) | _wrong_values(values) | problems
    if problems:
        raise SettingsError("; ".join(problems.values()))
    return Settings.model_validate(values)


def _misspelt(name: str, meant: str) -> str:
    """Describe a misspelt variable, and name the setting that it is meant for."""
    return f"{name} is not a setting; the nearest known name is {meant}"


def _in_quotes(name: str) -> str:
    """Describe a value in quotes, without showing it: it may be a secret."""
    return (
        f"{name} is not accepted: it stands in quotes, which `docker --env-file` keeps; "
        f"accepted, without quotes: {_ACCEPTED[name]}"
    )


def _missing(name: str, given: Collection[str], left_out: str) -> str:
    """Describe a missing variable. Name a given one that may be meant for it, or an `up` that was left out."""
    strangers = [other for other in given if not is_setting(other)]
    near = difflib.get_close_matches(name, strangers, n=1, cutoff=0.75)
    hint = f" ({near[0]} is given, which is not a setting)" if near else f" ({left_out})" if left_out else ""
    return f"{name} is missing{hint}; accepted: {_ACCEPTED[name]}, {WAYS}"


def _wrong_values(values: Mapping[str, str]) -> dict[str, str]:
    """Return the error sentence of each value that is not accepted."""
    try:
        Settings.model_validate(values)
    except ValidationError as exc:
        return {
            str(error["loc"][0]): _refusal(str(error["loc"][0]), values, error.get("ctx", {})) for error in exc.errors()
        }
    return {}


def _wrong_prefix(values: Mapping[str, str]) -> dict[str, str]:
    """Return the error sentence if the prefix is not valid for Redis Cluster."""
    prefix = values.get("WORKER_PREFIX", Settings.model_fields["prefix"].default)
    try:
        check_prefix(prefix, values.get("REDIS_URL", ""))
    except ValueError as error:
        return {"WORKER_PREFIX": f"WORKER_PREFIX={redact(prefix)} is not accepted with redis+cluster://: {error}"}
    return {}


def _refusal(name: str, values: Mapping[str, str], context: Mapping[str, Any]) -> str:
    """Describe a value that is not accepted, without showing a secret."""
    if name in _URLS:
        return f"{name} is not accepted: {context['error']}; accepted: {_ACCEPTED[name]}"
    if name == DESK_TOKEN:
        return f"{name} is not accepted; accepted: {_ACCEPTED[name]}"
    shown = redact(values[name])
    if len(shown) > _LONGEST_SHOWN:
        shown = f"{shown[:_LONGEST_SHOWN]}…"
    if not shown.isprintable() or " " in shown:
        shown = repr(shown)
    return f"{name}={shown} is not accepted; accepted: {_ACCEPTED[name]}"
