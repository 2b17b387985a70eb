"""Answer a batch: requests and snapshots in, results and counts out. Pure.

Requests come in three nested collections:

- Requests of the same *terms* differ in their ids, seeds and expiry alone. What they are drawn from is prepared once.
- A *group* is drawn under one mixture by one method; its parts differ in terms such as `size` and `reply_to`.
- A *draw* is a piece of a group that fits into the processor's cache. One NumPy pass draws all of it.

Pinned requests of a session with a schedule are drawn one by one instead. Each begins where the last one ended.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from worker.core.adjust.rule import TIME_MS
from worker.core.draw.columns import write_columns
from worker.core.draw.derived import Prepared, weights_of
from worker.core.draw.groups import Answers, Part, cut_chunk_ids, cut_into_draws, draw_parts
from worker.core.draw.prepare import Snapshots, Unanswerable, check_wanted, prepare
from worker.core.draw.session_schedules import schedule_of
from worker.core.draw.sessions import Visit
from worker.core.draw.single import Single, SingleDrawn
from worker.core.stats import Tally
from worker.core.stats.fields import CHUNKS, MS, REQUESTS
from worker.core.wire import Request, Result, Terms, encode_error
from worker.errors import RequestError


class _Gathered(NamedTuple):
    """The valid requests of a batch.

    Attributes:
        by_terms: Those of the same terms together.
        scheduled: Those that follow the schedule of a session, in the order in which they were added.
        traced: Trace contexts, by entry.
    """

    by_terms: Iterable[Sequence[Request]]
    scheduled: Sequence[Request]
    traced: Mapping[str, str]


def answer(requests: Sequence[Request | Result], snapshots: Snapshots, rng: np.random.Generator) -> Answers:
    """Answer a batch.

    Args:
        requests: Valid requests, and the error results of invalid ones.
        snapshots: What they are drawn under; `weights` has an entry for every name that is asked for.
        rng: Numbers for the requests without a seed.

    Returns:
        One result a request, in no particular order.
    """
    visits = {name: Visit(session) for name, session in snapshots.sessions.items() if not session.problem}
    answers = Answers([], Tally(), visits)
    groups: dict[tuple[object, ...], list[Part]] = {}
    gathered = _gather(requests, snapshots, answers)
    for alike in gathered.by_terms:
        terms = alike[0].terms
        prepared = prepare(terms, snapshots)
        if len(requests) == 1 and isinstance(prepared, Prepared) and (single := single_of(alike[0], prepared)):
            answers.results.append(_write_single(alike[0], prepared, single.draw(rng, answers.tally)))
            break
        if terms.pin and terms.session in visits:
            visits[terms.session].use_pin()
        if isinstance(prepared, Unanswerable):
            _refuse_all(alike, prepared, answers)
        else:
            listener = terms.session if terms.method == "epoch" else None
            drawn_from = (id(prepared.mixture), id(prepared.batch.varying), listener)
            key = (*drawn_from, terms.replace, terms.method, terms.encoding, terms.columns)
            groups.setdefault(key, []).append(Part(prepared, alike))
    for parts in groups.values():
        for bounded in cut_into_draws(parts):
            draw_parts(bounded, snapshots, rng, answers)
    for request in gathered.scheduled:
        _answer_scheduled(request, snapshots, rng, answers)
    if traced := gathered.traced:
        answers.results[:] = [
            one.traced(traced[one.entry_id]) if one.error is None and one.entry_id in traced else one
            for one in answers.results
        ]
    return answers


def single_of(request: Request, prepared: Prepared) -> Single | None:
    """Return what draws for a request that is alone in its batch; None unless it is plain."""
    return prepared.single if request.seed is None else None


def _write_single(request: Request, prepared: Prepared, drawn: SingleDrawn) -> Result:
    """Write the result of a request that was drawn for by itself."""
    values: tuple[str | bytes, ...] = (
        cut_chunk_ids(prepared, drawn.positions, drawn.sizes)[0],
        prepared.counts.render_rows([drawn.counts])[0],
    )
    if request.terms.columns:
        values += tuple(column[0] for column in write_columns(prepared, drawn.positions, drawn.sizes))
    return Result(request.entry_id, request.request_id, request.terms.reply_to, None, prepared.template, values)


def _answer_scheduled(request: Request, snapshots: Snapshots, rng: np.random.Generator, answers: Answers) -> None:
    """Answer a pinned request of a session with a schedule, at the position that the requests before it left."""
    terms = request.terms
    name = terms.session or ""
    visit = answers.visits[name]
    visit.follow()
    try:
        schedule = schedule_of(name, visit.schedule or b"", snapshots.catalog)
    except RequestError as error:
        dataset = weights_of(terms, snapshots.weights, snapshots.derived).dataset
        return _refuse_all([request], Unanswerable(error, dataset), answers)
    derived = snapshots.derived_of(terms)
    here = snapshots.now_ms if schedule.goes_by == TIME_MS else visit.position
    weights = None if derived is None else schedule.weights_at(here, derived.catalog.ready)
    if weights is None:
        visit.use_pin()
    prepared = prepare(terms, snapshots, weights)
    if isinstance(prepared, Unanswerable):
        return _refuse_all([request], prepared, answers)
    drawn = draw_parts([Part(prepared, [request])], snapshots, rng, answers)
    milliseconds = 0 if drawn.time is None else int(drawn.time.milliseconds.sum())
    return visit.hear({CHUNKS: int(drawn.sizes.sum()), REQUESTS: 1, MS: milliseconds, TIME_MS: 0}[schedule.goes_by])


def _gather(requests: Sequence[Request | Result], snapshots: Snapshots, answers: Answers) -> _Gathered:
    """Gather the requests of the same terms. Answer invalid and expired ones, and leave them out.

    Args:
        requests: Valid ones, and the error results of invalid ones.
        snapshots: What they are drawn under.
        answers: Where to answer.
    """
    alike: dict[int, list[Request]] = {}
    scheduled: list[Request] = []
    traced: dict[str, str] = {}
    for request in requests:
        if isinstance(request, Result):
            _refuse(answers, request, None, None)
        elif request.expires_at is not None and (error := check_wanted(request.expires_at, snapshots.now_ms)):
            dataset = weights_of(request.terms, snapshots.weights, snapshots.derived).dataset
            _refuse_all([request], Unanswerable(error, dataset), answers)
        else:
            if request.traceparent is not None:
                traced[request.entry_id] = request.traceparent
            same = alike.get(id(request.terms))
            if same is not None:
                same.append(request)
            elif _is_scheduled(request.terms, answers.visits):
                scheduled.append(request)
            else:
                alike[id(request.terms)] = [request]
    return _Gathered(alike.values(), scheduled, traced)


def _is_scheduled(terms: Terms, visits: Mapping[str, Visit]) -> bool:
    """Return whether requests of some terms follow the schedule of their session."""
    visit = visits.get(terms.session or "") if terms.pin else None
    return visit is not None and visit.schedule is not None


def _refuse(answers: Answers, result: Result, dataset: str | None, session: str | None) -> None:
    answers.results.append(result)
    code = result.error or "internal"
    answers.tally.add_requests(dataset, 1)
    answers.tally.add_error(dataset, code)
    if session in answers.visits:
        answers.visits[session].tally.add_requests(None, 1)
        answers.visits[session].tally.add_error(None, code)


def _refuse_all(requests: Sequence[Request], why: Unanswerable, answers: Answers) -> None:
    for request in requests:
        result = encode_error(request, why.error.code, why.error.message, why.common)
        _refuse(answers, result, why.dataset, request.terms.session)
