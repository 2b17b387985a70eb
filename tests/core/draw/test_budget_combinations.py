"""Budgets with all else that a request may name: each row of the table in PROTOCOL.md.

Whatever a request draws from, it is as if that were the whole library. Nothing else comes. Its batches have edges of
their own and keep the budget. The mix over all batches is that of the weights. The slow way of `support.batches` says
what that is. Statistical tests have fixed seeds, and share one false-alarm rate of 1e-6 each.
"""

import functools
import json
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pytest

from tests.support.batches import Library, ask, buckets_of, drawn_of, library_of, score_of_mix
from tests.support.drawing import (
    FALSE_ALARM,
    MODES,
    Mode,
    chance_of_fit,
    chance_of_z,
    lasting_catalog,
    weights_of,
    with_durations_held,
)
from worker.core.catalog import Catalog, build_catalog, part_name, read_part, without
from worker.core.draw.answer import answer
from worker.core.draw.derived import Derived
from worker.core.draw.groups import Answers
from worker.core.draw.prepare import Excluded, Snapshots
from worker.core.draw.sessions import read_session
from worker.core.stats import read_counts
from worker.core.weights.in_force import InForce
from worker.core.wire import Reply, decode_result
from worker.core.wire.exclusions import pack_ids

BUDGET_S, REQUESTS = 240.0, 600
GLOBAL = {"voice": 0.5, "music": 0.2, "noise": 0.3}
OTHER = {"voice": 0.1, "music": 0.6, "noise": 0.3}
HELD_OUT = frozenset(range(1, 260, 3))
FORMS: dict[str, dict[str, Any]] = {
    "alone": {},
    "alone, stratified": {"method": "stratified"},
    "alone, each once": {"replace": False},
    "sum": {"budget": "sum"},
    "buckets": {"buckets": 5},
    "buckets, sum": {"buckets": 5, "budget": "sum"},
    "buckets, stratified": {"buckets": 5, "method": "stratified"},
    "buckets, each once": {"buckets": 5, "replace": False},
    "buckets, stratified, each once": {"buckets": 5, "method": "stratified", "replace": False},
}
VARYING = {name: form for name, form in FORMS.items() if name in {"alone", "sum", "buckets"}}
IN_PASSES = {"buckets": 5, "method": "epoch", "session": "s"}

in_every_form = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
in_each_way = pytest.mark.parametrize("form", VARYING.values(), ids=VARYING)


def _with_splits() -> Catalog:
    """Make a library of two splits whose chunks last differently: those of `val` three times as long."""
    whole = lasting_catalog({"voice": 130, "music": 90, "noise": 70}, {"voice": 3.0, "music": 9.0, "noise": 1.0})
    assert whole.durations is not None
    chunks, ms = np.arange(len(whole.ids)), whole.durations.milliseconds.copy()
    is_val = chunks % 2 == 1
    ms[is_val] = np.minimum(ms[is_val] * 3, 200_000)
    parts = sorted(part_name(name, split) for name in GLOBAL for split in ("train", "val"))
    names = [name for name, ids in whole.segments() for _ in ids]
    wanted = [part_name(name, "val" if val else "train") for name, val in zip(names, is_val.tolist(), strict=True)]
    codes = np.array([parts.index(part) for part in wanted], np.uint16)
    return build_catalog(whole.ids.astype(np.int64), codes, parts, ms)


IN_SECONDS = _with_splits()
UNITS = {"of seconds": IN_SECONDS, "of chunks": with_durations_held(IN_SECONDS)}
of_both_units = pytest.mark.parametrize("catalog", UNITS.values(), ids=UNITS)


def _of_split(catalog: Catalog, split: str) -> Catalog:
    """Return the chunks of a split alone."""
    bounds = zip(catalog.parts, catalog.bounds.tolist(), catalog.bounds[1:].tolist(), strict=False)
    others = [catalog.ids[start:end] for part, start, end in bounds if read_part(part)[1] != split]
    return without(catalog, pack_ids(np.concatenate(others).tolist()))


class Drawn(NamedTuple):
    """What requests name, and the library that they should be drawn from."""

    fields: Mapping[str, Any]
    library: Library


@functools.cache
def _sources(unit: str) -> dict[str, Drawn]:
    catalog = UNITS[unit]
    train, weights, other = _of_split(catalog, "train"), weights_of(GLOBAL), weights_of(OTHER)
    val = library_of(_of_split(catalog, "val"), weights)
    kept = library_of(without(train, pack_ids(HELD_OUT)), weights)
    return {
        "category": Drawn({"category": "music"}, library_of(train, weights_of({"music": 1.0}))),
        "dataset": Drawn({"dataset": "other"}, library_of(train, other)),
        "preset": Drawn({"preset": "stored"}, library_of(train, other)),
        "split": Drawn({"split": "val"}, val),
        "exclude": Drawn({"exclude": "held-out"}, kept),
        "session": Drawn({"session": "s"}, library_of(train, weights)),
        "pin": Drawn({"session": "pinned", "pin": True}, library_of(train, other)),
        "all at once": Drawn(
            {"dataset": "other", "split": "val", "exclude": "held-out", "session": "s"},
            library_of(without(_of_split(catalog, "val"), pack_ids(HELD_OUT)), other),
        ),
    }


SOURCES = {f"{name}, {unit}": (unit, name) for unit in UNITS for name in _sources(unit)}


def _snapshots(catalog: Catalog) -> Snapshots:
    weights, other = weights_of(GLOBAL), weights_of(OTHER)
    held = {None: InForce(None, weights, ()), "other": InForce("other", weights_of(OTHER, "dataset"), ())}
    held["preset:stored"] = InForce("preset:stored", weights_of(OTHER, "preset"), ())
    pinned = read_session({"weights": json.dumps(dict(other.shares)).encode()})
    excluded = Excluded(b"1", Derived(without(catalog, pack_ids(HELD_OUT))))
    sessions = {"s": read_session({}), "pinned": pinned}
    return Snapshots(Derived(catalog), held, 0, sessions, {"held-out": excluded})


def _answer(catalog: Catalog, fields: Mapping[str, Any], *, requests: int = REQUESTS, seed: int = 3) -> Answers:
    asked = [ask(number, budget_s=BUDGET_S, **fields) for number in range(requests)]
    return answer(asked, _snapshots(catalog), np.random.default_rng(seed))


def _check_budgets(library: Library, drawn: list[list[int]], form: Mapping[str, Any]) -> None:
    """Check that each batch fills its budget as it should, and that buckets come by their chances."""
    budget_ms, count = int(BUDGET_S * 1000), form.get("buckets", 1)
    longest_ms = max(one.milliseconds for one in library.values())
    wanted = buckets_of(library, budget_ms, count, replace=form.get("replace", True))
    found = Counter[int]()
    for ids in drawn:
        lasting = [library[chunk].milliseconds for chunk in ids]
        assert form.get("replace", True) or len(set(ids)) == len(ids)
        if count == 1 and form.get("budget") == "sum":
            assert budget_ms - longest_ms < sum(lasting) <= budget_ms
            continue
        [edge] = {min(one.longest_ms for one in wanted if one.longest_ms >= ms) for ms in lasting}
        found[edge] += 1
        assert len(ids) == next(one.size for one in wanted if one.longest_ms == edge)
        assert len(ids) * max(lasting) <= budget_ms
    if count > 1:
        expected = [float(one.chance) * len(drawn) for one in wanted]
        assert chance_of_fit([found[one.longest_ms] for one in wanted], expected) > FALSE_ALARM


@in_every_form
@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_a_batch_is_drawn_as_if_what_it_names_were_the_whole_library(
    source: tuple[str, str], form: dict[str, Any]
) -> None:
    catalog, (fields, library) = UNITS[source[0]], _sources(source[0])[source[1]]
    answers = _answer(catalog, {**fields, **form})
    drawn = drawn_of(answers)
    assert {chunk for ids in drawn for chunk in ids} <= set(library)
    _check_budgets(library, drawn, form)
    names = {one.category for one in library.values()}
    is_exact = form.get("replace", True)  # else the few chunks of a category run out within a batch
    if is_exact and len(names) > 1:
        assert min(chance_of_z(float(z)) for z in score_of_mix(library, drawn)) > FALSE_ALARM / len(names)
    tallies = [answers.tally, *(visit.tally for visit in answers.visits.values() if visit.tally.fields)]
    for tally in tallies:
        counts = read_counts(tally.fields)
        assert counts.chunks == sum(map(len, drawn))
        assert min(chance_of_z(row.z) for row in counts.categories) > FALSE_ALARM / len(names)


@of_both_units
@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_a_budget_alone_is_a_request_of_the_size_that_fits(catalog: Catalog, mode: Mode) -> None:
    method = "stratified" if mode.stratified else "random"
    library = library_of(_of_split(catalog, "train"), weights_of(GLOBAL))
    size = int(BUDGET_S * 1000) // max(one.milliseconds for one in library.values())
    for seed in range(20):
        terms: dict[str, Any] = {"replace": mode.replace, "method": method}
        asked = [ask(0, seed=seed, budget_s=BUDGET_S, **terms), ask(0, seed=seed, size=size, **terms)]
        both = [drawn_of(answer([one], _snapshots(catalog), np.random.default_rng())) for one in asked]
        assert both[0] == both[1]


@of_both_units
@in_every_form
def test_a_seed_draws_the_same_in_a_session_of_any_batch(catalog: Catalog, form: dict[str, Any]) -> None:
    snapshots, rng = _snapshots(catalog), np.random.default_rng(5)
    alone = [ask(number, seed=number, budget_s=BUDGET_S, **form) for number in range(12)]
    in_session = [ask(number, seed=number, budget_s=BUDGET_S, session="s", **form) for number in range(12)]
    drawn = drawn_of(answer(alone, snapshots, rng))
    assert drawn_of(answer(in_session, snapshots, rng)) == drawn
    for number in range(12):
        assert drawn_of(answer(in_session[number : number + 1], snapshots, rng)) == drawn[number : number + 1]


@of_both_units
@pytest.mark.parametrize("form", [*VARYING.values(), IN_PASSES], ids=[*VARYING, "buckets in passes"])
@pytest.mark.parametrize("encoding", ["json", "packed"])
def test_columns_and_probabilities_are_those_of_the_chunks_that_came(
    catalog: Catalog, form: dict[str, Any], encoding: str
) -> None:
    library = library_of(_of_split(catalog, "train"), weights_of(GLOBAL))
    held = ("category", "duration_s") if catalog.columns is not None else ("category",)
    answers = _answer(catalog, {**form, "encoding": encoding, "columns": held, "probabilities": True}, requests=20)
    for result in answers.results:
        words = [word.encode() if isinstance(word, str) else word for word in result.fields]
        reply = decode_result(words, packed=encoding == "packed")
        ids = _ids(reply)
        wanted: dict[str, list[Any]] = {"categories": [library[chunk].category for chunk in ids]}
        assert reply.counts == Counter(wanted["categories"])
        if "duration_s" in held:
            wanted["durations_s"] = [library[chunk].milliseconds / 1000 for chunk in ids]
        assert reply.columns == wanted
        chances = {one.category: float(one.chance) * reply.ready[one.category] for one in library.values()}
        assert reply.weights == pytest.approx(chances)


def _ids(reply: Reply) -> list[int]:
    if isinstance(reply.chunk_ids, bytes):
        return [int(chunk) for chunk in np.frombuffer(reply.chunk_ids, "<i8")]
    return [int(chunk) for chunk in reply.chunk_ids]


_SCHEDULE = '{"points": [{"at": 0, "weights": {"voice": 1}}, {"at": 5000, "weights": {"music": 1}}], "unit": "%s"}'
_UNITS: dict[str, Callable[[list[list[int]], Library], int]] = {
    "chunks": lambda drawn, _: sum(map(len, drawn)),
    "requests": lambda drawn, _: len(drawn),
    "audio_seconds": lambda drawn, library: sum(library[chunk].milliseconds for ids in drawn for chunk in ids),
}


@in_each_way
@pytest.mark.parametrize("unit", _UNITS)
def test_a_schedule_goes_on_by_what_came_in_each_of_its_units(form: dict[str, Any], unit: str) -> None:
    fields = {"schedule": (_SCHEDULE % unit).encode(), "weights": b'{"voice": 1}'}
    snapshots = _snapshots(IN_SECONDS)._replace(sessions={"s": read_session(fields)})
    asked = [ask(number, budget_s=BUDGET_S, session="s", pin=True, **form) for number in range(4)]
    answers = answer(asked, snapshots, np.random.default_rng(3))
    library = library_of(_of_split(IN_SECONDS, "train"), weights_of(GLOBAL))
    assert answers.visits["s"].position == _UNITS[unit](drawn_of(answers), library)


@in_each_way
def test_weights_that_change_cut_other_batches_from_the_next_request_on(form: dict[str, Any]) -> None:
    catalog = UNITS["of chunks"]
    derived = _snapshots(catalog)
    for values in (GLOBAL, {"noise": 1.0}, OTHER):
        weights = weights_of(values)
        snapshots = derived._replace(weights={None: InForce(None, weights, ())})
        asked = [ask(number, budget_s=BUDGET_S, exclude="held-out", **form) for number in range(REQUESTS)]
        drawn = drawn_of(answer(asked, snapshots, np.random.default_rng(4)))
        library = library_of(without(_of_split(catalog, "train"), pack_ids(HELD_OUT)), weights)
        assert {chunk for ids in drawn for chunk in ids} <= set(library)
        _check_budgets(library, drawn, form)
        if len(values) > 1:
            assert min(chance_of_z(float(z)) for z in score_of_mix(library, drawn)) > FALSE_ALARM / 3
