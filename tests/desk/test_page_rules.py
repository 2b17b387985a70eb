"""The page shows the rule that moves the weights: its mode, next step and evidence, its shadow, and why it waits."""

import math
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.desk.conftest import Open
from tests.desk.test_page_looks import PHONE, findings
from tests.support.rules import rule_settings, rule_state
from tests.support.servers import connect
from tests.support.stage import MIX, Stage
from tests.support.waiting import wait_until_sync
from worker.core.keys import Keys
from worker.core.weights.in_force import mark_of

pytestmark = [pytest.mark.any_redis, pytest.mark.needs_browser]

SEEN_S = 60.0
SHADOW = {"voice": 0.3, "music": 0.3, "documentary": 0.2, "conference": 0.1, "custom": 0.1}


class Rules:
    """A writer of rules and their states, as people and the driver do it. The worker's driver finds no step due."""

    def __init__(self, server: Any, keys: Keys) -> None:
        self.server = server
        self.keys = keys

    def write(self, mode: str = "on", dataset: str = "", **state: Any) -> None:
        """Write one that has just made a step; the next one is a year away."""
        told = rule_settings(mode, interval_s=3e7)
        stored = mark_of(self.server.get(self.keys.weights(dataset or None))).decode()
        just = {"stored": stored, "stepped_ms": time.time_ns() // 1_000_000, **state}
        with self.server.pipeline(transaction=True) as step:
            step.hset(self.keys.adjust_state, dataset, rule_state(told, **just).text)
            step.hset(self.keys.adjust, dataset, told.text)
            step.execute()


@pytest.fixture
def rules(stage: Stage) -> Iterator[Rules]:
    """What writes rules; in the end there is none."""
    keys = Keys(stage.settings["WORKER_PREFIX"])
    with connect(stage.settings["REDIS_URL"]) as server:
        yield Rules(server, keys)
        server.delete(keys.adjust, keys.adjust_state, keys.heard, keys.bounds)


def text_of(desk: Any, part: str) -> str:
    return str(desk.page.locator(f"#rule .{part}").inner_text())


def test_without_a_rule_the_page_says_how_one_is_set(open_desk: Open) -> None:
    desk = open_desk()
    desk.wait_shown("#rule .now", "No rule moves these weights.")
    assert text_of(desk, "told").endswith("Rules are set on the command line: sampling-worker adjust set")
    assert not desk.page.locator("#rule .legend").is_visible()
    assert not desk.page.locator(".strip .would").first.is_visible()
    assert not desk.page.locator(".strip .figure.shadow").first.is_visible()
    assert desk.page.locator("#rule button").count() == 0


def test_a_shadow_stands_beside_each_meter_apart_from_the_marks_of_people(
    stage: Stage, open_desk: Open, rules: Rules
) -> None:
    desk = open_desk()
    told: dict[str, Any] = {
        "step": 3,
        "evidence": "temperature 4.2",
        "held_by": ("floor: custom",),
        "next_at": {"chunks": 155_000_000},
    }
    rules.write("shadow", shadow=SHADOW, **told)
    desk.wait_shown("#rule .now", "It changes nothing. Next step in 347 d or at 155,000,000 chunks heard.")
    desk.wait_shown("#rule .step", ": temperature 4.2; held back by floor: custom.")
    desk.wait_shown("#rule .legend", "share that the shadow would have set")
    assert text_of(desk, "now").startswith("Rule cooldown shadow")
    top = float(desk.fader("voice").get_attribute("aria-valuemax") or "nan")
    for name, share in SHADOW.items():
        strip = desk.strip(name)
        assert strip.locator(".figure.shadow span").last.inner_text() == f"{share * 100:.1f} %"
        at = strip.locator(".would").evaluate("(mark) => Number(mark.style.getPropertyValue('--at'))")
        assert at == pytest.approx(math.sqrt(share * sum(MIX.values()) / top), abs=1e-3)
        assert f"shadow {share * 100:.1f} %" in (strip.get_by_role("img").get_attribute("aria-label") or "")
        assert not strip.locator(".ghost").is_visible()
    stage.set_weights({**MIX, "voice": 0.5}, reason="more speech")
    desk.strip("voice").locator(".ghost").wait_for()
    mark, ghost = (desk.strip("voice").locator(kind).bounding_box() for kind in (".would", ".ghost"))
    assert mark is not None
    assert ghost is not None
    assert ghost["x"] + ghost["width"] <= mark["x"]
    assert stage.stored()["voice"] == 0.5


def test_a_paused_rule_says_why_and_how_it_goes_on(open_desk: Open, rules: Rules) -> None:
    desk = open_desk()
    rules.write("on", step=1, evidence="temperature 4.2", next_at={"ms": 7_200_000})
    rules.server.hset(rules.keys.heard, "ms:", 60_000)
    desk.wait_shown("#rule .now", "It moves the weights. Next step at 2:00:00 of audio heard (01:00 so far).")
    assert text_of(desk, "told").endswith("A change by hand pauses it. To stop it: sampling-worker adjust freeze")
    rules.write("on", step=1, evidence="temperature 4.2", paused="bob changed the weights at 12:00")
    desk.wait_shown("#rule .now", "After 1 step: bob changed the weights at 12:00.")
    assert text_of(desk, "now").startswith("Rule cooldown paused")
    assert text_of(desk, "told").endswith("To go on from these weights: sampling-worker adjust resume")
    assert desk.page.locator("#spoken p").last.inner_text() == "The rule is paused: bob changed the weights at 12:00"
    rules.write("off", step=2)
    desk.wait_shown("#rule .now", "After 2 steps.")
    assert text_of(desk, "now").startswith("Rule cooldown frozen")


def test_what_cannot_be_read_of_a_rule_is_said(open_desk: Open, rules: Rules) -> None:
    desk = open_desk()
    rules.write("shadow", shadow=SHADOW)
    desk.wait_shown("#rule .legend", "share that")
    rules.server.hset(rules.keys.adjust, "", "<b>no</b>")
    desk.wait_shown("#rule .now", "settings: the text is not JSON")
    assert text_of(desk, "now").startswith("Rule refused")
    assert text_of(desk, "told").endswith("To remove it: sampling-worker adjust off")
    assert not desk.page.locator(".strip .would").first.is_visible()
    rules.write("on")
    desk.wait_shown("#rule .told", "sampling-worker adjust freeze")
    rules.server.hset(rules.keys.adjust_state, "", "no state")
    desk.wait_shown("#rule .told", "It moves nothing until it is set again. To remove it: sampling-worker adjust off")


def test_a_solo_is_over_once_a_rule_moves_the_weights(stage: Stage, open_desk: Open, rules: Rules) -> None:
    desk = open_desk()
    desk.key("Solo", "custom").click()
    desk.page.get_by_role("dialog").get_by_role("button", name="Solo custom").click()
    desk.wait_shown("#notices", "Solo: custom alone")
    wait_until_sync(lambda: set(stage.stored()) == {"custom"}, timeout_s=SEEN_S, what="custom is alone")
    told = rule_settings(parameters={"over": 1e9, "from": 1, "to": 1}, prior=MIX)
    rules.server.hset(rules.keys.adjust, "", told.text)
    desk.wait_shown("#notices", "Set by rule cooldown, ")
    wait_until_sync(
        lambda: desk.key("Solo", "custom").get_attribute("aria-pressed") == "false",
        timeout_s=SEEN_S,
        what="solo is no longer lit",
    )
    assert "Solo: custom alone" not in desk.notices


def test_a_dataset_s_rule_is_told_by_its_name(stage: Stage, open_desk: Open, rules: Rules) -> None:
    stage.client.set_weights(MIX, dataset="news")
    rules.write("on", "news", paused="bob changed the weights")
    desk = open_desk(path="/?dataset=news")
    desk.wait_shown("#rule .told", "sampling-worker adjust resume --dataset news")
    rules.write("on")
    desk.page.goto(f"{stage.desk.url}/?dataset=other")
    desk.wait_shown("#rule .now", "Rule cooldown of the global weights")
    assert text_of(desk, "told").endswith("sampling-worker adjust freeze")


def test_what_a_rule_does_is_no_news_of_somebody_else_and_a_hand_pauses_it(open_desk: Open, rules: Rules) -> None:
    desk = open_desk()
    told = rule_settings(parameters={"over": 1e9, "from": 1, "to": 1})
    rules.server.hset(rules.keys.adjust, "", told.text)
    desk.wait_shown("#notices", "Set by rule cooldown, ")
    desk.wait_shown("#rule .step", "Step 1, ")
    wait_until_sync(lambda: desk.share("music") == "53.1 %", timeout_s=SEEN_S, what="the fader follows the rule")
    assert desk.page.locator(".ghost:visible").count() == 0
    assert "Hollow marks" not in desk.notices
    assert "changed the weights" not in desk.page.locator("#spoken").inner_text()
    desk.drag("voice", -40)
    desk.wait_shown("#rule .now", "After 1 step: alice (desk) changed the weights at ")
    desk.wait_shown("#rule .told", "sampling-worker adjust resume")
    desk.wait_shown("#spoken", "The rule is paused: alice (desk) changed the weights")


def test_nothing_moves_under_the_hand(open_desk: Open, rules: Rules) -> None:
    desk = open_desk()
    desk.wait_shown("#rule .now", "No rule")
    desk.page.get_by_label("Hold changes").check()
    desk.grab("voice", -10)
    rules.write("shadow", shadow=SHADOW)
    desk.strip("voice").locator(".figure.shadow").wait_for()
    assert text_of(desk, "now").startswith("No rule")
    desk.page.mouse.up()
    desk.wait_shown("#rule .now", "It changes nothing.")


def test_the_scale_of_the_faders_has_room_for_a_shadow_and_its_labels_stand_at_their_lines(
    open_desk: Open, rules: Rules
) -> None:
    desk = open_desk()
    wait_until_sync(lambda: top_of(desk) == 0.5, timeout_s=SEEN_S, what="the scale fits the weights")
    rules.write("shadow", shadow={**SHADOW, "voice": 0.7, "music": 0.0})
    wait_until_sync(lambda: top_of(desk) == 1, timeout_s=SEEN_S, what="the scale fits the shadow")
    labels = desk.page.locator(".scale span").evaluate_all(
        "(all) => all.map((one) => [one.querySelector('b').textContent, one.style.getPropertyValue('--at')])"
    )
    assert labels
    assert {weight: float(at) for weight, at in labels} == {
        weight: pytest.approx(math.sqrt(float(weight)), abs=1e-3) for weight, _ in labels
    }


def top_of(desk: Any) -> float:
    return float(desk.fader("voice").get_attribute("aria-valuemax") or "nan")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_where_a_rule_is(open_desk: Open, rules: Rules, scheme: str) -> None:
    desk = open_desk(color_scheme=scheme)
    rules.write("shadow", step=3, shadow=SHADOW, evidence="temperature 4.2")
    desk.wait_shown("#rule .legend", "share that")
    assert findings(desk) == []
    rules.write("on", step=3, paused="bob changed the weights")
    desk.wait_shown("#rule .now", "bob changed")
    assert findings(desk) == []


def test_a_phone_shows_the_whole_rule(open_desk: Open, rules: Rules) -> None:
    desk = open_desk(**PHONE)
    long = "a-name-without-a-blank-" * 8
    rules.write("shadow", step=3, shadow=SHADOW, evidence=long)
    desk.wait_shown("#rule .step", long)
    assert desk.page.evaluate("document.documentElement.scrollWidth") == 390
    box = desk.page.locator("#rule .step").bounding_box()
    assert box is not None
    assert box["x"] + box["width"] <= 390
