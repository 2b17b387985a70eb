"""Batches of a budget, computed the slow way: a list of all chunks, in exact fractions."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from worker.core.catalog import Catalog
from worker.core.draw.derived import Derived
from worker.core.draw.groups import Answers
from worker.core.draw.lengths import milliseconds_of
from worker.core.draw.prepare import Snapshots
from worker.core.weights.in_force import InForce
from worker.core.weights.values import Weights
from worker.core.wire import LARGEST_SIZE, Request, Result, Terms, decode_result


class Chunk(NamedTuple):
    """A chunk of a library: its category, its duration in ms, and the chance that a draw gets it."""

    category: str
    milliseconds: int
    chance: Fraction


class Bucket(NamedTuple):
    """A bucket: its longest chunk in ms, its batch size, the chance of it, and category -> share within it."""

    longest_ms: int
    size: int
    chance: Fraction
    shares: Mapping[str, Fraction]


_ROUNDING = Fraction(1, 10**12)

Library = Mapping[int, Chunk]


def library_of(catalog: Catalog, weights: Weights) -> Library:
    """List the chunks that some weights draw, by id."""
    milliseconds = milliseconds_of(catalog)
    assert milliseconds is not None
    rows: dict[str, list[tuple[int, int]]] = {}
    start = 0
    for name, ids in catalog.segments():
        rows[name] = list(zip(ids.tolist(), milliseconds[start : start + len(ids)].tolist(), strict=True))
        start += len(ids)
    parts = {}
    for name, share in weights.shares.items():
        if own := rows.get(name):
            mean = 1 if catalog.durations is None else Fraction(sum(ms for _, ms in own), 1000 * len(own))
            parts[name] = Fraction(share) / mean
    total = sum(parts.values())
    return {
        chunk: Chunk(name, ms, part / total / len(rows[name]))
        for name, part in parts.items()
        for chunk, ms in rows[name]
    }


def buckets_of(library: Library, budget_ms: int, count: int, *, replace: bool = True) -> list[Bucket]:
    """Cut a library into buckets."""
    ordered = sorted(library.values(), key=lambda one: one.milliseconds)
    edges: set[int] = {ordered[-1].milliseconds}
    reached, wanted = Fraction(0), 1
    for i, one in enumerate(ordered):
        reached += one.chance
        is_last_of_its_length = i + 1 == len(ordered) or ordered[i + 1].milliseconds > one.milliseconds
        while is_last_of_its_length and wanted < count and reached >= Fraction(wanted, count) - _ROUNDING:
            edges.add(one.milliseconds)
            wanted += 1
    found: list[tuple[int, int, Fraction, dict[str, Fraction]]] = []
    low = 0
    for edge in sorted(edges):
        own = [one for one in ordered if low < one.milliseconds <= edge]
        chance, low = sum((one.chance for one in own), Fraction(0)), edge
        shares: dict[str, Fraction] = {}
        for one in own:
            shares[one.category] = shares.get(one.category, Fraction(0)) + one.chance / chance
        size = budget_ms // edge if replace else min(budget_ms // edge, len(own))
        found.append((edge, size, chance / size, shares))
    total = sum(chance for _, _, chance, _ in found)
    return [Bucket(edge, size, chance / total, shares) for edge, size, chance, shares in found]


def ask(number: int = 0, *, seed: int | None = None, **fields: Any) -> Request:
    """Make a request of a budget, as a worker reads it."""
    if "budget_s" in fields:
        fields.setdefault("size", LARGEST_SIZE)
    return Request(f"{number}-0", f"r{number}", Terms(**fields), seed)


def snapshots_of(catalog: Catalog, weights: Weights) -> Snapshots:
    return Snapshots(Derived(catalog), {None: InForce(None, weights, ())}, now_ms=0)


def ids_of(result: Result) -> list[int]:
    """Read the ids of a result without an error."""
    words = [word.encode() if isinstance(word, str) else word for word in result.fields]
    reply = decode_result(words)
    assert reply.error is None, reply.message
    return [int(chunk) for chunk in reply.chunk_ids]


def drawn_of(answers: Answers) -> list[list[int]]:
    """Read the ids of all results, in the order of their requests."""
    results = sorted(answers.results, key=lambda result: int(result.entry_id.partition("-")[0]))
    return [ids_of(result) for result in results]


def score_of_mix(
    library: Library, drawn: Sequence[Sequence[int]], chances: Mapping[str, float] | None = None
) -> NDArray[np.float64]:
    """Return for each category how many standard deviations its counts are from size x chance, over all requests.

    The deviation is that of the sample; where there is none, so is the score. Nothing here knows how sizes were found.
    Other chances than those of the library may be given, by category.
    """
    names = sorted({one.category for one in library.values()})
    right = {name: float(sum(one.chance for one in library.values() if one.category == name)) for name in names}
    chance = np.array([(chances or right)[name] for name in names])
    column = {name: i for i, name in enumerate(names)}
    departures = np.array(
        [
            np.bincount([column[library[chunk].category] for chunk in ids], minlength=len(names)) - len(ids) * chance
            for ids in drawn
        ]
    )
    deviations: NDArray[np.float64] = np.sqrt(np.square(departures).sum(axis=0))
    scores = np.zeros(len(names))
    np.divide(departures.sum(axis=0), deviations, out=scores, where=deviations > 0)
    return scores
