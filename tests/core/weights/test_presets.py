"""Presets: the weights of the built-in ones, and which weights a request that names one is drawn under."""

import pytest

from tests.support.drawing import catalog_of, weights_of
from worker.core.draw.derived import Derived, Prepared
from worker.core.draw.prepare import Snapshots, Unanswerable, prepare
from worker.core.weights.in_force import ABSENT, Held, InForce, in_force, preset_name
from worker.core.weights.presets import BUILT_IN_PRESETS, built_in_preset, weights_name
from worker.core.weights.values import BUILT_IN, DEFAULTS
from worker.core.wire import Terms

DERIVED = Derived(catalog_of({"voice": 5, "music": 4, "own": 3, "custom": 2}))
SHARED = Held(b"1", weights_of({"voice": 1.0}))


@pytest.mark.parametrize(
    ("ready", "weighed"),
    [
        ({"voice": 5, "music": 4, "own": 3, "custom": 2}, {"voice", "music", "custom"}),
        ({"voice": 5, "music": 0}, {"voice"}),
        ({"own": 3, "other": 1, "none": 0}, {"own", "other"}),
        ({"custom": 1, "own": 3}, {"custom"}),
        ({"voice": 0}, set(BUILT_IN)),
        ({f"c{i}": 1 for i in range(10_001)}, set(BUILT_IN)),
        ({}, set(BUILT_IN)),
    ],
)
def test_balanced_weighs_the_built_in_categories_with_ready_chunks_alike(
    ready: dict[str, int], weighed: set[str]
) -> None:
    weights = built_in_preset("balanced", ready)
    assert weights.shares == pytest.approx(dict.fromkeys(weighed, 1 / len(weighed)))
    assert weights.source == "preset"


@pytest.mark.parametrize("category", ["voice", "music"])
def test_a_heavy_preset_leaves_the_others_in_their_default_proportions(category: str) -> None:
    shares = built_in_preset(f"{category}-heavy", {}).shares
    rest = {name: share for name, share in shares.items() if name != category}
    assert shares[category] == pytest.approx(0.7)
    assert rest.keys() == {name for name, weight in DEFAULTS.items() if weight} - {category}
    assert len({round(share / DEFAULTS[name], 9) for name, share in rest.items()}) == 1


def _snapshots(**stored: Held) -> Snapshots:
    weights: dict[str | None, InForce] = {None: in_force(None, None, SHARED)}
    weights["d"] = InForce("d", weights_of({"own": 1}), ())
    for name, held in stored.items():
        weights[preset_name(name)] = in_force(preset_name(name), held, SHARED)
    return Snapshots(DERIVED, weights, 0)


@pytest.mark.parametrize("preset", BUILT_IN_PRESETS)
def test_a_built_in_preset_is_drawn_under_whatever_the_weights_and_counted_as_its_own(preset: str) -> None:
    prepared = prepare(Terms(preset=preset, dataset="d"), _snapshots())
    assert isinstance(prepared, Prepared)
    assert prepared.dataset == f"preset:{preset}"
    assert set(prepared.mixture.categories) <= {"voice", "music", "custom"}
    assert prepare(Terms(preset=preset, dataset="d"), _snapshots()) is prepared


def test_a_stored_preset_is_drawn_under_before_the_dataset() -> None:
    snapshots = _snapshots(mine=Held(b"2", weights_of({"music": 3, "own": 1}, "preset")))
    prepared = prepare(Terms(preset="mine", dataset="d"), snapshots)
    assert isinstance(prepared, Prepared)
    assert dict(zip(prepared.mixture.categories, prepared.mixture.shares, strict=True)) == {"music": 0.75, "own": 0.25}
    assert weights_name(Terms(preset="mine", dataset="d")) == preset_name("mine")


def test_a_preset_that_nobody_stored_is_not_known_and_its_key_is_what_decides() -> None:
    snapshots = _snapshots(nope=Held(ABSENT, None))
    found = prepare(Terms(preset="nope"), snapshots)
    assert isinstance(found, Unanswerable)
    assert found.error.code == "unknown_preset"
    assert "'nope' is not known; accepted: balanced, voice-heavy, music-heavy" in str(found.error)
    assert snapshots.weights[preset_name("nope")].marks == ((preset_name("nope"), ABSENT),)
