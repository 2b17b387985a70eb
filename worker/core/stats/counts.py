"""Read a stats hash: what was drawn, beside what the weights made one expect. Anybody may have written there."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

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

_Key = tuple[str, str]
_Kinds = dict[str, dict[_Key, int]]
_Shares = dict[str, Mapping[str, float]]
_COUNTED = frozenset(
    (
        *(REQUESTS, ERRORS, CHUNKS, EXPECTED, VARIANCE, DRAWN, MS, SQUARED_MS),
        *(*EXPECTED_S, *VARIANCE_S2, *SQUARES_S2, *DRAWN_S, *DRAWN_S2, *WIDE_S, *WIDE_S2),
    )
)
_LONGEST = 19  # digits: Redis counts to 2^63
_NO_SHARES: Mapping[str, float] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class CategoryCount:
    """Hold how much of a category was drawn, and how much should have been.

    Attributes:
        dataset: Dataset, or preset as `preset:<name>`; "" are the global weights.
        category: Its name.
        count: Chunks drawn.
        expected: How many were expected; or how many seconds, where weights are shares of audio time.
        variance: Its variance.
        seconds: How long those chunks last, where weights are shares of audio time; else None.
    """

    dataset: str
    category: str
    count: int
    expected: float
    variance: float
    seconds: float | None = None

    @property
    def amount(self) -> float:
        """Tell what `expected` is of: chunks, or seconds."""
        return self.count if self.seconds is None else self.seconds

    @property
    def z(self) -> float:
        """Tell how many standard deviations the amount is off."""
        return z_score(self.amount, self.expected, self.variance)


@dataclass(frozen=True, slots=True)
class Counts:
    """Hold a stats hash, read.

    Attributes:
        requests: Dataset, or preset as `preset:<name>` -> results written; "" are the global weights.
        errors: (dataset, code) -> error results among them.
        categories: What was drawn, by dataset and category, sorted.
        is_mixed: Whether some of it was drawn by shares of chunks, and some by shares of audio time.
        problems: What of it is unreadable and left out, a sentence each.
    """

    requests: Mapping[str, int]
    errors: Mapping[tuple[str, str], int]
    categories: tuple[CategoryCount, ...]
    is_mixed: bool = False
    problems: tuple[str, ...] = ()

    @property
    def chunks(self) -> int:
        """Count the chunks drawn."""
        return sum(row.count for row in self.categories)

    def without(self, start: str) -> "Counts":
        """Leave out the datasets whose name begins so."""
        return Counts(
            {name: count for name, count in self.requests.items() if not name.startswith(start)},
            {pair: count for pair, count in self.errors.items() if not pair[0].startswith(start)},
            tuple(row for row in self.categories if not row.dataset.startswith(start)),
            self.is_mixed,
        )

    def datasets(self) -> Iterator[tuple[str, tuple[CategoryCount, ...]]]:
        """Walk over the datasets that chunks were drawn for."""
        for dataset in sorted({row.dataset for row in self.categories}):
            yield dataset, tuple(row for row in self.categories if row.dataset == dataset)


def read_stats(texts: Mapping[str, str]) -> Counts:
    """Read a hash of counts as it stands in Redis; what somebody else has put there is left out, and told.

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
    problem = f"{len(unreadable)} counts are unreadable and left out, such as {first}; accepted: stats --clear"
    return replace(found, problems=(problem, *found.problems))


def read_count(text: str) -> int | None:
    """Read a count; None where it is none."""
    return int(text) if len(text) <= _LONGEST and text.isascii() and text.isdecimal() else None


def read_counts(fields: Mapping[str, int], mixtures: Mapping[str, str] = MappingProxyType({})) -> Counts:
    """Read a stats hash; fields of other kinds are left alone.

    Args:
        fields: Field -> count.
        mixtures: Field -> the text of a mixture, among others.
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
    )


def read_shares(text: str) -> Mapping[str, float]:
    """Read a mixture, category -> share; the same empty one for all that is none."""
    try:
        found = read_json(MIXTURE, text.encode())
    except ValueError:
        return _NO_SHARES
    is_right = type(found) is dict and all(type(one) in {int, float} and 0 <= one <= 1 for one in found.values())
    return found if is_right else _NO_SHARES


def _without_shares(versions: Sequence[str]) -> tuple[str, ...]:
    """Say which mixtures cannot be read."""
    if not versions:
        return ()
    named = f"{len(versions)} mixtures are unreadable, such as {shown(versions[0].encode())}"
    return (f"{named}, so that what was expected of their chunks is not known; accepted: stats --clear",)


def fields_of_dataset(fields: Mapping[str, object], dataset: str) -> list[str]:
    """List the fields of a stats hash that belong to one dataset."""
    return [name for name in fields if split(name)[1] == dataset]


def _moments_of_chunks(kinds: _Kinds, shares: _Shares) -> dict[_Key, tuple[float, float]]:
    """Tell mean and variance of the chunks drawn, by dataset and category."""
    expected = {key: micro / MICRO for key, micro in kinds.get(EXPECTED, {}).items()}
    variance = {key: micro / MICRO for key, micro in kinds.get(VARIANCE, {}).items()}
    for (dataset, version), chunks in kinds.get(DRAWN, {}).items():
        for category, share in shares[version].items():
            key = (dataset, category)
            expected[key] = expected.get(key, 0.0) + chunks * share
            variance[key] = variance.get(key, 0.0) + chunks * share * (1.0 - share)
    return {key: (mean, variance.get(key, 0.0)) for key, mean in expected.items()}


def _moments_of_seconds(kinds: _Kinds, shares: _Shares) -> dict[_Key, tuple[float, float]]:
    """Tell mean and variance of the seconds drawn, by dataset and category.

    Of a mixture of many categories, how many seconds were expected of all together is known, and so the mean of each.
    The variance n (p E[d^2] - (p E[d])^2) lacks E[d^2] / E[d], which the chunks drawn tell: those of the category, or,
    where there are none, those of the dataset.
    """
    expected, variance = _amounts(kinds, EXPECTED_S), _amounts(kinds, VARIANCE_S2)
    drawn_s2, ratios = _amounts(kinds, DRAWN_S2), _ratios(kinds)
    for (dataset, version), seconds in _amounts(kinds, DRAWN_S).items():
        for category, share in shares[version].items():
            key = (dataset, category)
            mean, ratio = seconds * share, ratios.get(key, ratios.get((dataset, ""), 0.0))
            expected[key] = expected.get(key, 0.0) + mean
            spread = max(0.0, mean * ratio - drawn_s2.get((dataset, version), 0.0) * share**2)
            variance[key] = variance.get(key, 0.0) + spread
    # Of mixtures that are gone the sums over them are kept.
    squares_s2 = _amounts(kinds, WIDE_S2)
    for key, mean in _amounts(kinds, WIDE_S).items():
        expected[key] = expected.get(key, 0.0) + mean
        ratio = ratios.get(key, ratios.get((key[0], ""), 0.0))
        variance[key] = variance.get(key, 0.0) + max(0.0, mean * ratio - squares_s2.get(key, 0.0))
    return {key: (mean, variance.get(key, 0.0)) for key, mean in expected.items()}


def _ratios(kinds: _Kinds) -> dict[_Key, float]:
    """Tell the mean square of durations over their mean, by dataset and category, and by dataset for category ""."""
    squares: dict[_Key, float] = {}
    seconds: dict[_Key, float] = {}
    for (dataset, category), square in _amounts(kinds, SQUARES_S2).items():
        lasting = kinds.get(SQUARED_MS, {}).get((dataset, category), 0) / 1000
        for key in ((dataset, category), (dataset, "")):
            squares[key] = squares.get(key, 0.0) + square
            seconds[key] = seconds.get(key, 0.0) + lasting
    return {key: squares[key] / seconds[key] for key in squares if seconds[key] > 0}


def _amounts(kinds: _Kinds, pair: Pair) -> dict[_Key, float]:
    """Read amounts that stand in two fields."""
    wholes, millionths = kinds.get(pair[0], {}), kinds.get(pair[1], {})
    return {key: wholes.get(key, 0) + millionths.get(key, 0) / MICRO for key in wholes.keys() | millionths.keys()}
