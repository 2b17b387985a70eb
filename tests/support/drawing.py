"""Small catalogs and weights to draw from, and the common measure of statistical tests."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import scipy.special
from hypothesis import strategies as st
from numpy.typing import NDArray

from worker.core.catalog import Catalog, Columns, build_catalog
from worker.core.catalog.view import make_view
from worker.core.draw.plans import Plan
from worker.core.mixture import Mixture, make_mixture
from worker.core.weights.values import Weights, normalise

FALSE_ALARM = 1e-6
"""The chance that a statistical test would fail a correct implementation, if its seed were not fixed."""


class Mode(NamedTuple):
    """How to draw: with or without replacement, and stratified or not."""

    replace: bool
    stratified: bool


RANDOM, STRATIFIED = Mode(replace=True, stratified=False), Mode(replace=True, stratified=True)
RANDOM_ONCE, STRATIFIED_ONCE = Mode(replace=False, stratified=False), Mode(replace=False, stratified=True)
MODES = {
    "random": RANDOM,
    "stratified": STRATIFIED,
    "random, each once": RANDOM_ONCE,
    "stratified, each once": STRATIFIED_ONCE,
}


def catalog_of(ready: Mapping[str, int], *, uuids: bool = False) -> Catalog:
    """Build a catalog with so many chunks of each category. Ids are spread over the whole range, in no order."""
    names = list(ready)
    codes = np.repeat(np.arange(len(names), dtype=np.uint16), list(ready.values()))
    numbers = np.random.default_rng(5).permutation(len(codes)).astype(np.int64) * 1_000_003 - 77
    ids = numbers.astype(">i8").view("S8").astype("S16") if uuids else numbers
    return build_catalog(ids, codes, names)


def lasting_catalog(ready: Mapping[str, int], means_s: Mapping[str, float], *, spread: float = 0.7) -> Catalog:
    """Build a catalog whose durations are log-normal, around so many seconds by category."""
    names, rng = list(ready), np.random.default_rng(23)
    codes = np.repeat(np.arange(len(names), dtype=np.uint16), list(ready.values()))
    durations_s = np.array([means_s[name] for name in names])[codes] * np.exp(rng.normal(0, spread, len(codes)))
    return build_catalog(np.arange(1, len(codes) + 1), codes, names, np.ceil(durations_s * 1000).astype(np.uint32))


def with_durations_held(catalog: Catalog) -> Catalog:
    """Return the same chunks for weights of chunks, with their durations as a held column."""
    assert catalog.durations is not None
    codes = np.arange(len(catalog.parts), dtype=np.uint16).repeat(np.diff(catalog.bounds))
    numbers = {"duration_s": catalog.durations.milliseconds / 1000}
    columns = Columns(np.zeros(len(codes), np.int64), numbers)
    return build_catalog(catalog.ids.astype(np.int64), codes, list(catalog.parts), None, columns)


class Extremes(np.random.Generator):
    """A generator that gives one number alone, such as the largest below 1."""

    def __init__(self, number: float) -> None:
        super().__init__(np.random.PCG64(0))
        self.number = number

    def random(self, size: object = None, *_: object, **__: object) -> NDArray[np.float64]:  # type: ignore[override]
        assert isinstance(size, int)
        return np.full(size, self.number)


def weights_of(values: Mapping[str, float], source: str = "redis") -> Weights:
    weights = normalise(values, source)
    assert weights is not None
    return weights


def mixture_of(values: Mapping[str, float], ready: Mapping[str, int]) -> Mixture:
    """Apply weights to so many chunks."""
    names = tuple(sorted(ready))
    bounds = np.cumsum([0, *(ready[name] for name in names)])
    mixture = make_mixture(weights_of(values), make_view(names, bounds, None))
    assert mixture is not None
    return mixture


def _small(parts: list[tuple[float, int]]) -> Mixture:
    names = [f"c{i}" for i in range(len(parts))]
    return mixture_of(
        dict(zip(names, [share for share, _ in parts], strict=True)),
        dict(zip(names, [ready for _, ready in parts], strict=True)),
    )


def _wide(categories: int, seed: int, skew: int) -> Mixture:
    """Make a mixture of up to 1000 categories; the larger `skew`, the more of them weigh next to nothing."""
    rng = np.random.default_rng(seed)
    weights, ready = rng.random(categories) ** skew + 1e-12, rng.integers(1, 40, categories)
    return _small(list(zip(weights.tolist(), ready.tolist(), strict=True)))


LARGEST_SEED = 2**63 - 1
rng_seeds = st.integers(0, 2**32)
seeds = st.none() | st.integers(0, 5) | st.integers(0, LARGEST_SEED)
shares = st.floats(1e-9, 1) | st.sampled_from([1e-12, 1e-9, 0.5, 1])
narrow_mixtures = st.lists(st.tuples(shares, st.integers(1, 12)), min_size=1, max_size=8).map(_small)
wide_mixtures = st.builds(_wide, st.integers(1, 1000), st.integers(0, 2**32), st.sampled_from([1, 3, 30]))
mixtures = narrow_mixtures | wide_mixtures


def plan_of(
    mixture: Mixture, sizes: Iterable[int], seeds: Sequence[int | None] | None = None, *, mode: Mode = RANDOM
) -> Plan:
    """Plan requests, without seeds by default."""
    wanted = np.array(list(sizes), dtype=np.int64)
    return Plan(mixture, wanted, [None] * len(wanted) if seeds is None else seeds, *mode)


def chance_of_fit(counts: Iterable[float], expected: Iterable[float]) -> float:
    """Compute the chance that counts depart at least this much from their expectations, by chi-square."""
    observed, ideal = np.array(list(counts), dtype=float), np.array(list(expected), dtype=float)
    assert ideal.min() >= 5, "too few draws for a chi-square test"
    ideal *= observed.sum() / ideal.sum()
    return float(scipy.special.chdtrc(len(observed) - 1, np.sum((observed - ideal) ** 2 / ideal)))


def chance_of_even(codes: NDArray[np.int64], cells: int) -> float:
    """Compute the same for codes in [0, cells) that should be equally likely."""
    assert codes.min() >= 0
    assert codes.max() < cells
    counts = np.bincount(codes, minlength=cells)
    return chance_of_fit(counts.tolist(), [len(codes) / cells] * cells)


def chance_of_z(z: float) -> float:
    """Compute the chance that a standard normal number is at least this far from 0."""
    return float(2 * scipy.special.ndtr(-abs(z)))
