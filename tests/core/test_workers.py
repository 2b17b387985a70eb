"""People are shown the weights that live workers draw under, whatever the key holds."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from worker.core.weights.in_force import InForce
from worker.core.weights.values import Weights, default_weights, defaults_for, normalise
from worker.core.workers.ready import Ready, ready_of
from worker.core.workers.state_document import UNREADABLE, read_state
from worker.core.workers.states import WorkerState, disagreement, read_workers
from worker.core.workers.weights_in_use import InUse, in_use


def _weights(source: str = "redis", **shares: float) -> Weights:
    weights = normalise(shares, source)
    assert weights is not None
    return weights


A, B = _weights(voice=1), _weights(music=1)
OWN = _weights("dataset", own=1)
DEFAULTS = InForce(None, default_weights(), ())


def _worker(consumer: str, weights: Weights = A, **more: Any) -> WorkerState:
    [worker] = read_workers(
        [{"consumer": consumer, "weights_version": weights.version, "source": weights.source, **more}]
    )
    return worker


def _stored(weights: Weights, dataset: str | None = None) -> InForce:
    return InForce(dataset, weights, ())


def test_while_a_value_is_refused_the_weights_that_workers_kept_are_in_force() -> None:
    kept = {"": {"voice": 1.0}}
    workers = [_worker("b", kept=kept), _worker("a", kept=kept), _worker("new", default_weights())]
    first, second = in_use(None, DEFAULTS, workers)
    assert first == InUse(A.version, "last_known", {"voice": 1.0}, ("a", "b"), None)
    assert second == InUse(default_weights().version, "default", default_weights().shares, ("new",), None)


def test_a_worker_that_lags_is_told_apart_and_its_weights_are_not_guessed() -> None:
    assert in_use(None, _stored(B), [_worker("a", B), _worker("late", A), _worker("b", B)]) == [
        InUse(B.version, "redis", B.shares, ("a", "b"), None),
        InUse(A.version, "redis", None, ("late",), None),
    ]


def test_without_workers_what_one_would_draw_under_that_starts_is_told() -> None:
    assert in_use(None, _stored(A), []) == [InUse(A.version, "redis", A.shares, (), None)]
    assert in_use("d", _stored(OWN, "d"), []) == [InUse(OWN.version, "dataset", OWN.shares, (), "d")]
    assert in_use(None, _stored(A), read_workers([{"consumer": "says nothing"}]))[0].workers == ()


def test_defaults_are_those_of_the_workers_catalog() -> None:
    own = defaults_for({"speech", "songs"})
    worker = _worker("a", own, ready={"speech": 3, "songs": 1}, categories=2, catalog_at_ms=5)
    assert in_use(None, DEFAULTS, [worker]) == [InUse(own.version, "default", own.shares, ("a",), None)]
    assert ready_of([worker]).defaults.version == own.version


def test_a_dataset_is_drawn_under_its_own_weights_or_the_global_ones() -> None:
    workers = [
        _worker("own", datasets={"d": OWN.version}),
        _worker("global", datasets={"d": ""}),
        _worker("unasked", B, datasets={}),
    ]
    assert in_use("d", _stored(OWN, "d"), workers) == [
        InUse(A.version, "redis", None, ("global",), None),
        InUse(OWN.version, "dataset", OWN.shares, ("own",), "d"),
    ]
    unasked = in_use("e", _stored(B), workers)
    assert [(use.version, use.workers, use.name) for use in unasked] == [
        (A.version, ("global", "own"), None),
        (B.version, ("unasked",), None),
    ]


def test_what_a_worker_keeps_globally_says_nothing_of_a_dataset_with_weights_of_its_own() -> None:
    worker = _worker("a", datasets={"d": OWN.version}, kept={"": {"voice": 1.0}})
    assert in_use("d", _stored(OWN, "d"), [worker])[0].shares == {"own": 1.0}
    kept = _worker("a", B, datasets={"d": OWN.version}, kept={"d": {"own": 1.0}})
    assert in_use("d", _stored(B), [kept]) == [InUse(OWN.version, "last_known", {"own": 1.0}, ("a",), "d")]


def test_what_is_ready_is_told_by_the_worker_whose_catalog_is_newest() -> None:
    old = _worker("old", ready={"a": 1}, categories=1, catalog_at_ms=1)
    new = _worker("new", ready={"b": 2}, categories=1, catalog_at_ms=2)
    starting = _worker("starting", ready=None, catalog_at_ms=3)
    assert ready_of([old, new, starting]).known == {"b": 2}
    assert ready_of([]) == Ready(None, is_whole=False, problem="no worker runs")
    assert ready_of([starting]).problem == "no worker has read the catalog yet"
    cut = ready_of([_worker("a", ready={"a": 1}, categories=2000)])
    assert (cut.known, cut.problem) == (None, "workers name 1 of the 2,000 categories")
    assert cut.defaults is default_weights()


def test_a_worker_that_cannot_be_read_says_nothing() -> None:
    assert read_workers([read_state("a", b"no JSON"), read_state("b", None)]) == []


@pytest.mark.parametrize("value", [1, "x", [], [1], {"a": "x"}, {"a": None}, {"a": -1}, {"a": 1e300}, True])
@pytest.mark.parametrize("field", ["kept", "ready", "datasets", "datasets_more", "categories", "source"])
def test_whatever_stands_there_is_read_or_left_out(field: str, value: object) -> None:
    for state in ({field: value}, {"kept": {"": value}}, {"ready": value}):
        text = json.dumps({"consumer": "a", "weights_version": A.version, **state})
        workers = read_workers([read_state("a", text.encode())])
        assert in_use(None, DEFAULTS, workers)
        assert in_use("a", DEFAULTS, workers)
        assert ready_of(workers).defaults.shares


_EVENT: dict[str, Any] = {"at_ms": 1, "level": "warning", "event": "redis.lost", "text": "away"}
_OTHERS: list[Any] = [None, [], -1, "x" * 201]
_RIGHT: Mapping[str, list[Any]] = {
    "ready": [None, {}, {"x" * 64: 1}],
    "events": [[], [_EVENT], [_EVENT] * 16, [{**_EVENT, "text": "x" * 200}]],
    "latency_p50_ms": [None, 0, 1.5],
}
_WRONG: Mapping[str, list[Any]] = {
    "ready": [{"x" * 65: 1}],
    "events": [None, {}, [1], [_EVENT] * 17, *([{**_EVENT, name: other}] for name in _EVENT for other in _OTHERS)],
    "memory_bytes": [-1, "1", True, 1e300, []],
}


@pytest.mark.parametrize(
    ("field", "value", "is_read"),
    [
        (name, value, cases is _RIGHT)
        for cases in (_RIGHT, _WRONG)
        for name, values in cases.items()
        for value in values
    ],
)
def test_vitals_and_events_are_read_as_a_worker_writes_them(field: str, value: object, is_read: bool) -> None:  # noqa: FBT001 - a case
    assert (UNREADABLE not in read_state("a", json.dumps({"consumer": "a", field: value}).encode())) is is_read


@pytest.mark.parametrize(
    ("workers", "problem"),
    [
        ([], None),
        ([{"consumer": "a"}, {"consumer": "b", "weight_unit": "chunks"}], None),
        ([{"consumer": "a", "weight_unit": "seconds"}], None),
        ([{"consumer": "a"}, {"consumer": "b", "wire_version": 2}], None),
        (
            [{"consumer": "b", "wire_version": 3}, {"consumer": "c", "wire_version": 2}, {"consumer": "a"}],
            (
                "workers of one group have wire versions too far apart: a has 1, b has 3, c has 2; accepted: "
                "neighbouring ones; `pip install --upgrade sampling-worker` where the older ones run"
            ),
        ),
        (
            [{"consumer": "b", "weight_unit": "seconds"}, {"consumer": "a"}],
            (
                "live workers differ in WORKER_WEIGHT_UNIT: a has chunks, b has seconds; accepted: the same on all "
                "workers of a prefix"
            ),
        ),
    ],
)
def test_workers_of_one_prefix_have_to_agree(workers: list[dict[str, Any]], problem: str | None) -> None:
    assert disagreement(read_workers(workers)) == problem
