"""What a stranger may put anywhere in Redis: other types, any bytes, deep, huge, and nearly right."""

import json
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tests.faults.redis_surface import NAME, Kind
from worker.core.keys import Keys

MIB = 1 << 20
TYPES = ("string", "list", "set", "zset", "hash", "stream")
VALUES: Sequence[bytes] = (
    *(b"", b"\0", b" ", b"\n", b"\xff\xfe", b"\xed\xa0\x80", b"x" * (MIB + 1), b"[" * 100_000, b'{"a":' * 20_000),
    *(b"9" * 5000, b"-1", b"0", b"1.5", b"1e999", b"NaN", b"Infinity", b"-Infinity", b"18446744073709551616"),
    *(b"9223372036854775807", b"-9223372036854775808", "\u0663".encode(), b"0x10", b"1_000", b"+1", b" 1"),
    *(b"true", b"null", b"[]", b"{}", b'""', b'"\\ud800"', b'{"a":1,"a":2}', b'{"\\ud800":1}', b"[1,2", b"'"),
    *(b"\x1b[31m\r\n{}", b"%s%d{0}", b"../../etc", b"-", b"+", b"*", b"0-0", b"1-1", b"99999999999999999999-1"),
    *(b"\xef\xbb\xbf{}", b"{}\0", b'{"voice":NaN}', b'{"voice":1e999}', b'{"voice":' + b"9" * 5000 + b"}"),
)
NAMES: Sequence[bytes] = (
    *(b"", b":", b"::", b"a:b:c:d", b"\n", b"\x1b[31m", b"\xff", b"\0", b"x" * (MIB + 1), b"..", b"*", b"{}"),
    *("\u202e".encode(), b"\xed\xa0\x80", NAME.encode(), b"voice", b"9" * 300),
)
_ANY: Sequence[Any] = (
    *(None, True, False, 0, -1, 1.5, 2**63, 2**64, 10**400, 1e308, "", "x", "\ud800", "\0", "9" * 5000, [], {}, [[]]),
    *({"a": {}}, ["\ud800"], float("nan"), float("inf")),
)


def _texts(kind: Kind) -> dict[str, Any]:
    """Write an object as it belongs into a kind of key."""
    if kind.member == "worker":
        numbers = dict.fromkeys(("pid", "weights_at_ms", "catalog_at_ms", "chunks", "requests", "at_ms"), 5)
        texts = dict.fromkeys(("state", "weight_unit", "weights_version", "catalog_version"), "x")
        return {"consumer": NAME, **numbers, **texts, "datasets": {"d": ""}, "datasets_more": {"0" * 8: ""}}
    if kind.member == "returns":
        return {"due_ms": 5, "mark": "0" * 40, "back": '{"voice":1}', "who": "ann", "lasts": "1h"}
    if kind.member == "exclude":
        return {"version": "e3b0c44298fc", "kind": "number", "ids": 0}
    return {"voice": 0.5, "music": 0.5}


def _spoilt(rng: random.Random, whole: dict[str, Any]) -> bytes:
    """Spoil one value of an object, or take it away, or have it twice."""
    name = rng.choice(list(whole))
    way = rng.randrange(4)
    if way == 0:
        return json.dumps({key: value for key, value in whole.items() if key != name}).encode()
    if way == 1:
        return json.dumps(whole).encode()[:-1] + b"," + json.dumps({name: 1}).encode()[1:]
    spoilt = {**whole, name: rng.choice(_ANY)}
    return json.dumps(spoilt, ensure_ascii=rng.random() < 0.5).encode(errors="surrogatepass")


def value_for(rng: random.Random, kind: Kind) -> bytes:
    """Make up a value."""
    return rng.choice(VALUES) if rng.random() < 0.6 else _spoilt(rng, _texts(kind))


_FIELDS: dict[str, Sequence[bytes]] = {
    "stats": (
        *(
            b"requests:",
            b"errors::internal",
            b"chunks::voice",
            b"expected::voice",
            b"variance::voice",
            b"drawn::m",
            b"ms::v",
        ),
        *(
            b"mixture:m",
            b"mixture:",
            b"drawn_s::m",
            b"drawn_us:d:m",
            b"wide_s::voice",
            b"squares_s2::voice",
            b"requests:job",
        ),
    ),
    "session": (
        b"weights",
        b"schedule",
        b"position",
        b"epoch:voice",
        b"epoch:",
        b"epoch:../x",
        b"requests:",
        b"chunks::voice",
        b"errors::internal",
    ),
    "returns": (b"", NAME.encode(), b"preset:job", b"preset:", b"../x"),
    "asked": (b"again", b"r1"),
    "dead": (b"size", b"request_id", b"entry_id", b"error", b"message", b"deliveries", b"fields_left_out"),
    "history": (
        b"dataset",
        b"who",
        b"reason",
        b"before",
        b"after",
        b"version_after",
        b"until",
        b"lapsed",
        b"undone_from",
    ),
}
_RESULT = {
    b"request_id": b"again",
    b"entry_id": b"1-1",
    b"status": b"ok",
    b"chunk_ids": b"[1,2,3]",
    b"counts": b'{"voice":3}',
    b"weights_version": b"0" * 12,
    b"weights_source": b"redis",
    b"catalog_version": b"0" * 16,
    b"left_out": b"[]",
    b"weights": b'{"voice":1}',
    b"ready": b'{"voice":9}',
    b"seconds": b'{"voice":9.5}',
    b"passes": b'{"voice":{"1":3}}',
}
_CURSORS = (
    *(b"99999999999999999999999::", b"1:ffffffffffffffffff:", b"9007199254740992::", b"9007199254740993::", b"0::"),
    *(
        b"1:ffffffffffffffff:" + b",".join([b"0" * 16] * 70_000),
        b"1:000000000000000f:0000000000000001,0000000000000001",
    ),
)


def _pairs(rng: random.Random, kind: Kind) -> Iterator[tuple[bytes, bytes]]:
    """Make up fields and values of a hash or a stream's entry."""
    if kind.member in {"reply", "results"}:
        result = dict(_RESULT)
        name = rng.choice(list(result))
        result[name] = rng.choice(VALUES) if rng.random() < 0.7 else result[name]
        yield from result.items()
        return
    known = _FIELDS.get(kind.member, (b"size", b"reply_to", b"request_id", b"session"))
    for _ in range(rng.choice((1, 2, 5, 40))):
        name = rng.choice(known) if rng.random() < 0.7 else rng.choice(NAMES)
        own = [*VALUES, *_CURSORS] if kind.member == "session" else VALUES
        yield name, (rng.choice(own) if rng.random() < 0.6 else value_for(rng, kind))


def spoil(rng: random.Random, client: Any, keys: Keys, kind: Kind) -> str:
    """Write something strange under one kind of name, and return what."""
    if kind.holds == "channel":
        return _publish(rng, client, keys)
    key = kind.key(keys)
    if rng.random() < 0.2:
        other = rng.choice([one for one in TYPES if one != kind.holds])
        with client.pipeline(transaction=True) as step:  # a worker may write there in between
            step.delete(key)
            _OTHERS[other](step, key)
            step.execute()
        return f"another type, {other}"
    if client.type(key).decode() not in {kind.holds, "none"}:
        client.delete(key)
    if rng.random() < 0.1 and kind.holds != "string":
        _write(client, key, kind, [(b"n%d" % number, b"%d" % number) for number in range(5000)])
        return "thousands of fields"
    if kind.holds == "string":
        client.set(key, value_for(rng, kind))
        client.publish(key, rng.choice(VALUES))
    else:
        _write(client, key, kind, list(_pairs(rng, kind)))
    return "a value"


def _write(client: Any, key: str, kind: Kind, pairs: list[tuple[bytes, bytes]]) -> None:
    if kind.holds == "hash":
        client.hset(key, mapping=dict(pairs))
    elif kind.holds == "set":
        client.sadd(key, *(name for name, _ in pairs))
    else:
        client.execute_command("XADD", key, "*", *(word for pair in pairs for word in pair))


def _publish(rng: random.Random, client: Any, keys: Keys) -> str:
    """Publish anything on any channel that workers listen to."""
    name = rng.choice((b"", b":" + NAME.encode(), b":" + rng.choice(NAMES), b"x", b":preset:" + rng.choice(NAMES)))
    client.publish(keys.weights().encode() + name, rng.choice(VALUES))
    return "a message"


_OTHERS: dict[str, Callable[[Any, str], object]] = {
    "string": lambda client, key: client.set(key, "no such type"),
    "list": lambda client, key: client.rpush(key, "x"),
    "set": lambda client, key: client.sadd(key, "x"),
    "zset": lambda client, key: client.zadd(key, {"x": 1}),
    "hash": lambda client, key: client.hset(key, "x", "y"),
    "stream": lambda client, key: client.xadd(key, {"x": "y"}),
}
