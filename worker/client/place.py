"""Where a client works: as it was told, or as the environment says, read as the commands read it, but for pydantic."""

from typing import NamedTuple

from worker.core.keys import NAME_PATTERN, PREFIX_PATTERN
from worker.core.redaction import redact
from worker.errors import SettingsError
from worker.settings.environment import process_environment, read_sources, resolve
from worker.settings.redis_url import REDIS_SCHEMES, read_redis_url
from worker.settings.urls import check_prefix

_URL, _PREFIX, _DEFAULT_PREFIX = "REDIS_URL", "WORKER_PREFIX", "audio"


class Place(NamedTuple):
    """Say where a client works.

    Attributes:
        url: Of Redis.
        prefix: Start of every name there.
        name: The client's, where it was given one: by it, a later life of the client finds what this one asked for.
    """

    url: str
    prefix: str
    name: str | None


def find_place(url: str | None, prefix: str | None, name: str | None) -> Place:
    """Find out where to work, and look at nothing that was told.

    Whose URL is told reads no file of the working directory, which may be another program's.

    Args:
        url: Of Redis; None: `REDIS_URL`, or what the file holds that `REDIS_URL_FILE` names.
        prefix: Start of every name; None: `WORKER_PREFIX` of the environment (and of `.env` where the URL is None), or
            `audio`.
        name: The client's name, if it has one.

    Raises:
        SettingsError: The URL or the prefix is missing or not accepted.
        ValueError: The name is not accepted.
    """
    if name is not None and not NAME_PATTERN.fullmatch(name):
        raise ValueError(f"name is {name!r}; accepted: {NAME_PATTERN.pattern}")
    given = {variable: value for variable, value in ((_URL, url), (_PREFIX, prefix)) if value is not None}
    wanted = {_URL, _PREFIX} - given.keys()
    sources = read_sources(wanted=wanted) if _URL in wanted else [process_environment()] if wanted else []
    found, problems = resolve(wanted, sources)
    if problems:
        raise SettingsError("; ".join(problems.values()))
    values = {_PREFIX: _DEFAULT_PREFIX, **found, **given}
    if not PREFIX_PATTERN.fullmatch(values[_PREFIX]):
        raise SettingsError(f"prefix {values[_PREFIX]!r} is not accepted; accepted: {PREFIX_PATTERN.pattern}")
    checked = _check(values.get(_URL))
    try:
        return Place(checked, check_prefix(values[_PREFIX], checked), name)
    except ValueError as error:
        raise SettingsError(f"prefix {values[_PREFIX]!r} is not accepted with redis+cluster://: {error}") from None


def _check(url: str | None) -> str:
    schemes = ", ".join(f"{scheme}://" for scheme in REDIS_SCHEMES)
    if url is None:
        raise SettingsError(
            f"{_URL} is missing; accepted: a URL that starts with one of {schemes}, or the argument url"
        )
    try:
        read_redis_url(url)
    except ValueError as error:
        sentence = f"the URL {redact(url)} is not accepted: {error}; accepted: one that starts with one of {schemes}"
        raise SettingsError(sentence) from None
    return url
