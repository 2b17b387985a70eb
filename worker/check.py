"""The acceptance test of an installation: weights set, drawn, changed, drawn again, and held against the counts."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import anyio

from worker.adapters.redis_client import Client
from worker.adapters.redis_requests import RedisRequests, Words
from worker.adapters.redis_stats import RedisStats
from worker.adapters.redis_weights import RedisWeights
from worker.core.keys import Keys
from worker.core.statistics import RandomSum, fit_of_sums_p, fit_p, z_score
from worker.core.tally import CategoryCount
from worker.core.weights import UNREAD, Weights, normalise, observe
from worker.core.wire import Reply, encode_request
from worker.core.workers import WorkerState, disagreement, read_workers, ready_of
from worker.errors import CheckError

_SIZE = 100
_AT_ONCE = 500
_CATEGORIES = 20
_CLEANUP_S = 5.0
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


@dataclass(frozen=True, slots=True)
class Report:
    """Hold the outcome; `problem` says what kept it from being one."""

    rounds: tuple[Round, ...]
    problem: str | None

    def as_dict(self) -> dict[str, Any]:
        """Write it as plain data."""
        return {"rounds": [asdict(entry) for entry in self.rounds], "problem": self.problem}


@dataclass(frozen=True, slots=True)
class _Trial:
    """Where a check draws, on a dataset of its own, and how much."""

    dataset: str
    requests: RedisRequests
    stats: RedisStats
    samples: int
    timeout_s: float


async def run_check(client: Client, keys: Keys, *, samples: int, timeout_s: float) -> Report:
    """Draw under two sets of weights, on a dataset that is removed again.

    Args:
        client: A connection.
        keys: Names in Redis.
        samples: Chunks to draw in each round.
        timeout_s: Longest wait of a round.

    Raises:
        RedisError: Redis did not answer, or refused.
    """
    dataset = f"check-{secrets.token_hex(6)}"
    trial = _Trial(dataset, RedisRequests(client, keys, dataset), RedisStats(client, keys), samples, timeout_s)
    weights = RedisWeights(client, keys)
    rounds: list[Round] = []
    try:
        workers = await _live_workers(trial.stats)
        await weights.store_quietly(dataset, await _weights_in_force(weights, ready_of(workers).defaults))
        categories = await _ready_categories(trial)
        for order in (categories, categories[::-1]):
            chosen = normalise({name: rank for rank, name in enumerate(order, 1)}, "dataset")
            assert chosen is not None  # noqa: S101 - ranks start from 1
            await weights.store_quietly(dataset, chosen.text)
            rounds.append(await _draw_round(trial, chosen))
    except CheckError as error:
        return Report(tuple(rounds), str(error))
    finally:
        with anyio.move_on_after(_CLEANUP_S, shield=True):
            await weights.remove(dataset)
            weights.close()
            await trial.requests.close()
            await trial.stats.remove_dataset(dataset)
    return Report(tuple(rounds), None)


async def _live_workers(stats: RedisStats) -> list[WorkerState]:
    """Read what live workers show; they have to agree in the unit of weights."""
    workers = read_workers(await stats.workers())
    if problem := disagreement(workers):
        raise CheckError(problem)
    return workers


async def _weights_in_force(weights: RedisWeights, defaults: Weights) -> str:
    """Read the global weights as a worker would."""
    reading = (await weights.read([None]))[0]
    held, _ = observe(UNREAD, reading.mark, reading.value, "redis")
    return (held.weights or defaults).text


async def _ready_categories(trial: _Trial) -> list[str]:
    """Ask the workers which categories can be drawn, in the dataset's name so that no live count grows."""
    request = encode_request(dataset=trial.dataset, probabilities=1)
    results = await _draw(trial.requests, [request], trial.timeout_s)
    ready = results[0].ready
    return sorted(ready, key=lambda name: (-ready[name], name))[:_CATEGORIES]


async def _draw_round(trial: _Trial, weights: Weights) -> Round:
    """Draw under weights that have just been set on the trial's dataset, and judge what came."""
    first, other = (encode_request(dataset=trial.dataset, size=_SIZE, probabilities=told) for told in (1, 0))
    before = await _counted(trial)
    wanted = [first, *[other] * (-(-trial.samples // _SIZE) - 1)]
    results = await _draw(trial.requests, wanted, trial.timeout_s)
    if "seconds" not in results[0].fields:
        return _judge(weights, results)
    return _judge_seconds(weights, results, before, await _counted(trial))


async def _draw(requests: RedisRequests, wanted: Sequence[Words], timeout_s: float) -> list[Reply]:
    """Draw some requests, a few hundred at a time."""
    results: list[Reply] = []
    with anyio.move_on_after(timeout_s):
        for start in range(0, len(wanted), _AT_ONCE):
            found = await requests.sample(wanted[start : start + _AT_ONCE], timeout_s=timeout_s)
            results += found.values()
    if len(results) < len(wanted):
        missing = len(wanted) - len(results)
        raise CheckError(
            f"{missing} of {len(wanted)} results did not come within {timeout_s:g} s; is a worker running?"
        )
    for result in results:
        if result.error is not None:
            raise CheckError(f"a request got {result.error}: {result.message}")
    return results


def _judge(weights: Weights, results: Sequence[Reply]) -> Round:
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


async def _counted(trial: _Trial) -> dict[str, CategoryCount]:
    """Read what the workers have counted for the trial's dataset."""
    counts = await trial.stats.read()
    return {row.category: row for row in counts.categories if row.dataset == trial.dataset}


def _judge_seconds(
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
