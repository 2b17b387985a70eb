"""How a setting is declared, and what single values of settings have to be."""

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, SecretStr

from worker.settings.postgres_url import read_postgres_url
from worker.settings.redis_url import read_redis_url

_YEAR_S: Final = 31_536_000
LONGEST_CONSUMER: Final = 128
_SHORTEST_TOKEN: Final = 16  # letters: nobody guesses so many
_LONGEST_TOKEN: Final = 1024


def setting(variable: str, description: str, accepted: str, default: object, **rules: Any) -> Any:
    """Declare a setting. `accepted` and `default_words` go into error sentences and documentation."""
    words: dict[str, Any] = {"accepted": accepted, "default": rules.pop("default_words", str(default))}
    return Field(default, alias=variable, description=description, json_schema_extra=words, **rules)


def whole(variable: str, description: str, default: int, high: int, *, low: int = 1) -> Any:
    """Declare a setting that is a whole number."""
    return setting(variable, description, f"a whole number from {low} to {high}", default, ge=low, le=high)


def seconds(variable: str, description: str, default: float) -> Any:
    """Declare a setting that is a duration."""
    accepted = f"a number of seconds from 0.001 to {_YEAR_S}"
    return setting(variable, description, accepted, float(default), ge=0.001, le=_YEAR_S, default_words=f"{default:g}")


def url(variable: str, description: str, example: str, schemes: Collection[str]) -> Any:
    """Declare a required URL. It stays empty for a command that does not need it."""
    accepted = f"a URL that starts with {_or(f'{scheme}://' for scheme in schemes)}, such as {example}"
    return setting(variable, description, accepted, SecretStr(""), default_words="required")


def _or(choices: Iterable[str]) -> str:
    """Join choices by commas and "or"."""
    *rest, last = choices
    return f"{', '.join(rest)} or {last}"


def check_redis_url(secret: SecretStr) -> SecretStr:
    """Refuse a URL that is not valid for Redis."""
    read_redis_url(secret.get_secret_value())
    return secret


def check_database_url(secret: SecretStr) -> SecretStr:
    """Refuse a URL that is not valid for PostgreSQL."""
    read_postgres_url(secret.get_secret_value())
    return secret


def check_consumer(name: str) -> str:
    """Refuse a consumer name that could not be read in a log line."""
    if not 1 <= len(name) <= LONGEST_CONSUMER or not name.isprintable() or " " in name:
        raise ValueError
    return name


def check_absolute(path: Path) -> Path:
    """Refuse a relative path, since worker and `health` may run in different folders."""
    if not path.is_absolute() or "\0" in str(path):
        raise ValueError
    return path


def check_whole(value: object) -> object:
    """Refuse a text that is no whole number, such as 5.0."""
    if isinstance(value, str) and not (value.isascii() and value.isdigit()):
        raise ValueError
    return value


def check_token(secret: SecretStr) -> SecretStr:
    """Refuse a token that could be guessed, or that no header of HTTP could carry."""
    text = secret.get_secret_value()
    if not _SHORTEST_TOKEN <= len(text) <= _LONGEST_TOKEN or not (text.isascii() and text.isprintable()) or " " in text:
        raise ValueError
    return secret


Whole = Annotated[int, BeforeValidator(check_whole)]
"""A whole number, also as a text."""
