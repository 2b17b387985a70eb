"""The acceptance test of an installation: weights set, drawn, changed, drawn again, and held against the counts."""

import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import anyio

from worker.adapters.redis.client import Client
from worker.adapters.redis.requests import RedisRequests, Words
from worker.adapters.redis.stats import RedisStats
from worker.adapters.redis.weights import RedisWeights
from worker.core.keys import CHECK, Keys
from worker.core.stats import CategoryCount
from worker.core.stats.judging import Round, judge, judge_seconds
from worker.core.weights.in_force import UNREAD, observe
from worker.core.weights.values import Weights, normalise
from worker.core.wire import Reply, encode_request
from worker.core.workers.ready import ready_of
from worker.core.workers.states import disagreement, read_workers
from worker.errors import CheckError, NotTestedError, RedisError

_SIZE = 100
_AT_ONCE = 500
_CATEGORIES = 20
_CLEANUP_S = 5.0


@dataclass(frozen=True, slots=True)
class Report:
    """Hold the outcome.

    Attributes:
        rounds: What was drawn, as far as it came.
        problem: What kept it from being an outcome, or is wrong whatever the counts say.
        tested: Whether it says anything about the distribution.
        left: What could not be removed, in a sentence; None: nothing is left behind.
    """

    rounds: tuple[Round, ...]
    problem: str | None = None
    tested: bool = True
    left: str | None = None

    def fits(self, significance: float) -> bool | None:
        """Tell whether the distribution fits the weights; None: that was not tested.

        Args:
            significance: False alarms accepted.
        """
        if not self.tested:
            return None
        return self.problem is None and all(entry.p_value >= significance for entry in self.rounds)

    def as_dict(self) -> dict[str, Any]:
        """Write it as plain data."""
        return {
            "tested": self.tested,
            "rounds": [asdict(entry) for entry in self.rounds],
            "problem": self.problem,
            "left": self.left,
        }


@dataclass(frozen=True, slots=True)
class _Trial:
    """Where a check draws, on a dataset of its own, and how much."""

    dataset: str
    requests: RedisRequests
    stats: RedisStats
    weights: RedisWeights
    samples: int
    timeout_s: float


async def run_check(
    client: Client, keys: Keys, *, samples: int, timeout_s: float, tell: Callable[[str], None]
) -> Report:
    """Draw under two sets of weights, on a dataset that is removed again.

    Args:
        client: A connection.
        keys: Names in Redis.
        samples: Chunks to draw in each round.
        timeout_s: Longest wait of a round.
        tell: Is told in a sentence what could not be removed again, whatever else happens.

    Raises:
        RedisError: Redis did not answer, or refused.
    """
    dataset, weights = f"{CHECK}{secrets.token_hex(6)}", RedisWeights(client, keys)
    trial = _Trial(dataset, RedisRequests(client, keys, dataset), RedisStats(client, keys), weights, samples, timeout_s)
    try:
        workers = read_workers(await trial.stats.workers())
        if problem := disagreement(workers):
            return Report((), problem, tested=False)
        return await _carry_out(trial, await _weights_in_force(weights, ready_of(workers).defaults), tell)
    finally:
        weights.close()


async def _carry_out(trial: _Trial, in_force: str, tell: Callable[[str], None]) -> Report:
    """Draw and judge, and remove everything again, however that ends; tell what could not be removed."""
    try:
        report = await _draw_and_judge(trial, in_force)
    finally:
        left = await _clean_up(trial)
        if left is not None:
            tell(left)
    return replace(report, left=left)


async def _draw_and_judge(trial: _Trial, in_force: str) -> Report:
    rounds: list[Round] = []
    try:
        await trial.weights.store_quietly(trial.dataset, in_force)
        await _draw_rounds(trial, rounds)
    except NotTestedError as error:
        return Report(tuple(rounds), str(error), tested=False)
    except CheckError as error:
        return Report(tuple(rounds), str(error))
    return Report(tuple(rounds))


async def _clean_up(trial: _Trial) -> str | None:
    """Remove all that a check made, each thing although another cannot be; tell in a sentence what is left."""
    steps: dict[str, Callable[[], Awaitable[None]]] = {
        "requests": trial.requests.withdraw,
        "weights": lambda: trial.weights.remove(trial.dataset),
        "results": trial.requests.close,
        "counts": lambda: trial.stats.remove_dataset(trial.dataset),
    }
    left, reason = list(steps), "Redis did not answer in time"
    with anyio.move_on_after(_CLEANUP_S, shield=True):
        for name, step in steps.items():
            try:
                await step()
                left.remove(name)
            except RedisError as error:
                reason = str(error)
    return f"{', '.join(left)} of dataset {trial.dataset} could not be removed: {reason}" if left else None


async def _draw_rounds(trial: _Trial, rounds: list[Round]) -> None:
    """Draw under two sets of weights, one the reverse of the other."""
    categories = await _ready_categories(trial)
    for order in (categories, categories[::-1]):
        chosen = normalise({name: rank for rank, name in enumerate(order, 1)}, "dataset")
        assert chosen is not None  # noqa: S101 - ranks start from 1
        await trial.weights.store_quietly(trial.dataset, chosen.text)
        rounds.append(await _draw_round(trial, chosen))


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
        return judge(weights, results)
    return judge_seconds(weights, results, before, await _counted(trial))


async def _draw(requests: RedisRequests, wanted: Sequence[Words], timeout_s: float) -> list[Reply]:
    """Draw some requests, a few hundred at a time."""
    results: list[Reply] = []
    deadline = time.monotonic() + timeout_s
    for start in range(0, len(wanted), _AT_ONCE):
        left_s = deadline - time.monotonic()
        if len(results) < start or left_s <= 0:
            break
        found = await requests.sample(wanted[start : start + _AT_ONCE], timeout_s=left_s)
        results += found.values()
    if len(results) < len(wanted):
        came = f"{len(results):,} of {len(wanted):,} results" if results else "no result"
        raise NotTestedError(f"{came} came within {timeout_s:g} s; is a worker running?")
    for result in results:
        if result.error is not None:
            raise NotTestedError(f"a request got {result.error}: {result.message}")
    return results


async def _counted(trial: _Trial) -> dict[str, CategoryCount]:
    """Read what the workers have counted for the trial's dataset."""
    counts = await trial.stats.read()
    return {row.category: row for row in counts.categories if row.dataset == trial.dataset}
