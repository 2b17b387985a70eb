"""Plans: a group of requests that are drawn in one go, all from one mixture, or each from one of several.

Several mixtures of the same categories lie side by side on [0, 1), each as wide as any other. A *cell* is a category of
one of these mixtures. A number within the range of a mixture chooses a cell of it, and a chunk of the cell. For one
mixture alone, a number in [0, 1) chooses a category and a chunk likewise.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from worker.core.mixture import Finder, Floats, Integers, Mixture

Item = TypeVar("Item", bound=np.generic)
_BELOW_ONE: Final = 1.0 - 2.0**-40  # so that no number is rounded up into the next mixture, whatever its own one is


class Several(NamedTuple):
    """Several mixtures of the same categories, in some of which a category may have no chunks.

    Attributes:
        finder: Finds the cell of a number, and a chunk.
        columns: int64, shape (c,): the category of each cell that has chunks.
        cells: int64, shape (m, k): the finder's number of each cell; without meaning where there are no chunks.
        ready: int64, shape (m, k): number of READY chunks of each cell.
        shares: float64, shape (m, k): chances of the categories, rows summing to 1.
        cumulative: float64, shape (m, k), ascending to exactly 1.
    """

    finder: Finder
    columns: Integers
    cells: Integers
    ready: Integers
    shares: Floats
    cumulative: Floats

    def narrow(self, uniforms: Floats, lows: Floats | float) -> None:
        """Move numbers into the ranges of mixtures, in place.

        Args:
            uniforms: float64, shape (n,), in [0, 1).
            lows: float64, shape (n,), or one for all: where the range of each begins.
        """
        uniforms *= _BELOW_ONE / len(self.cells)
        uniforms += lows


class Found(NamedTuple):
    """What numbers stand for.

    Attributes:
        cells: int64, shape (n,): cells of `Several`; without several mixtures, categories.
        columns: int64, shape (n,): their categories.
    """

    cells: Integers
    columns: Integers


class Choice(NamedTuple):
    """Several mixtures, and which of them each request draws from.

    Attributes:
        several: The mixtures.
        chosen: int64, shape (r,).
    """

    several: Several
    chosen: Integers

    def of_each(self, table: NDArray[Item]) -> NDArray[Item]:
        """Return the rows of a table, shape (m, k), that requests draw from, shape (r, k)."""
        return table.take(self.chosen, axis=0)


class Plan(NamedTuple):
    """A group of requests that are drawn in one go.

    Attributes:
        mixture: The weights and READY chunks that they all draw from.
        sizes: int64, shape (r,): chunks wanted, >= 1; without replacement at most all READY ones.
        seeds: Shape (r,): each request's seed, or None.
        replace: Whether a chunk may come twice within a request.
        stratified: Systematic sampling of the categories instead of independent draws.
        choice: What each request draws from instead of `mixture`, whose categories these have; None: nothing.
    """

    mixture: Mixture
    sizes: Integers
    seeds: Sequence[int | None]
    replace: bool
    stratified: bool
    choice: Choice | None = None

    @property
    def finder(self) -> Finder:
        """Return what finds the cells of numbers, and chunks of cells."""
        return self.mixture.finder if self.choice is None else self.choice.several.finder

    @property
    def ready(self) -> Integers:
        """Return the number of READY chunks by category, shape (k,), or by request and category, shape (r, k)."""
        return self.mixture.ready if self.choice is None else self.choice.of_each(self.choice.several.ready)

    @property
    def shares(self) -> Floats:
        """Return the chances of the categories, shape (k,) or (r, k)."""
        return self.mixture.probabilities if self.choice is None else self.choice.of_each(self.choice.several.shares)

    @property
    def cumulative(self) -> Floats:
        """Return the sums of these, shape (k,) or (r, k), ascending to exactly 1."""
        return self.mixture.cumulative if self.choice is None else self.choice.of_each(self.choice.several.cumulative)

    @property
    def width(self) -> int:
        """Return the number of categories."""
        return len(self.mixture.categories)

    def of(self, some: slice) -> "Plan":
        """Return the plan of some of the requests alone."""
        choice = None if self.choice is None else self.choice._replace(chosen=self.choice.chosen[some])
        return self._replace(sizes=self.sizes[some], seeds=self.seeds[some], choice=choice)

    def find(self, uniforms: Floats) -> "Found":
        """Find the cells and categories of numbers, and move these in place to where they choose chunks.

        Args:
            uniforms: float64, shape (sizes.sum(),), in [0, 1), request after request.
        """
        if self.choice is None:
            columns = self.mixture.finder.find(uniforms)
            return Found(columns, columns)
        several, chosen = self.choice
        several.narrow(uniforms, (chosen / len(several.cells)).repeat(self.sizes))
        cells = several.finder.find(uniforms)
        return Found(cells, several.columns.take(cells, mode="clip"))

    def cells_of(self, owners: Integers, columns: Integers) -> Integers:
        """Find the cells of categories.

        Args:
            owners: int64, shape (n,): rows of requests.
            columns: int64, shape (n,): a category for each.
        """
        if self.choice is None:
            return columns
        several, chosen = self.choice
        cells: Integers = several.cells.ravel().take(chosen.take(owners) * several.cells.shape[1] + columns)
        return cells
