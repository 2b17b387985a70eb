"""The acceptance test of an installation: weights set, drawn, changed, drawn again, and held against the counts."""

import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import anyio

from worker.adapters.redis_client import Client
from worker.adapters.redis_requests import RedisRequests, Words
from worker.adapters.redis_stats import RedisStats
from worker.adapters.redis_weights import RedisWeights
from worker.core.keys import Keys
from worker.core.statistics import fit_p, z_score
from worker.core.weights import UNREAD, Weights, default_weights, normalise, observe
from worker.core.wire import Reply, encode_request
from worker.errors import CheckError

_SIZE = 100
_AT_ONCE = 500
_CATEGORIES = 20
_CLEANUP_S = 5.0


@dataclass(frozen=True, slots=True)
class Row:
    """Hold one category of a round: its target share, how often it was drawn, and how far off that is."""

    category: str
    target: float
    count: int
    z: float


@dataclass(frozen=True, slots=True)
class Round:
    """Hold what was drawn under one set of weights."""

    version: str
    drawn: int
    p_value: float
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """Hold the outcome; `problem` says what kept it from being one."""

    rounds: tuple[Round, ...]
    problem: str | None

    def as_dict(self) -> dict[str, Any]:
        """Write it as plain data."""
        return {"rounds": [asdict(entry) for entry in self.rounds], "problem": self.problem}


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
    requests, weights = RedisRequests(client, keys, dataset), RedisWeights(client, keys)
    rounds: list[Round] = []
    try:
        await weights.store_quietly(dataset, await _weights_in_force(weights))
        categories = await _ready_categories(requests, dataset, timeout_s)
        for order in (categories, categories[::-1]):
            chosen = normalise({name: rank for rank, name in enumerate(order, 1)}, "dataset")
            assert chosen is not None  # noqa: S101 - ranks start from 1
            await weights.store_quietly(dataset, chosen.text)
            request = encode_request(dataset=dataset, size=_SIZE)
            results = await _draw(requests, [request] * -(-samples // _SIZE), timeout_s)
            rounds.append(_judge(chosen, results))
    except CheckError as error:
        return Report(tuple(rounds), str(error))
    finally:
        with anyio.move_on_after(_CLEANUP_S, shield=True):
            await weights.remove(dataset)
            weights.close()
            await requests.close()
            await RedisStats(client, keys).remove_dataset(dataset)
    return Report(tuple(rounds), None)


async def _weights_in_force(weights: RedisWeights) -> str:
    """Read the global weights as a worker would."""
    reading = (await weights.read([None]))[0]
    held, _ = observe(UNREAD, reading.mark, reading.value, "redis")
    return (held.weights or default_weights()).text


async def _ready_categories(requests: RedisRequests, dataset: str, timeout_s: float) -> list[str]:
    """Ask the workers which categories can be drawn, in the dataset's name so that no live count grows."""
    results = await _draw(requests, [encode_request(dataset=dataset, probabilities=1)], timeout_s)
    ready = results[0].ready
    return sorted(ready, key=lambda name: (-ready[name], name))[:_CATEGORIES]


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
    totals: dict[str, int] = dict.fromkeys(weights.shares, 0)
    for result in results:
        version = result.weights_version
        if version != weights.version:
            raise CheckError(f"a request was answered under weights {version}, and {weights.version} were in force")
        for name, count in result.counts.items():
            totals[name] = totals.get(name, 0) + count
    drawn = sum(totals.values())
    expected = {name: weights.shares.get(name, 0.0) * drawn for name in totals}
    rows = tuple(
        Row(
            name,
            weights.shares.get(name, 0.0),
            count,
            z_score(count, expected[name], expected[name] * (1 - weights.shares.get(name, 0.0))),
        )
        for name, count in totals.items()
    )
    return Round(weights.version, drawn, fit_p(list(totals.values()), list(expected.values())), rows)
