"""The two servers of an `up`: embedded ones whose data last, or those that the environment names."""

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Final, NamedTuple

from worker.core.redaction import redact
from worker.embedded.lasting import LastingPostgres, LastingRedis, refuse_older
from worker.embedded.loopback import HOST, is_free
from worker.up.deaths import Deaths
from worker.up.folder import DataFolder
from worker.up.screen import Screen

REDIS, POSTGRES = "Valkey", "PostgreSQL"
_FOLDERS: Final = {REDIS: "valkey", POSTGRES: "postgresql"}
_VARIABLES: Final = {REDIS: "REDIS_URL", POSTGRES: "DATABASE_URL"}
Lasting = LastingRedis | LastingPostgres


class Ports(NamedTuple):
    """Ports that were asked for; None: those of the last time, or free ones."""

    redis: int | None
    database: int | None


class Servers:
    """The servers, each embedded or given.

    Attributes:
        urls: `REDIS_URL` and `DATABASE_URL`, once they are started.
    """

    def __init__(self, folder: DataFolder, screen: Screen, ports: Ports, given: Mapping[str, str]) -> None:
        """Choose which servers are embedded.

        Args:
            folder: Where their data are.
            screen: Where it is said which servers are used.
            ports: Ports of embedded servers.
            given: Variable -> value, as the environment gives them.
        """
        self._folder = folder
        self._screen = screen
        self._ports = {REDIS: ports.redis, POSTGRES: ports.database}
        self._embedded: dict[str, Lasting] = {}
        self._deaths = {title: Deaths() for title in _FOLDERS}
        self.urls = {name: url for name, url in given.items() if name in _VARIABLES.values() and not self._is_own(url)}

    @property
    def are_given(self) -> bool:
        """Return whether neither of them is embedded."""
        return len(self.urls) == len(_VARIABLES)

    def start(self, lock: int, opened: ExitStack) -> None:
        """Start the embedded servers.

        Args:
            lock: The folder's lock, which they inherit.
            opened: Stops them.

        Raises:
            SettingsError: A server's program or its data cannot be used.
            UnreachableError: A server did not come up.
        """
        for title, kind in ((REDIS, LastingRedis), (POSTGRES, LastingPostgres)):
            if variable := self._given(title):
                self._screen.say(f"{title} is that of {variable}: {redact(self.urls[variable])}")
                continue
            port = self._port(title)
            server = kind(self._folder.path / _FOLDERS[title], port=port, held=(lock,))
            version = server.version()
            refuse_older(title, str(self._folder.notes.get(title, {}).get("version", "")), version)
            opened.callback(server.stop)
            server.start()
            self._embedded[title] = server
            self.urls[_VARIABLES[title]] = server.url
            self._folder.note(title, port=server.port, version=version)

    def start_again(self) -> None:
        """Start those that have ended by themselves.

        Raises:
            UnreachableError: One does not come up again.
            DependencyError: One ends again and again.
        """
        for title, server in self._embedded.items():
            if not server.running:
                how = f"{title} ended by itself; its log is {self._folder.path / _FOLDERS[title] / 'server.log'}"
                self._deaths[title].note(how)
                self._screen.warn(f"{how}; it is started again")
                server.start()

    def _given(self, title: str) -> str | None:
        """Return the variable that names a server, if one does."""
        variable = _VARIABLES[title]
        return variable if variable in self.urls else None

    def _is_own(self, url: str) -> bool:
        """Return whether a URL is that of an embedded server here, as `env` has set it in this shell."""
        ports = (self._folder.noted_port(title) for title in _FOLDERS)
        return any(f"@{HOST}:{port}/" in url or f"//{HOST}:{port}/" in url for port in ports if port)

    def _port(self, title: str) -> int | None:
        """Choose a port: as asked for, or that of the last time; None: a free one."""
        if asked := self._ports[title]:
            return asked
        noted = self._folder.noted_port(title)
        if noted is None or is_free(noted):
            return noted
        self._screen.warn(f"port {noted} is taken, where {title} was the last time; it gets another one")
        return None
