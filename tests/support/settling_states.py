"""States of the keys that settling meets, and batches to settle in them."""

import math
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from hypothesis import strategies as st

from tests.support.streams import LARGEST_ID, batch_of, result_of
from worker.adapters.redis.settling import MOST_FEW
from worker.core.keys import GROUP, Keys
from worker.core.weights.in_force import ABSENT, WRONG_TYPE, mark_of
from worker.ports import Batch

OURS: Final = "us"
_Steps = tuple[tuple[str, ...], ...]  # commands, without their key


class Request(NamedTuple):
    """One request, in the order of the stream.

    Attributes:
        holder: The consumer that it is pending for, "us" or "another"; "nobody": it is settled; "new": not delivered.
        is_deleted: Whether its entry is deleted.
        is_in_batch: Whether we settle it.
        reply_to: Where its result goes to.
    """

    holder: str
    is_deleted: bool = False
    is_in_batch: bool = False
    reply_to: str | None = None


class State(NamedTuple):
    """What is in Redis, and the batch to settle.

    Attributes:
        requests: The request stream.
        start: Where its ids begin, see `_STARTS`.
        is_rewound: Whether the group begins anew, so that what is pending was not delivered either.
        is_reversed: Whether the batch begins with its last entry.
        weights: Dataset -> what its key holds, and the mark that the batch was drawn under.
        streams: Result stream -> what its key holds, see `_STREAMS`.
        stats: What the stats key holds, see `_STATS`.
        growth: What the batch adds to it.
        heard: What the key of what was heard holds, see `_HEARD`.
        bounds: What the key of bounds holds, see `_BOUNDS`.
        heard_growth: What the batch adds to what was heard.
    """

    requests: tuple[Request, ...]
    start: str = "usual"
    is_rewound: bool = False
    is_reversed: bool = False
    weights: Mapping[str | None, tuple[str, bytes]] = MappingProxyType({})
    streams: Mapping[str | None, str] = MappingProxyType({})
    stats: str = "absent"
    growth: Mapping[str, int] = MappingProxyType({})
    heard: str = "absent"
    bounds: str = "absent"
    heard_growth: Mapping[str, int] = MappingProxyType({})

    @property
    def ids(self) -> list[str]:
        """Return the ids of the requests."""
        start = _STARTS[self.start]
        numbers = range(start, start + len(self.requests)) if start else range(2**128 - len(self.requests), 2**128)
        return [f"{number >> 64}-{number % 2**64}" for number in numbers]

    @property
    def batch(self) -> Batch:
        """Return what is to be settled."""
        requests = zip(self.ids, self.requests, strict=True)
        results = [result_of(entry_id, one.reply_to, "x", "é") for entry_id, one in requests if one.is_in_batch]
        marks = tuple((name, mark) for name, (_, mark) in self.weights.items())
        results = results[::-1] if self.is_reversed else results
        return batch_of(results, marks=marks, growth=self.growth, heard=self.heard_growth)

    @property
    def is_clear(self) -> bool:
        """Whether everything holds but what the result streams are."""
        settled = [one for one in self.requests if one.is_in_batch]
        within = [i for i, one in enumerate(self.requests) if one.is_in_batch]
        ours_within = [one for one in self.requests[within[0] : within[-1] + 1] if one.holder == OURS]
        holds = all(MARKS[held] == mark != WRONG_TYPE for held, mark in self.weights.values())
        bound = _BOUND_AT.get(self.bounds, math.inf) if "chunks:" in self.heard_growth else math.inf
        return settled == ours_within and holds and _HEARD_SO_FAR.get(self.heard, 0) < bound

    @property
    def is_writable(self) -> bool:
        """Whether every result can be written."""
        return all(self.streams.get(result.reply_to) not in _UNWRITABLE for result in self.batch.results)


_STARTS: Final = {"usual": (5 << 64) + 1, "beyond Lua": (7 << 64) + 2**53 - 3, "next ms": (10 << 64) - 3, "last": 0}
MARKS: Final = {"absent": ABSENT, "old": mark_of(b"old"), "new": mark_of(b"new"), "list": WRONG_TYPE}
_WEIGHTS: Final[dict[str, _Steps]] = {
    "absent": (),
    "old": (("SET", "old"),),
    "new": (("SET", "new"),),
    "list": (("RPUSH", "x"),),
}
_WRITABLE: Final[dict[str, _Steps]] = {
    "absent": (),
    "beyond the bound": (("XADD", "*", "n", "1"),) * 5,
    "for long": (("XADD", "*", "n", "1"), ("EXPIRE", "5000")),
    "for a while": (("XADD", "*", "n", "1"), ("EXPIRE", "200")),
    "emptied": (("XADD", "1-1", "n", "1"), ("XDEL", "1-1")),
}
_UNWRITABLE: Final[dict[str, _Steps]] = {"text": (("SET", "no stream"),), "full": (("XADD", LARGEST_ID, "n", "1"),)}
_STREAMS: Final = _WRITABLE | _UNWRITABLE
_STATS: Final[dict[str, _Steps]] = {
    "absent": (),
    "counts": (("HSET", "requests:", "5"),),
    "no number": (("HSET", "requests:", "many"),),
    "full": (("HSET", "requests:", str(2**63 - 1)),),
    "text": (("SET", "no hash"),),
}


_HEARD: Final[dict[str, _Steps]] = {
    "absent": (),
    "counts": (("HSET", "chunks:", "5", "chunks:d", "7"),),
    "no number": (("HSET", "chunks:", "many"),),
    "full": (("HSET", "chunks:", str(2**63 - 1)),),
    "text": (("SET", "no hash"),),
}
_HEARD_SO_FAR: Final = {"counts": 5, "full": 2**63 - 1}
_BOUNDS: Final[dict[str, _Steps]] = {
    "absent": (),
    "of another": (("HSET", "chunks:other", "0", "ms:", "0"),),
    "ahead": (("HSET", "chunks:", "5.5"),),
    "at it": (("HSET", "chunks:", "5"),),
    "at the begin": (("HSET", "chunks:", "0"),),
    "no number": (("HSET", "chunks:", "soon"),),
    "text": (("SET", "no hash"),),
}
_BOUND_AT: Final = {"ahead": 5.5, "at it": 5, "at the begin": 0}


def commands(state: State, keys: Keys) -> Iterator[tuple[Any, ...]]:
    """Yield the commands that bring a state about."""
    for entry_id in state.ids:
        yield "XADD", keys.requests, entry_id, "size", 1
    yield "XGROUP", "CREATE", keys.requests, GROUP, "0"
    for entry_id, one in zip(state.ids, state.requests, strict=True):
        if one.holder != "new":
            yield "XREADGROUP", "GROUP", GROUP, one.holder, "COUNT", 1, "STREAMS", keys.requests, ">"
        if one.holder == "nobody":
            yield "XACK", keys.requests, GROUP, entry_id
    yield from (
        ("XDEL", keys.requests, entry_id)
        for entry_id, one in zip(state.ids, state.requests, strict=True)
        if one.is_deleted
    )
    if state.is_rewound:
        yield "XGROUP", "SETID", keys.requests, GROUP, "0"
    made = [(keys.weights(name), _WEIGHTS[held]) for name, (held, _) in state.weights.items()]
    made += [(result_key(keys, name), _STREAMS[held]) for name, held in state.streams.items()]
    for key, steps in (*made, *_counted(state, keys)):
        yield from ((command, key, *words) for command, *words in steps)


def _counted(state: State, keys: Keys) -> Iterator[tuple[str, _Steps]]:
    yield keys.stats, _STATS[state.stats]
    yield keys.heard, _HEARD[state.heard]
    yield keys.bounds, _BOUNDS[state.bounds]


def result_key(keys: Keys, name: str | None) -> str:
    """Return the key of a result stream."""
    return keys.results if name is None else keys.reply(name)


_names = st.sampled_from((None, "a", "b"))


def _requests(holders: Sequence[str], is_in_batch: st.SearchStrategy[bool]) -> st.SearchStrategy[Request]:
    return st.builds(Request, st.sampled_from(holders), st.booleans(), is_in_batch, _names)


_DELIVERED: Final = (OURS, "another", "nobody")
_others, _any = _requests(_DELIVERED, st.just(value=False)), _requests(_DELIVERED, st.booleans())
_ours = _requests((OURS,), st.just(value=True))
_between = _requests(("another", "nobody"), st.just(value=False))
_holding = st.sampled_from([(held, MARKS[held]) for held in ("absent", "old")])
_moved = st.tuples(st.sampled_from(list(_WEIGHTS)), st.sampled_from(list(MARKS.values())))
_heard_growth = st.dictionaries(st.sampled_from(("chunks:", "chunks:d", "chunks::voice")), st.integers(0, 9))
_growth = st.dictionaries(st.sampled_from(("requests:", "chunks::voice")), st.integers(0, 9))


@st.composite
def states(draw: st.DrawFn) -> State:
    """Draw a state; mostly one or two things are wrong with it, or nothing."""
    wrong = draw(st.sets(st.sampled_from(("requests", "order", "weights", "streams", "bounds")), max_size=2))
    new = Request("new", is_in_batch="requests" in wrong and draw(st.booleans()))
    requests = (
        *draw(st.lists(_others, max_size=2)),
        *draw(st.lists(_any if "requests" in wrong else _ours | _between, max_size=MOST_FEW - 2)),
        draw(_ours),
        *draw(st.lists(_others, max_size=2)),
        *[new] * draw(st.integers(0, 1)),
    )
    held = st.sampled_from(list(_STREAMS if "streams" in wrong else _WRITABLE))
    return State(
        requests,
        draw(st.sampled_from(list(_STARTS))),
        draw(st.booleans()),
        "order" in wrong,
        draw(st.dictionaries(st.sampled_from((None, "d")), _moved if "weights" in wrong else _holding)),
        draw(st.fixed_dictionaries(dict.fromkeys((None, "a", "b"), held))),
        draw(st.sampled_from(list(_STATS))),
        draw(_growth),
        draw(st.sampled_from(list(_HEARD))),
        draw(st.sampled_from(list(_BOUNDS if "bounds" in wrong else ("absent", "of another", "no number", "text")))),
        draw(_heard_growth),
    )
