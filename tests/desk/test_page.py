"""The page in a real browser, before a real worker and a training: what people do, and what comes of it."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.desk.conftest import Open
from tests.support.browsers import DeskPage
from tests.support.command import run_command
from tests.support.stage import MIX, Stage
from tests.support.waiting import wait_until_sync

pytestmark = [pytest.mark.any_redis, pytest.mark.needs_browser]

SEEN_S = 60.0
FRAMES_MS = 100


def wait(predicate: object, what: str) -> None:
    wait_until_sync(predicate, timeout_s=SEEN_S, what=what)  # type: ignore[arg-type]


def has_counted(stage: Stage, version: str) -> bool:
    """Check that the current phase has this version, and that the desk has counted draws in it.

    Equal weights have equal versions: an earlier phase of the same weights says nothing of this one.
    """
    last = stage.desk.get("/api/phases").document["phases"][-1:]
    return any(phase["version"] == version and phase["chunks"] for phase in last)


def wait_in_force(stage: Stage, desk: DeskPage) -> None:
    """Wait until the page has seen what is stored: it refuses to change what it has not seen."""
    wait(lambda: stage.client.weights().version in desk.page.locator("#version").inner_text(), "the page is up to date")


def test_a_moved_fader_changes_what_trainings_draw(stage: Stage, open_desk: Open) -> None:
    desk = open_desk("alice")
    before = stage.training.wait_heard(stage.client.weights().version)
    assert before["music"] > 0
    desk.page.get_by_label("Reason").fill("no music today")
    desk.drag("music", 400)
    desk.wait_shown("#says", "Applied by 1 of 1 worker in")
    change = stage.client.weights_history(count=1)[0]
    assert (change.who, change.reason) == ("alice (desk)", "no music today")
    assert stage.stored() == {name: weight for name, weight in MIX.items() if name != "music"}
    assert change.version is not None
    after = stage.training.wait_heard(change.version)
    assert after["music"] == 0
    assert set(after) == {"voice", "documentary", "conference"}
    wait(lambda: desk.share("music") == "0.0 %", "the share of music is 0")
    desk.wait_shown("#change-list li:first-child", "no music today")
    desk.wait_shown("#applied", "Applied by 1 of 1 worker")
    desk.wait_shown("#sessions", "asr-large-7")


def test_a_fader_moves_on_purpose_only(stage: Stage, open_desk: Open) -> None:
    desk = open_desk()
    box = desk.fader("voice").bounding_box()
    assert box is not None
    desk.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    desk.page.mouse.wheel(0, -300)
    desk.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + 20)
    assert desk.weight("voice") == 0.4
    desk.grab("voice", -40)
    wait(lambda: desk.weight("voice") > 0.4, "the fader follows the hand")
    desk.wait_shown("#says", "voice 40.0 % → ")
    desk.wait_shown('.strip[data-name="voice"] .figure.of32', "±")
    desk.page.keyboard.press("Escape")
    desk.page.mouse.up()
    wait(lambda: desk.weight("voice") == 0.4, "Escape takes the fader back")
    assert stage.stored() == MIX


def test_two_people_see_each_other(stage: Stage, open_desk: Open) -> None:
    alice, bob = open_desk("alice"), open_desk("bob")
    alice.page.get_by_label("Reason").fill("more speech")
    alice.drag("voice", -60)
    alice.wait_shown("#says", "Applied by")
    bob.wait_shown("#notices", "alice (desk), ")
    assert "(more speech)" in bob.notices
    assert "voice 40.0 % → " in bob.notices
    assert bob.weight("voice") == alice.weight("voice") == stage.stored()["voice"] > 0.4
    assert bob.strip("voice").locator(".ghost").is_visible()
    assert not bob.strip("music").locator(".ghost").is_visible()
    assert "alice (desk) changed the weights: voice" in bob.page.locator("#spoken").inner_text()
    assert "alice (desk), " not in alice.notices.partition("Set by")[0]


def test_a_change_that_was_not_seen_is_never_overwritten(stage: Stage, open_desk: Open) -> None:
    desk = open_desk("alice")
    desk.grab("music", 60)
    wait(lambda: desk.weight("music") < 0.3, "the fader follows the hand")
    theirs = {**MIX, "conference": 0.4}
    stage.set_weights(theirs, reason="the meeting corpus")
    desk.page.mouse.up()
    dialog = desk.page.get_by_role("dialog")
    dialog.get_by_text("bob changed the weights").wait_for()
    assert "(the meeting corpus)" in dialog.inner_text()
    assert stage.stored() == theirs
    dialog.get_by_role("button", name="Take theirs").click()
    wait(lambda: desk.weight("conference") == 0.4, "their mix stands on the faders")
    assert desk.weight("music") == 0.3
    desk.page.get_by_label("Hold changes").check()
    desk.drag("music", 60)
    moved = desk.share("music")
    theirs = {**MIX, "voice": 0.8}
    stage.set_weights(theirs)
    desk.wait_shown("#says", "The weights changed meanwhile")
    desk.page.get_by_role("button", name="Apply 1 change").click()
    dialog.get_by_role("button", name="Apply mine on top").click()
    desk.wait_shown("#says", "Applied by 1 of 1")
    stored = stage.stored()
    assert f"{stored['music'] * 100:.1f} %" == moved
    assert stored["voice"] / stored["conference"] == pytest.approx(8)


def test_held_moves_are_applied_as_one_with_a_reason(stage: Stage, open_desk: Open) -> None:
    desk = open_desk("alice")
    count = len(stage.client.weights_history(count=100))
    desk.page.get_by_label("Hold changes").check()
    desk.drag("voice", -30)
    desk.drag("music", 30)
    desk.fader("conference").press("PageUp")
    field = desk.page.get_by_label("documentary weight, typed")
    field.fill("0")
    field.press("Enter")
    button = desk.page.get_by_role("button", name="Apply 4 changes")
    button.wait_for()
    assert stage.stored() == MIX
    desk.page.get_by_label("Reason").fill("second stage")
    button.click()
    desk.wait_shown("#says", "Applied by 1 of 1")
    history = stage.client.weights_history(count=100)
    assert len(history) == count + 1
    assert history[0].reason == "second stage"
    assert set(stage.stored()) == {"voice", "music", "conference"}
    desk.drag("voice", 30)
    desk.page.get_by_role("button", name="Discard").click()
    wait(lambda: desk.weight("voice") == stage.stored()["voice"], "the stored weight stands on the fader again")


def test_a_double_click_brings_the_stored_weight_back(stage: Stage, open_desk: Open) -> None:
    desk = open_desk()
    desk.page.get_by_label("Hold changes").check()
    desk.drag("voice", -30)
    assert desk.weight("voice") > 0.4
    desk.fader("voice").dblclick()
    wait(lambda: desk.weight("voice") == 0.4, "the stored weight stands on the fader")
    assert stage.stored() == MIX


def test_mute_remembers_its_fader_and_solo_the_mix(stage: Stage, open_desk: Open) -> None:
    desk = open_desk("alice")
    desk.key("Mute", "music").click()
    wait(lambda: "music" not in stage.stored(), "music is muted")
    wait(lambda: desk.key("Mute", "music").get_attribute("aria-pressed") == "true", "mute is lit")
    desk.key("Mute", "music").click()
    wait(lambda: stage.stored() == MIX, "music is back where it was")
    desk.key("Solo", "custom").click()
    desk.page.get_by_role("dialog").get_by_role("button", name="Solo custom").click()
    wait(lambda: set(stage.stored()) == {"custom"}, "custom is alone")
    desk.wait_shown("#notices", "Solo: custom alone")
    assert set(stage.training.wait_heard(stage.client.weights().version)) == {"custom"}
    wait(lambda: desk.key("Solo", "custom").get_attribute("aria-pressed") == "true", "solo is lit")
    desk.key("Mute", "custom").click()
    desk.wait_shown("#says", "custom is the only one heard")
    desk.key("Solo", "custom").click()
    wait(lambda: stage.stored() == MIX, "the mix before the solo is back")


def test_a_locked_category_keeps_its_share(stage: Stage, open_desk: Open) -> None:
    desk = open_desk()
    desk.key("Lock the share of", "voice").click()
    wait(lambda: desk.fader("voice").get_attribute("aria-disabled") == "true", "the fader is locked")
    desk.drag("music", -40)
    desk.wait_shown("#says", "Applied by")
    stored = stage.stored()
    assert stored["voice"] / sum(stored.values()) == pytest.approx(0.4)
    assert stored["documentary"] / stored["conference"] == pytest.approx(2)
    for name in ("documentary", "conference", "custom"):
        desk.key("Lock the share of", name).click()
    desk.fader("music").press("ArrowUp")
    desk.wait_shown("#says", "All others are locked: nothing can give way to music.")
    assert stage.stored() == stored


def test_a_link_opens_a_mix_that_is_not_applied(stage: Stage, open_desk: Open) -> None:
    desk = open_desk(path="/#voice=0.7&music=0.2&zebra=0.1")
    desk.wait_shown("#says", "This mix came with the link. It is not applied:")
    desk.wait_shown("#moves", "No READY chunks: zebra")
    assert [desk.share(name) for name in ("voice", "music", "documentary", "zebra")] == [
        "70.0 %",
        "20.0 %",
        "0.0 %",
        "10.0 %",
    ]
    assert stage.stored() == MIX
    desk.page.get_by_role("button", name="Copy link").click()
    desk.page.get_by_role("button", name="Discard").click()
    wait(lambda: desk.weight("voice") == 0.4, "the mix in force stands on the faders")
    desk.page.goto(f"{stage.desk.url}/#voice=7&custom=3")
    desk.wait_shown("#says", "It is not applied")
    desk.page.get_by_role("button", name="Apply 5 changes").click()
    desk.wait_shown("#says", "Applied by 1 of 1")
    assert stage.stored() == {"voice": 7, "custom": 3}
    desk.page.goto(f"{stage.desk.url}/#voice=much")
    desk.wait_shown("#says", "The link holds no valid mix: voice=much; accepted: a number of at least 0.")


def test_history_presets_and_temporary_weights(stage: Stage, open_desk: Open) -> None:
    desk = open_desk("alice")
    page = desk.page
    page.get_by_role("button", name="Earlier changes").click()
    desk.wait_shown("#change-list", "the first mix")
    page.get_by_role("button", name="Apply preset voice-heavy").click()
    wait(lambda: stage.stored() != MIX, "the preset is stored")
    desk.wait_shown("#change-list li:first-child", "preset voice-heavy")
    wait_in_force(stage, desk)
    page.get_by_role("button", name="Undo the last change").click()
    wait(lambda: stage.stored() == MIX, "the change is undone")
    desk.wait_shown("#change-list li:first-child", "undo")
    wait_in_force(stage, desk)
    page.locator("#change-list").get_by_role("button", name="Return to the weights of").first.click()
    wait(lambda: stage.stored() != MIX, "the weights of an entry are back")
    wait_in_force(stage, desk)
    page.locator("#presets").get_by_label("Name").fill("mine")
    page.get_by_role("button", name="Save mix").click()
    desk.wait_shown("#presets", "mine")
    page.get_by_label("Lasts").select_option("1800")
    desk.drag("custom", -50)
    page.get_by_role("button", name="End now").wait_for()
    assert "Temporary weights: " in desk.notices
    page.get_by_role("button", name="End now").click()
    page.get_by_role("button", name="End now").wait_for(state="detached")


def test_everything_works_by_keyboard_alone(stage: Stage, open_desk: Open) -> None:
    desk = open_desk(who="")
    page = desk.page
    page.locator("body").press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the faders"
    page.keyboard.press("Enter")
    for _ in range(2):  # the name of the first strip, then its fader
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('role')") == "slider"
    name = page.evaluate("document.activeElement.dataset.name")
    before = desk.weight(name)
    page.keyboard.press("ArrowUp")
    page.keyboard.press("PageUp")
    page.keyboard.press("Shift+ArrowDown")
    page.keyboard.press("Enter")
    wait(lambda: stage.stored()[name] > before, "keys are applied")
    desk.wait_shown("#says", "Applied by 1 of 1")
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    page.clock.install(time=hour_ago)
    page.clock.pause_at(hour_ago + timedelta(minutes=1))  # keys that rest for a while are applied
    page.keyboard.press("Home")
    page.clock.run_for(FRAMES_MS)
    assert desk.weight(name) == 0
    page.keyboard.press("Escape")
    page.clock.run_for(FRAMES_MS)
    assert desk.weight(name) == stage.stored()[name]
    page.clock.resume()
    page.keyboard.press("2")
    assert page.evaluate("document.activeElement.className") == "weight"
    page.keyboard.press("Enter")
    wait(lambda: stage.stored()[name] == 2, "a number that was typed is applied")
    for key in ("Tab", "Tab"):
        page.keyboard.press(key)
    page.keyboard.press("Enter")
    page.get_by_role("dialog").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="hidden")
    assert stage.stored()[name] == 2
    marks = page.locator(".large .mark")

    def is_told() -> bool:
        marks.last.focus()
        return "points" in page.locator(".large .tip").inner_text()

    wait(is_told, "a mark says what was changed")  # it is made anew where another change comes meanwhile


def test_what_is_typed_wrongly_is_said(stage: Stage, open_desk: Open) -> None:
    desk = open_desk()
    field = desk.page.get_by_label("voice weight, typed")
    field.fill("a lot")
    field.press("Enter")
    desk.wait_shown("#says", '"a lot" is no weight of voice; accepted: a number of at least 0, such as 0.7.')
    assert field.get_attribute("aria-invalid") == "true"
    assert stage.stored() == MIX


@pytest.mark.filterwarnings("ignore::worker.errors.WeightsWarning")  # none of them is READY
def test_of_many_categories_64_are_shown_and_the_others_keep_their_weights(stage: Stage, open_desk: Open) -> None:
    many = {f"c-{number:03}": 1 + number / 1000 for number in range(90)}
    stage.client.set_weights(many, dataset="many")
    desk = open_desk(path="/?dataset=many")
    desk.wait_shown("#count", "64 of 95 categories")
    assert desk.page.locator(".strip").count() == 64
    desk.wait_shown("#applied", "Workers read these weights with the first request for them.")
    desk.page.get_by_label("Find a category").fill("c-003")
    desk.page.get_by_role("button", name="Show", exact=True).click()
    desk.fader("c-003").wait_for()
    assert desk.page.locator(".strip").count() == 65
    field = desk.page.get_by_label("c-003 weight, typed")
    field.fill("5")
    field.press("Enter")
    wait(lambda: stage.stored("many") == {**many, "c-003": 5}, "one weight is moved, and 89 stay")
    desk.page.get_by_label("Dataset").select_option("")
    desk.fader("voice").wait_for()
    assert stage.stored() == MIX


AT_ONCE = """() => new MutationObserver((_, observer) => {
  const field = document.querySelector('[aria-label="c-003 weight, typed"]');
  if (field) { observer.disconnect(); field.focus(); field.onblur = () => { window.hasLeft = true; }; }
}).observe(document.body, { childList: true, subtree: true })"""


@pytest.mark.filterwarnings("ignore::worker.errors.WeightsWarning")  # none of them is READY
def test_who_is_at_a_strip_that_was_searched_for_keeps_the_focus(stage: Stage, open_desk: Open) -> None:
    stage.client.set_weights({f"c-{number:03}": 1 + number / 1000 for number in range(90)}, dataset="many")
    desk = open_desk(path="/?dataset=many")
    desk.wait_shown("#count", "64 of 95 categories")
    desk.page.evaluate(AT_ONCE)
    desk.page.get_by_label("Find a category").fill("c-003")
    desk.page.get_by_role("button", name="Show", exact=True).click()
    desk.fader("c-003").wait_for()
    desk.page.wait_for_timeout(300)  # the search looks ten times a second whether the strip is there
    assert desk.page.evaluate("[document.activeElement.className, Boolean(window.hasLeft)]") == ["weight", False]


def test_a_session_that_follows_a_schedule_says_so_and_how_far_it_is(stage: Stage, open_desk: Open) -> None:
    words = ("evening-run", "0 voice=1; 9 music=1", "--unit", "hours")
    assert run_command("session", "schedule", *words, settings=stage.settings, cwd=stage.folder).returncode == 0
    desk = open_desk()
    desk.page.locator("#sessions .tag", has_text="follows a schedule").wait_for()
    desk.page.get_by_role("button", name="What evening-run has heard").click()
    desk.wait_shown("#sessions", "Schedule by hours of 2 points, now at 0.")
    run_command("session", "limit", "evening-run", "8", settings=stage.settings, cwd=stage.folder)
    desk.page.get_by_role("button", name="What evening-run has heard").click()
    desk.page.get_by_role("button", name="What evening-run has heard").click()
    desk.wait_shown("#sessions", "Limit: 8 repeats of a category.")
    assert desk.page.locator("#sessions .limit.near").count() == 0
    run_command("session", "end", "evening-run", settings=stage.settings, cwd=stage.folder)


def test_a_session_near_its_limit_of_repeats_says_so_unasked(stage: Stage, open_desk: Open) -> None:
    limit = ("session", "limit", "asr-large-7")
    assert run_command(*limit, "0.001", settings=stage.settings, cwd=stage.folder).returncode == 0
    desk = open_desk()
    desk.wait_shown("#sessions .limit.near", "Limit: 0.001 repeats of a category. The most has ")
    run_command(*limit, "0", settings=stage.settings, cwd=stage.folder)


def test_a_weight_that_moves_while_its_field_is_looked_at_is_not_set_back(stage: Stage, open_desk: Open) -> None:
    desk = open_desk()
    desk.page.get_by_label("voice weight, typed").focus()
    stage.set_weights({**MIX, "voice": 0.123456789})
    wait(lambda: desk.weight("voice") == 0.123456789, "the page has the new weight")
    count = len(stage.client.weights_history(count=100))
    desk.page.get_by_label("Find a category").focus()
    stage.set_weights(MIX)
    wait(lambda: desk.weight("voice") == MIX["voice"], "the page has the weight of later")
    assert len(stage.client.weights_history(count=100)) == count + 1


def test_a_move_too_small_for_a_digit_is_written_with_more(stage: Stage, open_desk: Open) -> None:
    desk = open_desk()
    stage.set_weights({**MIX, "voice": 0.4002}, reason="a hair more")
    row = desk.page.locator("#change-list li", has_text="a hair more")
    row.wait_for()
    assert "voice 40.00 % → 40.01 %" in row.inner_text()


def test_a_session_shows_what_it_heard_and_two_phases_stand_side_by_side(stage: Stage, open_desk: Open) -> None:
    desk = open_desk()
    stage.training.wait_heard(stage.client.weights().version)
    desk.page.get_by_role("button", name="What asr-large-7 has heard").click()
    desk.wait_shown("#sessions td", "%")
    for column in ("repeats", "most"):
        desk.wait_shown("#sessions th", column)
    words = desk.page.locator('.strip[data-name="voice"] .figure.heard').get_attribute("title")
    assert words is not None
    assert words.startswith("Each chunk was drawn ")
    earlier = stage.client.weights().version
    wait(lambda: has_counted(stage, earlier), "the first phase has counts: one without is no phase")
    version = stage.set_weights({"voice": 1, "music": 3})
    stage.training.wait_heard(version)
    desk.wait_shown("#compare", "A drawn")
    wait(lambda: version in desk.page.get_by_label("Phase B").inner_text(), "the new phase can be chosen")
    for column, weight in (("A weight", "30.0 %"), ("B weight", "75.0 %")):
        cell = desk.cell("Two phases side by side", "music", column)
        wait(lambda: cell.inner_text() == weight, f"{column} is {weight}")  # noqa: B023 - it is called at once
    desk.page.get_by_label("Phase A").select_option(index=0)
    desk.page.locator(".large .mark").first.wait_for(state="attached")
