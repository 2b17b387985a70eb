"""The mechanics of KEDA and of the HPA that it makes: what they look at, when, and how many replicas follow.

Theory. KEDA looks once in `polling_s` whether anything is unanswered. It wakes the first replica, and takes the last
one away once nothing was seen for `cooldown_s`; where `minimum` is kept, it does neither. In between, the HPA decides
every 15 s. Each metric proposes a number, and the largest counts:

- a metric of the stream: value / target, rounded up;
- CPU: mean of the ready pods / target, times their number, rounded up. Pods that are not ready yet count as idle ones
  where that would scale up.

A proposal within 10 % of what is there changes nothing. Up goes at once, by 4 pods or to twice as many within 15 s.
Down goes to the largest proposal of the last `window_s`, and by no more than the policy allows.

Source: Kubernetes, `pkg/controller/podautoscaler` (replica calculator, behaviours); KEDA, `pkg/scaling/executor`.
"""

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

SYNC_S: Final = 15
TOLERANCE: Final = 0.1
_UP_PODS, _UP_TIMES, _UP_PERIOD_S = 4, 2, 15
_DEFAULTS: Final = {"pollingInterval": 30, "cooldownPeriod": 300, "minReplicaCount": 0, "maxReplicaCount": 100}
_DOWN: Final = {"stabilizationWindowSeconds": 300, "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}]}


@dataclass(frozen=True, slots=True)
class Rule:
    """What a ScaledObject says.

    Attributes:
        metric: What it looks at in the stream: all that is not answered, or what nobody has read; "": at nothing.
        target: Of this metric, for each replica.
        cores: Mean use of a pod, in cores, above which there is one more; None: CPU plays no part.
        minimum: Fewest replicas while somebody asks.
        maximum: Most replicas.
        ends_all: Whether there is no replica once nothing was seen for `cooldown_s`.
        polling_s: Time between KEDA's looks.
        cooldown_s: See `ends_all`.
        window_s: How long the largest proposal holds up scaling down.
        down_pods: At most this many pods go within `down_period_s`; None: all may.
        down_period_s: See `down_pods`.
    """

    metric: Literal["length", "lag", ""]
    target: int
    cores: float | None
    minimum: int
    maximum: int
    ends_all: bool
    polling_s: int
    cooldown_s: int
    window_s: int
    down_pods: int | None
    down_period_s: int


def read_rule(spec: Mapping[str, Any]) -> Rule:
    """Read the `spec` of a ScaledObject; what it leaves out is KEDA's default, or Kubernetes'."""
    said = {**_DEFAULTS, **spec}
    behavior = said.get("advanced", {}).get("horizontalPodAutoscalerConfig", {}).get("behavior", {})
    down = {**_DOWN, **behavior.get("scaleDown", {})}
    (policy,) = down["policies"]
    by_type = {trigger["type"]: trigger["metadata"] for trigger in said["triggers"]}
    stream, cpu = by_type.get("redis-streams"), by_type.get("cpu")
    lag = stream is not None and "consumerGroup" in stream
    return Rule(
        metric="" if stream is None else "lag" if lag else "length",
        target=0 if stream is None else int(stream["lagCount" if lag else "streamLength"]),
        cores=None if cpu is None else int(cpu["value"].removesuffix("m")) / 1000,
        minimum=max(1, said["minReplicaCount"]),
        maximum=said["maxReplicaCount"],
        ends_all=said["minReplicaCount"] == 0 or said.get("idleReplicaCount") == 0,
        polling_s=said["pollingInterval"],
        cooldown_s=said["cooldownPeriod"],
        window_s=down["stabilizationWindowSeconds"],
        down_pods=policy["value"] if policy["type"] == "Pods" else None,
        down_period_s=policy["periodSeconds"],
    )


@dataclass(frozen=True, slots=True)
class Look:
    """What is seen at one moment.

    Attributes:
        value: Of the rule's metric.
        ready: Pods that serve.
        cores: Mean use of these, in cores.
    """

    value: int
    ready: int
    cores: float


class Scaler:
    """One ScaledObject with its HPA.

    Attributes:
        replicas: How many pods are wanted.
    """

    def __init__(self, rule: Rule) -> None:
        """Begin with the fewest pods."""
        self._rule = rule
        self.replicas = 0 if rule.ends_all else rule.minimum
        self._active_s = -math.inf
        self._proposed: deque[tuple[float, int]] = deque()
        self._changes: deque[tuple[float, int]] = deque()

    def poll(self, now_s: float, value: int) -> None:
        """Look whether anything is unanswered, as KEDA does."""
        if value > 0:
            self._active_s = now_s
            if self.replicas == 0:
                self._set(now_s, self._rule.minimum)
        elif self._rule.ends_all and self.replicas and now_s - self._active_s > self._rule.cooldown_s:
            self._set(now_s, 0)
            self._proposed.clear()

    def sync(self, now_s: float, look: Look) -> None:
        """Decide, as the HPA does; it does nothing while there are no replicas."""
        if not self.replicas:
            return
        wanted = min(max(self._proposal(look), self._rule.minimum), self._rule.maximum)
        self._proposed.append((now_s, wanted))
        while self._proposed[0][0] <= now_s - max(self._rule.window_s, SYNC_S):
            self._proposed.popleft()
        if wanted > self.replicas:
            self._set(now_s, min(wanted, self._most(now_s)))
        elif wanted < self.replicas:
            held = max(proposal for _, proposal in self._proposed)
            self._set(now_s, min(self.replicas, max(held, self._fewest(now_s))))

    def _proposal(self, look: Look) -> int:
        """Return the largest proposal of all metrics."""
        found = []
        if self._rule.metric:
            ratio = look.value / (self._rule.target * self.replicas)
            found.append(self.replicas if is_close(ratio) else math.ceil(look.value / self._rule.target))
        if self._rule.cores is not None and look.ready:
            found.append(self._cpu_proposal(look, look.cores / self._rule.cores))
        return max(found, default=self.replicas)

    def _cpu_proposal(self, look: Look, ratio: float) -> int:
        pods = look.ready
        if ratio > 1 and self.replicas > pods:
            ratio, pods = ratio * pods / self.replicas, self.replicas  # those that start count as idle
            if ratio < 1:
                return self.replicas
        return self.replicas if is_close(ratio) else math.ceil(ratio * pods - 1e-9)

    def _most(self, now_s: float) -> int:
        """Return how many pods there may be, by the default policies for scaling up."""
        before = self.replicas - sum(max(0, by) for at_s, by in self._changes if at_s > now_s - _UP_PERIOD_S)
        return max(before + _UP_PODS, before * _UP_TIMES)

    def _fewest(self, now_s: float) -> int:
        """Return how many pods have to stay, by the rule's policy for scaling down."""
        if self._rule.down_pods is None:
            return 0
        period_s = self._rule.down_period_s
        before = self.replicas - sum(min(0, by) for at_s, by in self._changes if at_s > now_s - period_s)
        return before - self._rule.down_pods

    def _set(self, now_s: float, replicas: int) -> None:
        if replicas != self.replicas:
            self._changes.append((now_s, replicas - self.replicas))
            self.replicas = replicas


def is_close(ratio: float) -> bool:
    """Check whether the HPA takes a ratio of value and target for 1."""
    return abs(ratio - 1) <= TOLERANCE
