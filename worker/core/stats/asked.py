"""What weights ask for and draws cannot give, counted beside the expectations of the draws.

Draws depart from their weights for reasons that are known: a weighted category has no READY chunk, or runs out within a
request with `replace=0`. Expectations are those of the draws, so counts fit them all the same. `drift` compares counts
with the weights themselves, and takes the difference from here, with its reason.

A redrawn batch is no such reason: what it drew before was neither written nor counted.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from worker.core.events import DriftCause  # a reader of counts needs no events
    from worker.core.mixture import Floats, Integers, Mixture


class More(NamedTuple):
    """How much more of a category the weights ask for than is expected of the draws.

    Attributes:
        cause: Why draws cannot follow.
        amount: Chunks; seconds, if weights are shares of audio time.
        variance: How much larger the variance is under the weights.
    """

    cause: "DriftCause"
    amount: float
    variance: float


@dataclass(slots=True)
class Asked:
    """What was asked for beyond what draws could follow, in a batch or an interval.

    Attributes:
        seeded: Chunks of requests with a seed.
        incomplete: Dataset and mixture -> chunks drawn from a mixture that leaves out weighted categories.
        exhausted: Dataset and category -> amount and variance, of requests within which a category may run out.
        together: Dataset -> most chunks that one draw of a bucket decides on; datasets without such draws are left out.
    """

    seeded: int = 0
    incomplete: dict[tuple[str, "Mixture"], int] = field(default_factory=dict)
    exhausted: dict[tuple[str, str], tuple[float, float]] = field(default_factory=dict)
    together: dict[str, int] = field(default_factory=dict)

    def add_incomplete(self, dataset: str, mixture: "Mixture", chunks: int) -> None:
        """Count chunks drawn from a mixture that leaves out weighted categories."""
        key = (dataset, mixture)
        self.incomplete[key] = self.incomplete.get(key, 0) + chunks

    def add_exhausted(self, dataset: str, mixture: "Mixture", chunks: int, counts: "Integers") -> None:
        """Count requests within which a category may run out.

        Args:
            dataset: Whose weights they were drawn under.
            mixture: What they were drawn from.
            chunks: How many chunks they wanted.
            counts: int64, shape (k,): what they got of each category.
        """
        asked = chunks * mixture.probabilities
        more, variance = asked - counts, asked * (1.0 - mixture.probabilities)
        if mixture.times is not None:
            more, variance = more * mixture.times.means_s, variance * mixture.times.means_s**2
        self.add_more(dataset, mixture.categories, more, variance)

    def add_more(self, dataset: str, categories: tuple[str, ...], more: "Floats", variance: "Floats") -> None:
        """Count how much more would have come of each category, had none been able to run out.

        Args:
            dataset: Whose weights were drawn under.
            categories: Their names, shape (k,).
            more: float64, shape (k,): chunks, or seconds.
            variance: float64, shape (k,): how much larger the variance would be.
        """
        for name, *moments in zip(categories, more.tolist(), variance.tolist(), strict=True):
            self._exhaust((dataset, name), *moments)

    def add_together(self, dataset: str, most: int) -> None:
        """Note that one draw has decided on so many chunks at once."""
        self.together[dataset] = max(most, self.together.get(dataset, 1))

    def add(self, other: "Asked") -> None:
        """Add what another one has counted."""
        self.seeded += other.seeded
        for (dataset, mixture), chunks in other.incomplete.items():
            self.add_incomplete(dataset, mixture, chunks)
        for key, moments in other.exhausted.items():
            self._exhaust(key, *moments)
        for dataset, most in other.together.items():
            self.add_together(dataset, most)

    def of_each(self) -> dict[tuple[str, str], More]:
        """Return by dataset and category how much more the weights ask for, with the larger of two causes."""
        found = {key: More("exhausted", *moments) for key, moments in self.exhausted.items()}
        for (dataset, mixture), chunks in self.incomplete.items():
            for name, amount, variance in _left_out(mixture, chunks):
                before = found.get((dataset, name), More("left-out", 0.0, 0.0))
                cause: DriftCause = "left-out" if abs(amount) >= abs(before.amount) else before.cause
                found[dataset, name] = More(cause, before.amount + amount, before.variance + variance)
        return found

    def _exhaust(self, key: tuple[str, str], amount: float, variance: float) -> None:
        before = self.exhausted.get(key, (0.0, 0.0))
        self.exhausted[key] = before[0] + amount, before[1] + variance


def _left_out(mixture: "Mixture", chunks: int) -> Iterator[tuple[str, float, float]]:
    """Yield what the weights ask for of categories without READY chunks, and so less of the others."""
    each = 1.0 if mixture.times is None else mixture.times.mean_s
    shares = mixture.shares if mixture.times is None else mixture.times.shares
    lost, total = sum(mixture.left_out_shares), chunks * each
    for name, share in zip(mixture.left_out, mixture.left_out_shares, strict=True):
        yield name, total * share, total * each * share * (1.0 - share)
    for name, share in zip(mixture.categories, shares, strict=True):
        asked = share * (1.0 - lost)
        yield name, -total * share * lost, total * each * (asked * (1.0 - asked) - share * (1.0 - share))
