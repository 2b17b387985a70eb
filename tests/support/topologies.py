"""Servers in other shapes than one on a TCP port: under Sentinel, as a cluster, on a socket, behind TLS."""

import os
import secrets
import socket
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from tests.support.certificates import Authority
from tests.support.servers import connect
from tests.support.waiting import wait_until_sync
from worker.embedded import RedisServer
from worker.embedded.loopback import HOST

SERVICE = "mymaster"
_PROCESSES = 8
_OF_PROCESS = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _PROCESSES
_BUS_PORTS = list(range(10_000 + _OF_PROCESS, 20_000, _PROCESSES))  # none that another process of the run may choose
_SOON_S = 60.0


class SentinelServer(RedisServer):
    """A Sentinel that watches one server."""

    def __init__(
        self, directory: Path, *, binary: Path, watched: RedisServer, settings: str = "", down_after_ms: int = 30_000
    ) -> None:
        super().__init__(directory, binary=binary)
        self._watched = watched
        self._settings = settings or f"port {self.port}"
        self._down_after_ms = down_after_ms

    def _command(self) -> list[str]:
        settings = self._launch.cwd / "sentinel.conf"  # which it writes to as well
        monitor = f"sentinel monitor {SERVICE} {HOST} {self._watched.port} 1"
        monitor += f"\nsentinel down-after-milliseconds {SERVICE} {self._down_after_ms}"
        settings.write_text(f"bind {HOST}\n{self._settings}\n{monitor}\n")
        return [str(self._binary), str(settings), "--sentinel"]


class TlsServer(RedisServer):
    """A server that speaks only TLS, with a certificate made by a test."""

    def __init__(self, directory: Path, *, binary: Path, words: Sequence[str], options: Sequence[str] = ()) -> None:
        super().__init__(directory, binary=binary)
        self._words = (*words, *options)

    def _command(self) -> list[str]:
        return [*super()._command(), "--port", "0", "--tls-port", str(self.port), *self._words]

    def _answers(self) -> bool:
        return "Ready to accept connections" in self._log_tail()


class TlsSentinelServer(SentinelServer):
    """A Sentinel that speaks only TLS, and watches a server that speaks only TLS."""

    def __init__(self, directory: Path, *, binary: Path, watched: RedisServer, words: Sequence[str]) -> None:
        super().__init__(directory, binary=binary, watched=watched)
        pairs = zip(words[0::2], words[1::2], strict=True)
        lines = [f"port 0\ntls-port {self.port}", *(f"{name.removeprefix('--')} {value}" for name, value in pairs)]
        self._settings = "\n".join(lines)

    def _answers(self) -> bool:
        return "+monitor" in self._log_tail()


def tls_words(authority: Authority, *, asks_clients: bool = False) -> list[str]:
    """Write the options of a server that speaks TLS, to its peers as well."""
    pair = authority.pair()
    files = ["--tls-cert-file", str(pair.certificate), "--tls-key-file", str(pair.key)]
    trust = ["--tls-ca-cert-file", str(authority.file), "--tls-auth-clients", "yes" if asks_clients else "no"]
    return [*files, *trust, "--tls-replication", "yes"]


@contextmanager
def under_sentinel(directory: Path, binary: Path) -> Iterator[str]:
    """Run a server and a Sentinel that watches it; yield the worker's URL."""
    with (
        RedisServer(directory / "watched", binary=binary) as watched,
        SentinelServer(directory / "sentinel", binary=binary, watched=watched) as sentinel,
    ):
        yield f"redis+sentinel://{HOST}:1,{HOST}:{sentinel.port}/{SERVICE}/0"


def free_port() -> int:
    """Find a port for what nodes tell each other: theirs plus 10,000, as they would choose, is free or not.

    It is none of those that the system gives to connections, or that servers of tests take.
    """
    while True:
        port = _BUS_PORTS.pop(secrets.randbelow(len(_BUS_PORTS)))  # each once: a node may not listen yet
        with suppress(OSError), closing(socket.create_server((HOST, port))):
            return port


def cluster_words(bus_port: int) -> list[str]:
    """Write the options of a node of a cluster."""
    return ["--cluster-enabled", "yes", "--cluster-port", str(bus_port)]


@contextmanager
def as_cluster(directory: Path, binary: Path) -> Iterator[str]:
    """Run a cluster of one node; yield the worker's URL."""
    with RedisServer(directory, binary=binary, options=cluster_words(free_port())) as node:
        _own_all_slots(node.url)
        yield node.url.replace("redis://", "redis+cluster://").removesuffix("/0")


def _own_all_slots(url: str) -> None:
    """Make a cluster of a node that knows no other."""
    with connect(url) as client:
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        wait_until_sync(
            lambda: client.execute_command("CLUSTER INFO")["cluster_state"] == "ok",
            timeout_s=_SOON_S,
            what="the cluster serves",
        )


@contextmanager
def on_socket(directory: Path, binary: Path) -> Iterator[str]:
    """Run a server on a Unix socket; yield the worker's URL."""
    path = directory / "redis.sock"
    with RedisServer(directory, binary=binary, options=["--unixsocket", str(path)]):
        yield f"unix://{path}"


@contextmanager
def behind_tls(directory: Path, binary: Path) -> Iterator[str]:
    """Run a server behind TLS that asks clients for certificates; yield the worker's URL."""
    authority = Authority(directory)
    with TlsServer(directory / "server", binary=binary, words=tls_words(authority, asks_clients=True)) as server:
        yield f"rediss://{HOST}:{server.port}/0?{authority.client_query()}"


@contextmanager
def under_sentinel_behind_tls(directory: Path, binary: Path) -> Iterator[str]:
    """Run a server and a Sentinel that watches it, both behind TLS; yield the worker's URL."""
    authority = Authority(directory)
    words = tls_words(authority)
    with (
        TlsServer(directory / "watched", binary=binary, words=words) as watched,
        TlsSentinelServer(directory / "sentinel", binary=binary, watched=watched, words=words) as sentinel,
    ):
        yield f"redis+sentinel://{HOST}:{sentinel.port}/{SERVICE}/0?ssl_ca_certs={authority.file}"


@contextmanager
def as_cluster_behind_tls(directory: Path, binary: Path) -> Iterator[str]:
    """Run a cluster of one node behind TLS; yield the worker's URL."""
    authority = Authority(directory)
    options = [*cluster_words(free_port()), "--tls-cluster", "yes"]
    with TlsServer(directory / "node", binary=binary, words=tls_words(authority), options=options) as node:
        query = f"?ssl_ca_certs={authority.file}"
        _own_all_slots(f"rediss://{HOST}:{node.port}/0{query}")
        yield f"redis+cluster://{HOST}:{node.port}{query}"
