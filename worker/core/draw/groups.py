"""Draw a group of requests: one NumPy pass for as many as fit into the processor's cache, then results and counts."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from worker.core.catalog.rendering import cut_ids, cut_rendered
from worker.core.draw.bucket_epoch import Listener, draw_bucket_epoch
from worker.core.draw.bucket_moments import count_bucketed
from worker.core.draw.buckets import Batches, Buckets
from worker.core.draw.columns import write_columns
from worker.core.draw.derived import Prepared
from worker.core.draw.epoch import draw_epoch
from worker.core.draw.moments import RequestCounts, add_up_times, count_drawn
from worker.core.draw.plans import Plan
from worker.core.draw.prepare import Snapshots
from worker.core.draw.sampling import draw
from worker.core.draw.sessions import Visit
from worker.core.mixture import Integers
from worker.core.stats import Tally
from worker.core.wire import Request, Result

_WORK_A_DRAW = 32_768  # chunks, or cells of counts


class Answers(NamedTuple):
    """The results of a batch, one a request, their counts, and the sessions that the batch draws for."""

    results: list[Result]
    tally: Tally
    visits: dict[str, Visit]


class Part(NamedTuple):
    """Requests of the same terms."""

    prepared: Prepared
    requests: Sequence[Request]


def cut_into_draws(parts: Sequence[Part]) -> Iterator[Sequence[Part]]:
    """Cut a group so that the chunks and counts of a draw stay in the processor's cache."""
    width = len(parts[0].prepared.mixture.categories)
    if sum(len(part.requests) * max(part.prepared.batch.size, width) for part in parts) <= _WORK_A_DRAW:
        yield parts
        return
    for part in parts:
        most = max(1, _WORK_A_DRAW // max(part.prepared.batch.size, width))
        for start in range(0, len(part.requests), most):
            yield [Part(part.prepared, part.requests[start : start + most])]


def draw_parts(
    parts: Sequence[Part], snapshots: Snapshots, rng: np.random.Generator, answers: Answers
) -> RequestCounts:
    """Draw the requests of some parts in one go, write their results, and return what they drew."""
    prepared = parts[0].prepared
    mixture, terms = prepared.mixture, prepared.terms
    seeds = [request.seed for part in parts for request in part.requests]
    batches, *own = _draw(parts, seeds, snapshots, rng, answers)
    sizes, drawn, _ = batches
    plan = Plan(mixture, sizes, seeds, terms.replace, terms.method == "stratified")
    if seeds.count(None) < len(seeds):
        answers.tally.asked.seeded += int(sizes[[seed is not None for seed in seeds]].sum())
    time = None if mixture.times is None else add_up_times(plan, mixture.times, drawn.positions)
    if time is not None:
        own = [prepared.counts.render_seconds(time.milliseconds), *own]
    counts = RequestCounts(sizes, drawn.counts, time, batches.buckets)
    _count(parts, plan, counts, answers)
    if terms.columns:
        own += write_columns(prepared, drawn.positions, sizes)
    chunk_ids = cut_chunk_ids(prepared, drawn.positions, sizes)
    values = zip(chunk_ids, prepared.counts.render(drawn.counts), *own, strict=True)
    for part in parts:
        template, reply_to = part.prepared.template, part.prepared.terms.reply_to
        answers.results.extend(
            [
                Result(request.entry_id, request.request_id, reply_to, None, template, of_request)
                for request, of_request in zip(part.requests, values, strict=False)
            ]
        )
    return counts


def _draw(
    parts: Sequence[Part],
    seeds: Sequence[int | None],
    snapshots: Snapshots,
    rng: np.random.Generator,
    answers: Answers,
) -> tuple[Batches, *tuple[Sequence[str | bytes], ...]]:
    """Draw the requests of some parts; return what they drew, and the passes of each where they go through some."""
    prepared = parts[0].prepared
    terms, varying = prepared.terms, prepared.batch.varying
    derived = snapshots.derived_of(terms)
    if terms.method == "epoch" and terms.session is not None and isinstance(varying, Buckets) and derived is not None:
        listener = Listener(terms, derived, answers.visits[terms.session])
        return draw_bucket_epoch(varying, listener, len(seeds), rng)
    if varying is not None:
        return (varying.draw(seeds, rng),)
    sizes = np.array([part.prepared.batch.size for part in parts])
    if len(parts) > 1 or len(parts[0].requests) > 1:
        sizes = sizes.repeat([len(part.requests) for part in parts])
    plan = Plan(prepared.mixture, sizes, seeds, terms.replace, terms.method == "stratified")
    if terms.method != "epoch" or terms.session is None or derived is None:
        return (Batches(sizes, draw(plan, rng), None),)
    visit = answers.visits[terms.session]
    drawn, passes = draw_epoch(plan, derived, visit, rng, session=terms.session, split=terms.split)
    return Batches(sizes, drawn, None), passes


def cut_chunk_ids(prepared: Prepared, positions: Integers, sizes: Integers) -> Sequence[str | bytes]:
    """Render the chunk ids of each request, as JSON or packed.

    Args:
        prepared: What they were drawn from.
        positions: int64, shape (sizes.sum(),): chunks, request after request.
        sizes: int64, shape (r,).
    """
    catalog = prepared.catalog
    if prepared.terms.encoding == "packed":
        return cut_ids(catalog.ids, positions, sizes)
    return cut_rendered(catalog.ids, catalog.width, positions, sizes)


def _count(parts: Sequence[Part], plan: Plan, drawn: RequestCounts, answers: Answers) -> None:
    """Count what was drawn and what the weights make one expect, by dataset of the weights, and by session."""
    varying = parts[0].prepared.batch.varying
    rows_of: dict[tuple[str | None, str | None], list[int]] = {}
    start = 0
    for part in parts:
        end, terms = start + len(part.requests), part.prepared.terms
        rows_of.setdefault((None, part.prepared.dataset), []).extend(range(start, end))
        if terms.split is not None:
            answers.tally.add_split(terms.split, len(part.requests), chunks=int(np.add.reduce(drawn.sizes[start:end])))
        if terms.session is not None:
            rows_of.setdefault((terms.session, None), []).extend(range(start, end))
        start = end
    for (session, dataset), rows in rows_of.items():
        own = drawn if len(rows) == len(drawn.sizes) else drawn.take(rows)
        tally = answers.tally if session is None else answers.visits[session].tally
        tally.add_requests(dataset, len(rows))
        is_counted = session is None or not plan.mixture.is_wide  # else each session would hold a field per category
        if is_counted and isinstance(varying, Buckets):
            count_bucketed(dataset, varying, own, tally)
        elif is_counted:
            count_drawn(dataset, plan, own, tally)
