"""All that is read in Redis: each kind of key and the channels, what it holds, by which commands, and who reads it.

`test_fuzz_keys.py` checks that the table is complete. Every name of `worker.core.keys.Keys` is in it. So is every
command that a server sees while workers, clients and verbs do all that they can.
"""

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

from worker.core.keys import Keys

Holds = Literal["string", "hash", "set", "stream", "channel"]
KEYS = Keys("audio")
NAME = "job"
"""Client, dataset, preset, session and consumer by which a fuzzer knows its own keys."""

Verb = tuple[str, ...]
_SHOW, _HISTORY, _WAIT = ("weights", "show"), ("weights", "history"), ("--wait", "--timeout", "0.3")
_SAMPLE: Verb = ("sample", "--size", "3", "--timeout", "3")
_WATCH: Verb = ("watch", "--once")
_CHECK: Verb = ("check", "--samples", "1000", "--timeout", "3")
_ADJUST: tuple[Verb, ...] = (
    *(("adjust", "show"), ("adjust", "show", "--json"), ("adjust", "preview"), ("adjust", "history")),
    *(("adjust", "set", "cap", "times=4", "--mode", "on"), ("adjust", "freeze"), ("adjust", "resume")),
    *(("adjust", "preview", "cap", "times=4"), ("adjust", "rollback"), ("adjust", "off")),
)
_EXCLUDE: tuple[Verb, ...] = (
    *(("exclude", "show", NAME), ("exclude", "show", NAME, "--json"), ("exclude", "list")),
    *(("exclude", "add", NAME, "1", "2"), ("exclude", "remove", NAME, "1"), ("exclude", "clear", NAME)),
)


class Kind(NamedTuple):
    """One kind of name in Redis.

    Attributes:
        member: Of `worker.core.keys.Keys`.
        holds: What belongs there.
        commands: What reads or writes it, by whomever.
        readers: Who makes something of what it holds, beside verbs.
        verbs: What reads it, as typed.
        name: Of those that have one in their key.
    """

    member: str
    holds: Holds
    commands: frozenset[str]
    readers: str
    verbs: tuple[Verb, ...] = ()
    name: str | None = None

    def key(self, keys: Keys) -> str:
        """Spell the name."""
        found = getattr(keys, self.member)
        return found(self.name) if callable(found) else str(found)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


TABLE: Sequence[Kind] = (
    Kind(
        "requests",
        "stream",
        _words("XGROUP XINFO XREADGROUP XAUTOCLAIM XCLAIM XPENDING XACK XADD XDEL XTRIM XRANGE XLEN EVAL EVALSHA"),
        "workers; the client's script",
        (_SAMPLE, _WATCH, ("dead", "requeue", "--all")),
    ),
    Kind("results", "stream", _words("TYPE XADD XTRIM XDEL XREAD XLEN MEMORY EVAL EVALSHA"), "settling; any reader"),
    Kind(
        "reply",
        "stream",
        _words("TYPE XADD XTRIM XDEL EXPIRE XREAD XRANGE XLEN MEMORY DEL UNLINK EVAL EVALSHA"),
        "settling; the client, `sample` and `check`",
        (_SAMPLE, _CHECK),
        name=NAME,
    ),
    Kind("failure", "string", _words("GET SET"), "the worker that gives up on a request", name=NAME),
    Kind("asked", "hash", _words("HGET HSET HDEL HVALS EXPIRE UNLINK EVAL EVALSHA"), "the client's scripts", name=NAME),
    Kind(
        "dead",
        "stream",
        _words("TYPE XADD XRANGE XREVRANGE XLEN XDEL EVAL EVALSHA"),
        "settling; verbs",
        (("dead", "show"), ("dead", "show", "--json"), ("dead", "requeue", "1-1"), ("dead", "requeue", "--all")),
    ),
    Kind(
        "stats",
        "hash",
        _words("TYPE HINCRBY HSETNX HGETALL HGET HKEYS HDEL HSET DEL EVAL EVALSHA"),
        "settling and folding; verbs",
        (("stats",), ("stats", "--json"), ("stats", "--clear"), _WATCH, _CHECK),
    ),
    Kind(
        "weights",
        "string",
        _words("GET SET DEL EVAL EVALSHA"),
        "the weights feed, settling; writers",
        (
            (*_SHOW, "--dataset", NAME),
            (*_SHOW, "--dataset", NAME, "--json"),
            (*_WATCH, "--dataset", NAME),
            ("weights", "set", "voice=1", "music=2", "--dataset", NAME, *_WAIT),
            ("weights", "set", "voice=1", "--dataset", NAME, "--for", "1h"),
            ("weights", "remove", "--dataset", NAME),
            ("weights", "preview", "--dataset", NAME),
        ),
        name=NAME,
    ),
    Kind(
        "history",
        "stream",
        _words("XADD XRANGE XREVRANGE EVAL EVALSHA"),
        "verbs",
        (
            *(
                _HISTORY,
                _WATCH,
                (*_HISTORY, "--json"),
                ("weights", "rollback"),
                ("weights", "rollback", "0123456789ab"),
            ),
            ("weights", "set", "voice=1", "--if-version", "0123456789ab"),
            ("weights", "set", "voice=3", "music=1", *_WAIT),
        ),
    ),
    Kind(
        "returns",
        "hash",
        _words("HGETALL HGET HSET HDEL EVAL EVALSHA"),
        "workers; verbs",
        (
            *(_SHOW, _WATCH, (*_SHOW, "--dataset", NAME), ("weights", "set", "voice=1", "--for", "1h")),
            ("weights", "set", "voice=1", "--dataset", NAME),
        ),
    ),
    Kind(
        "presets",
        "set",
        _words("SMEMBERS SISMEMBER SADD SREM EVAL EVALSHA"),
        "verbs",
        (
            *(
                ("weights", "preset", "list"),
                ("weights", "preset", "list", "--json"),
                ("weights", "preset", "show", NAME),
            ),
            *(_WATCH, ("weights", "preset", "save", NAME, "voice=1"), ("weights", "preset", "apply", NAME)),
            ("weights", "preset", "remove", NAME),
        ),
    ),
    Kind(
        "session",
        "hash",
        _words("TYPE HGETALL HGET HSET HDEL HINCRBY EXPIRE TTL DEL EVAL EVALSHA"),
        "workers; the client; verbs",
        (
            *(_WATCH, ("session", "show", NAME), ("session", "show", NAME, "--json"), ("session", "list")),
            *(("stats", "--session", NAME), ("session", "release", NAME), ("session", "end", NAME)),
            *(("session", "show", "nobody"), ("session", "limit", NAME, "2"), ("session", "limit", "nobody", "0")),
        ),
        name=NAME,
    ),
    Kind(
        "worker",
        "string",
        _words("SET GET DEL EXISTS EVAL"),
        "verbs",
        (
            *(_SHOW, _WATCH, (*_SHOW, "--json"), ("stats",), ("health",), _CHECK),
            ("weights", "set", "voice=3", "music=1", *_WAIT),
            *(
                ("weights", "show", "--dataset", "unknown"),
                ("exclude", "add", NAME, "1"),
                ("sample", "--category", "voic"),
            ),
        ),
        name=NAME,
    ),
    Kind("excluded_ids", "string", _words("MGET SET DEL EVAL"), "workers; verbs", _EXCLUDE[:4], name=NAME),
    Kind("exclude", "string", _words("MGET GET SET DEL EVAL EVALSHA"), "settling; workers; verbs", _EXCLUDE, name=NAME),
    Kind("adjust", "hash", _words("HGET HKEYS HSET HDEL EXISTS EVAL"), "workers; verbs", _ADJUST),
    Kind("adjust_state", "hash", _words("HGET HKEYS HSET HDEL EXISTS EVAL"), "workers; verbs", _ADJUST[:3]),
    Kind("heard", "hash", _words("HGET HMGET HKEYS HDEL HINCRBY EVAL"), "settling; workers; verbs", _ADJUST[:3]),
    Kind(
        "bounds",
        "hash",
        _words("HGET HGETALL HMGET HKEYS HSET HDEL EXISTS EVAL"),
        "settling; workers; verbs",
        _ADJUST[:3],
    ),
    Kind(
        "feedback",
        "stream",
        _words("TYPE XADD XRANGE XREVRANGE XTRIM XLEN EVAL"),
        "workers; verbs",
        (("feedback",), ("feedback", "--json")),
    ),
    Kind("dead_feedback", "stream", _words("XADD XREVRANGE XLEN EVAL"), "verbs", (("feedback", "--dead"),)),
    Kind("weights_pattern", "channel", _words("PSUBSCRIBE PUBLISH PUNSUBSCRIBE"), "the weights feed; `weights watch`"),
)
BY_MEMBER = {kind.member: kind for kind in TABLE}

_PRESET = KEYS.weights("preset")
_PATTERNS = [
    (re.compile(re.escape(kind.key(KEYS)).removesuffix(NAME) + (r".*" if kind.name else "")), kind.member)
    for kind in TABLE
    if kind.holds != "channel"
]


def member_of(key: str) -> str | None:
    """Return the kind of name that a key is; None: none of the table's."""
    if key == KEYS.weights() or key.startswith(_PRESET):
        return "weights"
    exact = {kind.key(KEYS): kind.member for kind in TABLE if kind.name is None and kind.holds != "channel"}
    if key in exact:
        return exact[key]
    return next((member for pattern, member in _PATTERNS if pattern.fullmatch(key)), None)
