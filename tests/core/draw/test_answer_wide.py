"""Hundreds of categories: only drawn ones are counted, and the counts are as exact as with a few categories."""

import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.drawing import FALSE_ALARM, MODES, Mode, catalog_of, chance_of_fit, weights_of
from worker.core.draw.answer import answer
from worker.core.draw.derived import Derived
from worker.core.draw.groups import Answers
from worker.core.draw.prepare import Snapshots
from worker.core.stats import Counts, read_counts
from worker.core.weights.in_force import InForce
from worker.core.wire import Method, Request, Result, Terms

NAMES = [f"c{i:03}" for i in range(300)]
CATALOG = catalog_of({name: 1 + i % 7 for i, name in enumerate(NAMES)})
WEIGHTS = weights_of({name: 1 + i % 5 for i, name in enumerate(NAMES)})
DERIVED = Derived(CATALOG)
SNAPSHOTS = Snapshots(DERIVED, {None: InForce(None, WEIGHTS, ()), "d": InForce("d", WEIGHTS, ())}, now_ms=0)

in_every_mode = pytest.mark.parametrize("mode", MODES.values(), ids=MODES)


def _request(number: int, size: int, mode: Mode, dataset: str | None = None) -> Request:
    method: Method = "stratified" if mode.stratified else "random"
    return Request(f"{number}-0", "r", Terms(size=size, dataset=dataset, replace=mode.replace, method=method))


def _read(answers: Answers) -> Counts:
    """Read the counts as Redis holds them."""
    return read_counts(answers.tally.fields, {name: mixture.text for name, mixture in answers.tally.mixtures.items()})


def _counts(result: Result) -> dict[str, int]:
    fields = dict(zip(result.fields[0::2], result.fields[1::2], strict=True))
    counts: dict[str, int] = json.loads(fields["counts"])
    return counts


sizes = st.lists(st.tuples(st.integers(1, 200), st.sampled_from([None, "d"])), min_size=1, max_size=8)


@given(sizes, st.sampled_from(list(MODES.values())), st.integers(0, 2**32))
def test_the_tally_is_the_sum_of_the_results(batch: list[tuple[int, str | None]], mode: Mode, seed: int) -> None:
    requests = [_request(i, size, mode, dataset) for i, (size, dataset) in enumerate(batch)]
    answers = answer(requests, SNAPSHOTS, np.random.default_rng(seed))
    drawn: Counter[tuple[str, str]] = Counter()
    for result in answers.results:
        dataset = batch[int(result.entry_id.partition("-")[0])][1] or ""
        counts = _counts(result)
        assert list(counts) == sorted(counts)
        assert 0 not in counts.values()
        drawn.update({(dataset, name): count for name, count in counts.items()})
    counted = _read(answers)
    assert {(row.dataset, row.category): row.count for row in counted.categories if row.count} == drawn
    assert answers.tally.chunks == sum(size for size, _ in batch) == counted.chunks
    for dataset, rows in counted.datasets():
        total = sum(count for (name, _), count in drawn.items() if name == dataset)
        assert sum(row.expected for row in rows) == pytest.approx(total, abs=1e-3)


@in_every_mode
def test_what_is_expected_is_what_is_drawn(mode: Mode) -> None:
    """Chi-square of all categories against their expectations; stratified draws fit better than chance."""
    requests = [_request(i, 20, mode) for i in range(200)]
    totals: Counter[str] = Counter()
    expected: Counter[str] = Counter()
    rng = np.random.default_rng(3)
    for _ in range(10):
        for row in _read(answer(requests, SNAPSHOTS, rng)).categories:
            totals[row.category] += row.count
            expected[row.category] += row.expected  # type: ignore[assignment]
    assert set(expected) == set(NAMES)
    assert chance_of_fit([totals[name] for name in NAMES], [expected[name] for name in NAMES]) > FALSE_ALARM


def test_few_fields_grow_however_many_categories_there_are() -> None:
    tally = answer([_request(0, 5, MODES["random"])], SNAPSHOTS, np.random.default_rng(0)).tally
    assert len(tally.fields) <= 5 + 2
    assert list(tally.mixtures.values()) == [DERIVED.mixture(WEIGHTS)]
