"""Overall counts beside overall expectations, summed from the lines of all intervals."""

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from worker.core.stats.fit import z_score
from worker.report.records import Draws

_CLEAR_Z = 0.02
"""A smaller z, rounded to three decimals, says too little about the variance."""


@dataclass(frozen=True, slots=True)
class Fit:
    """The draws of one category over all workers and intervals, beside what the weights expect.

    Attributes:
        dataset: "" are the global weights.
        count: Chunks drawn, or their seconds if weights are shares of audio time.
        z: Standard deviations between `count` and `expected`; None if no draw was random.
        unit: Unit of `count` and `expected`: `count` (chunks) or `seconds`.
    """

    dataset: str
    category: str
    count: float
    expected: float
    z: float | None
    unit: str = "count"


def fit_categories(draws: Iterable[Draws]) -> dict[str, tuple[Fit, ...]]:
    """Sum the draws of each category.

    Args:
        draws: Lines of any workers and times.

    Returns:
        Dataset -> its categories, the most frequent first. The global weights come first, then the busiest dataset.
    """
    lines: dict[tuple[str, str], list[Draws]] = defaultdict(list)
    for line in draws:
        lines[line.dataset, line.category].append(line)
    datasets: dict[str, list[Fit]] = defaultdict(list)
    for (dataset, _), own in lines.items():
        datasets[dataset].append(_fit(own))
    ordered = sorted(datasets, key=lambda name: (name != "", -sum(fit.count for fit in datasets[name]), name))
    return {name: tuple(sorted(datasets[name], key=lambda fit: (-fit.count, fit.category))) for name in ordered}


def _fit(lines: list[Draws]) -> Fit:
    """Compute the overall z from the variances that the z of each line implies."""
    variance, independent, unclear = 0.0, 0.0, 0.0
    by_chance = [line for line in lines if line.z is not None]
    for line in by_chance:
        if line.z and abs(line.z) >= _CLEAR_Z:
            variance += ((line.count - line.expected) / line.z) ** 2
            independent += _independent_variance(line)
        else:
            unclear += _independent_variance(line)
    # Lines with z near 0 reveal no variance. Theirs is scaled like that of the category's other lines.
    variance += unclear * (variance / independent if independent > 0 else 1.0)
    count, expected = math.fsum(line.count for line in lines), math.fsum(line.expected for line in lines)
    z = z_score(count, expected, variance) if by_chance else None
    return Fit(lines[0].dataset, lines[0].category, count, expected, z, lines[0].unit)


def _independent_variance(line: Draws) -> float:
    """Compute the variance of independent draws of the same number."""
    chance = line.expected * line.share / line.count if line.count else line.weight
    return line.expected * max(0.0, 1.0 - chance)
