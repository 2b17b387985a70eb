"""What draws compute from a catalog is computed once, bounded, and gone with the catalog."""

import gc
import weakref
from collections.abc import Mapping
from typing import Any

import numpy as np

from tests.support.drawing import catalog_of, weights_of
from worker.core.draw.answer import answer
from worker.core.draw.derived import MOST_KEPT, Derived
from worker.core.draw.prepare import Snapshots
from worker.core.draw.sessions import NEW_SESSION
from worker.core.weights.in_force import InForce
from worker.core.weights.values import Weights
from worker.core.wire import Request, Terms

READY = {"conference": 4, "music": 30, "noise": 6, "voice": 50}
WEIGHTS = weights_of({"voice": 0.5, "music": 0.25, "zebra": 0.2})


def _derived() -> Derived:
    return Derived(catalog_of(READY))


def _answer(derived: Derived, weights: Weights = WEIGHTS, **terms: Any) -> Mapping[str, str]:
    held: Mapping[str | None, InForce] = {None: InForce(None, weights, ())}
    snapshots = Snapshots(derived, held, 0, {"s": NEW_SESSION})
    (result,) = answer([Request("1-0", "r", Terms(**terms))], snapshots, np.random.default_rng(0)).results
    fields = [word if isinstance(word, str) else "" for word in result.fields]
    return dict(zip(fields[0::2], fields[1::2], strict=True))


def test_it_is_bounded() -> None:
    derived = _derived()
    for i in range(1, 5000):
        _answer(derived, weights_of({"voice": i, "music": 5000}))
        assert 0 < derived.kept <= MOST_KEPT


def test_it_goes_with_its_catalog() -> None:
    """It goes at once, and not with the next garbage collection: it may hold a gigabyte."""
    derived = _derived()
    gone = weakref.ref(derived.catalog.ids)
    gc.disable()
    try:
        kinds: list[dict[str, Any]] = [{}, {"category": "voice"}, {"encoding": "packed", "probabilities": True}]
        for terms in (*kinds, {"preset": "balanced"}, {"session": "s", "method": "epoch"}):
            _answer(derived, **terms)
        del derived
        assert gone() is None
    finally:
        gc.enable()


def test_weights_of_one_version_are_applied_to_a_catalog_once() -> None:
    derived = _derived()
    for source in ("redis", "last_known"):
        assert _answer(derived, weights_of({"voice": 1}, source))["weights_source"] == source
    _answer(derived, weights_of({"voice": 1}), category="voice")
    assert ": 3 prepared, 3 templates, 1 renderers, 1 mixtures, 0 budgets, 0 presets, " in repr(derived)


def test_it_shows_what_is_kept() -> None:
    derived = _derived()
    _answer(derived, session="s", method="epoch", category="voice")
    _answer(derived, preset="balanced")
    assert ": 2 prepared, 2 templates, 2 renderers, 2 mixtures, 0 budgets, 1 presets, " in repr(derived)
    assert repr(derived).endswith(" 50 ordered>")
    assert repr(derived.orders) == "<KeptOrders: 1 windows, 50 chunks>"
    assert list(derived.presets) == ["preset:balanced"]
