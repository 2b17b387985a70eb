"""What `LossByCategory` costs a training step, beside the same loop that reports nothing.

A step hands over the losses of its chunks and their categories. The losses are a list, a NumPy array, or a tensor of
PyTorch. The tensor is on the CPU, or on a GPU if there is one. The categories are given by name, or by index. Cost is
the CPU time of the calling thread in `update`. It includes reports, so a report's work is spread over its steps. The
cost of steps without a report stands beside it. `training` is a real loop by PyTorch, where the caches are cold.

    python tests/bench/feedback.py [--json] [--server redis7] [--steps N] [--every N] [--rounds N]
"""

import argparse
import math
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import redis
import torch

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.harness import Servers, arguments, report, servers
from tests.support.waiting import wait_until_sync
from worker.client import LossByCategory, SampleClient
from worker.core.keys import Keys

KEYS: Final = Keys("audio")
NAMES: Final = [f"category-{number}" for number in range(8)]
SIZES: Final = (32, 256, 1024)
_WARM_UP: Final = 200
_US: Final = 1e6

Make = Callable[[Any], Any]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--steps", type=int, default=5000, help="steps of a round (default: 5000)")
    parser.add_argument("--every", type=int, default=50, help="steps of a report (default: 50)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds, of which the median is told (default: 5)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with servers(options.server) as at, SampleClient(at.redis_url) as client:
        rows = [_row(at, client, kind, size, options) for kind in _kinds() for size in SIZES]
        rows.append(_training(client, options))
    report("feedback", rows, as_json=options.json)


def _kinds() -> dict[str, Make]:
    """Return what holds losses and indexes, and what makes it of an array."""
    kinds: dict[str, Make] = {"list": lambda values: values.tolist(), "array": lambda values: values}
    kinds["tensor"] = torch.from_numpy
    if torch.cuda.is_available():
        kinds["tensor on a GPU"] = lambda values: torch.from_numpy(values).cuda()
    return {**kinds, **{f"{kind}, by index": kinds[kind] for kind in kinds if kind != "list"}}


def _row(at: Servers, client: SampleClient, kind: str, size: int, options: argparse.Namespace) -> dict[str, Any]:
    """Measure one kind of losses, and check that all of them were reported."""
    numbers = np.random.default_rng(1)
    make = _kinds()[kind]
    losses, places = make(numbers.gamma(2.0, 1.0, size).astype(np.float32)), numbers.integers(0, len(NAMES), size)
    categories = make(places) if "index" in kind else [NAMES[place] for place in places]
    whole, alone = [], []
    with redis.Redis.from_url(at.redis_url) as server:
        for _ in range(options.rounds):
            server.delete(KEYS.feedback)
            reported = LossByCategory(client, every=options.every, categories=NAMES)
            _update(reported, categories, losses, _WARM_UP)
            spent, light = _update(reported, categories, losses, options.steps)
            whole.append(_US * spent / options.steps)
            alone.append(_US * light)
            reported.report()
            reports = math.ceil((_WARM_UP + options.steps) / options.every)
            wait_until_sync(lambda: server.xlen(KEYS.feedback) == reports, timeout_s=60, what="all is stored")  # noqa: B023 - called at once
    return {
        "losses": kind,
        "chunks": size,
        "us/step": statistics.median(whole),
        "us/step max": max(whole),
        "us/step without a report": statistics.median(alone),
        "of us": None,
    }


def _update(reported: LossByCategory, categories: Any, losses: Any, steps: int) -> tuple[float, float]:
    """Return the seconds of all steps, and the median second of those that do not report."""
    each = []
    for _ in range(steps):
        began = time.thread_time()
        reported.update(categories, losses)
        each.append(time.thread_time() - began)
    return sum(each), statistics.median(each)


def _training(client: SampleClient, options: argparse.Namespace) -> dict[str, Any]:
    """Measure a small training."""
    runs = [_train(LossByCategory(client, every=options.every), options.steps // 5) for _ in range(options.rounds)]
    reporting, steps = zip(*runs, strict=True)
    return {
        "losses": "training, tensor",
        "chunks": SIZES[0],
        "us/step": statistics.median(reporting),
        "us/step max": max(reporting),
        "us/step without a report": None,
        "of us": statistics.median(steps),
    }


def _train(reported: LossByCategory, steps: int) -> tuple[float, float]:
    """Train a network of two layers; return the microseconds of a step in `update`, and in all."""
    torch.manual_seed(1)
    model = torch.nn.Sequential(torch.nn.Linear(64, 256), torch.nn.ReLU(), torch.nn.Linear(256, 64))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    spent, began = 0.0, time.thread_time()
    for names, x in _batches(steps):
        losses = torch.nn.functional.mse_loss(model(x), x, reduction="none").mean(dim=1)
        before = time.thread_time()
        reported.update(names, losses)
        spent += time.thread_time() - before
        optimizer.zero_grad()
        losses.mean().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return _US * spent / steps, _US * (time.thread_time() - began) / steps


def _batches(steps: int) -> Iterator[tuple[list[str], torch.Tensor]]:
    for step in range(steps):
        yield [NAMES[(step + place) % len(NAMES)] for place in range(SIZES[0])], torch.randn(SIZES[0], 64)


if __name__ == "__main__":
    main()
