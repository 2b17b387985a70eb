"""What the settling script is given and what it answers; the rules and the layout stand at the top of `settle.lua`."""

import json
from collections.abc import Sequence
from itertools import chain
from typing import Any, Final, cast
from weakref import WeakKeyDictionary

import redis.exceptions

from worker.core.draw.sessions import Fields
from worker.core.keys import GROUP, Keys
from worker.core.wire import ERROR_CODES, Template
from worker.core.wire.exclusions import exclusion_of
from worker.ports import Batch, Failure, Settled, StreamLimits

MOST_FEW: Final = 8
MOST_HEARD: Final = 1000
_LAST_EXACT: Final = 2**53 - 1  # what Lua counts with
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
        token: A number that the reply has to repeat.
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
    marks = [word for name, mark in batch.marks for word in (_fenced_key(keys, name), mark)]
    sessions = list(
        chain.from_iterable(_session(len(names) + i, batch, name) for i, name in enumerate(batch.sessions, 1))
    )
    names += map(keys.session, batch.sessions)
    growth = [word for field in batch.growth.items() for word in field]
    head = (GROUP, consumer, *batch.span, limits.results_maxlen, limits.reply_ttl_s, limits.session_ttl_s)
    counts = (len(batch.marks), len(batch.growth), len(forms), len(batch.results), len(letters), len(batch.sessions))
    body = (*marks, *sessions, *growth, *shapes, *entries, *chain.from_iterable(letters))
    return names, [*head, *counts, len(batch.heard), *body, *_heard(batch, keys), token]


def is_few(batch: Batch) -> bool:
    """Return whether a batch is for `settle_few.lua`: a few requests without dead letters and sessions."""
    return len(batch.results) <= MOST_FEW and len(batch.heard) <= MOST_HEARD and not batch.dead and not batch.sessions


def lay_out_few(
    batch: Batch, *, keys: Keys, consumer: str, limits: StreamLimits, token: int
) -> tuple[list[str], list[Any]]:
    """Lay out KEYS and ARGV of `settle_few.lua`; see `lay_out`.

    Args:
        batch: What is to be settled, see `is_few`.
        keys: Names in Redis.
        consumer: Who settles.
        limits: What stays in Redis for how long.
        token: A number that the reply has to repeat.
    """
    names = [keys.requests, keys.stats]
    places: dict[str | None, int] = {}
    entries: list[str | bytes | int] = []
    for result in batch.results:
        place = places.get(result.reply_to)
        if place is None:
            names.append(keys.results if result.reply_to is None else keys.reply(result.reply_to))
            place = places[result.reply_to] = len(names)
        words = result.fields
        entries += (result.entry_id, place, len(words), *words)
    marks = [word for name, mark in batch.marks for word in (_fenced_key(keys, name), mark)]
    growth = [word for field in batch.growth.items() for word in field]
    first, last = batch.span
    head = (GROUP, consumer, first, last, _id_after(last), limits.results_maxlen, limits.reply_ttl_s)
    counts = (places.get(None, 0), len(batch.marks), len(batch.growth), len(batch.results), len(batch.heard))
    return names, [*head, *counts, *marks, *growth, *entries, *_heard(batch, keys), token]


def _fenced_key(keys: Keys, name: str | None) -> str:
    """Return the key whose mark a batch is held against: of weights, or the head of an exclusion list."""
    excluded = exclusion_of(name)
    return keys.weights(name) if excluded is None else keys.exclude(excluded)


def _heard(batch: Batch, keys: Keys) -> Sequence[str | int]:
    """Lay out what the batch adds to what was heard; the hash of bounds is not named where they do not matter."""
    if not batch.heard:
        return ()
    return (keys.bounds if batch.is_bounded else "", keys.heard, *batch.heard, *batch.heard.values())


def _id_after(entry_id: str) -> str:
    """Return the next id; empty where `settle.lua` cannot count on, so that both scripts trim the same."""
    milliseconds, number = map(int, entry_id.split("-"))
    return f"{milliseconds}-{number + 1}" if number < _LAST_EXACT else ""


def read_settled(batch: Batch, reply: Sequence[Any], token: int) -> Settled | None:
    """Read what a script answered; None if `settle_few.lua` leaves the batch to `settle.lua`.

    Args:
        batch: What was to be settled.
        reply: The answer.
        token: The number that was laid out with the batch; the reply to another command has another one.

    Raises:
        AttributeError, LookupError, TypeError, ValueError: It is not the script's answer to this batch.
    """
    if reply[-1] != b"%d" % token:
        raise ValueError("it answers another settling")
    if reply[0] == b"unclear":
        return None
    at_ms = int(reply[1])
    if reply[0] == b"settled":
        return Settled(at_ms=at_ms, uncounted=reply[2].decode())
    if reply[0] == b"stale":
        now = zip((batch.marks[i][0] for i in reply[2]), map(_check_mark, reply[3]), strict=True)
        names = list(batch.sessions)
        moved = zip((names[i] for i in reply[4]), map(read_fields, reply[5]), strict=True)
        fields = list(batch.heard)
        return Settled(at_ms=at_ms, stale=dict(now), moved=dict(moved), met=tuple(fields[i] for i in reply[6]))
    if reply[0] != b"refused":
        raise ValueError("the script knows no such answer")
    ids = [result.entry_id for result in batch.results]
    lost, unwritable = (tuple(ids[i] for i in indexes) for indexes in reply[2:4])
    return Settled(at_ms=at_ms, lost=lost, unwritable=unwritable)


def _check_mark(mark: Any) -> bytes:
    if type(mark) is not bytes:
        raise TypeError("a mark is text")
    return mark


def read_fields(words: Sequence[bytes] | None) -> Fields:
    """Read fields and values that alternate; None stands for a key of another type."""
    if words is None:
        return None
    if set(map(type, words)) - {bytes}:
        raise TypeError("a hash is fields and values")
    return {name.decode(errors="replace"): value for name, value in zip(words[0::2], words[1::2], strict=True)}


def _shape(form: Template) -> str:
    """Return a form as the script reads it, written once for as long as the form is used."""
    shape = _SHAPES.get(form)
    if shape is None:
        shape = _SHAPES[form] = _write_shape(form)
    return shape


def _write_shape(form: Template) -> str:
    holes = [place for place, word in enumerate(form.words) if word is None]
    words = [word or "" for word in form.words]
    return json.dumps(((*_ADD, *words), [len(_ADD) + 1 + place for place in holes]))


def _session(place: int, batch: Batch, name: str) -> list[str | bytes | int]:
    """Lay out the change of a session: the place of its hash, how many fields of each kind, the fields."""
    change = batch.sessions[name]
    return [place, *map(len, change), *[word for fields in change for field in fields.items() for word in field]]


def read_session_fields(reply: Any) -> Fields:
    """Read the reply to HGETALL of a session; None if its key is of another type.

    Raises:
        redis.exceptions.RedisError: Redis refused for another reason.
    """
    if isinstance(reply, BaseException):
        if isinstance(reply, redis.exceptions.ResponseError) and "WRONGTYPE" in str(reply):
            return None
        raise reply
    return read_fields(reply)


def write_failure(failure: Failure) -> str:
    """Write down why an attempt failed, for the worker that gives up on the request."""
    return json.dumps({"error": failure.code, "message": failure.why})


def read_failure(note: Any) -> Failure | None:
    """Read such a note; None if there is none, or no worker has written it."""
    try:
        fields = json.loads(note)
        code, why = fields["error"], fields["message"]
        if code in ERROR_CODES and 0 < len(why.encode()) <= _LONGEST_WHY:
            return Failure(code, why)
    except (AttributeError, LookupError, TypeError, ValueError, RecursionError):
        return None
    return None
