"""How the page looks and reads: without serious findings of axe-core, on a phone, and for those who may only look."""

import signal
from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.desk.conftest import Open
from tests.support.browsers import DeskPage
from tests.support.desks import RunningDesk, running_desk
from tests.support.stage import MIX, Stage
from tests.support.waiting import wait_until_sync

pytestmark = [pytest.mark.any_redis, pytest.mark.needs_browser]

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
SEEN_S = 60.0


@pytest.fixture(scope="module")
def shy_desk(stage: Stage) -> Iterator[RunningDesk]:
    """A desk that changes nothing."""
    with running_desk(stage.settings, stage.folder, "--read-only") as desk:
        yield desk


def findings(desk: DeskPage) -> list[tuple[str, str, str]]:
    """Return what axe-core finds: rule, impact, and the first element."""
    response: dict[str, Any] = Axe().run(desk.page).response
    return [(one["id"], one["impact"], one["nodes"][0]["html"]) for one in response["violations"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(stage: Stage, open_desk: Open, scheme: str) -> None:
    desk = open_desk(color_scheme=scheme)
    assert findings(desk) == []
    desk.page.get_by_label("Hold changes").check()
    desk.drag("voice", -40)
    stage.set_weights({**MIX, "music": 0.9}, reason="theirs")
    desk.wait_shown("#says", "The weights changed meanwhile")
    assert findings(desk) == []
    desk.page.get_by_role("button", name="Apply 1 change").click()
    desk.page.get_by_role("dialog").get_by_text("bob changed the weights").wait_for()
    assert findings(desk) == []


def test_the_theme_is_chosen_and_remembered(open_desk: Open) -> None:
    desk = open_desk(color_scheme="light")
    paper = "getComputedStyle(document.body).backgroundColor"
    light = desk.page.evaluate(paper)
    desk.page.get_by_label("Theme").select_option("dark")
    dark = desk.page.evaluate(paper)
    desk.page.reload()
    desk.wait_strips()
    assert desk.page.evaluate(paper) == dark != light


def test_a_phone_shows_all_of_it_and_moves_a_fader(stage: Stage, open_desk: Open) -> None:
    desk = open_desk(**PHONE)
    assert desk.page.evaluate("document.documentElement.scrollWidth") == 390
    assert findings(desk) == []
    desk.drag("voice", 60)
    wait_until_sync(lambda: stage.stored()["voice"] < 0.4, timeout_s=SEEN_S, what="the fader was moved")
    for title in ("Changes", "Presets", "Workers", "Sessions", "Events", "Compare two phases", "Last 15 minutes"):
        assert desk.page.get_by_role("heading", name=title).is_visible()


@pytest.mark.parametrize("width", [1920, 1280, 1081, 1080, 800, 561, 560, 390, 320])
def test_the_figures_at_the_top_fill_their_rows(open_desk: Open, width: int) -> None:
    desk = open_desk(viewport={"width": width, "height": 800})
    tops = desk.page.evaluate("[...document.querySelectorAll('.readouts > div')].map(e => e.offsetTop)")
    rows = [tops.count(top) for top in sorted(set(tops))]
    assert len(set(rows)) == 1, rows
    names = "[...document.querySelectorAll('.readouts dt')]"
    cut = f"{names}.filter(e => e.scrollWidth > e.clientWidth).map(e => e.textContent)"
    assert desk.page.evaluate(cut) == []
    assert desk.page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.filterwarnings("ignore::worker.errors.WeightsWarning")  # none of them is READY
@pytest.mark.parametrize("width", [1280, 390])
def test_no_weight_and_no_word_of_a_name_is_cut(stage: Stage, open_desk: Open, width: int) -> None:
    numbers = (1 / 3, 0.000123456, 0.00987654321, 123456, 99.98765, 1e-7, 2e6 / 3)
    words = ("documentary", "conference", "instrument", "telephone", "narration")
    many = {f"{word}-{at:02}": numbers[(at + place) % 7] for place, word in enumerate(words) for at in range(12)}
    stage.client.set_weights(dict.fromkeys(words, 0.25) | many, dataset="digits")
    desk = open_desk(path="/?dataset=digits", viewport={"width": width, "height": 800})
    desk.wait_shown("#count", "categories")
    cut = """[...document.querySelectorAll('.strip .weight')].filter(e => e.scrollWidth > e.clientWidth)
        .map(e => e.value)"""
    assert desk.page.evaluate(cut) == []
    one_word = "span => span.getClientRects().length && span.textContent.length < 12 && span.offsetHeight > 20"
    broken = f"[...document.querySelectorAll('.scribble span')].filter({one_word}).map(e => e.textContent)"
    assert desk.page.evaluate(broken) == []


def test_who_may_only_look_changes_nothing(stage: Stage, open_desk: Open, shy_desk: RunningDesk) -> None:
    desk = open_desk()
    desk.page.goto(shy_desk.url)
    desk.wait_shown("#notices", "This desk is read-only")
    desk.wait_shown("#says", "This desk is read-only.")
    assert desk.fader("voice").get_attribute("aria-disabled") == "true"
    desk.drag("voice", 60)
    desk.fader("voice").press("ArrowUp")
    assert desk.page.get_by_role("button", name="Undo the last change").is_disabled()
    assert desk.key("Mute", "voice").is_disabled()
    assert desk.weight("voice") == 0.4
    assert stage.stored() == MIX


def test_temporary_weights_are_ended_from_the_first_moment_that_they_are_shown(stage: Stage, open_desk: Open) -> None:
    """They are shown once they are stored. The worker draws under the previous ones until it hears of them."""
    desk = open_desk()
    [worker] = stage.workers
    worker.send(signal.SIGSTOP)
    try:
        stage.client.set_weights({"voice": 1}, for_s=1800, wait=False)
        end = desk.page.get_by_role("button", name="End now")
        end.wait_for()
    finally:
        worker.send(signal.SIGCONT)
    end.click()
    end.wait_for(state="detached")
    assert stage.stored() == MIX


def test_a_move_from_weights_that_workers_do_not_draw_under_yet_is_no_conflict(stage: Stage, open_desk: Open) -> None:
    """The faders show what is stored, and so that is what a move was made from."""
    desk = open_desk()
    [worker] = stage.workers
    worker.send(signal.SIGSTOP)
    try:
        stage.client.set_weights({"voice": 0.8, "music": 0.8}, wait=False)
        wait_until_sync(lambda: desk.weight("voice") == 0.8, timeout_s=SEEN_S, what="the faders show what is stored")
        desk.drag("voice", 30)
        wait_until_sync(lambda: stage.stored()["voice"] < 0.8, timeout_s=SEEN_S, what="the move is stored")
    finally:
        worker.send(signal.SIGCONT)
    assert stage.stored()["music"] == 0.8
    assert desk.page.get_by_role("dialog").count() == 0


def test_motion_is_left_out_for_those_who_want_none(open_desk: Open) -> None:
    moves = "getComputedStyle(document.querySelector('.cap')).transitionDuration"
    assert open_desk(reduced_motion="reduce").page.evaluate(moves) == "0s"
    assert open_desk(reduced_motion="no-preference").page.evaluate(moves) != "0s"


def test_the_meters_judge_nobody_by_few_draws_and_say_so(open_desk: Open) -> None:
    desk = open_desk()
    desk.wait_shown(".evidence", "No category is judged below 100 expected draws.")
    meter = desk.strip("voice").get_by_role("img")
    wait_until_sync(
        lambda: "standard deviations" in (meter.get_attribute("aria-label") or ""),
        timeout_s=SEEN_S,
        what="enough of voice is drawn to judge it",
    )
    assert "Drawn " in (meter.get_attribute("aria-label") or "")
    assert desk.strip("custom").get_by_role("img").get_attribute("aria-label") is not None
