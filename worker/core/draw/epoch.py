"""Draw for one session so that no chunk comes again before its category is used up (`method=epoch`).

Weights decide the categories, as for other methods. The passes of the session decide the chunks; see `passes`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from worker.core.draw import passes
from worker.core.draw.allocation import allocate, order_by
from worker.core.draw.cursor import Cursor, course_name
from worker.core.draw.derived import Derived
from worker.core.draw.passes import Integers, Passes
from worker.core.draw.plans import Plan
from worker.core.draw.random_numbers import RandomNumbers
from worker.core.draw.sampling import Drawn
from worker.core.draw.sessions import Visit
from worker.core.wire import encode_passes

Spans = list[tuple[int, int]]
"""(pass, how many chunks are of it), ascending by pass."""


class Taken(NamedTuple):
    """What some requests get of a category.

    Attributes:
        offsets: int64, shape (wanted.sum(),): request after request, in the order drawn.
        passes: Shape (r,): which passes each request's chunks are of.
        cursor: How far the session has come now.
    """

    offsets: Integers
    passes: list[Spans]
    cursor: Cursor


def draw_epoch(
    plan: Plan, derived: Derived, visit: Visit, rng: np.random.Generator, *, session: str, split: str | None
) -> tuple[Drawn, Sequence[str]]:
    """Draw the chunks of a plan; weights decide the categories, the session's passes the chunks.

    Args:
        plan: What to draw, for one session, without seeds.
        derived: The READY chunks that the plan's mixture was made of, and orders that are kept.
        visit: How far the session has come; it moves on.
        rng: Decides the categories and their order.
        session: Name of the session.
        split: The split that the plan's mixture was made of; None if none was named.

    Returns:
        What was drawn, within each category of a request in the order of the passes; and which passes these are, as
        results write it, shape (r,).
    """
    columns, counts = allocate(plan, RandomNumbers(plan.seeds, plan.sizes, rng))
    mixture, ids = plan.mixture, derived.catalog.ids
    parts = []
    spans_of: list[dict[str, Spans]] = [{} for _ in plan.sizes]
    for column in np.flatnonzero(np.logical_or.reduce(counts, axis=0)).tolist():
        name, wanted = mixture.categories[column], counts[:, column].tolist()
        course, start = course_name(name, split), int(mixture.starts[column])
        cursor = visit.cursors.get(course, Cursor())
        orders = Passes(ids[start : start + int(mixture.ready[column])], session, course, derived.orders)
        taken = take(orders, cursor, wanted, distinct=not plan.replace)
        visit.cursors[course] = taken.cursor
        parts.append(taken.offsets + start)
        for of_request, spans in zip(spans_of, taken.passes, strict=True):
            if spans:
                of_request[name] = spans
    positions = np.empty_like(columns)
    positions[order_by(columns)] = np.concatenate(parts)
    return Drawn(positions, counts), [encode_passes(spans) for spans in spans_of]


def take(orders: Passes, cursor: Cursor, wanted: Sequence[int], *, distinct: bool) -> Taken:
    """Take the next chunks of a category for some requests, beginning a new pass where one ends.

    Args:
        orders: The category's orders.
        cursor: How far the session has come.
        wanted: Shape (r,): how many chunks each request gets; if distinct, at most all of the category.
        distinct: Whether a request that ends one pass and begins the next must not get a chunk twice.
    """
    if not distinct:
        offsets, spans, cursor = _take_on(orders, cursor, sum(wanted))
        return Taken(offsets, _split(spans, wanted), cursor)
    parts: list[Integers] = []
    of_requests: list[Spans] = []
    for count in wanted:
        offsets, spans, cursor = _take_distinct(orders, cursor, count)
        parts.append(offsets)
        of_requests.append(spans)
    return Taken(np.concatenate([np.empty(0, np.int64), *parts]), of_requests, cursor)


def _take_on(orders: Passes, cursor: Cursor, count: int) -> tuple[Integers, Spans, Cursor]:
    """Take chunks one after the other, through as many passes as that takes."""
    offsets, spans, cursor = _finish(orders, cursor, count)
    parts = [offsets]
    left = count - len(offsets)
    most = max(1, passes.WINDOW // len(orders))
    while left >= len(orders):
        whole = min(left // len(orders), most)
        ranks, offsets = orders.whole(cursor.number + 1, whole)
        spans += [(cursor.number + i, len(orders)) for i in range(1, whole + 1)]
        cursor = Cursor(cursor.number + whole, int(ranks[-1]))
        parts.append(offsets)
        left -= len(offsets)
    if left:
        ranks, offsets = orders.after(cursor.number + 1, -1, left)
        cursor = Cursor(cursor.number + 1, int(ranks[-1]))
        spans.append((cursor.number, left))
        parts.append(offsets)
    return np.concatenate(parts), spans, cursor


def _finish(orders: Passes, cursor: Cursor, count: int) -> tuple[Integers, Spans, Cursor]:
    """Take chunks of the current pass alone, owed ones first; fewer than wanted if it ends."""
    # Anybody may have written the cursor: it may owe a chunk twice, or one that comes anyway.
    ranks_owed = [rank for rank in dict.fromkeys(cursor.owed) if rank <= cursor.last]
    owed_ranks, owed = orders.find(cursor.number, ranks_owed)
    ranks, offsets = orders.after(cursor.number, cursor.last, max(0, count - len(owed)))
    last = int(ranks[-1]) if len(ranks) else cursor.last
    got = np.concatenate((owed[:count], offsets))
    spans = [(cursor.number, len(got))] if len(got) else []
    return got, spans, Cursor(cursor.number, last, tuple(owed_ranks[count:].tolist()))


def _take_distinct(orders: Passes, cursor: Cursor, count: int) -> tuple[Integers, Spans, Cursor]:
    """Take chunks for one request, none twice. The new pass skips what the request has of the old one, and owes it."""
    had, spans, cursor = _finish(orders, cursor, count)
    left = count - len(had)
    if not left:
        return had, spans, cursor
    number = cursor.number + 1
    ranks, offsets = orders.after(number, -1, left + len(had))
    is_new = ~np.isin(offsets, had)
    end = int(np.flatnonzero(is_new)[left - 1]) + 1
    is_new, ranks = is_new[:end], ranks[:end]
    cursor = Cursor(number, int(ranks[-1]), tuple(ranks[~is_new].tolist()))
    return np.concatenate((had, offsets[:end][is_new])), [*spans, (number, left)], cursor


def _split(spans: Spans, wanted: Sequence[int]) -> list[Spans]:
    """Split the spans of all requests among them, in their order."""
    of_requests: list[Spans] = []
    rest = iter(spans)
    number, there = next(rest, (0, 0))
    for count in wanted:
        own: Spans = []
        while count:
            if not there:
                number, there = next(rest)
            part = min(count, there)
            own.append((number, part))
            count, there = count - part, there - part  # noqa: PLW2901 - what this request still has to get
        of_requests.append(own)
    return of_requests
