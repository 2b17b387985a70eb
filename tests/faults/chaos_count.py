"""The count at the end of the chaos program: its records, what the auditors find, and figures."""

import json
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import chain
from statistics import median
from typing import NamedTuple

from tests.faults.audit import audit
from tests.faults.audit_chances import chance_of_evenness, chance_of_mix
from tests.faults.chaos_asking import read_notes
from tests.faults.chaos_faults import OF_POSTGRES
from tests.faults.chaos_place import Place, Plan
from tests.faults.collect import collect
from tests.faults.records import OK, Run, Stay, WeightsChange
from tests.support.command import RunningWorker

_MS = 1_000_000
_STALE_NS = 10_000 * _MS
_SHOWN = 5
_LONGEST = 400
_HEAD = (
    "broken                                times  p50, s  max, s  until all was answered that was asked before its end"
)
_BUGS = ("worker.failed", "request.failed")


class Done(NamedTuple):
    """A fault that is over."""

    name: str
    begun_ns: int
    ended_ns: int


class Round(NamedTuple):
    """Some faults, and how long after their end all earlier requests were answered; None: never."""

    done: Sequence[Done]
    ended_ns: int
    took_s: float | None

    @property
    def sentence(self) -> str:
        """Write the faults and the time to recover as a line."""
        at = datetime.fromtimestamp(self.ended_ns / 1e9, UTC).time().isoformat("milliseconds")
        took = "never recovered" if self.took_s is None else f"recovered in {self.took_s:.2f} s"
        return f"{at} {', '.join(fault.name for fault in self.done)}: {took}"


class End(NamedTuple):
    """The workers at the end: their most memory in MB, and the exit statuses of those told to stop."""

    memory_mb: float
    statuses: Sequence[int]


class Tale(NamedTuple):
    """What happened in a run.

    Attributes:
        run: The records.
        rounds: The faults.
        violations: Auditor -> what it found; those that found nothing are left out.
        lines: How many lines the workers logged.
        memory_mb: The most memory that a worker held.
    """

    run: Run
    rounds: Sequence[Round]
    violations: dict[str, list[str]]
    lines: int
    memory_mb: float


def count(
    place: Place,
    rounds: Sequence[Round],
    *,
    changes: Sequence[WeightsChange],
    stays: Sequence[Stay],
    end: End,
) -> Tale:
    """Collect the records and ask the auditors.

    Args:
        place: Where it happened.
        rounds: The faults.
        changes: What became of the weights.
        stays: When chunks were READY.
        end: What the workers were once nothing was broken.
    """
    done = [fault for one in rounds for fault in one.done]
    run = Run(
        [asked for notes in place.notes for asked in read_notes(notes)],
        changes=changes,
        stays=stays,
        stale_ns=_STALE_NS,
        outages=[(fault.begun_ns, fault.ended_ns) for fault in done if fault.name in OF_POSTGRES],
        **collect(place.client, place.keys)._asdict(),
    )
    hung = [f"not all was answered after {[fault.name for fault in one.done]}" for one in rounds if one.took_s is None]
    found = {**audit(run), "workers": list(_look_at(place.workers, end.statuses)), "recovery": hung}
    violations = {name: sentences for name, sentences in found.items() if sentences}
    lines = sum(worker.log.read_text().count("\n") for worker in place.workers)
    return Tale(run, rounds, violations, lines, end.memory_mb)


def _look_at(workers: Sequence[RunningWorker], statuses: Sequence[int]) -> Iterator[str]:
    """Yield the bugs that workers logged, and exit statuses other than 0 at the end."""
    for worker in workers:
        for line in worker.log.read_text().splitlines(keepends=True):
            try:
                is_wrong = json.loads(line)["event"] in _BUGS
            except ValueError:
                is_wrong = line.endswith("\n")  # of a worker that was killed, the last line may be cut
            if is_wrong:
                yield f"{worker.consumer} says {line.strip()}"
    if any(statuses):
        yield f"workers that were told to stop at the end exited with {list(statuses)}"


def tell(plan: Plan, tale: Tale) -> None:
    """Print what happened."""
    place = f"{plan.server}, {plan.workers} workers, {plan.producers} producers"
    print(f"chaos: {plan.seconds:g} s, seed {plan.seed}, {place}\n\n{_HEAD}")
    took = _recoveries(tale)
    for name, took_s in sorted({**took, "in all": list(chain.from_iterable(took.values()))}.items()):
        print(f"{name:36}{len(took_s):>7}{median(took_s):>8.2f}{max(took_s):>8.2f}")
    print(_figures(tale))
    for name, sentences in tale.violations.items():
        print(f"VIOLATED {name}: {len(sentences)} times")
        for sentence in sentences[:_SHOWN]:
            print(f"    {sentence[:_LONGEST]}")
    print("every promise held" if not tale.violations else "promises were broken")


def _figures(tale: Tale) -> str:
    """Write the figures of a run."""
    run = tale.run
    answers = [len(run.answers_of.get(i, ())) for i in range(len(run.asked))]
    maybe = sum(asked.is_maybe for asked in run.asked)
    chunks = sum(len(answer.chunk_ids) for answer in run.answers)
    certain = [n for n, asked in zip(answers, run.asked, strict=True) if not asked.is_maybe and OK & asked.accepted]
    older = len(tale.violations.get("weights in force", ()))
    return (
        f"\nrequests {len(run.asked):,}, of which {maybe:,} whose XADD got no answer"
        f"\nresults {len(run.answers):,} with {chunks:,} chunks, dead letters {len(run.dead):,}"
        f"\ndoubled {sum(n > 1 for n in answers)}, lost {certain.count(0)}, under older weights {older}"
        f" ({len(run.changes):,} changes of weights)"
        f"\np of the mix {chance_of_mix(run):.3f}, of evenness within categories {chance_of_evenness(run):.3f}"
        f"\nrounds {len(tale.rounds)}; the workers logged {tale.lines:,} lines and held {tale.memory_mb:.0f} MB at most"
    )


def _recoveries(tale: Tale) -> dict[str, list[float]]:
    """List the recovery times of the rounds with each kind of fault."""
    took: dict[str, list[float]] = defaultdict(list)
    for one in tale.rounds:
        for fault in one.done:
            took[fault.name].append(math.inf if one.took_s is None else one.took_s)
    return took
