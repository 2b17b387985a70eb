"""What verbs that talk to Redis share: settings, and a connection that is closed again."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from worker.adapters.redis.client import Client, connect
from worker.core.keys import NAME_PATTERN, Keys
from worker.errors import SettingsError
from worker.settings.servers import Server, ServerSettings, read_server_settings

_TIMEOUT_S = 5.0
_LONGEST_SESSION = 128
_REDIS: Final[tuple[Server, ...]] = ("redis",)


@dataclass(frozen=True, slots=True)
class Opened:
    """The settings of a verb, its connection to Redis, and the names there."""

    settings: ServerSettings
    client: Client
    keys: Keys


@asynccontextmanager
async def open_redis(need: Collection[Server] = _REDIS, prefix: str | None = None) -> AsyncIterator[Opened]:
    """Connect to Redis as the settings say.

    Args:
        need: Servers whose URL has to be given.
        prefix: The start of names there; None: as the settings say.

    Raises:
        SettingsError: Something is missing or wrong.
        RedisUnreachableError: Redis cannot be reached; the sentence names its URL.
    """
    settings = read_server_settings(need=need, prefix=prefix)
    client = connect(settings.redis_url, timeout_s=_TIMEOUT_S)
    try:
        yield Opened(settings, client, Keys(settings.prefix))
    finally:
        await client.aclose()


def check_dataset(dataset: str | None) -> str | None:
    """Return a dataset's name as it is, if it can be one.

    Raises:
        SettingsError: It cannot; the sentence says what is accepted.
    """
    if dataset is not None and not NAME_PATTERN.fullmatch(dataset):
        raise SettingsError(f"--dataset {dataset!r} is not accepted; accepted: {NAME_PATTERN.pattern}")
    return dataset


def check_list(name: str) -> str:
    """Return the name of an exclusion list as it is, if it can be one.

    Raises:
        SettingsError: It cannot; the sentence says what is accepted.
    """
    if not NAME_PATTERN.fullmatch(name):
        raise SettingsError(f"exclusion list {name[:64]!a} is not accepted; accepted: {NAME_PATTERN.pattern}")
    return name


def check_session(name: str) -> str:
    """Return a session's name as it is, if it can be one.

    Raises:
        SettingsError: It cannot; the sentence says what is accepted.
    """
    if not 1 <= len(name) <= _LONGEST_SESSION or not name.isprintable():
        raise SettingsError(
            f"session {name[:_LONGEST_SESSION]!a} is not accepted; accepted: 1 to 128 printable characters"
        )
    return name
