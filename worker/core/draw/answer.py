"""From a batch of requests and the snapshots in force to results: the one function the worker is about."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from worker.core.catalog import Catalog
from worker.core.catalog.rendering import cut_cells, cut_ids
from worker.core.draw.allocation import Plan
from worker.core.draw.alone import answer_plain, is_plain
from worker.core.draw.epoch import draw_epoch
from worker.core.draw.moments import Requests, add_up_times, count_drawn
from worker.core.draw.prepare import Prepared, Snapshots, Unanswerable, check_wanted, prepare
from worker.core.draw.sampling import draw
from worker.core.draw.sessions import Visit
from worker.core.stats import Tally
from worker.core.weights.presets import weights_of
from worker.core.wire import Request, Result, encode_error

_WORK_A_DRAW = 32_768


class Answers(NamedTuple):
    """Hold the results of a batch, one a request, their counts, and what happened to the sessions they name."""

    results: list[Result]
    tally: Tally
    visits: dict[str, Visit]


class _Part(NamedTuple):
    """Requests of the same terms."""

    prepared: Prepared
    requests: Sequence[Request]


def answer(requests: Sequence[Request | Result], snapshots: Snapshots, rng: np.random.Generator) -> Answers:
    """Answer a batch.

    Args:
        requests: Valid requests, and the error results of those that were not.
        snapshots: What they are drawn under; `weights` has an entry for every name that is asked for.
        rng: Numbers for the requests that have no seed.

    Returns:
        One result a request, in no particular order.
    """
    visits = {name: Visit(session) for name, session in snapshots.sessions.items() if not session.problem}
    answers = Answers([], Tally(), visits)
    groups: dict[tuple[object, ...], list[_Part]] = {}
    for alike in _same_terms(requests, snapshots, answers):
        terms = alike[0].terms
        prepared = prepare(terms, snapshots)
        if len(requests) == 1 and isinstance(prepared, Prepared) and is_plain(alike[0], prepared):
            answers.results.append(answer_plain(alike[0], prepared, rng, answers.tally))
            return answers
        if terms.pin and terms.session in visits:
            visits[terms.session].go_by_pin()
        if isinstance(prepared, Unanswerable):
            _refuse_all(alike, prepared, snapshots, answers)
        else:
            listener = terms.session if terms.method == "epoch" else None
            key = (id(prepared.mixture), terms.replace, terms.method, terms.encoding, listener)
            groups.setdefault(key, []).append(_Part(prepared, alike))
    for parts in groups.values():
        for bounded in _bound(parts):
            _draw_parts(bounded, snapshots.catalog, rng, answers)
    return answers


def _same_terms(
    requests: Sequence[Request | Result], snapshots: Snapshots, answers: Answers
) -> Iterable[Sequence[Request]]:
    """Gather the requests of the same terms; pass those on that were refused, and refuse those that came too late."""
    alike: dict[int, list[Request]] = {}
    for request in requests:
        if isinstance(request, Result):
            _refuse(answers, request, None, None)
        elif request.expires_at is not None and (error := check_wanted(request.expires_at, snapshots.now_ms)):
            _refuse_all([request], Unanswerable(error), snapshots, answers)
        else:
            same = alike.get(id(request.terms))
            if same is None:
                alike[id(request.terms)] = [request]
            else:
                same.append(request)
    return alike.values()


def _refuse(answers: Answers, result: Result, dataset: str | None, session: str | None) -> None:
    answers.results.append(result)
    code = result.error or "internal"
    answers.tally.add_requests(dataset, 1)
    answers.tally.add_error(dataset, code)
    if session in answers.visits:
        answers.visits[session].tally.add_requests(None, 1)
        answers.visits[session].tally.add_error(None, code)


def _refuse_all(requests: Sequence[Request], why: Unanswerable, snapshots: Snapshots, answers: Answers) -> None:
    terms = requests[0].terms
    dataset = weights_of(terms, snapshots.weights, snapshots.catalog).dataset
    for request in requests:
        result = encode_error(request, why.error.code, why.error.message, why.common)
        _refuse(answers, result, dataset, terms.session)


def _bound(parts: Sequence[_Part]) -> Iterator[Sequence[_Part]]:
    """Cut a group so that what a draw works on stays near the processor: so many chunks, so many counts."""
    width = len(parts[0].prepared.mixture.categories)
    if sum(len(part.requests) * max(part.prepared.terms.size, width) for part in parts) <= _WORK_A_DRAW:
        yield parts
        return
    for part in parts:
        most = max(1, _WORK_A_DRAW // max(part.prepared.terms.size, width))
        for start in range(0, len(part.requests), most):
            yield [_Part(part.prepared, part.requests[start : start + most])]


def _draw_parts(parts: Sequence[_Part], catalog: Catalog | None, rng: np.random.Generator, answers: Answers) -> None:
    """Draw requests that differ in size and address alone in one go, and write their results."""
    prepared = parts[0].prepared
    mixture, terms = prepared.mixture, prepared.terms
    sizes = np.array([part.prepared.terms.size for part in parts])
    if len(parts) > 1 or len(parts[0].requests) > 1:
        sizes = sizes.repeat([len(part.requests) for part in parts])
    seeds = [request.seed for part in parts for request in part.requests]
    plan = Plan(mixture, sizes, seeds, terms.replace, terms.method == "stratified")
    own: tuple[Sequence[str], ...] = ()
    if terms.method == "epoch" and terms.session is not None and catalog is not None:
        drawn, passes = draw_epoch(plan, catalog, terms.session, answers.visits[terms.session], rng)
        own = (passes,)
    else:
        drawn = draw(plan, rng)
    time = None if mixture.times is None else add_up_times(plan, mixture.times, drawn.places)
    if time is not None:
        own = (prepared.counts.render_seconds(time.milliseconds), *own)
    _count(parts, plan, Requests(sizes, drawn.counts, time), answers)
    ids, cells = prepared.columns
    is_packed = terms.encoding == "packed"
    chunk_ids = cut_ids(ids, drawn.places, sizes) if is_packed else cut_cells(cells, drawn.places, sizes)
    values = zip(chunk_ids, prepared.counts.render(drawn.counts), *own, strict=True)
    for part in parts:
        form, reply_to = part.prepared.form, part.prepared.terms.reply_to
        answers.results.extend(
            [
                Result(request.entry_id, request.request_id, reply_to, None, form, of_request)
                for request, of_request in zip(part.requests, values, strict=False)
            ]
        )


def _count(parts: Sequence[_Part], plan: Plan, drawn: Requests, answers: Answers) -> None:
    """Count what a group drew beside what its weights make one expect, by dataset of the weights and by session."""
    rows_of: dict[tuple[str | None, str | None], list[int]] = {}
    start = 0
    for part in parts:
        end, session = start + len(part.requests), part.prepared.terms.session
        rows_of.setdefault((None, part.prepared.dataset), []).extend(range(start, end))
        if session is not None:
            rows_of.setdefault((session, None), []).extend(range(start, end))
        start = end
    for (session, dataset), rows in rows_of.items():
        own = drawn if len(rows) == len(drawn.sizes) else drawn.take(rows)
        tally = answers.tally if session is None else answers.visits[session].tally
        tally.add_requests(dataset, len(rows))
        if (
            session is None or not plan.mixture.is_wide
        ):  # a session must not cost a field a category where there are many
            count_drawn(dataset, plan, own, tally)
