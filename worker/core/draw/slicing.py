"""Cut the requests in hand into slices, each drawn and settled at once. Huge requests must not delay the rest."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from worker.core.catalog.durations import MS_A_SECOND
from worker.core.draw.prepare import Snapshots
from worker.core.wire import CATEGORY, PATH, Request, Result, Terms

_CHUNKS_A_SLICE = 131_072
_CHUNKS_A_DRAW = 1_024
_HEAVY_WORK = 150_000  # chunks of plain requests: a few milliseconds; a slice of plain requests is never heavy
_FEW = 8
_LIGHT_WORK = 4_096  # chunks of plain requests
_TIMES_DEARER = 6
_COLUMN_WORK = {CATEGORY: 1, PATH: 20}  # measured: so many times a plain chunk
_NUMBER_WORK = {"json": 30, "packed": 1}  # the same, for any other column
_CHUNK_MS = 4_000  # of a request with a budget: how long its chunks last, roughly
_MANY_SHARES = 1000
_MANY_RANKED = 100_000


class Slice(NamedTuple):
    """Some requests, in the order of the stream.

    Attributes:
        requests: Valid requests, and the error results of invalid ones.
        asked: The terms of the valid ones and how many have them, in the order in which they come first. Equal terms
            count together if they are one object, as `worker.core.wire.Decoder` makes them.
    """

    requests: Sequence[Request | Result]
    asked: Sequence[tuple[Terms, int]]


def slice_by_work(requests: Sequence[Request | Result]) -> Iterator[Slice]:
    """Cut a batch so that no slice draws more than about 131,072 chunks; columns of chunks count as more of them.

    Each further dataset, category or session takes a draw of its own, which counts as 1,024 chunks.

    Args:
        requests: In the order of the stream; slices are copies.
    """
    if len(requests) == 1:
        yield _single(requests)
        return
    whole = Slice(requests[:], _asked(requests))
    if _chunks(whole) + _CHUNKS_A_DRAW * (len(whole.asked) - 1) <= _CHUNKS_A_SLICE:
        yield whole
        return
    start = work = 0
    drawn_from: set[tuple[str | None, ...]] = set()
    for end, request in enumerate(requests):
        if not isinstance(request, Request):
            continue
        terms = request.terms
        source = (
            terms.preset or terms.dataset,
            terms.category,
            terms.split,
            terms.exclude,
            terms.session if terms.method == "epoch" else None,
        )
        own = _chunks_of(terms)
        more = own + (_CHUNKS_A_DRAW if drawn_from and source not in drawn_from else 0)
        if work and work + more > _CHUNKS_A_SLICE:
            yield Slice(requests[start:end], _asked(requests[start:end]))
            start, work, more = end, 0, own
            drawn_from.clear()
        work += more
        drawn_from.add(source)
    yield Slice(requests[start:], _asked(requests[start:]))


def _single(requests: Sequence[Request | Result]) -> Slice:
    """Return the slice of one request, as most are while little is asked for."""
    only = requests[0]
    return Slice(requests[:], [(only.terms, 1)] if isinstance(only, Request) else [])


def is_light(requests: Sequence[Request | Result]) -> bool:
    """Return whether requests are few, and drawn within a fraction of a millisecond."""
    return len(requests) <= _FEW and sum(map(_work, requests)) <= _LIGHT_WORK


def is_heavy(part: Slice, snapshots: Snapshots) -> bool:
    """Return whether answering takes so long that it should run in a thread, not in the event loop."""
    for held in snapshots.weights.values():
        if len(held.weights.shares) > _MANY_SHARES:
            return True
    for terms, _ in part.asked:
        is_ranked = terms.method == "epoch" or terms.budget_s is not None
        if is_ranked and snapshots.catalog is not None and len(snapshots.catalog) > _MANY_RANKED:
            return True
    return _TIMES_DEARER * _chunks(part) > _HEAVY_WORK and sum(map(_work, part.requests)) > _HEAVY_WORK


def _asked(requests: Sequence[Request | Result]) -> Sequence[tuple[Terms, int]]:
    """Count requests by the identity of their terms. Comparing their values would take longer, for every request."""
    each = [request.terms for request in requests if isinstance(request, Request)]
    by_id = dict(zip(map(id, each), each, strict=True))
    if len(by_id) == 1:
        return [(each[0], len(each))]
    return [(by_id[number], count) for number, count in Counter(map(id, each)).items()]


def _chunks(part: Slice) -> int:
    return sum(_chunks_of(terms) * count for terms, count in part.asked)


def _chunks_of(terms: Terms) -> int:
    """Count the chunks that requests of some terms get, and their columns as so many more."""
    size = _size_of(terms)
    if not terms.columns:
        return size
    return size * (1 + sum(_COLUMN_WORK.get(name, _NUMBER_WORK[terms.encoding]) for name in terms.columns))


def _work(request: Request | Result) -> int:
    if not isinstance(request, Request):
        return 0
    terms = request.terms
    is_cheap = terms.replace and terms.method == "random" and request.seed is None
    return _chunks_of(terms) if is_cheap else _chunks_of(terms) + _size_of(terms) * (_TIMES_DEARER - 1)


def _size_of(terms: Terms) -> int:
    """Return how many chunks a request of some terms gets; with a budget, about how many."""
    if terms.budget_s is None:
        return terms.size
    return min(terms.size, 1 + round(terms.budget_s * MS_A_SECOND) // _CHUNK_MS)
