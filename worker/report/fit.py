"""Overall counts beside overall expectations, summed from the lines of all intervals."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from worker.core.stats.fit import z_score
from worker.report.bins import column
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


def group_draws(draws: Iterable[Draws]) -> dict[str, dict[str, list[Draws]]]:
    """Group draws by dataset, and by category within each."""
    groups: dict[str, dict[str, list[Draws]]] = defaultdict(lambda: defaultdict(list))
    for line in draws:
        groups[line.dataset][line.category].append(line)
    return groups


def fit_categories(groups: Mapping[str, Mapping[str, list[Draws]]]) -> dict[str, tuple[Fit, ...]]:
    """Sum the draws of each category.

    Args:
        groups: Lines of any workers and times, from `group_draws`.

    Returns:
        Dataset -> its categories, the most frequent first. The global weights come first, then the busiest dataset.
    """
    datasets = {dataset: [_fit(lines) for lines in own.values()] for dataset, own in groups.items()}
    ordered = sorted(datasets, key=lambda name: (name != "", -sum(fit.count for fit in datasets[name]), name))
    return {name: tuple(sorted(datasets[name], key=lambda fit: (-fit.count, fit.category))) for name in ordered}


def _fit(lines: list[Draws]) -> Fit:
    """Compute the overall z from the variances that the z of each line implies."""
    count, share, expected, weight = (column(lines, name) for name in ("drawn", "share", "expected", "weight"))
    z = np.array([line.z for line in lines], dtype=np.float64)  # None becomes NaN
    by_chance, is_clear = ~np.isnan(z), np.abs(z) >= _CLEAR_Z
    chance = np.divide(expected * share, count, out=weight, where=count > 0)
    independent = expected * np.maximum(0.0, 1.0 - chance)
    variance = float((((count - expected)[is_clear] / z[is_clear]) ** 2).sum())
    clear, unclear = float(independent[is_clear].sum()), float(independent[by_chance & ~is_clear].sum())
    # Lines with z near 0 reveal no variance. Theirs is scaled like that of the category's other lines.
    variance += unclear * (variance / clear if clear > 0 else 1.0)
    drawn, wanted = float(count.sum()), float(expected.sum())
    overall = z_score(drawn, wanted, variance) if by_chance.any() else None
    return Fit(lines[0].dataset, lines[0].category, drawn, wanted, overall, lines[0].unit)
