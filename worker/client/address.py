"""The server address of a client: as given, from the environment, or of the `up` that runs on this machine.

It is read without pydantic, to import fast.
"""

from typing import NamedTuple

from worker.core.keys import NAME_PATTERN, PREFIX_PATTERN
from worker.core.redaction import redact
from worker.errors import SettingsError
from worker.settings.environment import process_environment, read_sources, resolve
from worker.settings.found import WAYS, find_up
from worker.settings.redis_url import REDIS_SCHEMES, read_redis_url
from worker.settings.urls import check_prefix

_URL, _PREFIX, _DEFAULT_PREFIX = "REDIS_URL", "WORKER_PREFIX", "audio"
_FITTING = {_URL, "DATABASE_URL", "WORKER_RUN_DIR"}


class Address(NamedTuple):
    """The server, prefix and name of a client.

    Attributes:
        url: URL of Redis.
        prefix: Start of every key in Redis.
        name: Name of the client, or None. A later process with this name finds the requests of this one.
    """

    url: str
    prefix: str
    name: str | None


def find_address(url: str | None, prefix: str | None, name: str | None) -> Address:
    """Find the address: each part as given, or else from the environment, or else of the `up` that runs here.

    With a given URL no `.env` of the working directory is read: it may belong to another program.

    Args:
        url: URL of Redis; None: `REDIS_URL`, or the content of the file that `REDIS_URL_FILE` names, or that of the
            `up` of this user that runs on this machine.
        prefix: Start of every key; None: `WORKER_PREFIX` of the environment (and of `.env` if the URL is None), that
            of the `up` if its URL is used, or `audio`.
        name: Name of the client, if it has one.

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
    running, hint = find_up(resolve(_FITTING, sources)[0]) if _URL in wanted - found.keys() else ({}, "")
    values = {_PREFIX: _DEFAULT_PREFIX, **running, **found, **given}
    if not PREFIX_PATTERN.fullmatch(values[_PREFIX]):
        raise SettingsError(f"prefix {values[_PREFIX]!r} is not accepted; accepted: {PREFIX_PATTERN.pattern}")
    checked = _check(values.get(_URL), hint)
    try:
        return Address(checked, check_prefix(values[_PREFIX], checked), name)
    except ValueError as error:
        raise SettingsError(f"prefix {values[_PREFIX]!r} is not accepted with redis+cluster://: {error}") from None


def _check(url: str | None, hint: str) -> str:
    schemes = ", ".join(f"{scheme}://" for scheme in REDIS_SCHEMES)
    if url is None:
        why = f" ({hint})" if hint else ""
        raise SettingsError(
            f"{_URL} is missing{why}; accepted: a URL that starts with one of {schemes}, as the argument url, {WAYS}"
        )
    try:
        read_redis_url(url)
    except ValueError as error:
        sentence = f"the URL {redact(url)} is not accepted: {error}; accepted: one that starts with one of {schemes}"
        raise SettingsError(sentence) from None
    return url
