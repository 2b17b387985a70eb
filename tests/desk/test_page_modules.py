"""The page's modules that compute: the mix, the scale of the faders, links, and how numbers are written."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.browsers import running_browser
from tests.support.desks import running_desk

pytestmark = [pytest.mark.any_redis, pytest.mark.needs_browser]

Run = Callable[..., Any]

NONE = "\N{EN DASH}"
MIX = {"voice": 0.4, "music": 0.3, "custom": 0.2, "conference": 0.1}


@pytest.fixture(scope="module")
def run(redis_url_of_module: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Return what runs JavaScript with the modules in scope, as `await run("mix.shares(given)", {...})`."""
    folder = tmp_path_factory.mktemp("desk")
    names = ("mix", "taper", "link", "format")
    imports = "; ".join(f"const {name} = await import('/static/{name}.js')" for name in names)
    with running_desk({"REDIS_URL": redis_url_of_module}, folder) as desk, running_browser() as browser:
        page = browser.new_page()
        page.goto(f"{desk.url}/api/desk")

        def evaluate(expression: str, *given: Any) -> Any:
            return page.evaluate(f"async (given) => {{ {imports}; return {expression}; }}", list(given))

        yield evaluate


def test_shares_sum_to_one_whatever_the_weights_sum_to(run: Run) -> None:
    assert run("mix.shares(given[0])", {"a": 30, "b": 10}) == {"a": 0.75, "b": 0.25}
    assert run("mix.shares(given[0])", {"a": 0, "b": 0}) == {"a": 0, "b": 0}


def test_a_move_without_locks_moves_one_weight_alone(run: Run) -> None:
    moved = run("mix.move(given[0], 'voice', 0.9, new Set())", MIX)
    assert moved == {"weights": {**MIX, "voice": 0.9}, "problem": ""}


def test_locked_categories_keep_their_share_and_the_others_give_way_in_proportion(run: Run) -> None:
    moved = run("mix.move(given[0], 'voice', 0.5, new Set(['conference']))", MIX)["weights"]
    assert moved == pytest.approx({"voice": 0.5, "music": 0.24, "custom": 0.16, "conference": 0.1})
    most = run("mix.move(given[0], 'voice', 7, new Set(['conference']))", MIX)["weights"]
    assert most == pytest.approx({"voice": 0.9, "music": 0, "custom": 0, "conference": 0.1})


@pytest.mark.parametrize(
    ("locked", "says"),
    [(["voice"], "voice is locked."), (["music", "custom", "conference"], "All others are locked")],
)
def test_what_locks_forbid_is_said_and_moves_nothing(run: Run, locked: list[str], says: str) -> None:
    moved = run("mix.move(given[0], 'voice', 0.5, new Set(given[1]))", MIX, locked)
    assert moved["weights"] == MIX
    assert says in moved["problem"]


def test_mine_on_top_of_theirs_keeps_my_shares_and_their_proportions(run: Run) -> None:
    both = run("mix.onTop(given[0], given[1], ['voice'])", {"voice": 0.2, "music": 0.6, "x": 0.2}, {"voice": 0.5})
    assert both == pytest.approx({"voice": 0.5, "music": 0.375, "x": 0.125})


@pytest.mark.parametrize("top", [1, 100, 0.02])
def test_the_scale_gives_each_position_back(run: Run, top: float) -> None:
    assert run("taper.toPosition(taper.toWeight(0.5, given[0]), given[0])", top) == pytest.approx(0.5)
    assert run("[0, 1].map((at) => taper.toWeight(at, given[0]))", top) == [0, top]
    assert run("taper.stepped(0, -1, given[0])", top) == 0
    assert run("taper.stepped(given[0], 10, given[0])", top) == top


@pytest.mark.parametrize(("largest", "top"), [(0.4, 0.5), (0.5, 1), (0.7, 1), (70, 100), (0.0156, 0.02), (0, 1)])
def test_the_scale_ends_at_a_round_number_above_the_largest_weight(run: Run, largest: float, top: float) -> None:
    assert run("taper.topFor(given[0])", largest) == top


def test_a_mix_survives_its_link(run: Run) -> None:
    link = run("link.writeMix(given[0])", {"voice": 0.7, "music": 0.2, "custom": 0})
    assert link == "#voice=0.7&music=0.2"
    assert run("link.readMix(given[0])", link) == {"weights": {"voice": 0.7, "music": 0.2}, "problem": ""}
    assert run("link.readMix('#bank')") == {"weights": None, "problem": ""}


@pytest.mark.parametrize(
    "link",
    ["#Voice=1", "#voice=x", "#voice=-1", "#voice=1&voice=2", "#voice=0", "#voice=1e999", "#=1", "#voice=Infinity"],
)
def test_a_link_that_is_no_mix_is_refused_in_words(run: Run, link: str) -> None:
    found = run("link.readMix(given[0])", link)
    assert found["weights"] is None
    assert found["problem"].startswith("The link holds no valid mix: ")


def test_numbers_are_short_and_exact(run: Run) -> None:
    assert run("[0.7, 0.0052, 0, null].map(format.share)") == ["70.0 %", "0.52 %", "0.0 %", NONE]
    assert run("[8454, 84540, 1284112, 0.42, null].map(format.short)") == ["8,454", "84.5k", "1.28M", "0.420", NONE]
    assert run("[0.43, 0.004, 2.1e-9].map(format.chance)") == ["0.43", "0.004", "2e-9"]
    assert run("[1799000, 59000, 7261000].map(format.countdown)") == ["29:59", "00:59", "2:01:01"]
    assert run("[-5.43, 0.21].map(format.sigmas)") == ["\N{MINUS SIGN}5.4", "+0.2"]
