"""Auditors: each checks one promise over a whole run and returns violations as sentences; none is good.

They know the contract (`worker/PROTOCOL.md`) and nothing of the worker's code, so that they cannot share its faults.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from tests.faults.audit_chances import audit_evenness, audit_mix
from tests.faults.audit_draws import audit_chunks, audit_passes, audit_ready, audit_seeds
from tests.faults.audit_weights import audit_pins, audit_weights
from tests.faults.records import UNWRITTEN, Answer, Asked, Run

Auditor = Callable[[Run], Iterator[str]]


def audit_once(run: Run) -> Iterator[str]:
    """Check that each request has one result: none is doubled, lost, or an answer to nobody's request."""
    dead = {letter.get("entry_id") for letter in run.dead}
    for i, asked in enumerate(run.asked):
        answers = run.answers_of.get(i, ())
        if len(answers) > 1:
            yield f"{_shown(asked)} has {len(answers)} results"
        elif not answers and not asked.is_maybe and not (UNWRITTEN in asked.accepted and asked.entry_id in dead):
            yield f"{_shown(asked)} has no result"
    # Of requests whose XADD got no answer, those with no request id that is echoed cannot be found.
    unknown = sum(asked.is_maybe and not run.answers_of.get(i) for i, asked in enumerate(run.asked))
    for answer in list(run.answers_of.get(-1, ()))[unknown:]:
        yield f"a result answers entry {answer.entry_id}, request id {answer.request_id!r}, which nobody asked"


def audit_added(run: Run) -> Iterator[str]:
    """Check that as many entries were answered as Redis ever added: unknown ones are not lost either."""
    if run.left is not None and run.left.added is not None:
        answered = {answer.entry_id for answer in run.answers} | {letter["entry_id"] for letter in run.dead}
        if len(answered) != run.left.added:
            yield f"{run.left.added} entries were added, {len(answered)} were answered"


def audit_outcomes(run: Run) -> Iterator[str]:
    """Check that requests end as they should: ok, or with the right error and a message.

    A worker that is started while PostgreSQL is away says so in its results, once it has waited.
    """
    for asked, answer in run.pairs:
        if answer.outcome not in asked.accepted and not _is_told_of_outage(run, answer):
            expected = " or ".join(sorted(asked.accepted))
            yield f"{_shown(asked)} ended {answer.outcome}, not {expected}: {answer.fields.get('message', '')}"
        if answer.error is not None and not answer.fields.get("message"):
            yield f"{_shown(asked)} has error {answer.error} without a message"
        if answer.fields.get("status") != ("error" if answer.error else "ok"):
            yield f"{_shown(asked)} has status {answer.fields.get('status')} with outcome {answer.outcome}"


def _is_told_of_outage(run: Run, answer: Answer) -> bool:
    at_ns = answer.at_ms * 1_000_000
    is_outage = any(begun_ns <= at_ns <= ended_ns + run.stale_ns for begun_ns, ended_ns in run.outages)
    return answer.error == "catalog_unavailable" and is_outage


def audit_addresses(run: Run) -> Iterator[str]:
    """Check that results stand in the stream that was asked for, and echo the request id."""
    for asked, answer in run.pairs:
        if answer.error == "invalid_request":
            continue  # what is echoed of an invalid request depends on what was wrong with it
        if answer.reply_to != asked.fields.get("reply_to"):
            yield f"{_shown(asked)} is answered in the stream {answer.reply_to or 'of all'}"
        if answer.request_id != asked.fields.get("request_id", answer.entry_id):
            yield f"{_shown(asked)} has a result with request id {answer.request_id!r}"


def audit_letters(run: Run) -> Iterator[str]:
    """Check that a dead letter has a request whose result tells the same, or could not be written.

    A request whose XADD got no answer is found by its request id.
    """
    answers = {answer.entry_id: answer for answer in run.answers}
    for entry_id, count in Counter(letter["entry_id"] for letter in run.dead).items():
        if count > 1:
            yield f"entry {entry_id} has {count} dead letters"
    unwritten = [asked for asked in run.asked if UNWRITTEN in asked.accepted]
    ids = {asked.entry_id for asked in unwritten}
    maybe = {asked.fields["request_id"] for asked in unwritten if asked.is_maybe}
    for letter in run.dead:
        entry_id, answer = letter["entry_id"], answers.get(letter["entry_id"])
        if answer is None and entry_id not in ids and letter.get("request_id") not in maybe:
            yield f"entry {entry_id} has a dead letter and no result"
        elif answer is not None and answer.error != letter["error"]:
            yield f"entry {entry_id} has a dead letter with {letter['error']} and a result with {answer.outcome}"


def audit_stats(run: Run) -> Iterator[str]:
    """Check that the stats hash and each session's counts agree with the results."""
    if run.stats is not None:
        answered = {answer.entry_id for answer in run.answers}
        unwritten = [letter["error"] for letter in run.dead if letter["entry_id"] not in answered]
        yield from _differences("stats", _totals(run.stats), _told(run.answers, unwritten))
    heard: dict[str, list[Answer]] = {}
    for asked, answer in run.pairs:
        session = asked.fields.get("session")
        if session is not None and answer.error not in {"invalid_request", "too_many_deliveries"}:
            heard.setdefault(session, []).append(answer)
    for session, counts in run.sessions.items():
        yield from _differences(f"session {session!r}", _totals(counts), _told(heard.get(session, []), []))


def audit_rest(run: Run) -> Iterator[str]:
    """Check that nothing is pending and nothing waits at the end."""
    if run.left is not None and run.left.pending:
        yield f"{run.left.pending} entries are pending at the end"
    if run.left is not None and run.left.length:
        yield f"{run.left.length} entries are left in the request stream"


AUDITORS: Final[Mapping[str, Auditor]] = {
    "one result each": audit_once,
    "all entries answered": audit_added,
    "outcomes": audit_outcomes,
    "addresses": audit_addresses,
    "dead letters": audit_letters,
    "chunks as asked": audit_chunks,
    "chunks READY": audit_ready,
    "weights in force": audit_weights,
    "pinned weights": audit_pins,
    "passes": audit_passes,
    "seeds": audit_seeds,
    "stats equal results": audit_stats,
    "nothing left": audit_rest,
    "mix": audit_mix,
    "evenness": audit_evenness,
}


def audit(run: Run) -> dict[str, list[str]]:
    """Ask every auditor; return the violations that each found, none left out."""
    return {name: list(auditor(run)) for name, auditor in AUDITORS.items()}


def violations(run: Run) -> list[str]:
    """List what all auditors found, each sentence with the auditor's name."""
    return [f"{name}: {sentence}" for name, found in audit(run).items() for sentence in found]


def _shown(asked: Asked) -> str:
    return f"request {str(dict(asked.fields))[:200]} (entry {asked.entry_id or 'unknown'})"


def _totals(counts: Mapping[str, int]) -> Counter[tuple[str, str]]:
    """Add up counts over datasets: requests, errors by code, chunks by category."""
    totals: Counter[tuple[str, str]] = Counter()
    for name, count in counts.items():
        kind, _, rest = name.partition(":")
        if kind in {"requests", "errors", "chunks"}:
            totals[kind, "" if kind == "requests" else rest.rpartition(":")[2]] += count
    return +totals


def _told(answers: Iterable[Answer], unwritten: Sequence[str]) -> Counter[tuple[str, str]]:
    """Count the same by the results themselves, and by dead letters whose result could not be written."""
    told: Counter[tuple[str, str]] = Counter()
    for answer in answers:
        told["requests", ""] += 1
        if answer.error is not None:
            told["errors", answer.error] += 1
        for category, count in answer.counts.items():
            told["chunks", category] += count
    for code in unwritten:
        told["requests", ""] += 1
        told["errors", code] += 1
    return told


def _differences(what: str, counted: Counter[tuple[str, str]], told: Counter[tuple[str, str]]) -> Iterator[str]:
    for key in sorted(counted.keys() | told.keys()):
        if counted[key] != told[key]:
            yield f"{what} count {counted[key]} {' '.join(key).strip()}, the results {told[key]}"
