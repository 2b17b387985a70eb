"""A small cluster: three masters, and a replica of the one that owns a test's slot."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.support.servers import connect
from tests.support.topologies import cluster_words, free_port
from tests.support.waiting import wait_until_sync
from worker.embedded import RedisServer
from worker.embedded.loopback import HOST

_SOON_S = 30.0
_PATIENCE_S = 2.0  # of a producer with a node that hangs
_PATIENCE_MS = 5000
_PACES = ["--cluster-node-timeout", "1000", "--repl-diskless-sync-delay", "0"]
_RANGES = ((0, 5460), (5461, 10_922), (10_923, 16_383))


class Cluster(NamedTuple):
    """Hold the nodes, as they are at the start.

    Attributes:
        slot: The slot of a test's names.
        owner: The master that has it.
        replica: Of the owner.
        others: The other masters.
    """

    slot: int
    owner: RedisServer
    replica: RedisServer
    others: Sequence[RedisServer]

    @property
    def url(self) -> str:
        """Return the worker's URL."""
        return f"redis+cluster://{HOST}:{self.others[0].port}"

    @property
    def nodes(self) -> list[RedisServer]:
        """List all of them."""
        return [self.owner, *self.others, self.replica]

    def producer(self) -> Any:
        """Make a client as others have them: it goes where the cluster sends it, and tries nothing again."""
        url = f"redis://{HOST}:{self.others[0].port}"
        return redis.RedisCluster.from_url(url, protocol=2, socket_timeout=_PATIENCE_S, retry=Retry(NoBackoff(), 0))

    def wait_taken_over(self) -> None:
        """Wait until the replica is the owner, for every node that lives."""
        replica = _id_of(self.replica)
        wait_until_sync(
            lambda: all(_owner_for(node, self.slot) == replica for node in self.nodes if node.running),
            timeout_s=_SOON_S,
            what="the replica owns the slot",
        )

    def moving(self) -> Iterator[None]:
        """Move the slot to another master, key by key; stop before each, and before nodes are told."""
        target = self.others[1]
        source_id, target_id = _id_of(self.owner), _id_of(target)
        _call(target, "CLUSTER", "SETSLOT", self.slot, "IMPORTING", source_id)
        _call(self.owner, "CLUSTER", "SETSLOT", self.slot, "MIGRATING", target_id)
        while keys := _call(self.owner, "CLUSTER", "GETKEYSINSLOT", self.slot, 1):
            yield
            _call(self.owner, "MIGRATE", HOST, target.port, "", 0, _PATIENCE_MS, "KEYS", *keys)
        yield
        for node in (target, self.owner, self.others[0]):
            _call(node, "CLUSTER", "SETSLOT", self.slot, "NODE", target_id)


@contextmanager
def clustered(directory: Path, binary: Path, name: str) -> Iterator[Cluster]:
    """Run a cluster.

    Args:
        directory: Where the nodes keep their files.
        binary: The nodes' program.
        name: One of the test's names.
    """
    with ExitStack() as undo:
        buses = [free_port() for _ in range(len(_RANGES) + 1)]
        nodes = [
            undo.enter_context(RedisServer(directory / str(i), binary=binary, options=[*cluster_words(bus), *_PACES]))
            for i, bus in enumerate(buses)
        ]
        *masters, replica = nodes
        slot = _introduce(nodes, buses, name)
        [owner] = [node for node, (first, last) in zip(masters, _RANGES, strict=True) if first <= slot <= last]
        _call(replica, "CLUSTER", "REPLICATE", _id_of(owner))
        cluster = Cluster(slot, owner, replica, [node for node in masters if node is not owner])
        wait_until_sync(lambda: _is_whole(cluster), timeout_s=_SOON_S, what="the cluster serves")
        yield cluster


def _introduce(nodes: Sequence[RedisServer], buses: Sequence[int], name: str) -> int:
    """Give out the slots, and make all nodes known to each other; tell the slot of a name."""
    for epoch, (node, slots) in enumerate(zip(nodes, _RANGES, strict=False), 1):
        _call(node, "CLUSTER", "ADDSLOTSRANGE", *slots)
        _call(node, "CLUSTER", "SET-CONFIG-EPOCH", epoch)
    for node, bus in zip(nodes[1:], buses[1:], strict=True):
        _call(nodes[0], "CLUSTER", "MEET", HOST, node.port, bus)
    wait_until_sync(
        lambda: all(len(_table(node)) == len(nodes) for node in nodes), timeout_s=_SOON_S, what="all nodes have met"
    )
    return int(_call(nodes[0], "CLUSTER", "KEYSLOT", name))


def _is_whole(cluster: Cluster) -> bool:
    """Tell whether every node serves, and knows of the replica, which is up to date."""
    with connect(cluster.replica.url) as client:
        about: Any = client.info("replication")
    knowing = [sum("slave" in row[2] for row in _table(node)) for node in cluster.nodes]
    return about.get("master_link_status") == "up" and knowing == [1] * 4 and all(map(_serves, cluster.nodes))


def _serves(node: RedisServer) -> bool:
    return b"cluster_state:ok" in _call(node, "CLUSTER", "INFO")


def _table(node: RedisServer) -> list[list[str]]:
    """Read what a node knows of all nodes."""
    return [line.split() for line in _call(node, "CLUSTER", "NODES").decode().splitlines()]


def _owner_for(node: RedisServer, slot: int) -> str:
    """Tell who owns a slot, as one node sees it; empty where nobody does."""
    for row in _table(node):
        spans = [span.partition("-") for span in row[8:] if not span.startswith("[")]
        if any(int(first) <= slot <= int(last or first) for first, _, last in spans):
            return row[0]
    return ""


def _id_of(node: RedisServer) -> str:
    return str(_call(node, "CLUSTER", "MYID").decode())


def _call(node: RedisServer, *words: str | bytes | int) -> Any:
    """Have a node itself obey a command."""
    with connect(node.url) as client:
        raw: Any = client
        return raw.execute_command(*words)
