"""Weights as shares of audio time: results have seconds, all are counted, and seeds and errors work as before."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.drawing import MODES, Mode, catalog_of, lasting_catalog, weights_of
from worker.core.catalog import Catalog, build_catalog
from worker.core.draw.answer import answer
from worker.core.draw.derived import Derived
from worker.core.draw.groups import Answers
from worker.core.draw.prepare import Snapshots
from worker.core.stats import Counts, read_counts
from worker.core.weights.in_force import InForce
from worker.core.wire import Method, Request, Result, Terms, decode_result

MEANS_S = {"voice": 3.0, "music": 90.0, "conference": 0.4, "silence": 5.0}
FEW = lasting_catalog({"voice": 60, "music": 40, "conference": 9, "silence": 3}, MEANS_S)
MANY = lasting_catalog({f"c{i:03}": 1 + i % 7 for i in range(200)}, {f"c{i:03}": 0.1 + i % 11 for i in range(200)})
WEIGHTS = {
    id(FEW): weights_of({"voice": 0.5, "music": 0.3, "conference": 0.2}),
    id(MANY): weights_of({f"c{i:03}": 1 + i % 5 for i in range(200)}),
}
catalogs = st.sampled_from([FEW, MANY])
batches = st.lists(
    st.tuples(st.integers(1, 100), st.sampled_from([None, "d"]), st.sampled_from(list(MODES.values()))),
    min_size=1,
    max_size=6,
)


def _snapshots(catalog: Catalog) -> Snapshots:
    weights = WEIGHTS.get(id(catalog), WEIGHTS[id(FEW)])
    return Snapshots(Derived(catalog), {None: InForce(None, weights, ()), "d": InForce("d", weights, ())}, now_ms=0)


def _request(number: int, mode: Mode, **fields: Any) -> Request:
    method: Method = "stratified" if mode.stratified else "random"
    seed = fields.pop("seed", None)
    return Request(f"{number}-0", f"r{number}", Terms(replace=mode.replace, method=method, **fields), seed)


def _read(result: Result) -> dict[str, Any]:
    words = [word.encode() if isinstance(word, str) else word for word in result.fields]
    return decode_result(words).as_dict()


def _counted(answers: Answers) -> Counts:
    """Read the counts as Redis holds them."""
    return read_counts(answers.tally.fields, {name: mixture.text for name, mixture in answers.tally.mixtures.items()})


def _durations_ms(catalog: Catalog) -> dict[int, int]:
    assert catalog.durations is not None
    return dict(zip(catalog.ids.tolist(), catalog.durations.milliseconds.tolist(), strict=True))


LASTING = {id(catalog): _durations_ms(catalog) for catalog in (FEW, MANY)}
CATEGORY_OF = {
    id(catalog): {chunk: name for name, ids in catalog.segments() for chunk in ids.tolist()} for catalog in (FEW, MANY)
}


@given(catalogs, batches, st.integers(0, 2**32))
def test_seconds_are_those_of_the_ids_and_the_tally_is_their_sum(
    catalog: Catalog, batch: list[tuple[int, str | None, Mode]], seed: int
) -> None:
    requests = [_request(i, mode, size=size, dataset=dataset) for i, (size, dataset, mode) in enumerate(batch)]
    answers = answer(requests, _snapshots(catalog), np.random.default_rng(seed))
    drawn_ms: Counter[tuple[str, str]] = Counter()
    for result in answers.results:
        read = _read(result)
        if result.error:
            continue
        of_result: Counter[str] = Counter()
        for chunk in read["chunk_ids"]:
            of_result[CATEGORY_OF[id(catalog)][chunk]] += LASTING[id(catalog)][chunk]
        assert list(read["seconds"]) == list(read["counts"]) == sorted(of_result)
        assert {name: round(s * 1000) for name, s in read["seconds"].items()} == of_result
        dataset = batch[int(result.entry_id.partition("-")[0])][1] or ""
        drawn_ms.update({(dataset, name): ms for name, ms in of_result.items()})
    counted = _counted(answers)
    assert not counted.is_mixed
    rows = {(row.dataset, row.category): row.seconds for row in counted.categories}
    assert {key: round((s or 0) * 1000) for key, s in rows.items() if s} == drawn_ms
    sizes = [size for (size, _, _), request in zip(batch, requests, strict=True) if _is_ok(answers, request)]
    assert counted.chunks == answers.tally.chunks == sum(sizes)


def _is_ok(answers: Answers, request: Request) -> bool:
    (result,) = (result for result in answers.results if result.entry_id == request.entry_id)
    return result.error is None


@given(catalogs, st.sampled_from(list(MODES.values())), st.integers(0, 2**63 - 1))
def test_a_seed_draws_the_same_on_every_worker_that_knows_the_same_durations(
    catalog: Catalog, mode: Mode, seed: int
) -> None:
    request = _request(0, mode, size=20, seed=seed)
    twin = build_catalog(
        catalog.ids[::-1],
        np.repeat(np.arange(len(catalog.categories)), np.diff(catalog.bounds))[::-1].astype(np.uint16),
        catalog.categories,
        None if catalog.durations is None else catalog.durations.milliseconds[::-1].copy(),
    )
    assert twin.version == catalog.version
    weights = _snapshots(catalog).weights
    both = [
        answer([request], Snapshots(Derived(one), weights, 0), np.random.default_rng(i)).results[0].fields
        for i, one in enumerate((catalog, twin))
    ]
    assert both[0] == both[1]


def test_a_chunks_probability_is_what_probabilities_tell() -> None:
    """weights[c] / ready[c], by counting: the weights of a result are those that were drawn by."""
    request = _request(0, MODES["random"], size=50_000, probabilities=True)
    read = _read(answer([request], _snapshots(FEW), np.random.default_rng(1)).results[0])
    assert sum(read["weights"].values()) == pytest.approx(1)
    assert read["ready"] == FEW.ready
    for name, share in read["weights"].items():
        sigma = (share * (1 - share) / 50_000) ** 0.5
        assert abs(read["counts"].get(name, 0) / 50_000 - share) < 5.5 * sigma  # 6 looks at 2e-8 each


@pytest.mark.parametrize("replace", [True, False])
def test_stratified_counts_are_floor_or_ceiling_of_size_times_probability(replace: bool) -> None:  # noqa: FBT001
    mode = Mode(replace=replace, stratified=True)
    requests = [_request(i, mode, size=7, probabilities=True) for i in range(300)]
    for result in answer(requests, _snapshots(FEW), np.random.default_rng(2)).results:
        read = _read(result)
        for name, share in read["weights"].items():
            assert abs(read["counts"].get(name, 0) - 7 * share) < 1


def test_a_named_category_tells_its_seconds_too() -> None:
    read = _read(answer([_request(0, MODES["random"], size=3, category="silence")], _snapshots(FEW), _rng()).results[0])
    assert list(read["seconds"]) == ["silence"]


def test_without_a_chunk_that_has_a_duration_the_error_says_so() -> None:
    barren = build_catalog(np.array([1]), np.array([0], np.uint8), ("other",), np.array([7], np.uint32))
    read = _read(answer([_request(0, MODES["random"])], _snapshots(barren), _rng()).results[0])
    assert read["error"] == "no_ready_chunks"
    assert "is READY with a duration, which WORKER_WEIGHT_UNIT=seconds goes by; accepted: " in read["message"]


def test_by_chunks_nothing_is_told_of_seconds() -> None:
    answers = answer([_request(0, MODES["random"], size=9)], _snapshots(catalog_of({"voice": 9})), _rng())
    assert "seconds" not in _read(answers.results[0])
    assert {name.partition(":")[0] for name in answers.tally.fields} == {"requests", "chunks", "expected", "variance"}


def test_many_categories_grow_few_fields() -> None:
    answers = answer([_request(0, MODES["random"], size=5)], _snapshots(MANY), _rng())
    assert len(answers.tally.fields) <= 1 + 5 * 5 + 4
    assert len(_counted(answers).categories) == 200


def _rng() -> np.random.Generator:
    return np.random.default_rng(0)
