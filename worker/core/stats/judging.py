"""Whether what was drawn in one round of a check fits the weights that it was drawn under."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from worker.core.stats import CategoryCount
from worker.core.stats.fit import RandomSum, fit_of_sums_p, fit_p, z_score
from worker.core.weights.values import Weights
from worker.core.wire import Reply
from worker.errors import CheckError

_ROUNDING_S = 0.0005
_ROUNDING = 1e-4


@dataclass(frozen=True, slots=True)
class Row:
    """Hold one category of a round: its target share, how much of it was drawn, and how far off that is.

    Attributes:
        seconds: How long the chunks last, where weights are shares of audio time; else None.
    """

    category: str
    target: float
    count: int
    seconds: float | None
    z: float


@dataclass(frozen=True, slots=True)
class Round:
    """Hold what was drawn under one set of weights."""

    version: str
    drawn: int
    p_value: float
    rows: tuple[Row, ...]

    @property
    def total(self) -> float:
        """Tell what the targets are shares of: the chunks drawn, or their seconds."""
        return sum(row.count if row.seconds is None else row.seconds for row in self.rows)


def judge(weights: Weights, results: Sequence[Reply]) -> Round:
    """Hold the counts of a round against its weights."""
    totals = _total_counts(weights, results)
    drawn = sum(totals.values())
    expected = {name: weights.shares.get(name, 0.0) * drawn for name in totals}
    rows = tuple(
        Row(
            name,
            weights.shares.get(name, 0.0),
            count,
            None,
            z_score(count, expected[name], expected[name] * (1 - weights.shares.get(name, 0.0))),
        )
        for name, count in totals.items()
    )
    return Round(weights.version, drawn, fit_p(list(totals.values()), list(expected.values())), rows)


def _total_counts(weights: Weights, results: Sequence[Reply]) -> dict[str, int]:
    """Add up the counts of a round, which has to be drawn under its weights."""
    totals: dict[str, int] = dict.fromkeys(weights.shares, 0)
    for result in results:
        version = result.weights_version
        if version != weights.version:
            raise CheckError(f"a request was answered under weights {version}, and {weights.version} were in force")
        for name, count in result.counts.items():
            totals[name] = totals.get(name, 0) + count
    return totals


def judge_seconds(
    weights: Weights,
    results: Sequence[Reply],
    before: Mapping[str, CategoryCount],
    after: Mapping[str, CategoryCount],
) -> Round:
    """Hold the seconds of a round against its weights; the workers tell what these make one expect of durations."""
    totals, seconds_of = _total_counts(weights, results), _total_seconds(results)
    drawn, probabilities = sum(totals.values()), results[0].weights
    rows: list[Row] = []
    sums: list[RandomSum] = []
    for name, count in totals.items():
        seconds = seconds_of.get(name, 0.0)
        amount, expected, variance = _grown(after.get(name), before.get(name))
        if abs(amount - seconds) > _ROUNDING_S:
            raise CheckError(f"the workers counted {amount:.3f} s of {name}, and the results add up to {seconds:.3f} s")
        rows.append(
            Row(name, weights.shares.get(name, 0.0), count, round(seconds, 3), z_score(seconds, expected, variance))
        )
        sums.append(RandomSum(seconds, expected, variance, count, drawn * probabilities.get(name, 0.0)))
    _check_proportion(rows, [one.expected for one in sums])
    return Round(weights.version, drawn, fit_of_sums_p(sums), tuple(rows))


def _total_seconds(results: Sequence[Reply]) -> dict[str, float]:
    totals: dict[str, float] = {}
    for result in results:
        for name, seconds in result.seconds.items():
            totals[name] = totals.get(name, 0.0) + seconds
    return totals


def _grown(after: CategoryCount | None, before: CategoryCount | None) -> tuple[float, float, float]:
    """Tell how much seconds, their expectation and its variance have grown."""
    now, then = ((row.amount, row.expected, row.variance) if row else (0.0, 0.0, 0.0) for row in (after, before))
    return now[0] - then[0], now[1] - then[1], max(0.0, now[2] - then[2])


def _check_proportion(rows: Sequence[Row], expected: Sequence[float]) -> None:
    """Check that the seconds expected of the categories are in proportion to their weights."""
    total = sum(expected)
    for row, seconds in zip(rows, expected, strict=True):
        if abs(seconds - row.target * total) > _ROUNDING * total:
            share = f"{seconds / total:.4%} of the seconds of {row.category}" if total else "no second"
            raise CheckError(f"the workers expected {share}, and its weight is {row.target:.4%}")
