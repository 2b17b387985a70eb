"""Auditors of chance: the mix follows the weights, and the chunks of a category are equally likely."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

import scipy

from tests.faults.audit_weights import DEFAULTS
from tests.faults.records import Answer, Asked, Chunk, Run, normalised, version_of

FALSE_ALARM: Final = 1e-6
"""Chance that one of these auditors finds fault with a right run."""
_LEAST_EXPECTED = 5.0


def audit_mix(run: Run) -> Iterator[str]:
    """Check that categories are drawn by the weights that the results name, over all weights together."""
    chance = chance_of_mix(run)
    if chance < FALSE_ALARM:
        yield f"the mix departs from the weights with p = {chance:.2g}"


def chance_of_mix(run: Run) -> float:
    """Compute the chance that independent draws depart at least this much from their weights, by chi-square."""
    shares_of = {version_of(one.values): normalised(one.values) for one in run.changes if one.values}
    shares_of.setdefault(version_of(DEFAULTS), DEFAULTS)
    drawn: dict[tuple[str, tuple[str, ...]], Counter[str]] = defaultdict(Counter)
    for asked, answer in run.pairs:
        if _is_independent(asked, answer) and "category" not in asked.fields and answer.version in shares_of:
            drawn[answer.version, tuple(answer.fields.get("left_out", ()))].update(answer.counts)
    tests = []
    for (version, left_out), counts in drawn.items():
        shares = normalised({name: share for name, share in shares_of[version].items() if name not in left_out})
        if counts.keys() - shares.keys():
            return 0.0
        tests.append(([counts[name] for name in shares], list(shares.values())))
    return _chance(tests)


def audit_evenness(run: Run) -> Iterator[str]:
    """Check that a category's chunks that were READY all the time are drawn equally often."""
    chance = chance_of_evenness(run)
    if chance < FALSE_ALARM:
        yield f"the chunks within a category are drawn unevenly with p = {chance:.2g}"


def chance_of_evenness(run: Run) -> float:
    """Compute the chance that independent draws prefer chunks of a category at least this much, by chi-square."""
    always: dict[str, dict[Chunk, int]] = defaultdict(dict)
    for stay in run.stays or ():
        if stay.begun_ns == 0 and stay.ended_ns is None:
            always[stay.category][stay.chunk] = 0
    home: dict[Chunk, dict[Chunk, int]] = {chunk: counts for counts in always.values() for chunk in counts}
    for asked, answer in run.pairs:
        if _is_independent(asked, answer):
            for chunk in answer.chunk_ids:
                if chunk in home:
                    home[chunk][chunk] += 1
    return _chance([(list(counts.values()), [1 / len(counts)] * len(counts)) for counts in always.values()])


def _is_independent(asked: Asked, answer: Answer) -> bool:
    """Check whether each chunk of a result was drawn independently and without a seed."""
    return (
        answer.error is None
        and asked.fields.get("method", "random") == "random"
        and asked.fields.get("replace", "1") == "1"
        and "seed" not in asked.fields
    )


def _chance(tests: Sequence[tuple[Sequence[int], Sequence[float]]]) -> float:
    """Add up chi-squares of (counts, shares); cells of which too little is expected are taken together."""
    statistic, freedom = 0.0, 0
    for counts, shares in tests:
        cells = _merged(counts, [share * sum(counts) for share in shares])
        statistic += sum((count - ideal) ** 2 / ideal for count, ideal in cells)
        freedom += max(0, len(cells) - 1)
    return float(scipy.stats.chi2.sf(statistic, freedom)) if freedom else 1.0


def _merged(counts: Sequence[int], expected: Sequence[float]) -> list[tuple[int, float]]:
    """Take cells together, smallest first, until at least five are expected of each."""
    cells: list[tuple[int, float]] = []
    count, ideal = 0, 0.0
    for i in sorted(range(len(counts)), key=expected.__getitem__):
        count, ideal = count + counts[i], ideal + expected[i]
        if ideal >= _LEAST_EXPECTED:
            cells.append((count, ideal))
            count, ideal = 0, 0.0
    if ideal and cells:
        last_count, last_ideal = cells.pop()
        cells.append((last_count + count, last_ideal + ideal))
    return cells
