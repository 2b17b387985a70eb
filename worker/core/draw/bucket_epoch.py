"""Draw length buckets for one session so that no chunk comes again before its length class is used up.

Buckets and categories are drawn as `buckets` draws them, so the mix is as exact as there. The chunks that were drawn
there only say how many are wanted of each category and length class. The session's passes say which ones: each category
has a course for each class, whose chunks come once a pass; see `passes`.

Within a session, the order of the buckets is not random. The n-th bucket is the one at the fractional part of
s + n x 0.618..., the golden ratio. Here s is a hash of the session and of what such requests ask for. From any n on,
such numbers are spread over [0, 1) more evenly than random ones. So all classes of a category are about equally far.
Random numbers would not ensure that. Over sessions, each number is uniform.

Why not a pass of the whole category: its last chunks would be of a few buckets. A batch of another bucket would need
chunks of that category, and have none. So it would begin the next pass early, or leave its mix.

Why classes: buckets move with weights and library, and a pass must not begin anew whenever they do. Classes stay as
they are. A bucket is of whole classes. So a draw from a bucket is a draw from its classes, in proportion to their
chunks.

Source: Sos, "On the Distribution mod 1 of the Sequence n alpha", Ann. Univ. Sci. Budapest 1 (1958).
"""

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from worker.core.draw.allocation import order_by
from worker.core.draw.buckets import Batches, Buckets
from worker.core.draw.cursor import Cursor, course_name, round_name
from worker.core.draw.derived import Derived
from worker.core.draw.epoch import Spans, take
from worker.core.draw.length_classes import BOUNDS_MS, class_of
from worker.core.draw.passes import Passes
from worker.core.draw.random_numbers import to_uniforms
from worker.core.draw.sampling import Drawn
from worker.core.draw.sessions import Visit
from worker.core.hashing import GOLDEN
from worker.core.mixture import Floats, Integers
from worker.core.wire import Terms, encode_passes


class Listener(NamedTuple):
    """Who listens, and how far it has come.

    Attributes:
        terms: What its requests ask for.
        derived: The READY chunks that they are drawn from, and orders that are kept.
        visit: How far its session has come; it moves on.
    """

    terms: Terms
    derived: Derived
    visit: Visit


def draw_bucket_epoch(
    buckets: Buckets, listener: Listener, requests: int, rng: np.random.Generator
) -> tuple[Batches, Sequence[str]]:
    """Draw buckets and categories, and the chunks by the session's passes.

    Args:
        buckets: What is drawn from; their edges are those of length classes.
        listener: Whom the requests are of.
        requests: How many there are.
        rng: Decides categories and classes.

    Returns:
        What was drawn, within each category of a request in the order of the passes; and which passes these are, as
        results write it, shape (requests,).
    """
    batches = buckets.draw_at(_next_numbers(listener, requests), [None] * requests, rng)
    drawn, owners, names = batches.drawn, np.arange(requests).repeat(batches.sizes), buckets.mixture.categories
    columns = buckets.mixture.starts.searchsorted(drawn.positions, "right") - 1
    if listener.derived.milliseconds is None:
        raise AssertionError("buckets were planned without durations")
    keys = columns * len(BOUNDS_MS) + class_of(listener.derived.milliseconds[drawn.positions])
    order = order_by(keys)
    parts: list[Integers] = []
    passes_of: list[int] = []
    spans_of: list[dict[str, dict[int, int]]] = [{} for _ in range(requests)]
    for key, rows, wanted in _courses(keys[order], owners[order]):
        column, number = divmod(key, len(BOUNDS_MS))
        own, spans_of_rows = _take_course(buckets, listener, column, number, wanted)
        parts.append(own)
        for row, spans in zip(rows, spans_of_rows, strict=True):
            passes_of += [number for number, count in spans for _ in range(count)]
            _add(spans_of[row].setdefault(names[column], {}), spans)
    positions, numbers = np.empty_like(drawn.positions), np.empty_like(drawn.positions)
    positions[order], numbers[order] = np.concatenate(parts), passes_of
    groups = owners * len(names) + columns
    positions[order_by(groups)] = positions[np.lexsort((numbers, groups))]
    passes = [encode_passes({name: sorted(own.items()) for name, own in spans.items()}) for spans in spans_of]
    return Batches(batches.sizes, Drawn(positions, drawn.counts), batches.buckets), passes


def _take_course(
    buckets: Buckets, listener: Listener, column: int, number: int, wanted: Sequence[int]
) -> tuple[Integers, list[Spans]]:
    """Take the next chunks of a category and length class; return their positions, and the passes of each request."""
    terms, derived, visit = listener
    own = _chunks_of(buckets, column, number)
    course = course_name(buckets.mixture.categories[column], terms.split, int(BOUNDS_MS[number]))
    orders = Passes(derived.catalog.ids, terms.session or "", course, derived.orders, own)
    taken = take(orders, visit.cursors.get(course, Cursor()), wanted, distinct=not buckets.replace)
    visit.cursors[course] = taken.cursor
    return own[taken.offsets].astype(np.int64, copy=False), taken.passes


def _courses(keys: Integers, owners: Integers) -> Iterator[tuple[int, list[int], list[int]]]:
    """Yield each key, the rows that have it, and how often.

    Args:
        keys: int64, shape (n,), ascending.
        owners: int64, shape (n,): the row of each, ascending for the same key.
    """
    is_first = np.concatenate(([True], (keys[1:] != keys[:-1]) | (owners[1:] != owners[:-1])))
    begins = np.flatnonzero(is_first)
    counts = np.diff(np.append(begins, len(keys))).tolist()
    runs = zip(keys[begins].tolist(), owners[begins].tolist(), counts, strict=True)
    for key, of_key in itertools.groupby(runs, itemgetter(0)):
        _, rows, wanted = zip(*of_key, strict=True)
        yield key, list(rows), list(wanted)


def _next_numbers(listener: Listener, requests: int) -> Floats:
    """Return the numbers that decide the next buckets of such requests of the session, and count them."""
    terms, _, visit = listener
    of_whom = (terms.category, terms.dataset, terms.preset, terms.split, terms.exclude)
    name = round_name((*of_whom, terms.budget_s, terms.buckets, terms.replace))
    begin = visit.cursors.get(name, Cursor()).number
    visit.cursors[name] = Cursor(begin + requests)
    digest = hashlib.sha256(f"{terms.session}\0{name}".encode()).digest()
    steps = np.arange(begin, begin + requests, dtype=np.uint64) * GOLDEN
    return to_uniforms(steps + np.frombuffer(digest[:8], "<u8"))


def _chunks_of(buckets: Buckets, column: int, number: int) -> NDArray[np.int32] | Integers:
    """List the positions of the chunks of a category that are of a length class."""
    first = int(buckets.cells.starts[0, column])
    own = buckets.lengths.milliseconds[first : first + int(buckets.mixture.ready[column])]
    bounds = np.array([BOUNDS_MS[number - 1] if number else 0, BOUNDS_MS[number]], np.uint32)
    start, end = own.searchsorted(bounds, "right").tolist()
    return buckets.lengths.order[first + start : first + end]


def _add(into: dict[int, int], spans: Spans) -> None:
    for number, count in spans:
        into[number] = into.get(number, 0) + count
