"""Auditors of what was drawn: as asked, READY, once a pass, the same for the same seed."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate

from tests.faults.records import Answer, Asked, Chunk, Run, Stay

_MS = 1_000_000
_CLOCK_NS = 100 * _MS  # Redis tells the time of its last turn, in ms
_ROUNDING = 1e-6
_DELIVERY = {"request_id", "reply_to", "expires_at"}


def audit_chunks(run: Run) -> Iterator[str]:
    """Check that each ok result has the chunks asked for: size, category, none twice with replace=0."""
    for asked, answer in run.pairs:
        if answer.error is not None:
            continue
        size, category = int(asked.fields.get("size", "1")), asked.fields.get("category")
        if not len(answer.chunk_ids) == sum(answer.counts.values()) == size:
            counted = sum(answer.counts.values())
            yield f"entry {answer.entry_id} has {len(answer.chunk_ids)} chunks, counts {counted}, and asked {size}"
        if category is not None and answer.counts.keys() != {category}:
            yield f"entry {answer.entry_id} asked for {category} and has {dict(answer.counts)}"
        if asked.fields.get("replace") == "0" and len(set(answer.chunk_ids)) < len(answer.chunk_ids):
            yield f"entry {answer.entry_id} has a chunk twice with replace=0"
        yield from _strata(asked, answer)


def _strata(asked: Asked, answer: Answer) -> Iterator[str]:
    """Check that a stratified request's counts are floor or ceiling of its shares, where the result has these."""
    if asked.fields.get("method") != "stratified" or asked.fields.get("replace") == "0":
        return
    for category, share in answer.fields.get("weights", {}).items():
        count, ideal = answer.counts.get(category, 0), len(answer.chunk_ids) * share
        if not math.floor(ideal + _ROUNDING) <= count <= math.ceil(ideal - _ROUNDING):
            yield f"entry {answer.entry_id} is stratified and has {count} of {ideal:.3f} {category}"


def audit_ready(run: Run) -> Iterator[str]:
    """Check that each chunk was READY in its counted category when it may have been drawn."""
    if run.stays is None:
        return
    stays: dict[Chunk, list[Stay]] = defaultdict(list)
    for stay in run.stays:
        stays[stay.chunk].append(stay)
    settled = {chunk: found[0].category for chunk, found in stays.items() if len(found) == 1 and _is_endless(found[0])}
    last = {stay: _known_gone(run, stay) for stay in run.stays if stay.ended_ns is not None}
    for asked, answer in run.pairs:
        categories = Counter(filter(None, map(settled.get, answer.chunk_ids)))
        doubtful: list[set[str]] = []
        for chunk in answer.chunk_ids if categories.total() < len(answer.chunk_ids) else ():
            if chunk in settled:
                continue
            found = _categories_at(stays.get(chunk, ()), asked.sent_ns, answer.at_ms * _MS + _CLOCK_NS, last)
            if not found:
                yield f"entry {answer.entry_id} has chunk {chunk}, which was not READY at {answer.at_ms}"
            elif len(found) == 1:
                categories.update(found)
            else:
                doubtful.append(found)
        if not _fits(categories, doubtful, answer.counts):
            yield f"entry {answer.entry_id} counts {dict(answer.counts)}, its chunks are {dict(categories)}"


def _categories_at(stays: Sequence[Stay], since_ns: int, until_ns: int, last: Mapping[Stay, int]) -> set[str]:
    """List the categories in which a chunk may have been drawn in some time."""
    return {
        stay.category
        for stay in stays
        if stay.begun_ns <= until_ns and (stay.ended_ns is None or since_ns <= last[stay])
    }


def _is_endless(stay: Stay) -> bool:
    """Check whether a chunk was READY all the time."""
    return stay.begun_ns == 0 and stay.ended_ns is None


def _fits(certain: Counter[str], doubtful: Sequence[set[str]], counts: Mapping[str, int]) -> bool:
    """Check whether counts can be right, where chunks moved to another category meanwhile."""
    if not doubtful:
        return certain == Counter(counts)
    missing = Counter(counts) - certain
    return not certain - Counter(counts) and missing.total() <= len(doubtful)


def _known_gone(run: Run, stay: Stay) -> int:
    """Return the latest send time of a request that may get a gone chunk: the time allowed, plus outages."""
    at = (stay.ended_ns or 0) + run.stale_ns
    for begun, ended in sorted(run.outages):
        if begun <= at and ended > (stay.ended_ns or 0):
            at += ended - max(begun, stay.ended_ns or 0)
    return at


def audit_passes(run: Run) -> Iterator[str]:
    """Check that a session's pass has no chunk twice, and a finished one every chunk that was always READY."""
    drawn: dict[tuple[str, str], dict[int, Counter[Chunk]]] = defaultdict(lambda: defaultdict(Counter))
    category_of = {stay.chunk: stay.category for stay in run.stays or ()}
    for asked, answer in run.pairs:
        if asked.fields.get("method") != "epoch" or answer.error is not None:
            continue
        told = {name: sum(spans.values()) for name, spans in answer.fields.get("passes", {}).items()}
        if told != answer.counts:
            yield f"entry {answer.entry_id} tells passes of {told} chunks and counts {dict(answer.counts)}"
            continue
        for category, chunks in _by_category(answer, category_of).items():
            for number, part in _by_pass(chunks, answer.fields["passes"].get(category, {})):
                drawn[asked.fields["session"], category][number].update(part)
    always = _always_ready(run.stays or ())
    for (session, category), passes in sorted(drawn.items()):
        for sentence in _passes_of(passes, always.get(category, set())):
            yield f"session {session!r} {sentence.format(category)}"


def _passes_of(passes: Mapping[int, Counter[Chunk]], always: set[Chunk]) -> Iterator[str]:
    """Look at the passes of one session over one category; the last one is not finished."""
    for number, counts in sorted(passes.items()):
        if twice := [chunk for chunk, count in counts.items() if count > 1]:
            yield f"has {len(twice)} chunks of {{}} twice in pass {number}, such as {twice[0]}"
    for number in range(1, max(passes)):
        if missing := always - passes.get(number, Counter()).keys():
            yield f"lacks {len(missing)} chunks of {{}} in pass {number}, such as {min(missing, key=str)}"


def _by_category(answer: Answer, category_of: Mapping[Chunk, str]) -> dict[str, list[Chunk]]:
    """Part the chunks of a result by category, in its order."""
    if len(answer.counts) == 1:
        return {next(iter(answer.counts)): list(answer.chunk_ids)}
    parts: dict[str, list[Chunk]] = defaultdict(list)
    for chunk in answer.chunk_ids:
        parts[category_of.get(chunk, "")].append(chunk)
    return parts


def _by_pass(chunks: Sequence[Chunk], spans: Mapping[str, int]) -> Iterator[tuple[int, Sequence[Chunk]]]:
    """Cut the chunks of one category by pass: those of a pass come before those of the next."""
    numbers = sorted(map(int, spans))
    ends = list(accumulate(spans[str(number)] for number in numbers))
    for number, start, end in zip(numbers, [0, *ends], ends, strict=False):
        yield number, chunks[start:end]


def _always_ready(stays: Sequence[Stay]) -> dict[str, set[Chunk]]:
    """List the chunks that were READY all the time, by category."""
    always: dict[str, set[Chunk]] = defaultdict(set)
    for stay in stays:
        if _is_endless(stay):
            always[stay.category].add(stay.chunk)
    return always


def audit_seeds(run: Run) -> Iterator[str]:
    """Check that the same seed, fields, weights and catalog give the same ids."""
    drawn: dict[tuple[object, ...], list[Chunk]] = {}
    for asked, answer in run.pairs:
        if "seed" not in asked.fields or answer.error is not None:
            continue
        fields = frozenset((name, value) for name, value in asked.fields.items() if name not in _DELIVERY)
        key = (fields, answer.version, answer.fields.get("catalog_version"))
        ids = list(answer.chunk_ids)
        if drawn.setdefault(key, ids) != ids:
            yield f"entry {answer.entry_id} got other ids than an equal request with seed {asked.fields['seed']}"
