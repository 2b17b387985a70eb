"""The limit of repeats in a session: which categories come near to it, and which events are logged then.

The field `repeats_limit` of a session's hash is the most repeats that somebody wants of any category. It stops nothing.
An event is logged once when a category comes near to it, and once when a category reaches it. A field
`told:<limit>:<level>:<category>` notes this for all workers.
"""

from collections.abc import Mapping
from typing import NamedTuple

from worker.core.draw.session_shown import WARN_AT, read_limit
from worker.core.draw.sessions import session_counts
from worker.core.events import MixRepeats


class Told(NamedTuple):
    """An event to log about a session.

    Attributes:
        field: The field of the session's hash that notes that it was logged.
        event: The event.
    """

    field: str
    event: MixRepeats


def near_limit(name: str, fields: Mapping[str, bytes], ready: Mapping[str, int]) -> list[Told]:
    """Return the events that are due: for each category of a session that is near to its limit, or reached it.

    Args:
        name: The session.
        fields: Its hash.
        ready: Category -> READY chunks.
    """
    limit = read_limit(fields)
    if limit is None:
        return []
    found = []
    for row in session_counts(fields).categories:
        chunks = ready.get(row.category, 0)
        if not chunks or row.count < WARN_AT * limit * chunks:
            continue
        is_reached = row.count >= limit * chunks
        field = f"told:{limit:g}:{'reached' if is_reached else 'near'}:{row.category}"
        if field not in fields:
            found.append(Told(field, _event(name, row.category, limit, (row.count, chunks), is_reached=is_reached)))
    return found


def _event(session: str, category: str, limit: float, counts: tuple[int, int], *, is_reached: bool) -> MixRepeats:
    drawn, ready = counts
    return MixRepeats(
        dataset=None,
        session=session,
        category=category,
        repeats=drawn / ready,
        limit=limit,
        drawn=drawn,
        ready=ready,
        is_reached=is_reached,
    )
