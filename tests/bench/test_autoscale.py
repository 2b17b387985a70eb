"""The simulation of autoscaling: the mechanics of KEDA and the HPA, the load, and what is counted of a day."""

import random
from dataclasses import replace
from statistics import mean
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from tests.bench.autoscale import RULES, SCENARIOS, STEP_S, draw_trainings, row_of, run_day, shipped_rule
from tests.bench.loads import LARGE, SMALL, UNREAD_BEHIND, Load, between, poisson
from tests.bench.scaling import SYNC_S, Look, Rule, Scaler

LENGTH = Rule(
    metric="length",
    target=10,
    cores=None,
    minimum=1,
    maximum=20,
    ends_all=False,
    polling_s=15,
    cooldown_s=600,
    window_s=300,
    down_pods=1,
    down_period_s=60,
)
CPU = replace(LENGTH, metric="", cores=0.5)


def synced(rule: Rule, *looks: Look, began_s: int = 0) -> list[int]:
    """Return the replicas after each look."""
    scaler, found = Scaler(rule), []
    for number, look in enumerate(looks):
        scaler.sync(began_s + number * SYNC_S, look)
        found.append(scaler.replicas)
    return found


def test_the_rule_of_the_files_is_read() -> None:
    ours, to_zero = shipped_rule(), shipped_rule("keda-to-zero")
    assert (ours.metric, ours.target, ours.cores, ours.minimum, ours.maximum) == ("length", 1000, 0.7, 2, 4)
    assert (ours.ends_all, ours.polling_s, ours.cooldown_s) == (False, 15, 3600)
    assert (ours.window_s, ours.down_pods, ours.down_period_s) == (3600, 1, 60)
    assert to_zero == replace(ours, ends_all=True)


def test_what_is_not_said_is_the_default() -> None:
    lag = RULES["lag"]
    assert (lag.metric, lag.target, lag.cores, lag.minimum, lag.ends_all) == ("lag", 5, None, 1, True)
    assert (lag.polling_s, lag.cooldown_s, lag.window_s, lag.down_pods, lag.down_period_s) == (30, 300, 300, None, 15)
    assert not RULES["lag, at least 1"].ends_all


def test_one_request_wakes_the_fewest_and_they_go_when_nothing_was_seen_for_the_cool_down() -> None:
    scaler = Scaler(replace(LENGTH, ends_all=True, minimum=2))
    assert scaler.replicas == 0
    scaler.poll(0, 0)
    scaler.sync(0, Look(50, 0, 0.0))
    assert scaler.replicas == 0
    scaler.poll(15, 1)
    assert scaler.replicas == 2
    scaler.poll(615, 0)
    assert scaler.replicas == 2
    scaler.poll(630, 0)
    assert scaler.replicas == 0


def test_a_minimum_is_kept_whatever_is_seen() -> None:
    scaler = Scaler(LENGTH)
    for now_s in range(0, 36_000, 15):
        scaler.poll(now_s, 0)
        scaler.sync(now_s, Look(0, 1, 0.0))
    assert scaler.replicas == 1


def test_a_tenth_more_or_less_changes_nothing() -> None:
    many = replace(LENGTH, target=100)
    assert synced(many, Look(109, 1, 0.0)) == [1]
    assert synced(many, Look(111, 1, 0.0)) == [2]
    assert synced(CPU, Look(0, 1, 0.54)) == [1]
    assert synced(CPU, Look(0, 1, 0.56)) == [2]


def test_up_goes_by_four_or_twice_as_many_in_fifteen_seconds() -> None:
    assert synced(LENGTH, *[Look(1000, 1, 0.0)] * 4) == [5, 10, 20, 20]


def test_down_goes_to_the_largest_of_the_window_then_one_a_minute() -> None:
    found = synced(replace(LENGTH, maximum=5), *[Look(1000, 1, 0.0)], *[Look(0, 5, 0.0)] * 40)
    assert found[: 300 // SYNC_S] == [5] * (300 // SYNC_S)
    after = found[300 // SYNC_S :]
    assert after[: 4 * 60 // SYNC_S + 1] == [*[4] * 4, *[3] * 4, *[2] * 4, *[1] * 5]


def test_pods_that_start_count_as_idle() -> None:
    scaler = Scaler(replace(CPU, minimum=2))
    scaler.sync(0, Look(0, 2, 0.75))
    assert scaler.replicas == 3
    scaler.sync(15, Look(0, 2, 0.75))
    assert scaler.replicas == 3
    scaler.sync(30, Look(0, 2, 1.0))
    assert scaler.replicas == 4


def test_the_largest_proposal_counts() -> None:
    assert synced(replace(LENGTH, cores=0.5), Look(40, 1, 1.0)) == [4]
    assert synced(replace(LENGTH, cores=0.5), Look(1, 1, 1.0)) == [2]


def test_what_is_measured_is_interpolated_between_and_kept_outside() -> None:
    points = ((10.0, 1.0), (1000.0, 100.0))
    assert [between(points, x) for x in (1, 10, 5000)] == [1, 1, 100]
    assert between(points, 100.0) == pytest.approx(10.0)


def test_a_load_is_served_as_far_as_workers_and_redis_can() -> None:
    load = Load(LARGE)
    for workers, served in ((0, 0.0), (1, 693 / 1600), (2, 1386 / 1600), (3, 1.0), (4, 1.0)):
        load.ask(1600, 512, workers)
        assert load.served == pytest.approx(served)
    load.ask(3000, 512, 4)
    assert load.served == pytest.approx(1 / LARGE.server_s / 3000)
    assert load.cores == pytest.approx(1300e-6 / LARGE.server_s / 4)


def test_a_look_finds_few_while_all_is_served_and_all_that_is_in_flight_otherwise() -> None:
    load, chance = Load(SMALL), random.Random(1)
    load.ask(300, 128, 1)
    looks = {metric: mean(load.look(metric, chance) for _ in range(20_000)) for metric in ("length", "lag", "")}
    assert looks == {"length": pytest.approx(0.3, rel=0.1), "lag": pytest.approx(0.024, rel=0.3), "": 0}
    load.ask(300, 128, 0)
    assert (load.look("length", chance), load.look("lag", chance)) == (128, 128)
    load.ask(1_000_000, 128, 1)
    assert (load.look("length", chance), load.look("lag", chance)) == (128, round(128 * UNREAD_BEHIND))
    load.ask(0, 0, 1)
    assert load.look("length", chance) == 0
    assert mean(poisson(5.0, chance) for _ in range(20_000)) == pytest.approx(5.0, rel=0.03)


def test_a_day_holds_what_was_planned_and_what_was_waited() -> None:
    scenario = SCENARIOS["a team"]
    planned = [phase for one in draw_trainings(scenario, random.Random(3)) for phase in one.phases]
    for rule in (RULES["ours"], RULES["lag"]):
        day = run_day(scenario, rule, seed=3)
        waited_s = sum(training.waited_s for training in day.trainings)
        left_s = sum(train for one in day.trainings for train, _ in one.phases)
        planned_s = sum(train for train, _ in planned)
        assert 0 <= day.trained_s - waited_s + left_s - planned_s <= len(planned) * STEP_S
        assert sum(stop for one in day.trainings for stop in one.stops_s) == pytest.approx(waited_s)


def test_trainings_of_a_sweep_are_in_step() -> None:
    first, *others = draw_trainings(SCENARIOS["a sweep in step"], random.Random(5))
    assert len(others) == 7
    assert all((one.begins_s, one.phases) == (first.begins_s, first.phases) for one in others)


def test_workers_that_stay_keep_nobody_waiting_and_a_lag_rule_ends_them_under_load() -> None:
    scenario = SCENARIOS["one quiet training"]
    rows: dict[str, dict[str, Any]] = {
        name: row_of("quiet", name, [run_day(scenario, RULES[name], seed=1)]) for name in ("ours", "lag", "2 always")
    }
    assert (rows["ours"]["waiting %"], rows["ours"]["stops a day"], rows["ours"]["worker hours"]) == (0, 0, 48)
    assert rows["2 always"]["worker hours"] == 48
    assert rows["lag"]["ended a day"] > 0
    assert rows["lag"]["stops a day"] >= rows["lag"]["ended a day"]
    assert rows["lag"]["longest s"] >= rows["lag"]["a stop s"] > 0


def test_the_picture_names_scenarios_and_rules() -> None:
    from tests.bench.autoscale_picture import draw_days

    scenarios, rules = ("one quiet training", "a sweep in step"), ("ours", "lag")
    days = {(scenario, rule): run_day(SCENARIOS[scenario], RULES[rule], 0) for scenario in scenarios for rule in rules}
    root = ET.fromstring(draw_days(days, ".svg"))  # noqa: S314 - our own
    told = {element.text for element in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {*scenarios, *rules} <= told
