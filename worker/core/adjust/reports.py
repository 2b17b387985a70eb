"""The losses that trainings report, gathered by category, and what is believed of them.

Theory. Sums, counts and squares only add up. So the totals do not depend on how reports are split into pages. What is
believed is another matter, because one broken rank must not move the weights of all:

- Where three reporters or more measured a category, its mean is the median of their means. So a reporter with wrong
  losses is outvoted, however many it reports, and it is named.
- Where fewer did, nobody can be outvoted. Then the means of the reports are Winsorised: the lowest and the highest
  tenth are replaced by the nearest value that stays. So is the highest tenth of the counts. One wild report among many
  does no harm.

Source: Iglewicz and Hoaglin, "How to Detect and Handle Outliers", 1993 (a value is an outlier beyond 3.5 deviations);
Huber and Ronchetti, "Robust Statistics", 2nd ed., 2009, section 5.1 (the median, and its breakdown point).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from worker.core.adjust.robust import (
    Cells,
    Floats,
    Integers,
    Winsorised,
    add_up,
    count,
    divide,
    find_medians,
    winsorise,
)
from worker.core.wire.feedback import Kind, Report

MOST_CELLS: Final = 1 << 20
"""Losses of one category in one report after which a step of a rule reads no more; the next step reads on."""

_TRAIN: Final[tuple[Kind, ...]] = ("train",)
_TO_OUTVOTE = 3
_FAR = 3.5
_NEAR = 0.05  # of a loss: reporters that differ by less are not worth a word
_MAD_TO_DEVIATION = 1.4826  # of a normal distribution
_MEDIAN_TO_MEAN = 1.2533  # the standard error of a median over that of a mean, of a normal distribution


@dataclass(frozen=True, eq=False)
class LossReports:
    """What was reported of each category. Arrays have a value for each of the k categories, in their order.

    Attributes:
        categories: Their names.
        reporters: Who reported; the empty name stands for all that do not say who they are.
        cells: The reports, category by category.
        used: Reports that these are of.
        stale: Reports that were dropped: drawn under other weights than those in force, or stored before them.
    """

    categories: tuple[str, ...]
    reporters: tuple[str, ...]
    cells: Cells
    used: int = 0
    stale: int = 0

    def __repr__(self) -> str:
        """Show how much was reported."""
        told = f"{self.used} used, {self.stale} stale"
        return f"<LossReports: {len(self.categories)} categories of {len(self.reporters)} reporters, {told}>"

    @property
    def size(self) -> int:
        """Return how many losses these are, of one category in one report each; see `MOST_CELLS`."""
        return len(self.cells.sum)

    @cached_property
    def counts(self) -> Floats:
        """Return how many losses there are: whole numbers as float64, (k,)."""
        return add_up(self.cells.category, self.cells.count, len(self.categories))

    @cached_property
    def report_counts(self) -> Integers:
        """Return how many reports have the category: int64, (k,)."""
        return count(self.cells.category, len(self.categories))

    @cached_property
    def reporter_counts(self) -> Integers:
        """Return how many reporters have the category: int64, (k,)."""
        return count(self._pairs.category, len(self.categories))

    @cached_property
    def means(self) -> Floats:
        """Return the mean loss that is believed: float64, (k,); NaN where nothing was reported."""
        return np.where(self._is_median, self._medians, self._winsorised.means)

    @cached_property
    def errors(self) -> Floats:
        """Return the standard error of `means`: float64, (k,), >= 0; NaN where nothing was reported.

        It is the larger one of two: that by the spread of the losses, and that by the spread of what is averaged. So
        reports without squares have one, too. Reporters that were outvoted have no part in it.
        """
        pairs, k = self._pairs.only(~self._is_outvoted), len(self.categories)
        means, counts = pairs.sum / pairs.count, add_up(pairs.category, pairs.count, k)
        spread = np.maximum(pairs.squares / pairs.count - means**2, 0.0) * pairs.count
        within = np.sqrt(divide(add_up(pairs.category, spread, k), counts * counts))
        voters = count(pairs.category, k)
        average = divide(add_up(pairs.category, means, k), voters)
        apart = add_up(pairs.category, (means - average[pairs.category]) ** 2, k)
        between = np.sqrt(divide(apart, np.maximum(voters - 1, 1) * voters))
        of_median = _MEDIAN_TO_MEAN * np.maximum(between, within)
        return np.where(self._is_median, of_median, np.maximum(self._winsorised.errors, within))

    @cached_property
    def outvoted(self) -> Mapping[str, tuple[str, ...]]:
        """Return who was outvoted: reporter -> the categories whose losses nobody else has seen like this."""
        found: dict[str, list[str]] = {}
        pairs = self._pairs
        for who, which in zip(pairs.reporter[self._is_outvoted], pairs.category[self._is_outvoted], strict=True):
            found.setdefault(self.reporters[who], []).append(self.categories[which])
        return {who: tuple(sorted(which)) for who, which in sorted(found.items())}

    def on(self, categories: Sequence[str]) -> "LossReports":
        """Return the same for these categories, in this order; what was reported of others is dropped.

        Args:
            categories: Each once.
        """
        places = {name: place for place, name in enumerate(categories)}
        moved = np.array([places.get(name, -1) for name in self.categories], np.int64)
        cells = self.cells.placed(moved, np.arange(len(self.reporters), dtype=np.int64))
        return replace(self, categories=tuple(categories), cells=cells.only(cells.category >= 0))

    def merged(self, *others: "LossReports") -> "LossReports":
        """Return these and others together, as if they had been gathered at once."""
        parts = (self, *others)
        categories = tuple(sorted({name for one in parts for name in one.categories}))
        reporters = tuple(sorted({name for one in parts for name in one.reporters}))
        cells = [
            one.cells.placed(_indexes(one.categories, categories), _indexes(one.reporters, reporters)) for one in parts
        ]
        return LossReports(
            categories,
            reporters,
            cells[0].together(cells[1:]),
            sum(one.used for one in parts),
            sum(one.stale for one in parts),
        )

    @cached_property
    def _pairs(self) -> Cells:
        """Add up what each reporter says of each category."""
        width = max(len(self.reporters), 1)
        keys, places = np.unique(self.cells.category * width + self.cells.reporter, return_inverse=True)
        columns = (self.cells.sum, self.cells.count, self.cells.squares)
        return Cells(keys // width, keys % width, *(add_up(places, column, len(keys)) for column in columns))

    @cached_property
    def _pair_means(self) -> Floats:
        return self._pairs.sum / self._pairs.count

    @cached_property
    def _pair_variances(self) -> Floats:
        return np.maximum(self._pairs.squares / self._pairs.count - self._pair_means**2, 0.0)

    @property
    def _is_median(self) -> NDArray[np.bool_]:
        return self.reporter_counts >= _TO_OUTVOTE

    @cached_property
    def _medians(self) -> Floats:
        return find_medians(self._pairs.category, self._pair_means, len(self.categories))

    @cached_property
    def _is_outvoted(self) -> NDArray[np.bool_]:
        """Return which of `_pairs` are too far from the median to be believed."""
        which, k = self._pairs.category, len(self.categories)
        middle = self._medians[which]
        distances = np.abs(self._pair_means - middle)
        spread = _MAD_TO_DEVIATION * find_medians(which, distances, k)[which]
        chance = np.sqrt(find_medians(which, self._pair_variances, k)[which] / self._pairs.count)
        near = np.maximum(np.maximum(spread, chance), _NEAR * np.abs(middle))
        return self._is_median[which] & (distances > _FAR * near)

    @cached_property
    def _winsorised(self) -> Winsorised:
        return winsorise(self.cells, len(self.categories))


def gather(
    reports: Iterable[Report],
    *,
    dataset: str | None = None,
    version: str = "",
    since_ms: int = 0,
    kinds: Collection[Kind] = _TRAIN,
) -> LossReports:
    """Gather reports about the draws of one dataset under the weights in force.

    Args:
        reports: Each once.
        dataset: The dataset whose weights a rule moves; None: the global weights. Reports of another dataset are
            dropped. Two kinds are not of another one, if they were drawn under just these weights: those that name no
            dataset; and any, where these are the global weights, as by a dataset without weights of its own.
        version: Version of the weights in force. Reports that name another one are stale; empty: none is.
        since_ms: When these weights came into force, Unix time in ms by the clock of Redis. Reports that name no
            version are stale if they were stored before.
        kinds: Kinds of reports that are used.
    """
    categories: dict[str, int] = {}
    reporters: dict[str, int] = {}
    cells: list[tuple[int, int, float, int, float]] = []
    used = stale = 0
    for report in reports:
        named = report.weights_version
        is_of_these = bool(version) and named == version
        is_general = dataset is None or report.dataset is None
        if report.kind not in kinds or not (report.dataset == dataset or (is_general and is_of_these)):
            continue  # it is of another dataset, or of another kind
        if (report.at_ms < since_ms) if named is None else version not in {"", named}:
            stale += 1
        else:
            used += 1
            who = reporters.setdefault(report.who, len(reporters))
            for name, loss in report.losses.items():
                which = categories.setdefault(name, len(categories))
                cells.append((which, who, loss.sum, loss.count, loss.squares))
    found = LossReports(tuple(categories), tuple(reporters), _columns(cells), used, stale)
    return found.merged()


def _indexes(names: Sequence[str], longer: Sequence[str]) -> Integers:
    places = {name: place for place, name in enumerate(longer)}
    return np.array([places[name] for name in names], np.int64)


def _columns(cells: Sequence[tuple[int, int, float, int, float]]) -> Cells:
    table = np.array(cells, np.float64).reshape(len(cells), 5).T.copy()
    return Cells(table[0].astype(np.int64), table[1].astype(np.int64), table[2], table[3], table[4])


NOTHING: Final = LossReports((), (), _columns(()))
"""No report at all."""
