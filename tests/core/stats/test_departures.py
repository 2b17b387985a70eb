"""Draws that cannot follow the weights are reported with the cause; all else fits."""

from collections import Counter

import numpy as np
import pytest

from tests.support.drawing import catalog_of, lasting_catalog, weights_of
from worker.core.catalog import Catalog
from worker.core.draw.answer import answer
from worker.core.draw.derived import Derived
from worker.core.draw.prepare import Snapshots
from worker.core.stats import Asked, read_counts
from worker.core.stats.departures import Departure, departures
from worker.core.stats.drift import MOST_COMPARED, Key
from worker.core.weights.in_force import InForce
from worker.core.wire import Request, Terms

_READY = {"voice": 60, "music": 30, "noise": 4}
_LASTS_S = {"voice": 4.0, "music": 8.0, "noise": 2.0}
_CATALOGS = {"chunks": catalog_of(_READY), "seconds": lasting_catalog(_READY, _LASTS_S)}
in_both_units = pytest.mark.parametrize("unit", _CATALOGS)


def _drawn(
    terms: Terms, weights: dict[str, float], catalog: Catalog, *, times: int = 400, seed: int | None = None
) -> dict[Key, Departure]:
    rng = np.random.default_rng(1)
    snapshots = Snapshots(Derived(catalog), {None: InForce(None, weights_of(weights), ())}, 0)
    counts: Counter[str] = Counter()
    mixtures: dict[str, str] = {}
    asked = Asked()
    for start in range(0, times, 20):
        batch = [Request(f"{number}-0", "r", terms, seed) for number in range(start, start + 20)]
        tally = answer(batch, snapshots, rng).tally
        counts.update(tally.fields)
        mixtures |= {name: mixture.text for name, mixture in tally.mixtures.items()}
        asked.add(tally.asked)
    longest_ms = 0 if catalog.durations is None else int(catalog.durations.milliseconds.max())
    return departures(read_counts(counts, mixtures), asked, longest_ms / 1000)


def _shares(found: dict[Key, Departure]) -> dict[str, tuple[float, float]]:
    """Return by category the share drawn and the share asked for."""
    asked = sum(one.drawn.expected for one in found.values())
    return {key[1]: (one.drawn.amount / one.drawn.total, one.drawn.expected / asked) for key, one in found.items()}


@in_both_units
@pytest.mark.parametrize("method", ["random", "stratified"])
def test_what_is_drawn_by_its_weights_departs_by_chance_alone(unit: str, method: str) -> None:
    found = _drawn(Terms(size=8, method=method), {"voice": 3.0, "music": 1.0}, _CATALOGS[unit])  # type: ignore[arg-type]
    assert {one.cause for one in found.values()} == {""}
    assert {one.is_time for one in found.values()} == {unit == "seconds"}
    for drawn, asked in _shares(found).values():
        assert drawn == pytest.approx(asked, abs=0.05)


@in_both_units
@pytest.mark.parametrize("size", [1, 8])
def test_a_category_without_chunks_is_asked_for_all_the_same(unit: str, size: int) -> None:
    found = _drawn(Terms(size=size), {"voice": 2.0, "music": 1.0, "jazz": 1.0}, _CATALOGS[unit])
    shares = _shares(found)
    assert shares["jazz"][0] == 0.0
    assert shares["jazz"][1] == pytest.approx(0.25)
    assert [shares[name][1] for name in ("voice", "music")] == pytest.approx([0.5, 0.25])
    assert {one.cause for one in found.values()} == {"left-out"}


@in_both_units
@pytest.mark.parametrize("method", ["random", "stratified"])
def test_a_category_that_runs_out_within_a_request_is_asked_for_all_the_same(unit: str, method: str) -> None:
    terms = Terms(size=40, replace=False, method=method)  # type: ignore[arg-type]
    found = _drawn(terms, {"voice": 1.0, "noise": 1.0}, _CATALOGS[unit])
    assert {one.cause for one in found.values()} == {"exhausted"}
    noise = found["", "noise"].drawn
    assert noise.amount < 0.5 * noise.expected


def test_many_categories_of_which_some_are_left_out_or_run_out() -> None:
    ready = {f"c{number:03}": 2 for number in range(100)}
    wide = dict.fromkeys(ready, 1.0)
    found = _drawn(Terms(size=5), {**wide, "jazz": 100.0}, catalog_of(ready))
    assert found["", "jazz"].drawn.expected == pytest.approx(1000)
    assert found["", "jazz"].cause == "left-out"
    assert sum(one.drawn.expected for one in found.values()) == pytest.approx(2000)
    exhausted = _drawn(Terms(size=150, replace=False), {**wide, "c000": 50.0}, catalog_of(ready), times=20)
    assert exhausted["", "c000"].cause == "exhausted"
    assert exhausted["", "c000"].drawn.amount == 40


def test_the_larger_of_two_causes_is_named() -> None:
    terms = Terms(size=40, replace=False)
    found = _drawn(terms, {"voice": 1.0, "noise": 1.0, "jazz": 2.0}, _CATALOGS["chunks"])
    assert {name: found["", name].cause for name in ("jazz", "noise")} == {"jazz": "left-out", "noise": "exhausted"}
    fitting = _drawn(terms, {"voice": 1.0, "noise": 1.0, "jazz": 8.0}, _CATALOGS["chunks"])
    assert fitting["", "noise"].cause == ""  # one makes up for the other


def test_one_seed_for_all_requests_is_named_as_the_cause() -> None:
    found = _drawn(Terms(size=8), {"voice": 1.0, "music": 1.0}, _CATALOGS["chunks"], seed=5)
    assert {one.cause for one in found.values()} == {"seeds"}


def test_of_too_many_categories_those_of_which_most_is_asked_for_are_compared() -> None:
    counts = {f"chunks:d{number // 100}:c{number % 100}": 1 for number in range(MOST_COMPARED + 100)}
    counts |= {name.replace("chunks", "expected"): 1_000_000 for name in counts}
    counts["expected:d9:c9"] = 7_000_000
    found = departures(read_counts(counts), Asked(), 1.0)
    assert len(found) == MOST_COMPARED
    assert ("d9", "c9") in found
