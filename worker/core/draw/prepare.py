"""Prepare a draw: from the terms of a request and the snapshots in force to what is drawn from, or to an error."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple

from worker.core.catalog import Catalog
from worker.core.catalog.parts import TRAIN
from worker.core.draw.budget import plan_batch
from worker.core.draw.derived import Derived, Prepared, weights_of
from worker.core.draw.sessions import Session, unusable
from worker.core.draw.single import make_single
from worker.core.mixture import Mixture
from worker.core.weights.in_force import InForce
from worker.core.weights.values import BUILT_IN, Weights, single_category
from worker.core.wire import (
    CATEGORY,
    Terms,
    column_slots,
    encode_common,
    encode_probabilities,
    invalid,
    ok_slots,
    shown,
    unknown_preset,
)
from worker.errors import RequestError

_NAMES_SHOWN = 10
_NAMES_LENGTH = 120


class Excluded(NamedTuple):
    """An exclusion list that requests name.

    Attributes:
        mark: What its head holds, see `worker.core.weights.in_force`. Settling compares it.
        derived: The catalog without its chunks; None while the catalog could not be read yet, or with a problem.
        problem: Why requests that name it are refused; empty: they are not.
    """

    mark: bytes
    derived: Derived | None
    problem: str = ""


class Snapshots(NamedTuple):
    """What a batch is drawn under.

    Attributes:
        derived: The catalog, and what is computed from it; None while the catalog could not be read yet.
        weights: Weights name -> the weights in force by it, see `worker.core.weights.presets.weights_name`.
        now_ms: Unix time in ms by the clock of Redis.
        sessions: The sessions that requests name, see `pin_sessions`.
        excluded: The exclusion lists that requests name.
    """

    derived: Derived | None
    weights: Mapping[str | None, InForce]
    now_ms: int
    sessions: Mapping[str, Session] = MappingProxyType({})
    excluded: Mapping[str, Excluded] = MappingProxyType({})

    @property
    def catalog(self) -> Catalog | None:
        """Return the READY chunks; None while they could not be read yet."""
        return None if self.derived is None else self.derived.catalog

    def derived_of(self, terms: Terms) -> Derived | None:
        """Return the catalog that some terms are drawn from, without what they exclude; None: there is none."""
        return self.derived if terms.exclude is None else self.excluded[terms.exclude].derived


class Unanswerable(NamedTuple):
    """Why requests of some terms cannot be answered.

    Attributes:
        error: Code and sentence.
        dataset: Whose weights they would be drawn under, see `worker.core.weights.in_force.InForce`.
        common: What is known of weights and catalog, see `worker.core.wire.encode_common`.
    """

    error: RequestError
    dataset: str | None
    common: tuple[str, ...] = ()


def pin_sessions(
    asked: Iterable[Terms],
    weights: Mapping[str | None, InForce],
    sessions: Mapping[str, Session],
    derived: Derived | None,
) -> Mapping[str, Session]:
    """Pin each session that is not pinned yet to the weights in force for its first pinned request.

    Args:
        asked: What requests ask for, in the order in which they were added.
        weights: See `Snapshots`.
        sessions: The sessions that they name, as far as they are known.
        derived: The catalog; None while it is not known.
    """
    pinned = dict(sessions)
    for terms in asked:
        if not terms.pin or terms.session is None:
            continue
        session = pinned[terms.session]
        if session.pinned is None and not session.problem:
            held = weights_of(terms, weights, derived).weights
            if held.shares:
                pinned[terms.session] = session._replace(pinned=replace(held, source="session"))
    return pinned


def prepare(terms: Terms, snapshots: Snapshots, scheduled: Weights | None = None) -> Prepared | Unanswerable:
    """Find what requests of some terms are drawn from.

    Args:
        terms: What they ask for.
        snapshots: What they are drawn under.
        scheduled: The weights of their session's schedule; None: it has none, or they come before its first point.
    """
    derived = snapshots.derived_of(terms)
    held = weights_of(terms, snapshots.weights, derived)
    if terms.exclude is not None and (problem := snapshots.excluded[terms.exclude].problem):
        return Unanswerable(RequestError("unknown_exclude", problem), held.dataset)
    if derived is None:
        unread = "the worker could not read the catalog from PostgreSQL yet; accepted: the same request, later"
        return Unanswerable(RequestError("catalog_unavailable", unread), held.dataset)
    weights = held.weights
    if terms.session is not None:
        session = snapshots.sessions[terms.session]
        if session.problem:
            return Unanswerable(unusable(terms.session, session), held.dataset)
        if terms.pin and (own := scheduled or session.pinned) is not None:
            weights = own
    key = (terms, weights.version, weights.source, held.dataset)
    known = derived.prepared(key)
    if known is not None:
        return known
    found = _prepare(terms, weights, held.dataset, derived)
    if isinstance(found, Prepared):
        derived.keep(key, found)
    return found


def check_wanted(expires_at: int, now_ms: int) -> RequestError | None:
    """Return the error of a request that has expired; None: it has not."""
    if expires_at > now_ms:
        return None
    late = f"expires_at {expires_at} is over, it is {now_ms}"
    return RequestError("expired", f"{late}; accepted: a later time, Unix time in ms")


def _prepare(terms: Terms, weights: Weights, dataset: str | None, derived: Derived) -> Prepared | Unanswerable:
    catalog = derived.catalog
    if not weights.shares:
        return Unanswerable(unknown_preset((terms.preset or "").encode()), dataset)
    try:
        _check_columns(terms.columns, catalog)
        if terms.category is not None:
            _check_category(terms.category, weights, derived)
            weights = single_category(terms.category)
    except RequestError as error:
        return Unanswerable(error, dataset)
    try:
        mixture = _find_mixture(terms, weights, derived)
        batch = plan_batch(terms, weights, mixture, derived)
    except RequestError as error:
        return Unanswerable(error, dataset, _encode_common(terms, weights, catalog, None))
    common = _encode_common(terms, weights, catalog, mixture)
    if terms.probabilities:
        effective = dict(zip(mixture.categories, mixture.probabilities.tolist(), strict=True))
        common += encode_probabilities(effective, derived.view(terms.split).ready)
    slots = ok_slots(has_seconds=catalog.durations is not None, has_passes=terms.method == "epoch")
    template = derived.template(common, slots + column_slots(terms.columns, packed=terms.encoding == "packed"))
    renderer = derived.counts_renderer(mixture.categories)
    single = make_single(terms, dataset, mixture, *batch)
    return Prepared(terms, dataset, catalog, mixture, template, renderer, batch, single)


def _encode_common(terms: Terms, weights: Weights, catalog: Catalog, mixture: Mixture | None) -> tuple[str, ...]:
    return encode_common(
        weights_version=weights.version,
        weights_source=weights.source,
        catalog_version=catalog.version,
        left_out=mixture.left_out if mixture else (),
        named={"split": terms.split, "dataset": terms.dataset, "session": terms.session},
    )


def _check_columns(columns: Sequence[str], catalog: Catalog) -> None:
    for name in columns:
        if name != CATEGORY and name not in catalog.held:
            held = ", ".join((CATEGORY, *catalog.held))
            told = f"accepted: {held}, or the same request once workers have WORKER_CATALOG_COLUMNS={name}"
            raise invalid(f"column {name} is not held by this worker; {told}")


def _check_category(category: str, weights: Weights, derived: Derived) -> None:
    if category not in BUILT_IN and category not in weights.shares and not derived.catalog.has(category):
        known = _list_names(sorted({*BUILT_IN, *weights.shares, *derived.catalog.categories}))
        unknown = f"category {shown(category.encode())} is not known"
        raise RequestError("unknown_category", f"{unknown}; accepted: {known}")


def _list_names(names: Sequence[str]) -> str:
    """List as many names as a sentence has room for."""
    text = ", ".join(name if name.isascii() and name.isprintable() else ascii(name) for name in names[:_NAMES_SHOWN])
    return text if len(text) <= _NAMES_LENGTH and len(names) <= _NAMES_SHOWN else f"{text[:_NAMES_LENGTH]}..."


def _find_mixture(terms: Terms, weights: Weights, derived: Derived) -> Mixture:
    """Apply weights to the catalog, and check that there are enough chunks.

    Raises:
        RequestError: There are not.
    """
    mixture = derived.mixture(weights, terms.split)
    if mixture is None:
        raise RequestError("no_ready_chunks", _nothing_ready(terms, weights, derived.catalog))
    is_sized = terms.budget_s is None
    if is_sized and not terms.replace and terms.size > (ready := int(mixture.ready.sum())):
        names = f"{_list_names(mixture.categories)}{_of_split(terms.split)}{_outside(terms.exclude)}"
        most = f"at most the {ready} READY chunks of {names}, or replace=1"
        raise RequestError("too_few_chunks", f"size is {terms.size} with replace=0; accepted: {most}")
    return mixture


def _nothing_ready(terms: Terms, weights: Weights, catalog: Catalog) -> str:
    """Write why nothing can be drawn, and what is accepted."""
    split, kept_out = terms.split, _outside(terms.exclude)
    if split is not None and split not in catalog.splits:
        others = f"{_list_names(catalog.splits)}, or no split" if catalog.splits else "a request without a split"
        return f"no READY chunk{kept_out} is of split {split}; accepted: {others}"
    whose = _of_split(split)
    if split is None and catalog.splits not in {(), (TRAIN,)}:
        whose = f" without a split or of split {TRAIN}"
    lacking = "" if catalog.durations is None else " with a duration, which WORKER_WEIGHT_UNIT=seconds goes by"
    why = f"no chunk of {_list_names(list(weights.shares))}{whose}{kept_out} is READY{lacking}"
    return f"{why}; accepted: weights or a category with READY chunks"


def _of_split(split: str | None) -> str:
    return "" if split is None else f" of split {split}"


def _outside(exclude: str | None) -> str:
    return "" if exclude is None else f" outside exclusion list {exclude}"
