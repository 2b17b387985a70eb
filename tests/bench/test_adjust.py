"""The benchmark of rules that learn: learners follow their laws; table and picture show what was measured."""

from dataclasses import replace
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from tests.bench.adjust import SCENARIOS, rows_of
from tests.bench.learners import CHUNKS, SIZES, STEPS, Laws, Learners, best_fixed, draw_laws, train


def _alone(seeds: int = 1) -> Laws:
    """Laws without transfer, of a library that never repeats."""
    laws, _ = draw_laws(seeds)
    transfer = np.broadcast_to(np.eye(len(SIZES)), laws.transfer.shape)
    return replace(laws, transfer=transfer, sizes=np.full_like(laws.sizes, 1e9))


def test_a_loss_follows_its_law() -> None:
    laws, mix = _alone(), np.full((1, len(SIZES)), 1 / len(SIZES))
    kept = np.exp(-1 / STEPS)
    heard = CHUNKS / len(SIZES) * (1 - kept**STEPS) / (1 - kept)
    scale = laws.reducible * 1e5**laws.exponent
    expected = laws.irreducible + scale * (heard + laws.before) ** -laws.exponent
    assert train(laws, [mix] * STEPS) == pytest.approx(expected)


def test_repeats_are_worth_less_and_less() -> None:
    laws = replace(_alone(), sizes=np.full((1, len(SIZES)), float(CHUNKS)))
    learners, only = Learners(laws), np.eye(len(SIZES))[:1]
    losses = [learners.losses[0, 0]]
    for _ in range(30):
        learners.hear(only)
        losses.append(learners.losses[0, 0])
    gains = -np.diff(losses)
    assert (np.diff(gains) < 0).all()
    assert learners.losses[0, 1:] == pytest.approx(Learners(laws).losses[0, 1:])


def test_a_drift_takes_what_was_learned() -> None:
    laws, prior = draw_laws(1)
    drifting = SCENARIOS["drifting"].change(laws)
    ends = [Learners(one) for one in (laws, drifting)]
    for step in range(STEPS // 2):
        assert step == 0 or ends[0].losses.tolist() == ends[1].losses.tolist()
        for learners in ends:
            learners.hear(prior)
    assert ends[1].losses[0, 0] > ends[0].losses[0, 0]
    assert ends[1].losses[0, 1:].tolist() == ends[0].losses[0, 1:].tolist()


def test_the_best_fixed_mix_is_no_worse_than_others() -> None:
    laws, prior = draw_laws(3)
    found = train(laws, [best_fixed(laws, first=40, rounds=3, others=20)] * STEPS).mean(axis=1)
    for mix in (prior, np.full_like(prior, 1 / len(SIZES))):
        assert (found <= train(laws, [mix] * STEPS).mean(axis=1)).all()


def _rows() -> list[dict[str, object]]:
    losses = {
        ("default", True): np.array([2.0, 3.0, 4.0]),
        ("uniform", True): np.array([1.5, 2.5, 3.5]),
        ("best fixed", True): np.array([1.0, 2.0, 3.0]),
        ("bandit", True): np.array([1.1, 2.2, 3.3]),
        ("bandit", False): np.array([1.1, 2.2, 3.3]),
    }
    return rows_of("ordinary", losses)


def test_intervals_are_of_paired_differences() -> None:
    rows = {(row["mix"], row["guards"]): row for row in _rows()}
    assert rows["uniform", "yes"]["gap"] == pytest.approx(0.5)
    assert rows["uniform", "yes"]["gap ±"] == pytest.approx(0.0)
    assert rows["bandit", "yes"]["gap"] == pytest.approx(0.2)
    assert rows["bandit", "yes"]["gap ±"] == pytest.approx(4.303 * 0.1 / np.sqrt(3), rel=1e-3)
    assert rows["bandit", "bare"]["to default"] == pytest.approx(-0.8)


def test_the_picture_names_scenarios_and_mixes() -> None:
    from tests.bench.adjust_picture import draw_adjust

    root = ET.fromstring(draw_adjust(_rows(), ".svg"))  # noqa: S314 - our own
    told = {element.text for element in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {"ordinary", "default", "uniform", "bandit"} <= told
    assert "best fixed" not in told
