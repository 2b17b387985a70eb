"""The settling script's words: KEYS and ARGV of a batch, and what it answers; see `settle.lua`."""

import json
from collections.abc import Sequence
from itertools import chain
from typing import Any, Final, cast
from weakref import WeakKeyDictionary

import redis.exceptions

from worker.adapters.redis.weights import reading
from worker.core.draw.sessions import Fields
from worker.core.keys import GROUP, Keys
from worker.core.wire import ERROR_CODES, Template
from worker.ports import Batch, Failure, Settled, StreamLimits

_LONGEST_WHY = 1000
_ADD = ("XADD", "", "*")  # the stream's name is an entry's own
_SHAPES: Final = WeakKeyDictionary[Template, str]()  # as long as the forms: one may be of megabytes


def lay_out(
    batch: Batch, *, keys: Keys, consumer: str, limits: StreamLimits, token: int
) -> tuple[list[str], list[Any]]:
    """Lay out KEYS and ARGV.

    Args:
        batch: What is to be settled.
        keys: Names in Redis.
        consumer: Who settles.
        limits: What stays in Redis for how long.
        token: Comes back in the reply.
    """
    names = [keys.requests, keys.stats, keys.dead, keys.results]
    places: dict[str | None, bytes] = {None: b"%d" % len(names)}
    forms: dict[int, bytes] = {}
    shapes: list[str] = []
    entries: list[str | bytes] = []
    for entry_id, request_id, reply_to, _, form, values in batch.results:
        place = places.get(reply_to)
        if place is None:
            names.append(keys.reply(cast("str", reply_to)))
            place = places[reply_to] = b"%d" % len(names)
        shape = forms.get(id(form))
        if shape is None:
            shape = forms[id(form)] = b"%d" % len(forms)
            shapes.append(_shape(form))
        entries += (entry_id, place, shape, request_id, *values)
    letters = [
        (i, len(batch.dead[result.entry_id]), *batch.dead[result.entry_id])
        for i, result in enumerate(batch.results if batch.dead else ())
        if result.entry_id in batch.dead
    ]
    marks = [word for name, mark in batch.marks for word in (keys.weights(name), mark)]
    sessions = list(
        chain.from_iterable(_session(len(names) + i, batch, name) for i, name in enumerate(batch.sessions, 1))
    )
    names += map(keys.session, batch.sessions)
    growth = [word for field in batch.growth.items() for word in field]
    head = (GROUP, consumer, *batch.span, limits.results_maxlen, limits.reply_ttl_s, limits.session_ttl_s)
    counts = (len(batch.marks), len(batch.growth), len(forms), len(batch.results), len(letters), len(batch.sessions))
    body = (*marks, *sessions, *growth, *shapes, *entries, *chain.from_iterable(letters))
    return names, [*head, *counts, *body, token]


def read_settled(batch: Batch, reply: Sequence[Any], token: int) -> Settled:
    """Read what the script answered.

    Args:
        batch: What was to be settled.
        reply: The answer.
        token: What was laid out with the batch: another one is in the answer to another command.

    Raises:
        AttributeError, LookupError, TypeError, ValueError: It is none of the script's.
    """
    if reply[-1] != b"%d" % token:
        raise ValueError("it answers another settling")
    at_ms = int(reply[1])
    if reply[0] == b"settled":
        return Settled(at_ms=at_ms, counted=bool(reply[2]))
    if reply[0] == b"stale":
        now = zip((batch.marks[i][0] for i in reply[2]), map(reading, reply[3], reply[4]), strict=True)
        names = list(batch.sessions)
        moved = zip((names[i] for i in reply[5]), map(read_fields, reply[6]), strict=True)
        return Settled(at_ms=at_ms, stale=dict(now), moved=dict(moved))
    if reply[0] != b"refused":
        raise ValueError("the script knows no such answer")
    ids = [result.entry_id for result in batch.results]
    lost, unwritable = (tuple(ids[i] for i in indexes) for indexes in reply[2:4])
    return Settled(at_ms=at_ms, lost=lost, unwritable=unwritable)


def read_fields(words: Sequence[bytes] | None) -> Fields:
    """Read fields and values in turn; None stands for a key of another type."""
    if words is None:
        return None
    if set(map(type, words)) - {bytes}:
        raise TypeError("a hash is fields and values")
    return {name.decode(errors="replace"): value for name, value in zip(words[0::2], words[1::2], strict=True)}


def _shape(form: Template) -> str:
    """Write a form as the script reads it; once, for as long as the form is used."""
    shape = _SHAPES.get(form)
    if shape is None:
        shape = _SHAPES[form] = _write_shape(form)
    return shape


def _write_shape(form: Template) -> str:
    holes = [place for place, word in enumerate(form.words) if word is None]
    words = [word or "" for word in form.words]
    return json.dumps(((*_ADD, *words), [len(_ADD) + 1 + place for place in holes]))


def _session(place: int, batch: Batch, name: str) -> list[str | bytes | int]:
    """Lay out what becomes of a session: the place of its hash, how many fields of each kind, the fields."""
    change = batch.sessions[name]
    return [place, *map(len, change), *[word for fields in change for field in fields.items() for word in field]]


def read_session_fields(reply: Any) -> Fields:
    """Read the answer to HGETALL of a session; None where another type stands there.

    Raises:
        redis.exceptions.RedisError: Redis refused for another reason.
    """
    if isinstance(reply, BaseException):
        if isinstance(reply, redis.exceptions.ResponseError) and "WRONGTYPE" in str(reply):
            return None
        raise reply
    return read_fields(reply)


def write_failure(failure: Failure) -> str:
    """Write why an attempt failed, for the worker that gives up on the request."""
    return json.dumps({"error": failure.code, "message": failure.why})


def read_failure(note: Any) -> Failure | None:
    """Read such a note; None where there is none, or one that no worker has written."""
    try:
        fields = json.loads(note)
        code, why = fields["error"], fields["message"]
        if code in ERROR_CODES and 0 < len(why.encode()) <= _LONGEST_WHY:
            return Failure(code, why)
    except (AttributeError, LookupError, TypeError, ValueError, RecursionError):
        return None
    return None
