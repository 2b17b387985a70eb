"""From a batch of requests and the snapshots in force to results: the one function the worker is about."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from worker.core.catalog import Catalog
from worker.core.mixture import Mixture, mix_weights
from worker.core.rendering import join_cells, pack_ids
from worker.core.sampling import Drawn, Plan, draw
from worker.core.tally import Tally
from worker.core.weights import BUILT_IN, InForce, Weights, single_category
from worker.core.wire import (
    Request,
    Result,
    Sample,
    encode_common,
    encode_error,
    encode_ok,
    encode_probabilities,
    shown,
)
from worker.errors import RequestError

_CHUNKS_A_SLICE = 131_072
_MIXTURES_REMEMBERED = 1024
_NAMES_SHOWN = 10
_NAMES_LENGTH = 120


@dataclass(frozen=True, slots=True)
class Snapshots:
    """Hold what a batch is drawn under.

    Attributes:
        catalog: The READY chunks; None while they could not be read yet.
        weights: Dataset -> the weights in force for it; None is the request that names no dataset.
        now_ms: Unix time in ms by the clock of Redis.
    """

    catalog: Catalog | None
    weights: Mapping[str | None, InForce]
    now_ms: int


@dataclass(frozen=True, slots=True)
class Answers:
    """Hold the results of a batch, one a request, and their counts."""

    results: list[Result]
    tally: Tally


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A request with what it is drawn from."""

    request: Request
    dataset: str | None
    weights: Weights
    mixture: Mixture


def slice_by_work(requests: Sequence[Request | Result]) -> Iterator[Sequence[Request | Result]]:
    """Cut a batch so that no slice draws more than about 131,072 chunks: giants must not hold up the rest."""
    start = work = 0
    for end, request in enumerate(requests):
        size = request.size if isinstance(request, Request) else 0
        if work and work + size > _CHUNKS_A_SLICE:
            yield requests[start:end]
            start, work = end, 0
        work += size
    yield requests[start:]


def answer(requests: Sequence[Request | Result], snapshots: Snapshots, rng: np.random.Generator) -> Answers:
    """Answer a batch.

    Args:
        requests: Valid requests, and the error results of those that were not.
        snapshots: What they are drawn under; `weights` has an entry for every dataset named.
        rng: Numbers for the requests that have no seed.

    Returns:
        One result a request, in no particular order.
    """
    answers = Answers([], Tally())
    groups: dict[tuple[int, bool, str, str], list[_Prepared]] = {}
    for request in requests:
        if isinstance(request, Result):
            _refuse(answers, request, None)
            continue
        prepared = _prepare(request, snapshots)
        if isinstance(prepared, Result):
            _refuse(answers, prepared, snapshots.weights[request.dataset].dataset)
        else:
            alike = (id(prepared.mixture), request.replace, request.method, request.encoding)
            groups.setdefault(alike, []).append(prepared)
    for group in groups.values():
        assert snapshots.catalog is not None  # noqa: S101 - nothing is prepared without a catalog
        _draw_group(group, snapshots.catalog, rng, answers)
    return answers


def _refuse(answers: Answers, result: Result, dataset: str | None) -> None:
    answers.results.append(result)
    answers.tally.add_requests(dataset, 1)
    answers.tally.add_error(dataset, result.error or "internal")


def _prepare(request: Request, snapshots: Snapshots) -> _Prepared | Result:
    """Find what a request is drawn from, or the error result it gets."""
    held = snapshots.weights[request.dataset]
    weights = held.weights
    try:
        catalog = _available(request, snapshots)
        if request.category is not None:
            _check_category(request.category, weights, catalog)
            weights = single_category(request.category)
    except RequestError as error:
        return encode_error(request, error.code, error.message)
    try:
        mixture = _enough(request, weights, _mixture(weights, catalog))
    except RequestError as error:
        return encode_error(request, error.code, error.message, _common(weights, catalog, None))
    return _Prepared(request, held.dataset, weights, mixture)


def _available(request: Request, snapshots: Snapshots) -> Catalog:
    """Check that the request is still wanted and that there is a catalog to draw from."""
    if request.expires_at is not None and request.expires_at <= snapshots.now_ms:
        late = f"expires_at {request.expires_at} is over, it is {snapshots.now_ms}"
        raise RequestError("expired", f"{late}; accepted: a later time, Unix time in ms")
    if snapshots.catalog is None:
        unread = "the worker could not read the catalog from PostgreSQL yet"
        raise RequestError("catalog_unavailable", f"{unread}; accepted: the same request, later")
    return snapshots.catalog


def _mixture(weights: Weights, catalog: Catalog) -> Mixture | None:
    """Apply weights to the catalog once; the catalog remembers."""
    if weights.text not in catalog.memo:
        if len(catalog.memo) >= _MIXTURES_REMEMBERED:
            catalog.memo.clear()
        catalog.memo[weights.text] = mix_weights(weights, catalog)
    mixture = catalog.memo[weights.text]
    assert mixture is None or isinstance(mixture, Mixture)  # noqa: S101
    return mixture


def _common(weights: Weights, catalog: Catalog, mixture: Mixture | None) -> tuple[str | bytes, ...]:
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


def _enough(request: Request, weights: Weights, mixture: Mixture | None) -> Mixture:
    """Check that there are chunks enough to draw from."""
    if mixture is None:
        why = f"no chunk of {_listed(list(weights.shares))} is READY"
        raise RequestError("no_ready_chunks", f"{why}; accepted: weights or a category with READY chunks")
    ready = int(mixture.ready.sum())
    if not request.replace and request.size > ready:
        most = f"at most the {ready} READY chunks of {_listed(mixture.categories)}, or replace=1"
        raise RequestError("too_few_chunks", f"size is {request.size} with replace=0; accepted: {most}")
    return mixture


def _draw_group(group: Sequence[_Prepared], catalog: Catalog, rng: np.random.Generator, answers: Answers) -> None:
    """Draw alike requests in one go and write their results."""
    first = group[0]
    sizes = np.array([prepared.request.size for prepared in group], dtype=np.int64)
    seeds = [prepared.request.seed for prepared in group]
    stratified = first.request.method == "stratified"
    plan = Plan(first.mixture, sizes, seeds, first.request.replace, stratified)
    drawn = draw(plan, rng)
    _count(group, plan, drawn, answers.tally)
    distinct = {id(prepared.weights): prepared.weights for prepared in group}
    common = {key: _common(weights, catalog, first.mixture) for key, weights in distinct.items()}
    chunk_ids = _encode_ids(drawn.places, sizes, catalog, packed=first.request.encoding == "packed")
    for prepared, ids, counts in zip(group, chunk_ids, drawn.counts.tolist(), strict=True):
        sample = Sample(
            ids,
            {name: count for name, count in zip(first.mixture.categories, counts, strict=True) if count},
            common[id(prepared.weights)],
        )
        answers.results.append(_finish(prepared, catalog, sample))


def _encode_ids(places: np.ndarray, sizes: np.ndarray, catalog: Catalog, *, packed: bool) -> list[bytes]:
    """Gather the ids of a whole group, and cut them into requests."""
    ends = np.cumsum(sizes).tolist()
    parts = [slice(end - size, end) for end, size in zip(ends, sizes.tolist(), strict=True)]
    if packed:
        ids = catalog.ids[places]
        return [pack_ids(ids[part]) for part in parts]
    cells = catalog.cells[places]
    return [join_cells(cells[part]) for part in parts]


def _finish(prepared: _Prepared, catalog: Catalog, sample: Sample) -> Result:
    if prepared.request.probabilities:
        mixture = prepared.mixture
        effective = dict(zip(mixture.categories, mixture.probabilities.tolist(), strict=True))
        extra = encode_probabilities(effective, catalog.ready)
        sample = Sample(sample.chunk_ids, sample.counts, (*sample.common, *extra))
    return encode_ok(prepared.request, sample)


def _count(group: Sequence[_Prepared], plan: Plan, drawn: Drawn, tally: Tally) -> None:
    """Count what a group drew beside what its weights make one expect, by the dataset of the weights."""
    expected, variance = _moments(plan, drawn)
    rows_of: dict[str | None, list[int]] = {}
    for row, prepared in enumerate(group):
        rows_of.setdefault(prepared.dataset, []).append(row)
    for dataset, rows in rows_of.items():
        tally.add_requests(dataset, len(rows))
        counts = drawn.counts[rows].sum(axis=0)
        columns = zip(
            plan.mixture.categories,
            counts.tolist(),
            expected[rows].sum(axis=0).tolist(),
            variance[rows].sum(axis=0).tolist(),
            strict=True,
        )
        for name, count, mean, spread in columns:
            tally.add_chunks(dataset, name, count, expected=mean, variance=spread)


def _moments(plan: Plan, drawn: Drawn) -> tuple[np.ndarray, np.ndarray]:
    """Compute mean and variance of each request's counts, float64, shape (r, k) each.

    Where a category may run out within a request, its counts stand for their own mean: what is passed on has no
    simple law. Whether one did run out must not decide this: the others would be off by what these hide.
    """
    probabilities = plan.mixture.probabilities
    mean = plan.sizes[:, None] * probabilities
    if plan.stratified:
        fraction = mean - np.floor(mean)
        largest, variance = np.ceil(mean), fraction * (1.0 - fraction)
    else:
        largest, variance = plan.sizes[:, None], mean * (1.0 - probabilities)
    if not plan.replace:
        bound = (largest > plan.mixture.ready).any(axis=1)
        mean[bound], variance[bound] = drawn.counts[bound], 0.0
    return mean, variance
