"""A cluster as teams share it: three masters with a prefix each, and a replica of each master."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.clusters import (
    RANGES,
    SOON_S,
    call,
    id_of,
    introduce,
    move_slot,
    owner_for,
    producer_by,
    serves,
    table,
    wait_owned,
)
from tests.support.servers import connect
from tests.support.topologies import cluster_words, free_port
from tests.support.waiting import wait_until_sync
from worker.embedded import RedisServer
from worker.embedded.loopback import HOST

PREFIXES = ("{team-a}", "{team-c}", "{team-b}")
"""Their slots are in the first, second and third part of all slots."""
# Without the last, one slot that nobody serves has all nodes refuse all slots.
_OPTIONS = ["--appendonly", "yes", "--repl-diskless-sync-delay", "0", "--cluster-require-full-coverage", "no"]
_NODE_TIMEOUT_MS = 3000  # on a busy machine a node that is well is silent for a second


class Shard(NamedTuple):
    """The part of one prefix, as it is at the start."""

    prefix: str
    slot: int
    master: RedisServer
    replica: RedisServer


class SixNodes(NamedTuple):
    """The parts of all prefixes."""

    shards: Sequence[Shard]

    @property
    def masters(self) -> list[RedisServer]:
        """List the masters, as they are at the start."""
        return [shard.master for shard in self.shards]

    @property
    def nodes(self) -> list[RedisServer]:
        """List all nodes."""
        return [*self.masters, *(shard.replica for shard in self.shards)]

    @property
    def url(self) -> str:
        """Return the URL that workers and clients of every prefix have: two nodes, in case that one is away."""
        return f"redis+cluster://{HOST}:{self.masters[1].port},{HOST}:{self.masters[2].port}"

    def producer(self) -> Any:
        """Make a client as others have them."""
        return producer_by(self.masters[1])

    def crash(self, shard: Shard) -> None:
        """Kill a master, and wait until its replica is the owner."""
        shard.master.kill()
        wait_owned(self.nodes, shard.slot, shard.replica)

    def fail_over(self, shard: Shard) -> None:
        """Make a replica take over from a healthy master, and wait until it has."""
        call(shard.replica, "CLUSTER", "FAILOVER")
        wait_owned(self.nodes, shard.slot, shard.replica)

    def moving(self, shard: Shard, target: Shard, keys_at_once: int = 1) -> Iterator[None]:
        """Move a slot to another master, see `move_slot`."""
        others = [node for node in self.masters if node not in (shard.master, target.master)]
        return move_slot(shard.slot, shard.master, target.master, others, keys_at_once=keys_at_once)

    def hand_over(self, shard: Shard, target: Shard) -> None:
        """Move a slot to another master in the way of Valkey 9, which moves all of it in one step."""
        where = ("SLOTSRANGE", shard.slot, shard.slot, "NODE", id_of(target.master))
        call(shard.master, "CLUSTER", "MIGRATESLOTS", *where)
        wait_owned(self.masters, shard.slot, target.master)


@contextmanager
def six_nodes(directory: Path, binary: Path, node_timeout_ms: int = _NODE_TIMEOUT_MS) -> Iterator[SixNodes]:
    """Run a cluster.

    Args:
        directory: Where the nodes keep their files.
        binary: The nodes' program.
        node_timeout_ms: For how long a node may be silent until its replica takes over.
    """
    options = [*_OPTIONS, "--cluster-node-timeout", str(node_timeout_ms)]
    with ExitStack() as undo:
        buses = [free_port() for _ in range(2 * len(RANGES))]
        nodes = [
            undo.enter_context(RedisServer(directory / str(i), binary=binary, options=[*cluster_words(bus), *options]))
            for i, bus in enumerate(buses)
        ]
        masters, replicas = nodes[: len(RANGES)], nodes[len(RANGES) :]
        slots = [introduce(nodes, buses, prefix) for prefix in PREFIXES[:1]]
        slots += [int(call(nodes[0], "CLUSTER", "KEYSLOT", prefix)) for prefix in PREFIXES[1:]]
        cluster = SixNodes([Shard(*each) for each in zip(PREFIXES, slots, masters, replicas, strict=True)])
        assert all(first <= slot <= last for slot, (first, last) in zip(slots, RANGES, strict=True))
        for shard in cluster.shards:
            call(shard.replica, "CLUSTER", "REPLICATE", id_of(shard.master))
        wait_until_sync(lambda: _is_whole(cluster), timeout_s=SOON_S, what="the cluster serves")
        yield cluster


def _is_whole(cluster: SixNodes) -> bool:
    """Check that every node serves and knows the replicas, and that these are up to date."""
    knowing = [sum("slave" in row[2] for row in table(node)) for node in cluster.nodes]
    return (
        knowing == [len(cluster.shards)] * len(cluster.nodes)
        and all(_is_linked(shard.replica) for shard in cluster.shards)
        and all(map(serves, cluster.nodes))
        and all(
            owner_for(node, shard.slot) == id_of(shard.master) for node in cluster.nodes for shard in cluster.shards
        )
    )


def _is_linked(replica: RedisServer) -> bool:
    with connect(replica.url) as client:
        about: Any = client.info("replication")
    return bool(about.get("master_link_status") == "up")
