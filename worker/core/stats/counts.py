"""Read a stats hash: what was drawn, and what the weights made one expect.

Two sources say what was expected of a category, and their sums are the answer:

- its own fields, mean and variance, of draws from few categories, and of folded mixtures;
- the chunks (or seconds) drawn from each mixture of many categories, times the category's share in the mixture's text.

For n independent draws with probability p, the mean is n p and the variance n p (1 - p). If durations d count, the mean
is n p E[d] and the variance n (p E[d^2] - (p E[d])^2). A mixture's text has the share of seconds, s = p E[d] / mean_s.
Here mean_s is the expected duration of a chunk of any category. The hash holds the sums of n mean_s and of n mean_s^2.
So the mean is s times the first. The variance is mean x E[d^2] / E[d] minus s^2 times the second. The ratio E[d^2] /
E[d] is estimated from the chunks drawn.

Anybody may have written to the hash: what cannot be read is left out, and a sentence says so.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import NamedTuple

from worker.core.stats.fields import (
    CHUNKS,
    DRAWN,
    DRAWN_S,
    DRAWN_S2,
    ERRORS,
    EXPECTED,
    EXPECTED_S,
    MICRO,
    MIXTURE,
    MS,
    REQUESTS,
    SPLIT_CHUNKS,
    SPLIT_REQUESTS,
    SQUARED_MS,
    SQUARES_S2,
    VARIANCE,
    VARIANCE_S2,
    WIDE_S,
    WIDE_S2,
    Pair,
    split,
)
from worker.core.stats.fit import z_score
from worker.core.wire import read_json, shown
from worker.core.wording import plural

_Key = tuple[str, str]
_Kinds = dict[str, dict[_Key, int]]
_Shares = dict[str, Mapping[str, float]]
_COUNTED = frozenset(
    (
        *(REQUESTS, ERRORS, CHUNKS, EXPECTED, VARIANCE, DRAWN, MS, SQUARED_MS, SPLIT_REQUESTS, SPLIT_CHUNKS),
        *(*EXPECTED_S, *VARIANCE_S2, *SQUARES_S2, *DRAWN_S, *DRAWN_S2, *WIDE_S, *WIDE_S2),
    )
)
_LONGEST = 19  # digits: Redis counts to 2^63
_NO_SHARES: Mapping[str, float] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class CategoryCount:
    """How much of a category was drawn, and how much was expected.

    Attributes:
        dataset: Dataset, or preset as `preset:<name>`; "" for the global weights.
        category: Its name.
        count: Chunks drawn.
        expected: The expected number of chunks; of seconds, if weights are shares of audio time.
        variance: The variance of that number.
        seconds: How long the chunks last, if weights are shares of audio time; else None.
    """

    dataset: str
    category: str
    count: int
    expected: float
    variance: float
    seconds: float | None = None

    @property
    def amount(self) -> float:
        """Return what `expected` is compared with: chunks, or seconds."""
        return self.count if self.seconds is None else self.seconds

    @property
    def z(self) -> float:
        """Return how many standard deviations the amount is from its expectation."""
        return z_score(self.amount, self.expected, self.variance)


class SplitCount(NamedTuple):
    """What requests that named a split got.

    Attributes:
        requests: Results, without errors.
        chunks: Chunk ids in them.
    """

    requests: int
    chunks: int


@dataclass(frozen=True, slots=True)
class Counts:
    """The contents of a stats hash.

    Attributes:
        requests: Dataset, or preset as `preset:<name>` -> results written; "" for the global weights.
        errors: (dataset, code) -> error results among them.
        categories: What was drawn, by dataset and category, sorted.
        is_mixed: Whether some was drawn by shares of chunks, and some by shares of audio time.
        problems: What is unreadable and left out, a sentence each.
        splits: Split -> what requests that named it got; the other counts include it.
    """

    requests: Mapping[str, int]
    errors: Mapping[tuple[str, str], int]
    categories: tuple[CategoryCount, ...]
    is_mixed: bool = False
    problems: tuple[str, ...] = ()
    splits: Mapping[str, SplitCount] = field(default_factory=dict)

    @property
    def chunks(self) -> int:
        """Count the chunks drawn."""
        return sum(row.count for row in self.categories)

    def without(self, start: str) -> "Counts":
        """Return the counts without datasets whose name begins so."""
        return Counts(
            {name: count for name, count in self.requests.items() if not name.startswith(start)},
            {pair: count for pair, count in self.errors.items() if not pair[0].startswith(start)},
            tuple(row for row in self.categories if not row.dataset.startswith(start)),
            self.is_mixed,
            splits=self.splits,
        )

    def datasets(self) -> Iterator[tuple[str, tuple[CategoryCount, ...]]]:
        """Yield each dataset that chunks were drawn for, with its categories."""
        for dataset in sorted({row.dataset for row in self.categories}):
            yield dataset, tuple(row for row in self.categories if row.dataset == dataset)


def read_stats(texts: Mapping[str, str]) -> Counts:
    """Read a stats hash as Redis holds it. What is unreadable is left out, and a sentence says so.

    Args:
        texts: Field -> value.
    """
    counts: dict[str, int] = {}
    unreadable: list[str] = []
    for name, text in texts.items():
        if (count := read_count(text)) is not None:
            counts[name] = count
        elif name.partition(":")[0] in _COUNTED:
            unreadable.append(name)
    found = read_counts(counts, texts)
    if not unreadable:
        return found
    first = f"{shown(unreadable[0].encode())} is {shown(texts[unreadable[0]].encode())}"
    problem = f"unreadable and left out: {plural(len(unreadable), 'count')}, such as {first}; accepted: stats --clear"
    return replace(found, problems=(problem, *found.problems))


def read_count(text: str) -> int | None:
    """Read a count; None if the text is not one."""
    return int(text) if len(text) <= _LONGEST and text.isascii() and text.isdecimal() else None


def read_counts(fields: Mapping[str, int], mixtures: Mapping[str, str] = MappingProxyType({})) -> Counts:
    """Read the fields of a stats hash; fields of other kinds are ignored.

    Args:
        fields: Field -> count.
        mixtures: Field -> the text of a mixture; other fields may be among them.
    """
    kinds: _Kinds = {}
    for name, count in fields.items():
        kind, dataset, rest = split(name)
        kinds.setdefault(kind, {})[dataset, rest] = count
    named = {version for kind in (DRAWN, *DRAWN_S) for _, version in kinds.get(kind, {})}
    shares = {version: read_shares(mixtures.get(f"{MIXTURE}:{version}", "")) for version in sorted(named)}
    unreadable = [version for version, found in shares.items() if found is _NO_SHARES]
    in_chunks, in_seconds = _moments_of_chunks(kinds, shares), _moments_of_seconds(kinds, shares)
    counts, milliseconds = kinds.get(CHUNKS, {}), kinds.get(MS, {})
    rows: list[CategoryCount] = []
    for key in sorted(counts.keys() | in_chunks.keys() | in_seconds.keys()):
        seconds = milliseconds.get(key, 0) / 1000 if key in in_seconds else None
        expected, variance = in_seconds.get(key) or in_chunks.get(key) or (0.0, 0.0)
        rows.append(CategoryCount(*key, counts.get(key, 0), expected, variance, seconds))
    return Counts(
        {tail[0]: count for tail, count in kinds.get(REQUESTS, {}).items()},
        kinds.get(ERRORS, {}),
        tuple(rows),
        is_mixed=bool(in_chunks and in_seconds),
        problems=_without_shares(unreadable),
        splits=_split_counts(kinds),
    )


def _split_counts(kinds: _Kinds) -> dict[str, SplitCount]:
    requests, chunks = (
        {tail[1]: n for tail, n in kinds.get(kind, {}).items()} for kind in (SPLIT_REQUESTS, SPLIT_CHUNKS)
    )
    return {name: SplitCount(requests.get(name, 0), chunks.get(name, 0)) for name in sorted(requests.keys() | chunks)}


def read_shares(text: str) -> Mapping[str, float]:
    """Read the text of a mixture, category -> share; `_NO_SHARES` if it is not one."""
    try:
        found = read_json(MIXTURE, text.encode())
    except ValueError:
        return _NO_SHARES
    is_right = type(found) is dict and all(type(one) in {int, float} and 0 <= one <= 1 for one in found.values())
    return found if is_right else _NO_SHARES


def _without_shares(versions: Sequence[str]) -> tuple[str, ...]:
    """Write a sentence about mixtures that cannot be read."""
    if not versions:
        return ()
    named = f"unreadable: {plural(len(versions), 'mixture')}, such as {shown(versions[0].encode())}"
    return (f"{named}, so that what was expected of their chunks is not known; accepted: stats --clear",)


def fields_of_dataset(fields: Mapping[str, object], dataset: str) -> list[str]:
    """List the fields of a stats hash that belong to one dataset."""
    return [name for name in fields if split(name)[1] == dataset]


def _moments_of_chunks(kinds: _Kinds, shares: _Shares) -> dict[_Key, tuple[float, float]]:
    """Compute mean and variance of the chunks drawn, by dataset and category."""
    expected = {key: micro / MICRO for key, micro in kinds.get(EXPECTED, {}).items()}
    variance = {key: micro / MICRO for key, micro in kinds.get(VARIANCE, {}).items()}
    for (dataset, version), chunks in kinds.get(DRAWN, {}).items():
        for category, share in shares[version].items():
            key = (dataset, category)
            expected[key] = expected.get(key, 0.0) + chunks * share
            variance[key] = variance.get(key, 0.0) + chunks * share * (1.0 - share)
    return {key: (mean, variance.get(key, 0.0)) for key, mean in expected.items()}


def _moments_of_seconds(kinds: _Kinds, shares: _Shares) -> dict[_Key, tuple[float, float]]:
    """Compute mean and variance of the seconds drawn, by dataset and category; see the module.

    E[d^2] / E[d] is estimated from the chunks of the category, or of the dataset if there are none.
    """
    expected, variance = _amounts(kinds, EXPECTED_S), _amounts(kinds, VARIANCE_S2)
    drawn_s2, ratios = _amounts(kinds, DRAWN_S2), _ratios(kinds)
    for (dataset, version), seconds in _amounts(kinds, DRAWN_S).items():
        for category, share in shares[version].items():
            key = (dataset, category)
            mean, ratio = seconds * share, ratios.get(key, ratios.get((dataset, ""), 0.0))
            expected[key] = expected.get(key, 0.0) + mean
            added = max(0.0, mean * ratio - drawn_s2.get((dataset, version), 0.0) * share**2)
            variance[key] = variance.get(key, 0.0) + added
    # Folded mixtures are gone, but the sums over them are kept.
    squares_s2 = _amounts(kinds, WIDE_S2)
    for key, mean in _amounts(kinds, WIDE_S).items():
        expected[key] = expected.get(key, 0.0) + mean
        ratio = ratios.get(key, ratios.get((key[0], ""), 0.0))
        variance[key] = variance.get(key, 0.0) + max(0.0, mean * ratio - squares_s2.get(key, 0.0))
    return {key: (mean, variance.get(key, 0.0)) for key, mean in expected.items()}


def _ratios(kinds: _Kinds) -> dict[_Key, float]:
    """Compute E[d^2] / E[d] of durations, by dataset and category; category "" stands for the whole dataset."""
    squares: dict[_Key, float] = {}
    seconds: dict[_Key, float] = {}
    for (dataset, category), square in _amounts(kinds, SQUARES_S2).items():
        lasting = kinds.get(SQUARED_MS, {}).get((dataset, category), 0) / 1000
        for key in ((dataset, category), (dataset, "")):
            squares[key] = squares.get(key, 0.0) + square
            seconds[key] = seconds.get(key, 0.0) + lasting
    return {key: squares[key] / seconds[key] for key in squares if seconds[key] > 0}


def _amounts(kinds: _Kinds, pair: Pair) -> dict[_Key, float]:
    """Read amounts that take two fields."""
    wholes, millionths = kinds.get(pair[0], {}), kinds.get(pair[1], {})
    return {key: wholes.get(key, 0) + millionths.get(key, 0) / MICRO for key in wholes.keys() | millionths.keys()}
