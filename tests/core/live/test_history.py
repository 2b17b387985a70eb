"""The window, the phases and the series keep what they should, and no more."""

import json

from tests.core.live.conftest import Counting
from worker.core.live.phases import MOST_PHASES, Phases
from worker.core.live.series import MOST_POINTS, Level, Series
from worker.core.live.window import Window
from worker.core.stats import Tally

LOUD = {"voice": 0.9, "music": 0.1}
WIDE = {f"c{number}": 1 / 2000 for number in range(2000)}


def test_the_window_covers_about_a_minute(counting: Counting) -> None:
    window = Window()
    for second in range(200):
        counting.draw(LOUD, 10)
        window.add(counting.look())
        assert window.length_s == second if second <= 60 else 60 <= window.length_s < 65
        assert window.growth is None or window.growth.sums.chunks == 10 * window.length_s
    assert len(window._looks) <= 14
    assert window.fit.chunks == 10 * window.length_s


def test_fewer_looks_of_many_categories_are_kept(counting: Counting) -> None:
    window = Window()
    for _ in range(30):
        counting.draw(WIDE, 10)
        window.add(counting.look(after_s=7.0))
    assert 60 <= window.length_s <= 84
    assert len(window._looks) <= 5


def test_the_window_begins_anew_with_other_weights_and_with_cleared_counts(counting: Counting) -> None:
    window = Window()
    for _ in range(3):
        counting.draw(LOUD, 10)
        window.add(counting.look())
    window.restart()
    assert (window.growth, window.length_s, window.fit.chunks) == (None, 0.0, 0)
    window.add(counting.look())
    counting.draw(LOUD, 7)
    window.add(counting.look())
    assert window.fit.chunks == 7
    counting.tally = Tally()
    window.add(counting.look())
    assert window.fit.chunks == 0
    counting.draw(LOUD, 3)
    window.add(counting.look())
    assert window.fit.chunks == 3
    assert repr(window) == "<Window of 1.0 s, 1 looks>"


def test_a_phase_counts_what_was_drawn_between_two_changes(counting: Counting) -> None:
    phases = Phases()
    phases.add("a", counting.look())
    counting.draw(LOUD, 100)
    phases.add("a", counting.look())
    counting.draw(LOUD, 1000)  # around the change: it belongs to neither
    phases.end()
    phases.add("b", counting.look())
    counting.draw({"music": 1.0}, 200)
    phases.add("b", counting.look())
    first, second = phases.documents()
    assert (first["version"], first["chunks"], first["to_ms"]) == ("a", 100, first["from_ms"] + 1000)
    assert (second["version"], second["chunks"], second["to_ms"]) == ("b", 200, None)
    assert second["categories"][0]["name"] == "music"
    assert (second["categories"][0]["share"], second["categories"][0]["expected_share"]) == (1.0, 1.0)
    assert phases.turn == 3
    assert json.loads(json.dumps(phases.documents())) == phases.documents()


def test_phases_are_bounded_and_those_without_draws_forgotten(counting: Counting) -> None:
    phases = Phases()
    for number in range(3 * MOST_PHASES):
        phases.add(f"v{number}", counting.look())
        if number % 2:
            counting.draw(WIDE, 10)
        phases.add(f"v{number}", counting.look())
    found = phases.documents()
    assert len(found) == MOST_PHASES
    assert {int(one["version"][1:]) % 2 for one in found} == {1}
    assert {(len(one["categories"]), one["categories_left_out"]) for one in found} == {(64, 2000 - 64)}
    counting.tally = Tally()
    phases.add("v59", counting.look())
    assert phases.documents()[-1]["chunks"] == 0


def test_the_series_has_a_point_each_step_and_an_end(counting: Counting) -> None:
    series, shares = Series(), {"voice": 0.9, "music": 0.1}
    for _ in range(2000):
        counting.draw(LOUD, 10)
        series.add(counting.look(), list(shares), shares, Level(1.0, 2, 3.0, 4.0))
    document = series.document()
    assert (document["step_s"], len(document["points"]), series.turn) == (5.0, MOST_POINTS, 399)
    point = document["points"][-1]
    assert point == series.newest()
    assert (point["weights"], point["requests_per_s"], point["lag"], point["latency_p99_ms"]) == (shares, 1.0, 2, 4.0)
    assert abs(sum(point["shares"].values()) - 1) < 1e-5
    assert document["points"][1]["at_ms"] - document["points"][0]["at_ms"] == 5000


def test_a_pause_or_other_counts_are_no_share_of_a_step(counting: Counting) -> None:
    series = Series()
    series.add(counting.look(), ["voice"], LOUD, Level())
    counting.draw(LOUD, 10)
    series.add(counting.look(after_s=3600), ["voice"], LOUD, Level())
    assert series.document()["points"][0]["shares"] == {}
    series.restart()
    series.add(counting.look(after_s=60), ["voice"], LOUD, Level())
    assert series.turn == 1
    counting.draw({"voice": 1.0}, 10)
    series.add(counting.look(after_s=6), ["voice"], LOUD, Level())
    assert series.document()["points"][1]["shares"] == {"voice": 1.0}
    counting.tally = Tally()
    series.add(counting.look(after_s=6), ["voice"], LOUD, Level())
    assert series.document()["points"][2]["shares"] == {}
