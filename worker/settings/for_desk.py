"""The settings of the desk: where Redis is, and what browsers have to give."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from worker.settings.environment import DOTENV, process_environment
from worker.settings.model import load_settings
from worker.settings.names import DESK_TOKEN, FILE_SUFFIX


@dataclass(frozen=True, slots=True)
class DeskSettings:
    """The settings of a desk.

    Attributes:
        redis_url: `REDIS_URL`.
        prefix: `WORKER_PREFIX`.
        token: `WORKER_DESK_TOKEN`; None: there is none.
    """

    redis_url: str = field(repr=False)
    prefix: str
    token: str | None = field(repr=False)


def read_desk_settings(
    token_file: Path | None, environ: Mapping[str, str] | None = None, dotenv: Path = DOTENV
) -> DeskSettings:
    """Read and check the settings of a desk.

    Args:
        token_file: A file that holds the token; None: the setting counts, if it is given.
        environ: The environment; None: that of the process.
        dotenv: A file of `NAME=value` lines, which need not exist; the environment wins.

    Raises:
        SettingsError: Something is missing, wrong or misspelt.
    """
    environ = process_environment() if environ is None else environ
    if token_file is not None:
        others = {name: value for name, value in environ.items() if name not in {DESK_TOKEN, DESK_TOKEN + FILE_SUFFIX}}
        environ = {**others, DESK_TOKEN + FILE_SUFFIX: str(token_file)}
    settings = load_settings(environ, need=["redis", "desk"], dotenv=dotenv)
    token = None if settings.desk_token is None else settings.desk_token.get_secret_value()
    return DeskSettings(settings.redis_url.get_secret_value(), settings.prefix, token)
