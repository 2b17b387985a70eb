"""A session as people see it: its weights, how far it is, how often chunks were heard, and its limit of that."""

import json
from collections.abc import Mapping
from typing import Any, Final

from worker.core.draw.cursor import is_round, read_course
from worker.core.draw.sessions import Fields, Session, read_session, session_counts
from worker.core.keys import REPEATS_LIMIT
from worker.core.stats.repeats import Repeats, repeats_of
from worker.core.workers.ready import Ready

LEAST_LIMIT, MOST_LIMIT = 0.001, 1e9
WARN_AT: Final = 0.8
"""The part of a limit at which people are told; the rule `cap` has the same unless it is told otherwise."""


def session_repeats(fields: Fields, ready: Ready) -> dict[str, Repeats]:
    """Return how often the chunks of each category were heard in a session.

    Args:
        fields: Its hash; None: its key is no hash.
        ready: What is READY.
    """
    passes: dict[str, int] = {}
    for course, number in _passes(read_session(fields)).items():
        category = read_course(course)[0]  # those of a split have chunks of their own
        passes[category] = max(number, passes.get(category, 0))
    heard = {row.category: row.count for row in session_counts(fields or {}).categories}
    names = sorted(heard.keys() | passes)
    return {name: repeats_of(heard.get(name, 0), ready.count(name), passes.get(name, 0)) for name in names}


def session_document(name: str, fields: Fields, left_s: int, ready: Ready) -> dict[str, Any]:
    """Return a session as plain data: the weights that it is pinned to, its schedule and passes, and what it heard.

    Args:
        name: Its name.
        fields: Its hash; None: its key is no hash.
        left_s: In how many seconds it ends if nobody asks for it.
        ready: What is READY.
    """
    session, counts = read_session(fields), session_counts(fields or {})
    pinned = session.pinned
    return {
        "session": name,
        "problem": session.problem or None,
        "pinned": None if pinned is None else {"version": pinned.version, "weights": dict(pinned.shares)},
        "schedule": None if session.schedule is None else _as_json(session.schedule),
        "position": session.position,
        "passes": dict(sorted(_passes(session).items())),
        "requests": sum(counts.requests.values()),
        "repeats_limit": read_limit(fields or {}),
        "chunks": {row.category: row.count for row in counts.categories},
        "repeats": {category: one._asdict() for category, one in session_repeats(fields, ready).items()},
        "ends_in_s": left_s,
    }


def most_repeated(fields: Fields, ready: Ready) -> dict[str, Any] | None:
    """Return the category whose chunks a session has heard most often on average, and how often; None: not known.

    Args:
        fields: Its hash; None: its key is no hash.
        ready: What is READY.
    """
    known = [(one.repeats, name) for name, one in session_repeats(fields, ready).items() if one.repeats is not None]
    if not known:
        return None
    repeats, name = max(known)
    return {"category": name, "repeats": repeats}


def _passes(session: Session) -> dict[str, int]:
    """Return how often a chunk was heard at most, by category and split: length classes have passes of their own."""
    whole: dict[str, int] = {}
    by_length: dict[str, int] = {}
    for course, cursor in session.cursors.items():
        if is_round(course):
            continue
        category, split, of_class = read_course(course)
        found = by_length if of_class else whole
        found[category + split] = max(cursor.number, found.get(category + split, 0))
    return {name: whole.get(name, 0) + by_length.get(name, 0) for name in whole.keys() | by_length}


def read_limit(fields: Mapping[str, bytes]) -> float | None:
    """Read the most repeats that somebody wants in a session; None: nobody said so, or not so that it can be read.

    Args:
        fields: Its hash.
    """
    try:
        limit = float(fields.get(REPEATS_LIMIT, b"nan"))
    except ValueError:
        return None
    return limit if LEAST_LIMIT <= limit <= MOST_LIMIT else None


def _as_json(text: bytes) -> Any:
    """Return what a JSON text holds, or the text where it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text.decode(errors="replace")
