"""Rules that learn, step by step as a worker makes them: in shadow, in warm-up, and when a shadow is turned on."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from tests.core.adjust.test_learning import NEEDS, by_each_rule
from tests.support.losses import loss_reports
from tests.support.steps import Stepped
from worker.core.adjust.reports import LossReports
from worker.core.events import AdjustStuck

PRIOR = {"music": 0.5, "street": 0.3, "voice": 0.2}
READY = dict.fromkeys(PRIOR, 1000)
STEPS = 60
FAR = 0.12
"""More than two steps of the most change, 0.05."""


def begin(rule: str, parameters: Mapping[str, Any] = MappingProxyType({}), **wanted: Any) -> Stepped:
    given = {**NEEDS[rule], "stuck_after": 0, **parameters}
    return Stepped(PRIOR, READY, rule=rule, parameters=given, **wanted)


def losses_at(rule: str, step: int) -> LossReports:
    """Voice is far above the others. Losses stay where they are, but `ado` goes by how they fall."""
    fallen = step**-0.3 if rule == "ado" else 1.0
    means = [1.0 + 0.2 * fallen, 1.2 + 0.2 * fallen, 3.0 + 6.0 * fallen]
    return loss_reports(sorted(PRIOR), np.tile(means, (10, 1)), np.array(0.01), np.array(10))


def drawn(step: int) -> Mapping[str, float]:
    return {name: 1000.0 * step * share for name, share in PRIOR.items()}


def play(run: Stepped, first: int = 1, last: int = STEPS) -> list[float]:
    """Return the share of voice after each step: the shadow's, where there is one."""
    shares = []
    for step in range(first, last + 1):
        run.hear(losses_at(run.settings.rule, step), drawn(step))
        shares.append((run.state.shadow or run.shares)["voice"])
    return shares


@by_each_rule
def test_a_shadow_goes_as_far_as_a_rule_that_moves_the_weights(rule: str) -> None:
    """It is shortened by the most change of a step, so it has to ask many times."""
    shadow, moving = begin(rule, mode="shadow"), begin(rule, mode="on")
    ends = play(shadow)[-1], play(moving)[-1]
    assert shadow.shares == PRIOR
    assert abs(ends[0] - PRIOR["voice"]) > FAR
    if rule != "bandit":  # it divides by the shares in force, which do not move in shadow
        assert ends[0] == pytest.approx(ends[1], abs=0.02)


@by_each_rule
def test_a_rule_moves_once_it_has_warmed_up(rule: str) -> None:
    run = begin(rule, mode="on", warm_up=30 * 10)
    shares = play(run)
    assert set(shares[:29]) == {PRIOR["voice"]}
    assert len(set(shares[29:])) > 1
    assert abs(shares[-1] - PRIOR["voice"]) > FAR


@by_each_rule
def test_a_shadow_that_is_turned_on_moves_the_weights(rule: str) -> None:
    run = begin(rule, mode="shadow")
    play(run, 1, 30)
    run.resume("on")
    if rule == "ado":  # it goes by counts, so it begins anew
        return
    shares = play(run, 31, STEPS)
    assert abs(shares[-1] - PRIOR["voice"]) > FAR


@pytest.mark.parametrize(
    "guards", [{}, {"floor": {"voice": 0.15}}, {"floor": 0.15}, {"strength": 0.6}, {"strength": 0.3, "floor": 0.1}]
)
def test_a_category_that_is_held_at_its_least_share_is_stuck_as_well(guards: Mapping[str, Any]) -> None:
    """Reports of voice are broken and say 0. Its least share may be more than `starved` of its prior."""
    run = begin("proportional", {"stuck_after": 5, "smoothing": 0.5}, mode="on", **guards)
    reports = loss_reports(sorted(PRIOR), np.tile([1.2, 1.2, 0.0], (10, 1)), np.array(0.0), np.array(10))
    told = [event for _ in range(60) if (made := run.hear(reports)) for event in made.events]
    assert {event.category for event in told if isinstance(event, AdjustStuck)} == {"voice"}


@pytest.mark.parametrize("guards", [{"floor": {"voice": 0.2}}, {"strength": 1.0}])
def test_a_category_whose_least_share_is_its_prior_is_never_stuck(guards: Mapping[str, Any]) -> None:
    run = begin("proportional", {"stuck_after": 5, "smoothing": 0.5}, mode="on", **guards)
    reports = loss_reports(sorted(PRIOR), np.tile([1.2, 1.2, 0.0], (10, 1)), np.array(0.0), np.array(10))
    told = [event for _ in range(40) if (made := run.hear(reports)) for event in made.events]
    assert not [event for event in told if isinstance(event, AdjustStuck)]


@by_each_rule
def test_weights_come_to_rest_where_the_prior_and_the_limits_leave_them(rule: str) -> None:
    """The prior is mixed in and voice has a ceiling, so the weights never are what the rule asks for."""
    still = {"bandit": {"exploration": 0.2}}  # else its schedule never comes to rest
    run = begin(rule, still.get(rule, {}), mode="on", ceiling={"voice": 0.5})
    versions = []
    for step in range(1, 200):
        run.hear(losses_at(rule, step), drawn(step))
        versions.append(run.version)
    assert len(set(versions[:100])) > 2
    assert len(set(versions[-50:])) <= 3
    assert run.shares["voice"] <= 0.5 + 1e-9


def test_the_evidence_says_what_moves_and_not_what_was_proposed() -> None:
    """A step of the most change is much shorter than what the rule asks for."""
    run = begin("proportional", mode="on")
    for step in (1, 2):
        run.hear(losses_at("proportional", step))
    assert run.shares["voice"] == pytest.approx(0.25)
    assert "voice 20.0% to 25.0%, loss 9 ± 0.001" in run.state.evidence
    assert run.state.held_by == ("most change 0.05",)


def test_the_evidence_of_a_shadow_is_about_its_own_shares() -> None:
    run = begin("proportional", mode="shadow")
    for step in (1, 2, 3):
        run.hear(losses_at("proportional", step))
    assert "voice 25.0% to 30.0%" in run.state.evidence
    assert run.shares == PRIOR


def test_a_category_on_few_reports_stays_although_the_prior_is_mixed_in() -> None:
    """Weights in force are off the prior; music is not reported."""
    run = Stepped(PRIOR, READY, rule="proportional", mode="on", prior={"music": 1, "street": 1, "voice": 1})
    reports = loss_reports(["street", "voice"], np.tile([1.2, 9.0], (10, 1)), np.array(0.01), np.array(10))
    for _ in range(5):
        run.hear(reports)
    assert run.shares["music"] == PRIOR["music"]
    assert run.shares["voice"] > PRIOR["voice"]
    assert "held: 1" in run.state.evidence
