"""A master, a replica whose link can be cut, and a Sentinel that is quick to act."""

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.support.proxy import Proxy
from tests.support.servers import connect
from tests.support.topologies import SERVICE, SentinelServer
from tests.support.waiting import wait_until_sync
from worker.embedded import RedisServer
from worker.embedded.loopback import HOST

_SOON_S = 30.0
_PATIENCE_S = 2.0  # of a producer with a server that hangs
# What Sentinel does every so often, in ms. It promotes no replica that it has not heard of for five PINGs, or for three
# INFOs; while the master is down it asks for INFO once a second. A busy machine must not make it stand back ("tilt").
_PACES = {"INFO-PERIOD": 500, "PING-PERIOD": 500, "PUBLISH-PERIOD": 100, "ASK-PERIOD": 100, "TILT-TRIGGER": 60_000}
_DOWN_AFTER_MS = 1000


class Replicated(NamedTuple):
    """A master, its replica, the proxy between them, and the Sentinel that watches them.

    Attributes:
        master: The first master.
        replica: Its replica, the next master.
        link: What the replica hears the master through.
        sentinel: Watches both.
    """

    master: RedisServer
    replica: RedisServer
    link: Proxy
    sentinel: SentinelServer

    @property
    def url(self) -> str:
        """Return the worker's URL."""
        return f"redis+sentinel://{HOST}:{self.sentinel.port}/{SERVICE}/0"

    def producer(self) -> redis.Redis:
        """Make a client as others have them: it keeps its connection, and asks Sentinel when that is lost."""
        options: Any = {"socket_timeout": _PATIENCE_S, "protocol": 2, "retry": Retry(NoBackoff(), 0)}
        sentinels: Any = redis.sentinel.Sentinel
        manager = sentinels([(HOST, self.sentinel.port)], sentinel_kwargs=options)
        client: redis.Redis = manager.master_for(SERVICE, **options)
        return client

    def cut(self) -> None:
        """Cut the replica off for good, and wait until the master knows."""
        self.link.is_refusing = True
        self.link.cut()
        wait_until_sync(
            lambda: not _replication_of(self.master)["connected_slaves"], timeout_s=_SOON_S, what="the replica is gone"
        )

    def fail_over(self) -> None:
        """Promote the replica while the master is well."""
        with connect(f"redis://{HOST}:{self.sentinel.port}/0") as sentinel:
            sentinel.execute_command("SENTINEL", "FAILOVER", SERVICE)

    def hang(self) -> None:
        """Stop the master's process where it stands."""
        os.kill(self.master.pid, signal.SIGSTOP)

    def wake(self) -> None:
        """Let it go on."""
        os.kill(self.master.pid, signal.SIGCONT)

    def wait_promoted(self) -> None:
        """Wait until Sentinel sends everybody to the replica."""
        wait_until_sync(
            lambda: self._named_port() == self.replica.port, timeout_s=_SOON_S, what="the replica is the master"
        )

    def wait_demoted(self) -> None:
        """Wait until the first master has taken over what the new one holds."""
        wait_until_sync(self._is_demoted, timeout_s=_SOON_S, what="the old master follows the new one")

    def wait_level(self) -> None:
        """Wait until the replica has all that the master holds, which nobody may be writing to."""
        wait_until_sync(self._is_level, timeout_s=_SOON_S, what="the replica has everything")

    def wait_seen(self) -> None:
        """Wait until the replica is up to date, and Sentinel knows it."""
        wait_until_sync(self._is_seen, timeout_s=_SOON_S, what="Sentinel knows the replica")

    def _named_port(self) -> int:
        with connect(f"redis://{HOST}:{self.sentinel.port}/0") as sentinel:
            found: Any = sentinel.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)
        return int(found[1])

    def _is_demoted(self) -> bool:
        try:
            about = _replication_of(self.master)
        except redis.ConnectionError:
            return False  # Sentinel ends every connection to the server that it demotes
        return bool(about["role"] == "slave" and about["master_link_status"] == "up")

    def _is_level(self) -> bool:
        ahead, behind = _replication_of(self.master), _replication_of(self.replica)
        return bool(ahead["master_repl_offset"] == behind["slave_repl_offset"])

    def _is_seen(self) -> bool:
        with connect(f"redis://{HOST}:{self.sentinel.port}/0") as sentinel:
            master: Any = sentinel.execute_command("SENTINEL", "MASTER", SERVICE)
            replicas: Any = sentinel.execute_command("SENTINEL", "REPLICAS", SERVICE)
        seen = [dict(zip(one[0::2], one[1::2], strict=True)) for one in (master, *replicas)]
        links = [one[b"master-link-status"] for one in seen[1:]]
        return [one[b"flags"] for one in seen] == [b"master", b"slave"] and links == [b"ok"]


def _replication_of(server: RedisServer) -> dict[str, Any]:
    with connect(server.url) as client:
        found: Any = client.info("replication")
    return dict(found)


@contextmanager
def replicated(directory: Path, binary: Path, options: Sequence[str] = ()) -> Iterator[Replicated]:
    """Run them all.

    Args:
        directory: Where they keep their files.
        binary: The servers' program.
        options: Of the master and the replica alike.
    """
    with ExitStack() as undo:
        enter = undo.enter_context
        options = [*options, "--repl-diskless-sync-delay", "0"]
        master = enter(RedisServer(directory / "master", binary=binary, options=options))
        link = enter(Proxy(master.port))
        follow = ["--replicaof", HOST, str(link.port)]
        replica = enter(RedisServer(directory / "replica", binary=binary, options=[*options, *follow]))
        sentinel = enter(
            SentinelServer(directory / "sentinel", binary=binary, watched=master, down_after_ms=_DOWN_AFTER_MS)
        )
        with connect(f"redis://{HOST}:{sentinel.port}/0") as client:
            for name, milliseconds in _PACES.items():
                client.execute_command("SENTINEL", "DEBUG", name, milliseconds)
        servers = Replicated(master, replica, link, sentinel)
        servers.wait_seen()
        yield servers
