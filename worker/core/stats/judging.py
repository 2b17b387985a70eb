"""Judge one round of `sampling-worker check`: does what was drawn fit the weights that it was drawn under?"""

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
    """One category of a round.

    Attributes:
        category: Its name.
        target: Its weight, 0 to 1.
        count: Chunks drawn.
        seconds: How long they last, if weights are shares of audio time; else None.
        z: How many standard deviations this is from its expectation.
    """

    category: str
    target: float
    count: int
    seconds: float | None
    z: float


@dataclass(frozen=True, slots=True)
class Round:
    """What was drawn under one set of weights, and the probability of a fit no better than this."""

    version: str
    drawn: int
    p_value: float
    rows: tuple[Row, ...]

    @property
    def total(self) -> float:
        """Return the total that targets are shares of: the chunks drawn, or their seconds."""
        return sum(row.count if row.seconds is None else row.seconds for row in self.rows)


def judge(weights: Weights, results: Sequence[Reply]) -> Round:
    """Compare the counts of a round with its weights.

    Raises:
        CheckError: A result was drawn under other weights.
    """
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
    """Add up the counts of a round, and check that all was drawn under its weights."""
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
    """Compare the seconds of a round with its weights. The counts of the workers say what to expect of durations.

    Args:
        weights: The weights of the round.
        results: Its results.
        before: Category -> the counts of the workers before the round.
        after: Category -> their counts after it.

    Raises:
        CheckError: Results, counts and weights contradict each other.
    """
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
    """Return by how much seconds, their expectation and their variance have grown."""
    now, then = ((row.amount, row.expected, row.variance) if row else (0.0, 0.0, 0.0) for row in (after, before))
    return now[0] - then[0], now[1] - then[1], max(0.0, now[2] - then[2])


def _check_proportion(rows: Sequence[Row], expected: Sequence[float]) -> None:
    """Check that the expected seconds of the categories are in proportion to their weights."""
    total = sum(expected)
    for row, seconds in zip(rows, expected, strict=True):
        if abs(seconds - row.target * total) > _ROUNDING * total:
            share = f"{seconds / total:.4%} of the seconds of {row.category}" if total else "no second"
            raise CheckError(f"the workers expected {share}, and its weight is {row.target:.4%}")
