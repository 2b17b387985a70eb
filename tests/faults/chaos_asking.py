"""A producer of the chaos program: a process that asks for all that can be asked, and notes it in a file first.

It notes each request before it is sent and each entry id as it comes. So whatever ends it, what was asked is known. A
request without an entry id may have been added, or not.
"""

import json
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.faults.records import OK, UNWRITTEN, Asked
from worker.core.keys import Keys

UNWRITABLE = "unwritable"
"""The `reply_to` whose stream's key the chaos program makes a string."""
DATASETS = ("d0", "d1")
PRESET = "night"
GIANT = 20_000
_MOST_AT_ONCE = 20
_TIMEOUT_S = 3.0
_PAUSE_AFTER_ERROR_S = 0.05
_MOST_WAITING = 500
_PAUSE_WHILE_FULL_S = 1.0
_MS = 1_000_000

Fields = dict[str, str]
Kind = Callable[[random.Random, int], tuple[Fields, frozenset[str]]]


class Producer(NamedTuple):
    """The place, name, seed and rate of a producer.

    Attributes:
        url: Where Redis is.
        prefix: Start of its names.
        name: Start of the request ids.
        seed: Of all chances.
        rate: Requests a second.
    """

    url: str
    prefix: str
    name: str
    seed: int
    rate: float


def _plain(rng: random.Random, _now_ms: int) -> tuple[Fields, frozenset[str]]:
    return {"size": str(rng.randint(1, 32))}, OK


def _of_dataset(rng: random.Random, _now_ms: int) -> tuple[Fields, frozenset[str]]:
    return {"size": "8", "dataset": rng.choice(DATASETS)}, OK


def _of_preset(rng: random.Random, _now_ms: int) -> tuple[Fields, frozenset[str]]:
    preset = rng.choice(["balanced", "voice-heavy", "music-heavy", PRESET])
    return {"size": "8", "preset": preset}, OK | ({"unknown_preset"} if preset == PRESET else set())


def _of_category(rng: random.Random, _now_ms: int) -> tuple[Fields, frozenset[str]]:
    return {"size": "8", "category": rng.choice(["voice", "music", "documentary", "conference"])}, OK


def _distinct(rng: random.Random, _now_ms: int) -> tuple[Fields, frozenset[str]]:
    return {"size": str(rng.randint(1, 120)), "replace": "0", "encoding": rng.choice(["json", "packed"])}, OK


def _stratified(rng: random.Random, _now_ms: int) -> tuple[Fields, frozenset[str]]:
    return {"size": str(rng.randint(1, 40)), "method": "stratified", "probabilities": "1"}, OK


def _seeded(rng: random.Random, _now_ms: int) -> tuple[Fields, frozenset[str]]:
    return {"size": "6", "seed": str(rng.randint(0, 1))}, OK


def _pinned(rng: random.Random, now_ms: int) -> tuple[Fields, frozenset[str]]:
    fields = {"size": "4", "session": f"pin-{now_ms // 8_000}-{rng.randint(0, 1)}", "pin": "1"}
    return fields | ({"dataset": rng.choice(DATASETS)} if rng.random() < 0.2 else {}), OK


def _epoch(rng: random.Random, now_ms: int) -> tuple[Fields, frozenset[str]]:
    session = f"epoch-{now_ms // 20_000}-{rng.randint(0, 1)}"
    fields = {"size": str(rng.randint(1, 60)), "session": session, "method": "epoch"}
    return fields | ({"replace": "0"} if rng.random() < 0.3 else {}), OK


def _giant(rng: random.Random, _now_ms: int) -> tuple[Fields, frozenset[str]]:
    fields = {"size": str(rng.randint(GIANT // 2, GIANT)), "encoding": "packed"}
    return fields | ({"method": "stratified"} if rng.random() < 0.5 else {}), OK


def _late(rng: random.Random, now_ms: int) -> tuple[Fields, frozenset[str]]:
    ahead_ms = rng.choice([-1_000, 20, 600_000])
    accepted = {-1_000: frozenset({"expired"}), 20: OK | {"expired"}, 600_000: OK}[ahead_ms]
    return {"size": "2", "expires_at": str(now_ms + ahead_ms)}, accepted


_WRONG: Mapping[str, tuple[Fields, ...]] = {
    "invalid_request": (
        {"size": "0"},
        {"size": "65537"},
        {"size": "many", "session": "wrong"},
        {"method": "best"},
        {"pin": "1"},
        {"method": "epoch"},
        {"seed": "-1"},
        {"reply_to": "../weights"},
        {"encoding": "xml", "size": "x" * 5_000},
        {"request_id": "line\nbreak"},
    ),
    "unknown_category": ({"category": "no such"},),
    "no_ready_chunks": ({"category": "custom"},),
    "unknown_preset": ({"preset": "no-such"}, {"preset": "no such"}),
    "unknown_exclude": ({"exclude": "no-such"},),
    "too_few_chunks": ({"size": "60000", "replace": "0"},),
}


def _wrong(rng: random.Random, _now_ms: int) -> tuple[Fields, frozenset[str]]:
    code = rng.choice(list(_WRONG))
    return dict(rng.choice(_WRONG[code])), frozenset({code})


def _unwritable(_rng: random.Random, _now_ms: int) -> tuple[Fields, frozenset[str]]:
    return {"reply_to": UNWRITABLE}, frozenset({UNWRITTEN})


def _empty(_rng: random.Random, _now_ms: int) -> tuple[Fields, frozenset[str]]:
    return {"nothing": "known"}, OK


KINDS: Mapping[Kind, float] = {
    _plain: 50,
    _of_dataset: 8,
    _of_preset: 6,
    _of_category: 4,
    _distinct: 6,
    _stratified: 5,
    _seeded: 5,
    _pinned: 6,
    _epoch: 8,
    _giant: 0.3,
    _late: 2,
    _wrong: 3,
    _unwritable: 0.05,
    _empty: 1,
}
"""What is asked for -> how often."""


def make_request(producer: Producer, number: int, rng: random.Random) -> Asked:
    """Make up the next request of a producer."""
    kind = rng.choices(list(KINDS), list(KINDS.values()))[0]
    fields, accepted = kind(rng, time.time_ns() // _MS)
    if kind is not _empty:
        fields.setdefault("request_id", f"{producer.name}-{number}")
        if "reply_to" not in fields and rng.random() < 0.4:
            fields["reply_to"] = producer.name
    return Asked(None, fields, time.time_ns(), accepted)


def ask(producer: Producer, notes: Path, is_over: threading.Event) -> None:
    """Ask until told that it is over.

    Args:
        producer: The producer.
        notes: File of the notes; it begins empty.
        is_over: Set when it is over.
    """
    rng = random.Random(producer.seed)
    client: Any = redis.Redis.from_url(
        producer.url, protocol=2, retry=Retry(NoBackoff(), 0), socket_timeout=_TIMEOUT_S, socket_connect_timeout=1.0
    )
    requests, number = Keys(producer.prefix).requests, 0
    with notes.open("w", buffering=1) as file:
        while not is_over.is_set():
            count = rng.randint(1, _MOST_AT_ONCE)
            batch = [make_request(producer, number + i, rng) for i in range(count)]
            for i, one in enumerate(batch, number):
                print(json.dumps([i, one.fields, one.sent_ns, sorted(one.accepted)]), file=file)
            pipeline = client.pipeline(transaction=False)
            for one in batch:
                pipeline.xadd(requests, one.fields)
            waiting: object = 0
            try:
                *added, waiting = pipeline.xlen(requests).execute(raise_on_error=False)
                ids = [entry.decode() if isinstance(entry, bytes) else None for entry in added]
            except (redis.RedisError, OSError):
                ids = []
                is_over.wait(_PAUSE_AFTER_ERROR_S)
            print(json.dumps([[number + i, entry] for i, entry in enumerate(ids) if entry]), file=file)
            number += count
            is_over.wait(rng.uniform(0, 2) * count / producer.rate)
            if isinstance(waiting, int) and waiting > _MOST_WAITING:
                is_over.wait(_PAUSE_WHILE_FULL_S)  # the machine is slow: what matters is what is broken, not how much


def read_notes(notes: Path) -> Iterator[Asked]:
    """Read what a producer noted; of a last line that it did not finish, nothing was sent."""
    asked: dict[int, Asked] = {}
    text = notes.read_text() if notes.exists() else ""  # it may have been killed before its first word
    for line in text[: text.rfind("\n") + 1].splitlines():
        note = json.loads(line)
        if note and isinstance(note[0], int):
            asked[note[0]] = Asked(None, note[1], note[2], frozenset(note[3]))
        else:
            for number, entry in note:
                asked[number] = asked[number]._replace(entry_id=entry)
    return iter(asked.values())


def _wait_for_the_end(is_over: threading.Event) -> None:
    sys.stdin.read()
    is_over.set()


def _main(words: list[str]) -> None:
    """Ask until standard input ends."""
    is_over = threading.Event()
    threading.Thread(target=_wait_for_the_end, args=(is_over,), daemon=True).start()
    url, prefix, name, seed, rate, notes = words
    ask(Producer(url, prefix, name, int(seed), float(rate)), Path(notes), is_over)


if __name__ == "__main__":
    _main(sys.argv[1:])
