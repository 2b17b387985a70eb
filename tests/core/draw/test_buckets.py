"""Batches of length buckets: within their budget, of one bucket each, and exactly of the mix over all of them.

Statistical tests have fixed seeds. Without these, they would fail a right implementation with chance 1e-6. Three wrong
ways to draw fail them: buckets by the chance of their chunks alone, plain weights within a bucket, and edges that
ignore the weights.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.batches import Bucket, Library, ask, buckets_of, drawn_of, library_of, score_of_mix, snapshots_of
from tests.support.drawing import (
    FALSE_ALARM,
    MODES,
    RANDOM,
    Mode,
    chance_of_fit,
    chance_of_z,
    lasting_catalog,
    weights_of,
    with_durations_held,
)
from worker.core.catalog import Catalog, build_catalog
from worker.core.draw.answer import answer
from worker.core.draw.buckets import Buckets, make_buckets
from worker.core.draw.cells import cut_cells, find_edges
from worker.core.draw.derived import Derived, Prepared
from worker.core.draw.prepare import prepare
from worker.core.mixture import make_mixture
from worker.core.stats import read_counts

BUDGET_S, COUNT, REQUESTS = 400.0, 5, 3000
IN_SECONDS = lasting_catalog(
    {"voice": 60, "music": 40, "noise": 30}, {"voice": 3.0, "music": 12.0, "noise": 1.0}, spread=0.5
)
LIBRARIES = {"of seconds": IN_SECONDS, "of chunks": with_durations_held(IN_SECONDS)}
WEIGHTS = weights_of({"voice": 0.5, "music": 0.1, "noise": 0.4})

in_every_mode = pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
of_both_units = pytest.mark.parametrize("catalog", LIBRARIES.values(), ids=LIBRARIES)


def _in_mode(mode: Mode) -> dict[str, Any]:
    return {"replace": mode.replace, "method": "stratified" if mode.stratified else "random"}


@st.composite
def libraries(pick: st.DrawFn) -> Catalog:
    """Make a small library whose chunks often last equally long."""
    durations = pick(st.lists(st.integers(1, 12) | st.integers(1, 9000), min_size=1, max_size=40))
    codes = pick(st.lists(st.integers(0, 2), min_size=len(durations), max_size=len(durations)))
    codes[0] = 0
    ms = np.array(durations, np.uint32)
    catalog = build_catalog(np.arange(len(ms)), np.array(codes, np.uint16), ["a", "b", "c"], ms)
    return catalog if pick(st.booleans()) else with_durations_held(catalog)


@given(
    libraries(),
    st.lists(st.integers(1, 100), min_size=3, max_size=3),
    st.integers(2, 64),
    st.integers(9000, 40_000),
    st.sampled_from(list(MODES.values())),
    st.lists(st.none() | st.integers(0, 99), min_size=1, max_size=8),
)
def test_every_batch_is_of_one_bucket_and_as_large_as_fits(
    catalog: Catalog, values: list[int], count: int, budget_ms: int, mode: Mode, seeds: list[int | None]
) -> None:
    weights = weights_of(dict(zip("abc", values, strict=True)))
    library = library_of(catalog, weights)
    terms = {"budget_s": budget_ms / 1000, "buckets": count, **_in_mode(mode)}
    requests = [ask(number, seed=seed, **terms) for number, seed in enumerate(seeds)]
    answers = answer(requests, snapshots_of(catalog, weights), np.random.default_rng(3))
    wanted = {one.longest_ms: one for one in buckets_of(library, budget_ms, count, replace=mode.replace)}
    for seed, ids in zip(seeds, drawn_of(answers), strict=True):
        lasting = [library[chunk].milliseconds for chunk in ids]
        assert max(lasting) * len(ids) <= budget_ms
        [bucket] = {min(edge for edge in wanted if edge >= ms) for ms in lasting}
        assert len(ids) == wanted[bucket].size
        assert mode.replace or len(set(ids)) == len(ids)
        if seed is not None:
            alone = answer([ask(7, seed=seed, **terms)], snapshots_of(catalog, weights), np.random.default_rng(4))
            assert drawn_of(alone) == [ids]
    rows = read_counts(answers.tally.fields).categories
    assert sum(row.count for row in rows) == sum(map(len, drawn_of(answers)))


def _buckets(catalog: Catalog, mode: Mode = RANDOM, count: int = COUNT) -> Buckets:
    prepared = prepare(ask(budget_s=BUDGET_S, buckets=count, **_in_mode(mode)).terms, snapshots_of(catalog, WEIGHTS))
    assert isinstance(prepared, Prepared)
    assert isinstance(prepared.batch.varying, Buckets)
    return prepared.batch.varying


def _draw(buckets: Buckets, catalog: Catalog) -> list[list[int]]:
    drawn = buckets.draw([None] * REQUESTS, np.random.default_rng(17))
    ids = catalog.ids[drawn.drawn.positions]
    return [one.tolist() for one in np.split(ids, drawn.sizes.cumsum()[:-1])]


def _chance_of_buckets(library: Library, wanted: list[Bucket], drawn: list[list[int]]) -> float:
    """Test how often each bucket came."""
    edges = [one.longest_ms for one in wanted]
    found = Counter(int(np.searchsorted(edges, library[ids[0]].milliseconds)) for ids in drawn)
    counts = [found[i] for i in range(len(edges))]
    return chance_of_fit(counts, [float(one.chance) * len(drawn) for one in wanted])


def _chance_of_mix(library: Library, drawn: list[list[int]], chances: Mapping[str, float] | None = None) -> float:
    return min(chance_of_z(float(z)) for z in score_of_mix(library, drawn, chances)) * 3


def _mix_of(buckets: Buckets) -> dict[str, float]:
    """Compute the mix that comes of the chances that buckets are drawn by, right or wrong."""
    chunks = np.diff(buckets.cumulative, prepend=0.0) * buckets.sizes
    mix = chunks @ buckets.several.shares / chunks.sum()
    return dict(zip(buckets.mixture.categories, mix.tolist(), strict=True))


@of_both_units
@in_every_mode
def test_buckets_come_by_their_chances_and_the_mix_is_that_of_the_weights(catalog: Catalog, mode: Mode) -> None:
    library = library_of(catalog, WEIGHTS)
    drawn = _draw(_buckets(catalog, mode), catalog)
    wanted = buckets_of(library, int(BUDGET_S * 1000), COUNT, replace=mode.replace)
    assert _chance_of_buckets(library, wanted, drawn) > FALSE_ALARM
    if mode.replace:  # else the few chunks of a category run out within a bucket
        assert _chance_of_mix(library, drawn) > FALSE_ALARM


@of_both_units
def test_categories_within_a_bucket_and_chunks_within_a_category_are_drawn_by_their_chances(catalog: Catalog) -> None:
    library = library_of(catalog, WEIGHTS)
    wanted = buckets_of(library, int(BUDGET_S * 1000), COUNT)
    drawn = _draw(_buckets(catalog), catalog)
    edges = [one.longest_ms for one in wanted]
    bucket_of = {chunk: int(np.searchsorted(edges, one.milliseconds)) for chunk, one in library.items()}
    counts = Counter(chunk for ids in drawn for chunk in ids)
    cells: dict[tuple[int, str], list[int]] = {}
    for chunk, one in library.items():
        cells.setdefault((bucket_of[chunk], one.category), []).append(counts[chunk])
    for i, bucket in enumerate(wanted):
        total = sum(sum(of_cell) for (own, _), of_cell in cells.items() if own == i)
        kept = [(sum(cells[i, name]), float(share) * total) for name, share in bucket.shares.items()]
        if len(kept) > 1:
            assert chance_of_fit(*zip(*kept, strict=True)) > FALSE_ALARM / COUNT
    for of_cell in cells.values():
        if len(of_cell) > 1:
            assert chance_of_fit(of_cell, [1000.0] * len(of_cell)) > FALSE_ALARM / len(cells)


@of_both_units
def test_buckets_drawn_by_the_chance_of_their_chunks_alone_are_found_wrong(catalog: Catalog) -> None:
    library, right = library_of(catalog, WEIGHTS), _buckets(catalog)
    wrong = replace(right, cumulative=np.append(right.cells.chances.cumsum()[:-1], 1.0))
    drawn = _draw(wrong, catalog)
    assert _chance_of_mix(library, drawn) < FALSE_ALARM
    assert _chance_of_mix(library, drawn, _mix_of(wrong)) > FALSE_ALARM
    assert _mix_of(wrong)["noise"] > 0.1 + _mix_of(right)["noise"]  # batches of short chunks have more of them


@of_both_units
def test_plain_weights_within_a_bucket_are_found_wrong(catalog: Catalog) -> None:
    library, right = library_of(catalog, WEIGHTS), _buckets(catalog)
    plain = np.where(right.cells.ready > 0, right.mixture.probabilities, 0.0)
    cells = right.cells._replace(shares=plain / plain.sum(axis=1, keepdims=True))
    wrong = make_buckets(right.mixture, right.lengths, cells, right.sizes, replace=True, stratified=False)
    drawn = _draw(wrong, catalog)
    assert _chance_of_mix(library, drawn) < FALSE_ALARM
    assert _chance_of_mix(library, drawn, _mix_of(wrong)) > FALSE_ALARM
    wanted = buckets_of(library, int(BUDGET_S * 1000), COUNT)
    assert _chance_of_buckets(library, wanted, drawn) > FALSE_ALARM  # nothing else is wrong


@of_both_units
def test_edges_of_the_library_without_its_weights_are_found_wrong(catalog: Catalog) -> None:
    library, right = library_of(catalog, WEIGHTS), _buckets(catalog)
    even = make_mixture(weights_of({name: float(size) for name, size in catalog.ready.items()}), catalog.view)
    assert even is not None
    unweighted = replace(even, probabilities=even.ready / even.ready.sum())
    firsts = right.lengths.firsts
    edges = find_edges(unweighted, right.lengths, firsts, COUNT)
    cells = cut_cells(right.mixture, right.lengths, firsts, edges)
    sizes = int(BUDGET_S * 1000) // edges
    wrong = make_buckets(right.mixture, right.lengths, cells, sizes, replace=True, stratified=False)
    wanted = buckets_of(library, int(BUDGET_S * 1000), COUNT)
    drawn = _draw(wrong, catalog)
    assert _chance_of_buckets(library, wanted, drawn) < FALSE_ALARM
    assert _chance_of_mix(library, drawn) > FALSE_ALARM  # nothing else is wrong
    assert edges.tolist() != [one.longest_ms for one in wanted]


def test_one_request_alone_is_drawn_by_the_same_chances() -> None:
    catalog = LIBRARIES["of chunks"]
    library, snapshots, rng = library_of(catalog, WEIGHTS), snapshots_of(catalog, WEIGHTS), np.random.default_rng(47)
    request, counted, drawn = ask(budget_s=BUDGET_S, buckets=COUNT), Counter[str](), []
    for _ in range(REQUESTS):
        answers = answer([request], snapshots, rng)
        counted.update(answers.tally.fields)
        assert answers.tally.asked.together
        drawn += drawn_of(answers)
    wanted = buckets_of(library, int(BUDGET_S * 1000), COUNT)
    assert _chance_of_buckets(library, wanted, drawn) > FALSE_ALARM
    assert _chance_of_mix(library, drawn) > FALSE_ALARM
    rows = read_counts(counted).categories
    assert min(chance_of_z(row.z) for row in rows) > FALSE_ALARM / 3


@of_both_units
@in_every_mode
def test_counts_are_what_the_tally_expects_of_them(catalog: Catalog, mode: Mode) -> None:
    snapshots, rng = snapshots_of(catalog, WEIGHTS), np.random.default_rng(29)
    terms = {"budget_s": BUDGET_S / 4, "buckets": COUNT, **_in_mode(mode)}
    requests = [ask(number, **terms) for number in range(60)]
    scores: dict[str, list[float]] = {}
    for _ in range(60):
        for row in read_counts(answer(requests, snapshots, rng).tally.fields).categories:
            scores.setdefault(row.category, []).append(row.z)
    for of_category in scores.values():
        assert chance_of_z(sum(of_category) / 60**0.5) > FALSE_ALARM
        # Standard normal numbers have a mean square of 1, with a standard deviation of sqrt(2 / 60).
        assert chance_of_z((float(np.square(of_category).mean()) - 1) / (2 / 60) ** 0.5) > FALSE_ALARM


class _Counting(np.random.Generator):
    """A generator that counts how often it is asked for numbers."""

    def __init__(self) -> None:
        super().__init__(np.random.PCG64(5))
        self.asked = 0

    def random(self, *words: Any, **named: Any) -> Any:
        self.asked += 1
        return super().random(*words, **named)


@in_every_mode
def test_requests_of_all_buckets_are_drawn_in_one_go(mode: Mode) -> None:
    requests, asked = [ask(number, budget_s=BUDGET_S, buckets=64, **_in_mode(mode)) for number in range(200)], []
    for some in (requests, requests[:1] * 2):
        rng = _Counting()
        answer(some, snapshots_of(LIBRARIES["of chunks"], WEIGHTS), rng)
        asked.append(rng.asked)
    assert asked[0] <= asked[1] + 40  # rounds of what came twice or ran out, for all at once


def test_the_first_batch_after_a_change_is_drawn_by_the_buckets_of_the_new_weights() -> None:
    derived = Derived(IN_SECONDS)
    terms = {"budget_s": BUDGET_S, "buckets": COUNT}
    for weights in (WEIGHTS, weights_of({"music": 1.0}), WEIGHTS):
        kept = snapshots_of(IN_SECONDS, weights)._replace(derived=derived)
        drawn = [
            drawn_of(answer([ask(0, seed=11, **terms)], snapshots, np.random.default_rng(0)))
            for snapshots in (kept, snapshots_of(IN_SECONDS, weights))
        ]
        assert drawn[0] == drawn[1]


def test_many_categories_are_counted_one_by_one() -> None:
    """What many categories make one expect follows from the number of chunks, but for buckets."""
    names = [f"c{i:03}" for i in range(100)]
    catalog = lasting_catalog(dict.fromkeys(names, 6), {name: 1.0 + i % 9 for i, name in enumerate(names)})
    weights = weights_of({name: 1.0 + i % 3 for i, name in enumerate(names)})
    requests = [ask(number, budget_s=600.0, buckets=8) for number in range(400)]
    answers = answer(requests, snapshots_of(catalog, weights), np.random.default_rng(31))
    rows = read_counts(answers.tally.fields).categories
    scores = np.array([row.z for row in rows])
    assert len(rows) == len(names)
    assert chance_of_z((float(np.square(scores).mean()) - 1) / (2 / 100) ** 0.5) > FALSE_ALARM
