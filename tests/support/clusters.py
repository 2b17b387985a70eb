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

SOON_S = 30.0
_PATIENCE_S = 2.0  # of a producer with a node that hangs
_PATIENCE_MS = 5000
_PACES = ["--cluster-node-timeout", "1000", "--repl-diskless-sync-delay", "0"]
RANGES = ((0, 5460), (5461, 10_922), (10_923, 16_383))


class Cluster(NamedTuple):
    """The nodes, as they are at the start.

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
        """Make a client as others have them."""
        return producer_by(self.others[0])

    def wait_taken_over(self) -> None:
        """Wait until the replica is the owner, for every node that lives."""
        wait_owned(self.nodes, self.slot, self.replica)

    def moving(self, first: str = "") -> Iterator[None]:
        """Move the slot to another master, key by key; stop before each, and before nodes are told."""
        return move_slot(self.slot, self.owner, self.others[1], [self.others[0]], first=first)


@contextmanager
def clustered(directory: Path, binary: Path, name: str) -> Iterator[Cluster]:
    """Run a cluster.

    Args:
        directory: Where the nodes keep their files.
        binary: The nodes' program.
        name: One of the test's names.
    """
    with ExitStack() as undo:
        buses = [free_port() for _ in range(len(RANGES) + 1)]
        nodes = [
            undo.enter_context(RedisServer(directory / str(i), binary=binary, options=[*cluster_words(bus), *_PACES]))
            for i, bus in enumerate(buses)
        ]
        *masters, replica = nodes
        slot = introduce(nodes, buses, name)
        [owner] = [node for node, (first, last) in zip(masters, RANGES, strict=True) if first <= slot <= last]
        call(replica, "CLUSTER", "REPLICATE", id_of(owner))
        cluster = Cluster(slot, owner, replica, [node for node in masters if node is not owner])
        wait_until_sync(lambda: _is_whole(cluster), timeout_s=SOON_S, what="the cluster serves")
        yield cluster


def introduce(nodes: Sequence[RedisServer], buses: Sequence[int], name: str) -> int:
    """Assign the slots, introduce all nodes to each other, and return the slot of a name."""
    for epoch, (node, slots) in enumerate(zip(nodes, RANGES, strict=False), 1):
        call(node, "CLUSTER", "ADDSLOTSRANGE", *slots)
        call(node, "CLUSTER", "SET-CONFIG-EPOCH", epoch)
    for node, bus in zip(nodes[1:], buses[1:], strict=True):
        call(nodes[0], "CLUSTER", "MEET", HOST, node.port, bus)
    wait_until_sync(
        lambda: all(len(table(node)) == len(nodes) for node in nodes), timeout_s=SOON_S, what="all nodes have met"
    )
    return int(call(nodes[0], "CLUSTER", "KEYSLOT", name))


def _is_whole(cluster: Cluster) -> bool:
    """Check that every node serves and knows of the replica, and that the replica is up to date."""
    with connect(cluster.replica.url) as client:
        about: Any = client.info("replication")
    knowing = [sum("slave" in row[2] for row in table(node)) for node in cluster.nodes]
    return about.get("master_link_status") == "up" and knowing == [1] * 4 and all(map(serves, cluster.nodes))


def producer_by(node: RedisServer) -> Any:
    """Make a client as others have them: it goes where the cluster sends it, and tries nothing again."""
    url = f"redis://{HOST}:{node.port}"
    return redis.RedisCluster.from_url(url, protocol=2, socket_timeout=_PATIENCE_S, retry=Retry(NoBackoff(), 0))


def wait_owned(nodes: Sequence[RedisServer], slot: int, owner: RedisServer) -> None:
    """Wait until every node that lives knows the owner of a slot."""
    name = id_of(owner)
    wait_until_sync(
        lambda: all(owner_for(node, slot) == name for node in nodes if node.running),
        timeout_s=SOON_S,
        what="all nodes know the owner of the slot",
    )


def move_slot(
    slot: int,
    source: RedisServer,
    target: RedisServer,
    others: Sequence[RedisServer],
    *,
    keys_at_once: int = 1,
    first: str = "",
) -> Iterator[None]:
    """Move a slot as `redis-cli --cluster reshard` does; stop before each of its moves, and before nodes are told.

    Args:
        slot: The slot.
        source: The master that has it.
        target: The one that gets it.
        others: Other masters, which are told as well.
        keys_at_once: How many keys move together; redis-cli moves 10.
        first: The key that moves before the others; empty: none.
    """
    source_id, target_id = id_of(source), id_of(target)
    call(target, "CLUSTER", "SETSLOT", slot, "IMPORTING", source_id)
    call(source, "CLUSTER", "SETSLOT", slot, "MIGRATING", target_id)
    keys = [first] if first else []
    while keys := keys or call(source, "CLUSTER", "GETKEYSINSLOT", slot, keys_at_once):
        yield
        call(source, "MIGRATE", HOST, target.port, "", 0, _PATIENCE_MS, "KEYS", *keys)
        keys = []
    yield
    for node in (target, source, *others):
        call(node, "CLUSTER", "SETSLOT", slot, "NODE", target_id)


def serves(node: RedisServer) -> bool:
    """Check whether a node takes the cluster for whole."""
    return b"cluster_state:ok" in call(node, "CLUSTER", "INFO")


def table(node: RedisServer) -> list[list[str]]:
    """Read what a node knows of all nodes."""
    return [line.split() for line in call(node, "CLUSTER", "NODES").decode().splitlines()]


def owner_for(node: RedisServer, slot: int) -> str:
    """Return the owner of a slot, as one node sees it; empty where nobody owns it."""
    for row in table(node):
        spans = [span.partition("-") for span in row[8:] if not span.startswith("[")]
        if any(int(first) <= slot <= int(last or first) for first, _, last in spans):
            return row[0]
    return ""


def id_of(node: RedisServer) -> str:
    """Return a node's name in the cluster."""
    return str(call(node, "CLUSTER", "MYID").decode())


def call(node: RedisServer, *words: str | bytes | int) -> Any:
    """Send a command to one node, and return its reply."""
    with connect(node.url) as client:
        raw: Any = client
        return raw.execute_command(*words)
