"""From the terms of a request and the snapshots in force to what is drawn from, or to why nothing can be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from worker.core.catalog import Catalog
from worker.core.catalog.rendering import CountsRenderer
from worker.core.draw.sessions import Session, unusable
from worker.core.mixture import Mixture, mix_weights
from worker.core.weights.in_force import InForce
from worker.core.weights.presets import weights_of
from worker.core.weights.values import BUILT_IN, Weights, single_category
from worker.core.wire import Form, Terms, encode_common, encode_probabilities, ok_form, shown, unknown_preset
from worker.errors import RequestError

_MOST_REMEMBERED = 8192
_WIDEST_REMEMBERED = 262_144  # categories of all that is remembered together, a few hundred bytes each
_NAME_BYTES = 64  # of a category's name and number in a form
_WIDTH: Final = "worker.core.draw.prepare"
_UNKNOWN: Final = object()
_NAMES_SHOWN = 10
_NAMES_LENGTH = 120


class Snapshots(NamedTuple):
    """Hold what a batch is drawn under.

    Attributes:
        catalog: The READY chunks; None while they could not be read yet.
        weights: Name of a weights key -> the weights in force by it, see `worker.core.weights.presets.weights_name`.
        now_ms: Unix time in ms by the clock of Redis.
        sessions: Those that requests name, see `worker.core.draw.sessions.pin_sessions`.
    """

    catalog: Catalog | None
    weights: Mapping[str | None, InForce]
    now_ms: int
    sessions: Mapping[str, Session] = MappingProxyType({})


class Prepared(NamedTuple):
    """Hold what requests of the same terms are drawn from.

    Attributes:
        terms: What they ask for.
        dataset: Whose weights they are drawn under, see `worker.core.weights.in_force.InForce`.
        columns: Ids and cells of the READY chunks; not their catalog, which remembers this: a cycle would keep all of
            it until the collector comes, which is hardly ever.
        mixture: The weights as they apply to these.
        form: What their results share.
        counts: Writes how many of each category they got.
    """

    terms: Terms
    dataset: str | None
    columns: tuple[NDArray[np.generic], NDArray[np.void]]
    mixture: Mixture
    form: Form
    counts: CountsRenderer


@dataclass(frozen=True, slots=True)
class Unanswerable:
    """Hold why requests of some terms cannot be answered.

    Attributes:
        error: Code and sentence.
        common: What is known of weights and catalog, see `worker.core.wire.encode_common`.
    """

    error: RequestError
    common: tuple[str, ...] = ()


def prepare(terms: Terms, snapshots: Snapshots) -> Prepared | Unanswerable:
    """Find what requests of some terms are drawn from; the catalog remembers.

    Args:
        terms: What they ask for.
        snapshots: What they are drawn under.
    """
    catalog = snapshots.catalog
    if catalog is None:
        unread = "the worker could not read the catalog from PostgreSQL yet; accepted: the same request, later"
        return Unanswerable(RequestError("catalog_unavailable", unread))
    held = weights_of(terms, snapshots.weights, catalog)
    if terms.session is not None:
        session = snapshots.sessions[terms.session]
        if session.problem:
            return Unanswerable(unusable(terms.session, session))
        if terms.pin and session.pinned is not None:
            held = held._replace(weights=session.pinned)
    key = (terms, held.weights.version, held.weights.source, held.dataset)  # a text may be of a megabyte
    known = catalog.memo.get(key)
    if isinstance(known, Prepared):
        return known
    found = _prepare(terms, held, catalog)
    if isinstance(found, Prepared):
        _remember(catalog, key, found, width=1)
    return found


def _prepare(terms: Terms, held: InForce, catalog: Catalog) -> Prepared | Unanswerable:
    weights = held.weights
    if not weights.shares:
        return Unanswerable(unknown_preset((terms.preset or "").encode()))
    try:
        if terms.category is not None:
            _check_category(terms.category, weights, catalog)
            weights = single_category(terms.category)
    except RequestError as error:
        return Unanswerable(error)
    try:
        mixture = _enough(terms, weights, catalog)
    except RequestError as error:
        return Unanswerable(error, _common(weights, catalog, None))
    common = _common(weights, catalog, mixture)
    if terms.probabilities:
        effective = dict(zip(mixture.categories, mixture.probabilities.tolist(), strict=True))
        common += encode_probabilities(effective, catalog.ready)
    columns = (catalog.ids, catalog.cells)
    return Prepared(terms, held.dataset, columns, mixture, _form(terms, common, catalog), _renderer(mixture, catalog))


def check_wanted(expires_at: int, now_ms: int) -> RequestError | None:
    """Tell what is wrong with a request that nobody wants answered any more; None: it is still wanted."""
    if expires_at > now_ms:
        return None
    late = f"expires_at {expires_at} is over, it is {now_ms}"
    return RequestError("expired", f"{late}; accepted: a later time, Unix time in ms")


def _mixture(weights: Weights, catalog: Catalog) -> Mixture | None:
    """Apply weights to the catalog once; the catalog remembers."""
    known = catalog.memo.get(weights.text, _UNKNOWN)
    if known is None or isinstance(known, Mixture):
        return known
    mixture = mix_weights(weights, catalog)
    _remember(catalog, weights.text, mixture, width=len(weights.shares))
    return mixture


def _form(terms: Terms, common: tuple[str, ...], catalog: Catalog) -> Form:
    """Make a form once: settling lays each one out anew, however many requests share it."""
    key = (terms.method == "epoch", common)
    form = catalog.memo.get(key)
    if not isinstance(form, Form):
        tells_seconds = catalog.durations is not None
        form = ok_form(common, tells_seconds=tells_seconds, tells_passes=terms.method == "epoch")
        _remember(catalog, key, form, width=1 + sum(map(len, common)) // _NAME_BYTES)
    return form


def _renderer(mixture: Mixture, catalog: Catalog) -> CountsRenderer:
    """Make what writes the counts of some categories once: it is as long as they are many."""
    renderer = catalog.memo.get(mixture.categories)
    if not isinstance(renderer, CountsRenderer):
        renderer = CountsRenderer(mixture.categories)
        _remember(catalog, mixture.categories, renderer, width=len(mixture.categories))
    return renderer


def _remember(catalog: Catalog, key: object, value: object, *, width: int) -> None:
    """Remember what was made for as long as the catalog lasts, or until it is too much.

    Args:
        catalog: Remembers.
        key: By which it is found.
        value: What was made.
        width: How many categories it has something of: strangers choose how many such things there are.
    """
    memo = catalog.memo
    held = memo.get(_WIDTH, 0)
    assert isinstance(held, int)  # noqa: S101
    if len(memo) >= _MOST_REMEMBERED or held + width > _WIDEST_REMEMBERED:
        memo.clear()
        held = 0
    memo[key] = value
    memo[_WIDTH] = held + width


def _common(weights: Weights, catalog: Catalog, mixture: Mixture | None) -> tuple[str, ...]:
    return encode_common(
        weights_version=weights.version,
        weights_source=weights.source,
        catalog_version=catalog.version,
        left_out=mixture.left_out if mixture else (),
    )


def _check_category(category: str, weights: Weights, catalog: Catalog) -> None:
    if category not in BUILT_IN and category not in weights.shares and category not in catalog.categories:
        known = _listed(sorted({*BUILT_IN, *weights.shares, *catalog.categories}))
        unknown = f"category {shown(category.encode())} is not known"
        raise RequestError("unknown_category", f"{unknown}; accepted: {known}")


def _listed(names: Sequence[str]) -> str:
    """List as many names as a sentence has room for."""
    text = ", ".join(name if name.isascii() and name.isprintable() else ascii(name) for name in names[:_NAMES_SHOWN])
    return text if len(text) <= _NAMES_LENGTH and len(names) <= _NAMES_SHOWN else f"{text[:_NAMES_LENGTH]}..."


def _enough(terms: Terms, weights: Weights, catalog: Catalog) -> Mixture:
    """Check that there are chunks enough to draw from."""
    mixture = _mixture(weights, catalog)
    if mixture is None:
        lacking = "" if catalog.durations is None else " with a duration, which WORKER_WEIGHT_UNIT=seconds goes by"
        why = f"no chunk of {_listed(list(weights.shares))} is READY{lacking}"
        raise RequestError("no_ready_chunks", f"{why}; accepted: weights or a category with READY chunks")
    if not terms.replace and terms.size > (ready := int(mixture.ready.sum())):
        most = f"at most the {ready} READY chunks of {_listed(mixture.categories)}, or replace=1"
        raise RequestError("too_few_chunks", f"size is {terms.size} with replace=0; accepted: {most}")
    return mixture
