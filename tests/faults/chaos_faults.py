"""What the chaos program breaks. A fault breaks something, yields for how many seconds it stays so, and mends it."""

import os
import random
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Final

import asyncpg
import redis

from tests.faults.chaos_place import CLAIM_IDLE_S, Place, Slot
from tests.support.proxy import Proxy
from tests.support.servers import execute
from worker.core.keys import GROUP

Fault = Callable[[Place, random.Random], Iterator[float]]
_END_S = 0.2


def _free_slot(place: Place, rng: random.Random) -> Slot | None:
    """Find a worker that nothing is being done to."""
    slots = [slot for slot in place.taken_slots() if f"slot {place.slots.index(slot)}" not in place.busy]
    return rng.choice(slots) if slots else None


def _on_worker(act: Callable[[Place, Slot, random.Random], Iterator[float]]) -> Fault:
    """Make a fault of what is done to one worker's process."""

    def fault(place: Place, rng: random.Random) -> Iterator[float]:
        slot = _free_slot(place, rng)
        if slot is not None:
            mark = f"slot {place.slots.index(slot)}"
            place.busy.add(mark)
            yield from act(place, slot, rng)
            place.busy.discard(mark)

    return fault


def _exclusively(mark: str, act: Fault) -> Fault:
    """Make a fault of what cannot be done twice at a time."""

    def fault(place: Place, rng: random.Random) -> Iterator[float]:
        if mark not in place.busy:
            place.busy.add(mark)
            yield from act(place, rng)
            place.busy.discard(mark)

    return fault


def _send(slot: Slot, number: signal.Signals) -> None:
    if slot.worker is not None:
        slot.worker.send(number)


def _kill_worker(place: Place, slot: Slot, rng: random.Random) -> Iterator[float]:
    if slot.worker is not None:
        slot.worker.kill()
        yield rng.choice([0.0, rng.uniform(0, 3 * CLAIM_IDLE_S)])
        place.start_worker(slot, rng.choice([None, slot.worker.consumer]))


def _freeze_worker(_place: Place, slot: Slot, rng: random.Random) -> Iterator[float]:
    _send(slot, signal.SIGSTOP)
    yield rng.uniform(1.2, 3) * CLAIM_IDLE_S
    _send(slot, signal.SIGCONT)


def _restart_worker(place: Place, slot: Slot, rng: random.Random) -> Iterator[float]:
    _send(slot, rng.choice([signal.SIGTERM, signal.SIGINT]))
    while slot.is_taken:
        yield _END_S
    if slot.worker is not None:
        place.start_worker(slot, slot.worker.consumer)


def _stop_twice(place: Place, slot: Slot, rng: random.Random) -> Iterator[float]:
    _send(slot, signal.SIGTERM)
    yield rng.uniform(0, 0.1)
    _send(slot, signal.SIGTERM)
    while slot.is_taken:
        yield _END_S
    place.start_worker(slot)


def _crash_redis(place: Place, rng: random.Random) -> Iterator[float]:
    place.redis_server.kill()
    yield rng.uniform(0.1, 1.5)
    place.redis_server.start()


def _restart_redis(place: Place, rng: random.Random) -> Iterator[float]:
    place.redis_server.stop()
    yield rng.uniform(0.1, 1.5)
    place.redis_server.start()


def _freeze_redis(place: Place, rng: random.Random) -> Iterator[float]:
    os.kill(place.redis_server.pid, signal.SIGSTOP)
    yield rng.choice([rng.uniform(0.5, 3), rng.uniform(5, 8)])
    os.kill(place.redis_server.pid, signal.SIGCONT)


def _command(*choices: tuple[str, ...]) -> Fault:
    """Make a fault of one of some commands; it may meet a server that is away."""

    def fault(place: Place, rng: random.Random) -> Iterator[float]:
        with suppress(redis.RedisError, OSError):
            place.client.execute_command(*rng.choice(choices))
        yield 0.0

    return fault


def _pause_clients(place: Place, rng: random.Random) -> Iterator[float]:
    ms = rng.choice([300, 3_000])
    with suppress(redis.RedisError, OSError):
        place.client.execute_command("CLIENT", "PAUSE", ms, rng.choice(["ALL", "WRITE"]))
    yield ms / 1_000


def _kill_clients(place: Place, rng: random.Random) -> Iterator[float]:
    """Kill connections of workers one by one: reader, settler, notifications, and the others."""
    with suppress(redis.RedisError, OSError):
        for client in place.client.client_list():
            if client["name"] == "sampling-worker" and rng.random() < 0.4:
                place.client.execute_command("CLIENT", "KILL", "ID", client["id"])
    yield 0.0


def _destroy_group(place: Place, _rng: random.Random) -> Iterator[float]:
    with suppress(redis.RedisError, OSError):
        place.client.xgroup_destroy(place.keys.requests, GROUP)
    yield 0.0


def _links(place: Place, rng: random.Random) -> list[Proxy]:
    """Choose links to Redis: one worker's, the producers', or all."""
    of_workers = [slot.to_redis for slot in place.slots]
    return rng.choice([[rng.choice(of_workers)], [place.to_redis], [*of_workers, place.to_redis]])


def _cut_links(place: Place, rng: random.Random) -> Iterator[float]:
    links = _links(place, rng)
    for _ in range(rng.choice([1, 1, 5])):
        for link in links:
            link.cut()
        yield 0.1


def _hold_links(place: Place, rng: random.Random) -> Iterator[float]:
    links, using = _links(place, rng), rng.choice(["", "", "XREADGROUP", "EVALSHA", "PSUBSCRIBE", "GET"])
    for link in links:
        link.hold(using)
    yield rng.choice([rng.uniform(0.2, 3), rng.uniform(5, 9)])
    for link in links:
        if rng.random() < 0.5:
            link.cut()
        link.release()


def _lose_replies(place: Place, rng: random.Random) -> Iterator[float]:
    """Lose replies to commands that the server has obeyed."""
    names = (
        "XADD",
        "XREADGROUP",
        "EVALSHA",
        "XAUTOCLAIM",
        "XCLAIM",
        "XPENDING",
        "HGETALL",
        "GET",
        "XGROUP",
        "SUBSCRIBE",
    )
    links = [place.to_redis, *(slot.to_redis for slot in place.slots)]
    for link in links:
        for name in rng.sample(names, 4):
            link.on_reply(name, lambda held: held.cut(), times=rng.randint(1, 5))
    yield rng.uniform(0.5, 2)
    for link in links:
        link.forget_rules()


def _slow_links(place: Place, rng: random.Random) -> Iterator[float]:
    links = _links(place, rng)
    delays = random.Random(rng.random())
    for link in links:
        link.pace.delay = lambda: delays.uniform(0, 0.1)
        link.pace.piece = rng.choice([0, 7])
    yield rng.uniform(0.5, 2)
    for link in links:
        link.pace.delay = lambda: 0.0
        link.pace.piece = 0


def _restart_postgres(place: Place, rng: random.Random) -> Iterator[float]:
    place.postgres_server.stop(rng.choice(["fast", "immediate"]))
    yield rng.uniform(0.2, 4)
    place.postgres_server.start()


def _end_sessions(place: Place, _rng: random.Random) -> Iterator[float]:
    """End what PostgreSQL serves, listeners included."""
    with suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        execute(
            place.postgres_server.url,
            "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and datname <> ''",
        )
    yield 0.0


def _hold_postgres(place: Place, rng: random.Random) -> Iterator[float]:
    links = [slot.to_postgres for slot in place.slots if rng.random() < 0.5]
    for link in links:
        link.hold()
    yield rng.uniform(1, 8)
    for link in links:
        link.cut()
        link.release()


def _kill_producer(place: Place, rng: random.Random) -> Iterator[float]:
    number = place.kill_producer(rng)
    yield rng.uniform(0, 1)
    place.start_producer(number)


FAULTS: Final[Mapping[str, tuple[float, Fault]]] = {
    "worker killed": (10, _on_worker(_kill_worker)),
    "worker frozen past the claim time": (8, _on_worker(_freeze_worker)),
    "worker stopped and started": (6, _on_worker(_restart_worker)),
    "worker told twice to stop": (2, _on_worker(_stop_twice)),
    "Redis killed": (5, _exclusively("redis", _crash_redis)),
    "Redis restarted": (2, _exclusively("redis", _restart_redis)),
    "Redis frozen": (3, _exclusively("redis", _freeze_redis)),
    "connections killed by type": (
        4,
        _command(("CLIENT", "KILL", "TYPE", "normal"), ("CLIENT", "KILL", "TYPE", "pubsub")),
    ),
    "connections killed one by one": (5, _kill_clients),
    "clients paused": (3, _pause_clients),
    "scripts flushed": (2, _command(("SCRIPT", "FLUSH"))),
    "group destroyed": (3, _destroy_group),
    "links cut": (6, _cut_links),
    "links held": (5, _exclusively("links", _hold_links)),
    "links slow": (2, _exclusively("pace", _slow_links)),
    "replies lost": (8, _exclusively("rules", _lose_replies)),
    "PostgreSQL restarted": (3, _exclusively("postgres", _restart_postgres)),
    "PostgreSQL sessions ended": (3, _end_sessions),
    "links to PostgreSQL held": (3, _exclusively("postgres links", _hold_postgres)),
    "producer killed": (2, _exclusively("producer", _kill_producer)),
}
"""Name -> how often, and what it is."""

OF_POSTGRES: Final = frozenset({"PostgreSQL restarted", "PostgreSQL sessions ended", "links to PostgreSQL held"})
"""Faults during which workers may not know what became of chunks."""
