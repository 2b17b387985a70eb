"""Rules that learn, on simulated learners: the loss at the end, beside that of mixes that never move.

    python tests/bench/adjust.py [--json] [--seeds N] [--picture FILE]

Each learner has a law of its own (`learners.py`), and a mix of a person who did not tune it: `default`. A rule begins
there, which is also its prior. It hears 20 reports a step of five reporters. `best fixed` is found by a search that
only a simulation can do; `gap` is how far the mean loss of all categories is above that. `±` is half a 95 % interval
over seeds, of paired differences. `bare` rules have no prior, limit, gate or alarm.
"""

import os
import sys
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import scipy

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.harness import arguments, report
from tests.bench.learners import (
    CATEGORIES,
    CHUNKS,
    SIZES,
    SPREAD,
    STEPS,
    Array,
    Laws,
    Learners,
    best_fixed,
    draw_laws,
    train,
)
from tests.support.losses import loss_reports
from tests.support.steps import Stepped
from worker.core.adjust.reports import LossReports
from worker.core.adjust.starting import unimax

REPORTERS, REPORTS = 5, 20
RULES_SHOWN: Final = ("proportional", "excess", "bandit", "ado")
_BARE: Final = {"reports": 2, "within": 0.0, "stuck_after": 0}
_UNIMAX, _FIRST_PHASE = 2, 0.8


@dataclass(frozen=True)
class Scenario:
    """What is special about a training.

    Attributes:
        change: Changes the laws.
        tell: Changes reported means, shape (reports, k).
        delay: Steps by which reports are late.
    """

    change: Callable[[Laws], Laws] = lambda laws: laws
    tell: Callable[[Array], Array] = lambda means: means
    delay: int = 0


def _with(index: int, **values: float) -> Callable[[Laws], Laws]:
    """Give one category other values, in all learners."""

    def change(laws: Laws) -> Laws:
        arrays = {name: getattr(laws, name).copy() for name in values}
        for name, value in values.items():
            arrays[name][:, index] = value
        return replace(laws, **arrays)

    return change


def _alike(laws: Laws) -> Laws:
    """Make all categories alike, so that only noise distinguishes them."""
    means = {name: getattr(laws, name).mean(axis=1, keepdims=True) for name in ("irreducible", "reducible", "exponent")}
    sizes = np.full_like(laws.sizes, SIZES.mean())
    transfer = np.broadcast_to(np.where(np.eye(len(SIZES)) > 0, 1.0, 0.07), laws.transfer.shape)
    arrays = {name: np.broadcast_to(mean, laws.sizes.shape) for name, mean in means.items()}
    return replace(laws, sizes=sizes, transfer=transfer, **arrays)


def _liar(means: Array) -> Array:
    """Make the last reporter report five times the true loss of voice."""
    factors = np.ones_like(means)
    factors[REPORTERS - 1 :: REPORTERS, 0] = 5.0
    return means * factors


def _says(value: float) -> Callable[[Array], Array]:
    """Make all reports of voice say this value."""
    return lambda means: np.where(np.arange(means.shape[1]) == 0, value, means)


SCENARIOS: Final[Mapping[str, Scenario]] = {
    "ordinary": Scenario(),
    "one hard": Scenario(_with(0, irreducible=2.0, reducible=2.5, exponent=0.15)),
    "one saturated": Scenario(_with(0, before=1e8)),
    "one is noise": Scenario(_with(0, irreducible=5.0, reducible=0.0)),
    "all alike": Scenario(_alike),
    "drifting": Scenario(_with(0, drift=0.1)),
    "late reports": Scenario(delay=10),
    "a reporter lies": Scenario(tell=_liar),
    "broken, reads 0": Scenario(tell=_says(0.0)),
    "broken, reads 9": Scenario(tell=_says(9.0)),
    "one tiny": Scenario(_with(len(SIZES) - 1, sizes=500.0)),
}


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--seeds", type=int, default=20, help="learners of each scenario (default: 20)")
    parser.add_argument("--picture", type=Path, help="draw a picture, too, such as adjust.svg")
    options = parser.parse_args()
    tasks = [(name, options.seeds) for name in SCENARIOS]
    with ProcessPoolExecutor(min(os.cpu_count() or 1, len(tasks))) as pool:
        found = dict(zip(SCENARIOS, pool.map(run_scenario, tasks), strict=True))
    everywhere = {mix: np.mean([losses[mix] for losses in found.values()], axis=0) for mix in found["ordinary"]}
    rows = [row for name, losses in {**found, "mean of all": everywhere}.items() for row in rows_of(name, losses)]
    if options.picture:
        from tests.bench.adjust_picture import draw_adjust

        options.picture.write_bytes(draw_adjust(rows, options.picture.suffix))
    report("adjust", rows, as_json=options.json)


def rows_of(scenario: str, losses: Mapping[tuple[str, bool], Array]) -> list[dict[str, Any]]:
    """Compare the losses of each mix, shape (seeds,), with those of three mixes that never move."""
    rows = []
    for (mix, is_guarded), found in losses.items():
        row: dict[str, Any] = {"scenario": scenario, "mix": mix, "guards": "yes" if is_guarded else "bare"}
        row |= {"loss": float(found.mean())}
        for title, other in (("gap", "best fixed"), ("to default", "default"), ("to uniform", "uniform")):
            differences = found - losses[other, True]
            row |= {title: float(differences.mean()), f"{title} ±": _half_interval(differences)}
        rows.append(row)
    return rows


def _half_interval(values: Array) -> float:
    """Return half a 95 % interval of the mean."""
    return float(scipy.stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))


def run_scenario(task: tuple[str, int]) -> dict[tuple[str, bool], Array]:
    """Train under each mix and each rule; return (mix, through the guards) -> mean losses, shape (seeds,)."""
    name, seeds = task
    scenario = SCENARIOS[name]
    laws, prior = draw_laws(seeds)
    laws = scenario.change(laws)
    uniform = np.full_like(prior, 1.0 / prior.shape[1])
    by_size = laws.sizes / laws.sizes.sum(axis=1, keepdims=True)
    capped = unimax(dict(zip(CATEGORIES, laws.sizes[0].tolist(), strict=True)), _UNIMAX, STEPS * CHUNKS).shares
    fixed = {
        "default": prior,
        "by size": by_size,
        "uniform": uniform,
        f"UniMax {_UNIMAX}": np.tile([capped[category] for category in CATEGORIES], (seeds, 1)),
        "best fixed": best_fixed(laws),
    }
    ends = {(mix, True): train(laws, [shares] * STEPS) for mix, shares in fixed.items()}
    first = int(_FIRST_PHASE * STEPS)
    ends["two-phase", True] = train(laws, [by_size] * first + [uniform] * (STEPS - first))
    references = ends["default", True]
    for rule in RULES_SHOWN:
        for is_guarded in (True, False):
            rows = [
                _Run(scenario, laws.of(np.array([seed])), prior[seed], seed).end(
                    _settings(rule, references[seed], is_guarded=is_guarded)
                )
                for seed in range(seeds)
            ]
            ends[rule, is_guarded] = np.stack(rows)
    return {mix: losses.mean(axis=1) for mix, losses in ends.items()}


def _settings(rule: str, reference: Array, *, is_guarded: bool) -> Mapping[str, Any]:
    """Return settings as people have them, but for the reference of `excess`: a training under the default mix."""
    parameters: dict[str, Any] = {} if is_guarded else dict(_BARE)
    if rule == "excess":
        parameters["reference"] = dict(zip(CATEGORIES, reference.tolist(), strict=True))
    wanted: dict[str, Any] = {"rule": rule, "parameters": parameters, "mode": "on"}
    return wanted if is_guarded else {**wanted, "strength": 0.0, "most_change": None}


class _Run:
    """One training under a rule, whose steps are planned as a worker plans them.

    Args:
        scenario: What is special about it.
        laws: Laws of one learner.
        prior: The mix that the rule begins with, and is anchored to, shape (k,).
        seed: Of what chance does to reports.
    """

    def __init__(self, scenario: Scenario, laws: Laws, prior: Array, seed: int) -> None:
        self._scenario = scenario
        self._learners = Learners(laws)
        self._ready = dict(zip(CATEGORIES, laws.sizes[0].astype(np.int64).tolist(), strict=True))
        self._prior = dict(zip(CATEGORIES, prior.tolist(), strict=True))
        self._rng = np.random.default_rng([18, seed])

    def end(self, wanted: Mapping[str, Any]) -> Array:
        """Train, and return the losses at the end, shape (k,). Reports from before the last move are dropped."""
        rule = Stepped(self._prior, self._ready, **wanted)
        under_way: deque[tuple[str, LossReports]] = deque()
        drawn = np.zeros(len(CATEGORIES))
        for step in range(STEPS):
            shares, version = rule.shares, rule.version
            weights = np.array([shares.get(name, 0.0) for name in CATEGORIES])
            under_way.append((version, self._tell(weights)))
            self._learners.hear(weights[None])
            drawn += CHUNKS * weights
            if step < self._scenario.delay:
                continue
            drawn_under, losses = under_way.popleft()
            if drawn_under == version:
                rule.hear(losses, dict(zip(CATEGORIES, np.floor(drawn).tolist(), strict=True)))
        return np.array(self._learners.losses[0])

    def _tell(self, weights: Array) -> LossReports:
        """Report the losses of one step, as means of what single chunks have."""
        counts = self._rng.multinomial(CHUNKS // REPORTS, weights / weights.sum(), REPORTS)
        noise = SPREAD * self._rng.standard_normal(counts.shape) / np.sqrt(np.maximum(counts, 1))
        means = self._scenario.tell(self._learners.losses + noise)
        return loss_reports(CATEGORIES, means, np.array(SPREAD), counts, [row % REPORTERS for row in range(REPORTS)])


if __name__ == "__main__":
    main()
