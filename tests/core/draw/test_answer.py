"""Every request gets one result, with the fields of the contract, and everything is counted.

Statistical tests have fixed seeds. Without these, they would fail a right implementation with chance 1e-6.
`test_answer_chances` checks that counts are what the tally expects.
"""

import json
import struct
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import scipy
from hypothesis import given
from hypothesis import strategies as st

from tests.support.drawing import FALSE_ALARM, MODES, Mode, catalog_of, weights_of
from worker.core.catalog import Catalog
from worker.core.catalog.rendering import UUID
from worker.core.draw.answer import answer
from worker.core.draw.derived import Derived
from worker.core.draw.groups import Answers
from worker.core.draw.prepare import Snapshots
from worker.core.stats import read_counts
from worker.core.weights.in_force import InForce
from worker.core.weights.values import BUILT_IN, Weights, single_category
from worker.core.wire import Request, Result, Template, Terms, encode_error

NOW_MS = 1_700_000_000_000
READY = {"conference": 4, "music": 30, "noise": 6, "voice": 50}
CATALOG, UUID_CATALOG = catalog_of(READY), catalog_of(READY, uuids=True)
SHARED = weights_of({"voice": 0.5, "music": 0.25, "zebra": 0.2, "documentary": 0.05})
SPEECH = weights_of({"voice": 0.9, "conference": 0.1}, "dataset")
BARREN = weights_of({"zebra": 1.0, "documentary": 2.0}, "dataset")
DATASETS: dict[str | None, tuple[str | None, Weights]] = {
    None: (None, SHARED),
    "speech": ("speech", SPEECH),
    "barren": ("barren", BARREN),
    "none-of-its-own": (None, SHARED),
    "twin": ("twin", weights_of(SHARED.shares, "dataset")),
}
Fields = dict[str, Any]

in_every_mode = pytest.mark.parametrize("mode", MODES.values(), ids=MODES)


def _snapshots(catalog: Catalog | None = CATALOG, weights: Weights | None = None) -> Snapshots:
    in_force = {name: InForce(dataset, weights or held, ()) for name, (dataset, held) in DATASETS.items()}
    return Snapshots(None if catalog is None else Derived(catalog), in_force, NOW_MS)


def _request(number: int = 0, **fields: Any) -> Request:
    own = {name: fields.pop(name) for name in ("seed", "expires_at") if name in fields}
    return Request(f"{number}-0", fields.pop("request_id", f"r{number}"), Terms(**fields), **own)


def _in_mode(mode: Mode) -> Fields:
    return {"replace": mode.replace, "method": "stratified" if mode.stratified else "random"}


def _answers(*requests: Request | Result, snapshots: Snapshots | None = None, seed: int = 0) -> Answers:
    return answer(requests, snapshots or _snapshots(), np.random.default_rng(seed))


def _read(result: Result) -> Fields:
    """Read a result as a client does; `chunk_ids` stays as it came."""
    assert len(result.fields) % 2 == 0
    read: Fields = {}
    for name, value in zip(result.fields[0::2], result.fields[1::2], strict=True):
        assert isinstance(name, str)
        assert name not in read
        read[name] = json.loads(value) if name in ("counts", "left_out", "weights", "ready") else value
    return read


def _one(request: Request, snapshots: Snapshots | None = None, seed: int = 0) -> Fields:
    (result,) = _answers(request, snapshots=snapshots, seed=seed).results
    return _read(result)


def _ids(request: Request, catalog: Catalog, chunk_ids: bytes) -> list[int | str]:
    """Read the ids of a result by its encoding."""
    if request.terms.encoding == "json":
        ids: list[int | str] = json.loads(chunk_ids)
        return ids
    if catalog.ids.dtype == UUID:
        return [str(uuid.UUID(bytes=chunk_ids[i : i + 16])) for i in range(0, len(chunk_ids), 16)]
    return list(struct.unpack(f"<{len(chunk_ids) // 8}q", chunk_ids))


def _category_of_each_id(catalog: Catalog) -> dict[int | str, str]:
    """List the category of each id, without the code under test."""
    is_uuid = catalog.ids.dtype == UUID
    return {
        str(uuid.UUID(bytes=bytes(owned).ljust(16, b"\0"))) if is_uuid else int(owned): name
        for name, ids in catalog.segments()
        for owned in ids.tolist()
    }


CATEGORY_OF = {id(catalog): _category_of_each_id(catalog) for catalog in (CATALOG, UUID_CATALOG)}


def _expected_code(request: Request, catalog: Catalog | None) -> str | None:
    """Return the error that a request gets by the contract."""
    if request.expires_at is not None and request.expires_at <= NOW_MS:
        return "expired"
    if catalog is None:
        return "catalog_unavailable"
    weighted = set(DATASETS[request.terms.dataset][1].shares)
    if request.terms.category is not None:
        if request.terms.category not in {*BUILT_IN, *weighted, *READY}:
            return "unknown_category"
        weighted = {request.terms.category}
    ready = sum(READY.get(name, 0) for name in weighted)
    if not ready:
        return "no_ready_chunks"
    return "too_few_chunks" if not request.terms.replace and request.terms.size > ready else None


def _check_ok(request: Request, read: Fields, catalog: Catalog) -> None:
    """Compare every field of an ok result with the contract."""
    weights = (
        DATASETS[request.terms.dataset][1]
        if request.terms.category is None
        else single_category(request.terms.category)
    )
    optional = {
        "left_out": set(weights.shares) - set(READY),
        "weights": request.terms.probabilities,
        "dataset": request.terms.dataset,
        "session": request.terms.session,
    }
    assert (read.get("dataset"), read.get("session")) == (request.terms.dataset, request.terms.session)
    assert set(read) == {
        *("request_id", "entry_id", "status", "chunk_ids", "counts"),
        *("weights_version", "weights_source", "catalog_version"),
        *(name for name, there in optional.items() if there),
        *(["ready"] if request.terms.probabilities else []),
        *(name for name in ("dataset", "session") if getattr(request.terms, name) is not None),
    }
    assert read.get("dataset") == request.terms.dataset
    assert (read["request_id"], read["entry_id"], read["status"]) == (request.request_id, request.entry_id, "ok")
    assert read["weights_version"] == weights.version
    assert read["weights_source"] == weights.source
    assert read["catalog_version"] == catalog.version
    assert set(read.get("left_out", [])) == optional["left_out"]
    _check_ids(request, read, catalog)


def _check_ids(request: Request, read: Fields, catalog: Catalog) -> None:
    ids = _ids(request, catalog, read["chunk_ids"])
    assert len(ids) == request.terms.size
    assert Counter(CATEGORY_OF[id(catalog)][chunk] for chunk in ids) == read["counts"]
    assert 0 not in read["counts"].values()
    assert request.terms.replace or len(set(ids)) == len(ids)


def _check_error(request: Request, result: Result, code: str) -> None:
    read = _read(result)
    assert result.error == read["error"] == code
    assert (read["request_id"], read["entry_id"], read["status"]) == (request.request_id, request.entry_id, "error")
    assert (result.entry_id, result.request_id, result.reply_to) == (
        request.entry_id,
        request.request_id,
        request.terms.reply_to,
    )
    message = read["message"]
    assert message == result.message
    assert message.isascii()
    assert message.isprintable()
    assert len(message) <= 300
    assert "; accepted: " in message
    assert not {"chunk_ids", "counts"} & set(read)


sizes = st.integers(1, 40) | st.sampled_from([4, 6, 50, 80, 81, 300])
some_fields = st.fixed_dictionaries(
    {"size": sizes},
    optional={
        "category": st.sampled_from(
            [*READY, "documentary", "custom", "zebra", "unheard-of", "Ünknown\u200a", "x" * 128]
        ),
        "dataset": st.sampled_from(list(DATASETS)),
        "replace": st.booleans(),
        "method": st.sampled_from(["random", "stratified"]),
        "seed": st.integers(0, 2**63 - 1),
        "reply_to": st.just("job-1"),
        "expires_at": st.sampled_from([0, NOW_MS - 1, NOW_MS, NOW_MS + 1, 2**63 - 1]),
        "encoding": st.sampled_from(["json", "packed"]),
        "probabilities": st.booleans(),
        "request_id": st.text(min_size=1, max_size=5),
    },
)
batches = st.lists(some_fields, max_size=12).map(
    lambda batch: [_request(number, **fields) for number, fields in enumerate(batch)]
)
catalogs = st.sampled_from([CATALOG, UUID_CATALOG])


@given(batches, st.none() | catalogs, st.integers(0, 2**32))
def test_every_request_of_a_batch_gets_the_one_result_it_should(
    batch: list[Request], catalog: Catalog | None, seed: int
) -> None:
    results = _answers(*batch, snapshots=_snapshots(catalog), seed=seed).results
    by_entry = {result.entry_id: result for result in results}
    assert len(by_entry) == len(results) == len(batch)
    for request in batch:
        code, result = _expected_code(request, catalog), by_entry[request.entry_id]
        if code is not None:
            _check_error(request, result, code)
        else:
            assert catalog is not None
            assert (result.reply_to, result.error) == (request.terms.reply_to, None)
            _check_ok(request, _read(result), catalog)


@given(batches, st.integers(0, 2**32))
def test_the_tally_is_the_sum_of_the_results(batch: list[Request], seed: int) -> None:
    answers = _answers(*batch, seed=seed)
    requests: Counter[str] = Counter()
    errors: Counter[tuple[str, str]] = Counter()
    chunks: Counter[tuple[str, str]] = Counter()
    of_entry = {request.entry_id: DATASETS[request.terms.dataset][0] or "" for request in batch}
    for result in answers.results:
        dataset = of_entry[result.entry_id]
        requests[dataset] += 1
        if result.error:
            errors[dataset, result.error] += 1
        else:
            chunks.update({(dataset, name): count for name, count in _read(result)["counts"].items()})
    counted = read_counts(answers.tally.fields)
    assert counted.requests == requests
    assert counted.errors == errors
    assert {(row.dataset, row.category): row.count for row in counted.categories if row.count} == chunks
    for dataset, rows in counted.datasets():
        total = sum(count for (name, _), count in chunks.items() if name == dataset)
        assert sum(row.expected for row in rows) == pytest.approx(total, abs=1e-4)


@given(batches, st.integers(0, 2**32))
def test_seeded_requests_are_answered_alike_in_every_batch(batch: list[Request], seed: int) -> None:
    together = {result.entry_id: result for result in _answers(*batch, seed=seed).results}
    for request in batch:
        if request.seed is not None:
            assert _one(request, seed=seed + 1) == _read(together[request.entry_id])


def test_an_empty_batch_has_no_results_and_nothing_to_count() -> None:
    answers = _answers()
    assert (answers.results, answers.tally.fields) == ([], {})


def test_refused_requests_pass_through_and_are_counted() -> None:
    refused = encode_error(_request(1), "invalid_request", "why; accepted: what")
    answers = _answers(refused, _request(2))
    assert [result.entry_id for result in answers.results] == ["1-0", "2-0"]
    assert answers.results[0] is refused
    counts = read_counts(answers.tally.fields)
    assert (counts.requests, counts.errors) == ({"": 2}, {("", "invalid_request"): 1})


def test_a_result_without_a_code_counts_as_ours() -> None:
    odd = Result("1-0", "r", None, None, Template(()))
    assert read_counts(_answers(odd).tally.fields).errors == {("", "internal"): 1}


@in_every_mode
@pytest.mark.parametrize("catalog", [CATALOG, UUID_CATALOG], ids=["bigint", "uuid"])
def test_packed_ids_are_those_of_json(catalog: Catalog, mode: Mode) -> None:
    fields: Fields = {"size": 20, "seed": 5, **_in_mode(mode)}
    plain, packed = _request(**fields), _request(**fields, encoding="packed")
    results = [_one(request, _snapshots(catalog)) for request in (plain, packed)]
    ids = [
        _ids(request, catalog, read.pop("chunk_ids")) for request, read in zip((plain, packed), results, strict=True)
    ]
    assert ids[0] == ids[1]
    assert results[0] == results[1]
    assert len(ids[0]) == 20


def test_a_draw_probability_follows_from_weights_and_ready() -> None:
    read = _one(_request(probabilities=True))
    assert read["weights"] == pytest.approx({"voice": 2 / 3, "music": 1 / 3})
    assert sum(read["weights"].values()) == pytest.approx(1, abs=1e-12)
    assert read["ready"] == READY
    assert read["left_out"] == ["documentary", "zebra"]


@pytest.mark.parametrize("encoding", ["json", "packed"])
def test_stated_probabilities_are_those_of_the_draw(encoding: str) -> None:
    """Chi-square over every chunk of the catalog; the chance of a false alarm is 1e-6."""
    read = _one(request := _request(size=60_000, probabilities=True, encoding=encoding))
    found = Counter(_ids(request, CATALOG, read["chunk_ids"]))
    observed, ideal = [], []
    for chunk, name in CATEGORY_OF[id(CATALOG)].items():
        if share := read["weights"].get(name):
            observed.append(found.pop(chunk))
            ideal.append(60_000 * share / read["ready"][name])
    assert not found
    assert scipy.stats.chisquare(observed, ideal).pvalue > FALSE_ALARM


@pytest.mark.parametrize("category", ["noise", "voice"])
def test_a_named_category_is_drawn_whatever_the_weights(category: str) -> None:
    read = _one(_request(size=30, category=category, probabilities=True))
    assert read["counts"] == {category: 30}
    assert read["weights"] == {category: 1.0}
    assert read["weights_source"] == "category"
    assert read["weights_version"] == single_category(category).version
    assert "left_out" not in read


@pytest.mark.parametrize("source", ["redis", "dataset", "last_known", "default"])
def test_the_source_of_the_weights_is_told(source: str) -> None:
    read = _one(_request(), _snapshots(weights=weights_of({"voice": 1}, source)))
    assert read["weights_source"] == source


def test_a_batch_of_many_datasets_is_drawn_under_the_weights_of_each() -> None:
    batch = [_request(i, size=100, dataset=name) for i, name in enumerate(["speech", None, "none-of-its-own"] * 20)]
    answers = _answers(*batch)
    totals: dict[str, Counter[str]] = {"dataset": Counter(), "redis": Counter()}
    for read in map(_read, answers.results):
        totals[read["weights_source"]].update(read["counts"])
    assert set(totals["dataset"]) == {"voice", "conference"}
    assert set(totals["redis"]) == {"voice", "music"}
    assert (totals["dataset"].total(), totals["redis"].total()) == (2000, 4000)
    assert scipy.stats.binomtest(totals["dataset"]["voice"], 2000, 0.9).pvalue > FALSE_ALARM
    assert scipy.stats.binomtest(totals["redis"]["voice"], 4000, 2 / 3).pvalue > FALSE_ALARM
    assert {row.dataset for row in read_counts(answers.tally.fields).categories} == {"", "speech"}


@pytest.mark.parametrize(
    ("fields", "code", "words"),
    [
        ({"category": "unheard-of"}, "unknown_category", ["'unheard-of'", "conference", "documentary", "custom"]),
        ({"category": "Voice"}, "unknown_category", ["'Voice'", "noise"]),
        ({"category": "\U0001f600\u200a"}, "unknown_category", [r"'\U0001f600\u200a'"]),
        ({"category": "custom"}, "no_ready_chunks", ["custom"]),
        ({"category": "zebra"}, "no_ready_chunks", ["zebra"]),
        ({"dataset": "barren"}, "no_ready_chunks", ["zebra", "documentary"]),
        ({"size": 81, "replace": False}, "too_few_chunks", ["81", "80 READY", "music, voice", "replace=1"]),
        ({"size": 7, "replace": False, "category": "noise"}, "too_few_chunks", ["7", "6 READY", "noise"]),
        ({"expires_at": NOW_MS}, "expired", [str(NOW_MS), "later"]),
        ({"expires_at": 0, "category": "unheard-of"}, "expired", ["0"]),
    ],
)
def test_errors_say_what_was_wrong_and_what_is_accepted(fields: Fields, code: str, words: Sequence[str]) -> None:
    request = _request(7, reply_to="job-1", **fields)
    (result,) = _answers(request).results
    _check_error(request, result, code)
    for word in words:
        assert word in result.message


def test_without_a_catalog_only_what_expired_is_known() -> None:
    for fields, code in (({}, "catalog_unavailable"), ({"expires_at": 1}, "expired")):
        request = _request(**fields)
        (result,) = _answers(request, snapshots=_snapshots(None)).results
        _check_error(request, result, code)


@pytest.mark.parametrize("fields", [{"category": "custom"}, {"dataset": "barren"}, {"size": 81, "replace": False}])
def test_errors_of_the_catalog_tell_the_versions_they_were_found_under(fields: Fields) -> None:
    read = _one(_request(**fields))
    assert read["catalog_version"] == CATALOG.version
    assert len(read["weights_version"]) == 12
    assert read["weights_source"] in ("category", "redis", "dataset")


def test_an_empty_catalog_has_no_ready_chunks() -> None:
    assert _one(_request(), _snapshots(catalog_of({})))["error"] == "no_ready_chunks"


@pytest.mark.parametrize("fields", [{"size": 80}, {"size": 6, "category": "noise"}])
def test_all_chunks_are_not_too_many(fields: Fields) -> None:
    request = _request(replace=False, **fields)
    ids = _ids(request, CATALOG, _one(request)["chunk_ids"])
    assert len(set(ids)) == request.terms.size


def test_equal_weights_of_two_datasets_are_told_and_counted_apart() -> None:
    """They are drawn in one go, and their results must not show it."""
    batch = [_request(i, size=10, dataset=name) for i, name in enumerate([None, "twin", "twin"])]
    answers = _answers(*batch)
    assert [_read(result)["weights_source"] for result in answers.results] == ["redis", "dataset", "dataset"]
    counts = read_counts(answers.tally.fields)
    assert counts.requests == {"": 1, "twin": 2}
    chunks = {name: sum(row.count for row in rows) for name, rows in counts.datasets()}
    assert chunks == {"": 10, "twin": 20}


@pytest.mark.parametrize("name", ['say "hi"', "back\\slash", "Ünïcode", "a:b", "line\nfeed", "x" * 500])
def test_categories_with_odd_names_in_the_library_do_no_harm(name: str) -> None:
    """Libraries belong to others, so categories may have any name."""
    snapshots = _snapshots(catalog_of({name: 5, "voice": 3}))
    read = _one(_request(size=2, category=name, probabilities=True), snapshots)
    assert read["counts"] == {name: 2}
    assert read["weights"] == {name: 1.0}
    for fields in ({"category": "unheard-of"}, {"category": name, "size": 9, "replace": False}):
        request = _request(**fields)
        (result,) = _answers(request, snapshots=snapshots).results
        _check_error(request, result, result.error or "")


def test_messages_stay_short_however_many_categories_there_are() -> None:
    crowd = {f"{'x' * 60}{i:04}": 1 for i in range(1000)}
    snapshots = _snapshots(catalog_of(crowd), weights_of(crowd))
    for fields in ({"category": "unheard-of"}, {"size": 1001, "replace": False}):
        request = _request(**fields)
        (result,) = _answers(request, snapshots=snapshots).results
        _check_error(request, result, result.error or "")
        assert "..." in result.message


class _Lookups(dict[str | None, InForce]):
    """Weights by name that count how often each is looked up."""

    def __init__(self, weights: Mapping[str | None, InForce]) -> None:
        super().__init__(weights)
        self.counts: Counter[str | None] = Counter()

    def __getitem__(self, name: str | None) -> InForce:
        self.counts[name] += 1
        return super().__getitem__(name)


def test_weights_are_found_once_for_requests_of_the_same_terms() -> None:
    snapshots = _snapshots()
    weights = _Lookups(snapshots.weights)
    speech, barren = Terms(dataset="speech", size=3), Terms(dataset="barren")
    requests = [Request(f"{i}-0", f"r{i}", terms) for i, terms in enumerate([speech, barren] * 5)]
    answers = answer(requests, snapshots._replace(weights=weights), np.random.default_rng(0))
    assert Counter(result.error for result in answers.results) == {None: 5, "no_ready_chunks": 5}
    assert weights.counts == {"speech": 1, "barren": 1}
