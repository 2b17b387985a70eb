"""Batches whose durations add up to a budget: within it, as full as the rule allows, and exactly of the mix.

Statistical tests have fixed seeds. Without these, they would fail a right implementation with chance 1e-6. The plain
rule, stop when the next chunk does not fit, fails them.
"""

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.support.batches import ask, drawn_of, library_of, score_of_mix, snapshots_of
from tests.support.drawing import FALSE_ALARM, chance_of_z, lasting_catalog, weights_of, with_durations_held
from worker.core.catalog import Catalog
from worker.core.draw.answer import answer
from worker.core.draw.derived import Prepared
from worker.core.draw.prepare import prepare
from worker.core.draw.sums import Sums
from worker.core.mixture import Finder
from worker.core.stats import read_counts

LASTING = lasting_catalog(
    {"voice": 60, "music": 40, "noise": 30}, {"voice": 3.0, "music": 12.0, "noise": 1.0}, spread=0.5
)
HELD = with_durations_held(LASTING)
WEIGHTS = weights_of({"voice": 0.5, "music": 0.2, "noise": 0.3})
LONGEST_MS = 40_000


@given(
    st.sampled_from([LASTING, HELD]),
    st.integers(LONGEST_MS, 400_000),
    st.lists(st.none() | st.integers(0, 99), min_size=1, max_size=8),
    st.sampled_from([65_536, 3, 1]),
)
def test_a_batch_goes_on_as_long_as_the_longest_chunk_would_fit(
    held: Catalog, budget_ms: int, seeds: list[int | None], most: int
) -> None:
    library = library_of(held, WEIGHTS)
    longest_ms = max(one.milliseconds for one in library.values())
    terms: dict[str, Any] = {"budget_s": budget_ms / 1000, "budget": "sum", "size": 65_536}
    prepared = prepare(ask(**terms).terms, snapshots_of(held, WEIGHTS))
    assert isinstance(prepared, Prepared)
    assert isinstance(prepared.batch.varying, Sums)
    sums = Sums(prepared.mixture, prepared.batch.varying.milliseconds, budget_ms - longest_ms, most, 1.0)
    drawn = sums.draw(seeds, np.random.default_rng(5))
    for seed, positions in zip(seeds, np.split(drawn.drawn.positions, drawn.sizes.cumsum()[:-1]), strict=True):
        lasting = [library[chunk].milliseconds for chunk in held.ids[positions].tolist()]
        assert sum(lasting) <= budget_ms
        assert sum(lasting[:-1]) + longest_ms <= budget_ms
        assert len(lasting) == most or sum(lasting) + longest_ms > budget_ms
        if seed is not None and most == 65_536:
            alone = answer([ask(9, seed=seed, **terms)], snapshots_of(held, WEIGHTS), np.random.default_rng(6))
            assert drawn_of(alone) == [held.ids[positions].tolist()]


def test_the_mix_is_that_of_the_weights_and_counts_are_what_the_tally_expects() -> None:
    for catalog in (LASTING, HELD):
        library, rng = library_of(catalog, WEIGHTS), np.random.default_rng(41)
        requests = [ask(number, budget_s=90.0, budget="sum") for number in range(2000)]
        answers = answer(requests, snapshots_of(catalog, WEIGHTS), rng)
        assert min(chance_of_z(float(z)) for z in score_of_mix(library, drawn_of(answers))) > FALSE_ALARM / 3
        rows = read_counts(answers.tally.fields).categories
        assert min(chance_of_z(row.z) for row in rows) > FALSE_ALARM / 3


def test_to_stop_when_the_next_chunk_does_not_fit_is_found_wrong() -> None:
    library, rng = library_of(HELD, WEIGHTS), np.random.default_rng(43)
    ids = np.array(list(library))
    chances = np.array([float(one.chance) for one in library.values()]).cumsum()
    finder = Finder(np.append(chances[:-1], 1.0), np.arange(len(ids)), np.ones(len(ids), np.int64))
    drawn = []
    for _ in range(2000):
        batch, lasted = [], 0
        for chunk in ids[finder.find(rng.random(200))].tolist():
            lasted += library[chunk].milliseconds
            if lasted > 90_000:
                break
            batch.append(chunk)
        drawn.append(batch)
    assert min(chance_of_z(float(z)) for z in score_of_mix(library, drawn)) < FALSE_ALARM
