"""Autoscaling, simulated: how long trainings wait and how many workers run, under the rule of deploy/ and others.

    python tests/bench/autoscale.py [--json] [--days N] [--picture FILE]

Trainings are closed loops. Each asks at its rate and has a limited number of requests in flight. It asks no further
while these are not answered. It trains for 20 to 40 minutes, and pauses for 2 to 25, for evaluations and checkpoints.
Nobody trains at night. `scaling.py` simulates KEDA and its HPA step by step. `ours` and `ours to zero` are read from
deploy/. `ordinary.py` and `throughput.py` measured the CPU time of a request. `waiting` is the part of the training
time that trainings spent waiting for samples. `±` is half a 95 % interval over days. A training is stopped when it
waits for everything; `a stop` is the mean length of these stops. `ended` counts how often the last worker went while
somebody trained.
"""

import math
import random
import sys
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from statistics import mean, stdev
from typing import Any, Final

import yaml

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.harness import arguments, report
from tests.bench.loads import LARGE, SLOW, SMALL, Kind, Load
from tests.bench.scaling import SYNC_S, Look, Rule, Scaler, read_rule

_OVERLAYS: Final = Path(__file__).parents[2] / "deploy" / "kubernetes" / "overlays"
STEP_S: Final = 5
DAY_S: Final = 86_400
START_S: Final = 30
"""From the wish for a pod to a worker that serves: a node with the image, the catalog read, a probe each 5 s."""
_OPENS_S, _CLOSES_S = 8 * 3600, 18 * 3600
_TRAINS_S, _PAUSES_S, _LASTS_S = (1200, 2400), (120, 1500), (2 * 3600, 8 * 3600)


@dataclass(frozen=True, slots=True)
class Scenario:
    """Who trains on a day.

    Attributes:
        trainings: How many.
        rates: Fewest and most requests/s of one.
        in_flight: Requests that one has in flight at most: ranks, times loader processes, times what each asks ahead.
        kind: What its requests cost.
        together: Whether all begin, pause and go on at the same time.
    """

    trainings: int
    rates: tuple[float, float]
    in_flight: int
    kind: Kind
    together: bool = False


SCENARIOS: Final[Mapping[str, Scenario]] = {
    "one quiet training": Scenario(1, (2, 2), 16, SMALL),
    "a team": Scenario(6, (5, 200), 128, SMALL),
    "a team, slow workers": Scenario(6, (5, 200), 128, SLOW),
    "a sweep in step": Scenario(8, (200, 200), 64, LARGE, together=True),
}

DRAWN: Final = tuple(
    product(("one quiet training", "a team", "a sweep in step"), ("ours", "ours to zero", "lag", "lag, at least 1"))
)
"""Scenarios and rules of the picture."""


def _lag_rule(**said: Any) -> Rule:
    """Make the rule that KEDA's documents suggest for a consumer group."""
    stream = {"type": "redis-streams", "metadata": {"consumerGroup": "samplers", "lagCount": "5"}}
    return read_rule({"triggers": [stream], "maxReplicaCount": 4} | said)


def shipped_rule(overlay: str = "") -> Rule:
    """Read the rule of deploy/, with the patch of one of its overlays."""
    document = yaml.safe_load((_OVERLAYS / "keda" / "scaled-object.yaml").read_text(encoding="utf-8"))
    if overlay:
        (change,) = yaml.safe_load((_OVERLAYS / overlay / "idle.yaml").read_text(encoding="utf-8"))
        document["spec"] |= {change["path"].removeprefix("/spec/"): change["value"]}
    return read_rule(document["spec"])


def _still(replicas: int) -> Rule:
    """Make a rule that keeps a number."""
    return read_rule({"triggers": [], "minReplicaCount": replicas, "maxReplicaCount": replicas})


RULES: Final[Mapping[str, Rule]] = {
    "ours": shipped_rule(),
    "ours, at least 1": replace(shipped_rule(), minimum=1),
    "ours to zero": shipped_rule("keda-to-zero"),
    "lag": _lag_rule(),
    "lag, at least 1": _lag_rule(minReplicaCount=1),
    "2 always": _still(2),
}


@dataclass(slots=True, eq=False)
class Training:
    """One training.

    Attributes:
        begins_s: When it begins.
        rate: Requests/s while nothing holds it up.
        phases: Seconds of training, and of the pause after it; the last one first.
        waited_s: How long it waited, all in all.
        stops_s: How long each full stop lasted.
    """

    begins_s: float
    rate: float
    phases: list[tuple[float, float]]
    waited_s: float = 0.0
    stops_s: list[float] = field(default_factory=list)
    _pause_s: float = 0.0
    _is_stopped: bool = False

    def is_training(self, now_s: float) -> bool:
        """Check whether it asks now."""
        return now_s >= self.begins_s and bool(self.phases) and self._pause_s <= 0

    def step(self, served: float) -> None:
        """Train for one step, of whose requests a part is served."""
        left_s, pause_s = self.phases.pop()
        left_s -= served * STEP_S
        self.waited_s += (1 - served) * STEP_S
        if served == 0:
            if not self._is_stopped:
                self.stops_s.append(0.0)
            self.stops_s[-1] += STEP_S
        self._is_stopped = served == 0
        if left_s > 0:
            self.phases.append((left_s, pause_s))
        else:
            self._pause_s = pause_s

    def rest(self) -> None:
        """Pause for one step; no-op in a training that does not pause."""
        self._pause_s -= STEP_S


def draw_trainings(scenario: Scenario, rng: random.Random) -> list[Training]:
    """Draw the trainings of a day."""
    low, high = (math.log(rate) for rate in scenario.rates)
    found: list[Training] = []
    for _ in range(scenario.trainings):
        begins_s, phases = rng.uniform(_OPENS_S, _CLOSES_S), _draw_phases(rng)
        if scenario.together and found:
            begins_s, phases = found[0].begins_s, list(found[0].phases)
        found.append(Training(begins_s, math.exp(rng.uniform(low, high)), phases))
    return found


def _draw_phases(rng: random.Random) -> list[tuple[float, float]]:
    left_s, phases = rng.uniform(*_LASTS_S), []
    while left_s > 0:
        phases.append((rng.uniform(*_TRAINS_S), rng.uniform(*_PAUSES_S)))
        left_s -= phases[-1][0]
    return phases


@dataclass(slots=True)
class Day:
    """What came of a day.

    Attributes:
        trainings: Those of the day.
        replicas: Pods that are wanted, step by step.
        asking: How many trainings ask, step by step.
        served: The part of what they ask for that is served, step by step.
        ended: How often the last pod went while somebody trained.
        trained_s: Time in which trainings trained or waited, added up.
    """

    trainings: list[Training]
    replicas: list[int] = field(default_factory=list)
    asking: list[int] = field(default_factory=list)
    served: list[float] = field(default_factory=list)
    ended: int = 0
    trained_s: float = 0.0


def run_day(scenario: Scenario, rule: Rule, seed: int) -> Day:
    """Simulate a day; the trainings of a seed are the same under every rule."""
    rng, chance = random.Random(seed), random.Random(f"looks {seed}")
    day, load, scaler = Day(draw_trainings(scenario, rng)), Load(scenario.kind), Scaler(rule)
    ready_s = [0.0] * scaler.replicas
    for now_s in range(0, DAY_S, STEP_S):
        asking = [training for training in day.trainings if training.is_training(now_s)]
        ready = sum(at_s <= now_s for at_s in ready_s)
        load.ask(sum(training.rate for training in asking), scenario.in_flight * len(asking), ready)
        before = scaler.replicas
        if now_s % rule.polling_s == 0:
            scaler.poll(now_s, load.look(rule.metric, chance))
        if now_s % SYNC_S == 0:
            scaler.sync(now_s, Look(load.look(rule.metric, chance), ready, load.cores))
        day.ended += bool(before and not scaler.replicas and asking)
        del ready_s[scaler.replicas :]
        ready_s += [now_s + START_S] * (scaler.replicas - len(ready_s))
        for training in day.trainings:
            if training in asking:
                training.step(load.served)
            else:
                training.rest()
        day.replicas.append(scaler.replicas)
        day.asking.append(len(asking))
        day.served.append(load.served)
        day.trained_s += len(asking) * STEP_S
    return day


def row_of(scenario: str, rule: str, days: list[Day]) -> dict[str, Any]:
    """Return a row of the table: what came of some days."""
    waiting = [100 * sum(one.waited_s for one in day.trainings) / day.trained_s for day in days]
    stops = [stop for day in days for training in day.trainings for stop in training.stops_s]
    return {
        "scenario": scenario,
        "rule": rule,
        "waiting %": mean(waiting),
        "waiting ±": 1.96 * stdev(waiting) / math.sqrt(len(waiting)) if len(waiting) > 1 else 0.0,
        "stops a day": len(stops) / len(days),
        "a stop s": mean(stops) if stops else 0.0,
        "longest s": max(stops, default=0.0),
        "ended a day": mean(day.ended for day in days),
        "worker hours": mean(sum(day.replicas) for day in days) * STEP_S / 3600,
        "most workers": max(max(day.replicas) for day in days),
    }


def _run(task: tuple[str, str, int]) -> dict[str, Any]:
    scenario, rule, days = task
    return row_of(scenario, rule, [run_day(SCENARIOS[scenario], RULES[rule], seed) for seed in range(days)])


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--days", type=int, default=20, help="days of each (default: 20)")
    parser.add_argument("--picture", type=Path, help="draw one day into this file as well")
    options = parser.parse_args()
    tasks = [(scenario, rule, options.days) for scenario in SCENARIOS for rule in RULES]
    with ProcessPoolExecutor() as pool:
        rows = list(pool.map(_run, tasks))
    if options.picture:
        from tests.bench.autoscale_picture import draw_days

        days = {(scenario, rule): run_day(SCENARIOS[scenario], RULES[rule], 0) for scenario, rule in DRAWN}
        options.picture.write_bytes(draw_days(days, options.picture.suffix))
    report("autoscale", rows, as_json=options.json)


if __name__ == "__main__":
    main()
