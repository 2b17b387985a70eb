"""What is printed of a change of weights: in one prefix, or in several, some of which may not have it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import click

from worker.adapters.redis.weights_writer import RedisWeightsWriter
from worker.cli.mix import until_text
from worker.cli.output import complain
from worker.cli.printing import print_json, print_text, shares_text
from worker.cli.words import counted, span_text
from worker.core.weights.history import Change
from worker.core.weights.in_force import preset_of, source_of
from worker.core.weights.values import parse_weights
from worker.core.workers.states import namesakes
from worker.errors import SamplingError, UnreachableError, WeightsError
from worker.weights.change import Applied, time_text
from worker.weights.step import Made, Work


class Attempt:
    """One try of a change, which knows what became of it, also after an error."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._writer: RedisWeightsWriter | None = None
        self._is_made = False

    async def make(self, writer: RedisWeightsWriter) -> Change:
        """Make the change."""
        self._writer = writer
        change = await self._work(writer)
        self._is_made = True
        return change

    def is_stored(self, end: Made | SamplingError) -> bool | None:
        """Return whether the change is stored; None: not known, as Redis was lost while it was asked to make it.

        Args:
            end: What the try ended with.
        """
        has_asked = self._writer is not None and self._writer.has_asked
        if not self._is_made and has_asked and isinstance(end, UnreachableError):
            return None
        return self._is_made


class Outcome(NamedTuple):
    """What came of a change in one prefix.

    Attributes:
        prefix: The prefix.
        made: What was made, or the error that ended it.
        is_stored: Whether the change is stored; None: not known.
    """

    prefix: str
    made: Made | SamplingError
    is_stored: bool | None


def tell(made: Made, wait_s: float | None, *, as_json: bool) -> None:
    """Print what came of a change; a worker that has not applied it is status 1.

    Args:
        made: What came of it.
        wait_s: How long workers were waited for; None: not at all.
        as_json: Whether to print JSON.
    """
    if as_json:
        print_json(_document(made))
    if not _tell_made(made, wait_s, as_json=as_json):
        raise click.exceptions.Exit(1)


def tell_each(outcomes: Sequence[Outcome], wait_s: float | None, *, as_json: bool) -> None:
    """Print what came of a change in several prefixes, and which of them have it.

    The exit status is that of the first error; without one it is 1 where a worker has not applied the change.

    Args:
        outcomes: What came of it, in each prefix.
        wait_s: How long workers were waited for; None: not at all.
        as_json: Whether to print JSON.
    """
    if as_json:
        print_json([_outcome_document(one) for one in outcomes])
    statuses = [_tell_outcome(one, wait_s, as_json=as_json) for one in outcomes]
    errors = [one.made for one in outcomes if isinstance(one.made, SamplingError)]
    if errors:
        complain(_stored_text(outcomes))
        raise click.exceptions.Exit(errors[0].exit_status)
    if not as_json:
        print_text(_stored_text(outcomes), "fits")
    if not all(statuses):
        raise click.exceptions.Exit(1)


def _stored_text(outcomes: Sequence[Outcome]) -> str:
    """Write which prefixes have a change."""
    ways: dict[str, bool | None] = {"stored in": True, "not in": False, "not known of": None}
    listed = {way: ", ".join(one.prefix for one in outcomes if one.is_stored is state) for way, state in ways.items()}
    return "; ".join(f"{way} {prefixes}" for way, prefixes in listed.items() if prefixes)


def _tell_outcome(outcome: Outcome, wait_s: float | None, *, as_json: bool) -> bool:
    """Print what came of a change in one of several prefixes; return whether all of it is as wanted."""
    prefix, made, _ = outcome
    if isinstance(made, SamplingError):
        complain(f"{prefix}: {made}")
        return False
    if not as_json:
        print_text(f"prefix {prefix}")
    return _tell_made(made, wait_s, as_json=as_json, place=f"{prefix}: ")


def _tell_made(made: Made, wait_s: float | None, *, as_json: bool, place: str = "") -> bool:
    """Print what came of a change, JSON apart; return whether the workers that were waited for have applied it."""
    if not as_json:
        _print_change(made)
    for sentence in made.mix.warnings:
        complain(f"{place}{sentence}")
    if made.applied is None or wait_s is None:
        return True
    return _tell_applied(made.applied, wait_s, place, as_json=as_json)


def _outcome_document(outcome: Outcome) -> dict[str, Any]:
    prefix, made, is_stored = outcome
    about = {"error": str(made)} if isinstance(made, SamplingError) else _document(made)
    return {"prefix": prefix, "stored": is_stored, **about}


def _shares(change: Change) -> dict[str, float]:
    try:
        weights = parse_weights(change.after.encode(), source_of(change.name)) if change.after else None
    except WeightsError:
        return {}
    return dict(weights.shares) if weights else {}


def _document(made: Made) -> dict[str, Any]:
    change, applied = made.change, made.applied
    document: dict[str, Any] = {
        "dataset": change.name,
        "weights": _shares(change),
        "version": change.version_after or None,
        "version_before": change.version_before or None,
        "entry": change.id,
        "until_ms": change.until_ms,
        "lapsed_ms": change.lapsed_ms,
        **made.mix.document,
    }
    if applied is not None:
        document |= {"applied": applied.applied, "missing": applied.missing, "unasked": applied.unasked}
        document["took_ms"] = round(applied.took_s * 1000, 1)
    return document


def _print_change(made: Made) -> None:
    change = made.change
    if shares := _shares(change):
        print_text(f"version {change.version_after}  {shares_text(shares)}")
    elif preset_of(change.name):
        print_text("the preset is removed")
    else:
        held = "the defaults" if change.name is None else "the global weights"
        print_text(f"{'all weights are zero' if change.after else 'no weights are stored'}: {held} are in force")
    if change.until_ms is not None:
        print_text(until_text(change.until_ms, change.until_ms - change.at_ms, made.pending, change.name))
    if change.lapsed_ms is not None:
        print_text(f"they are there for good: the return of {time_text(change.lapsed_ms)} is off")


def _tell_applied(applied: Applied, wait_s: float, place: str, *, as_json: bool) -> bool:
    """Print how many workers have applied it; return whether all of those that were asked for it have."""
    holders = len(applied.applied) + len(applied.missing)
    if not holders + len(applied.unasked):
        complain(f"{place}the weights are stored, but no worker is alive, so that none has applied it")
        return False
    if (sentence := namesakes(applied.namesakes)) is not None:
        complain(f"{place}{sentence}")
        return False
    if applied.missing:
        late = f"applied by {len(applied.applied)} of {counted(holders, 'worker')} within {wait_s:g} s"
        complain(f"{place}{late}; not by {', '.join(applied.missing)}")
        return False
    if as_json:
        return True
    if holders:
        print_text(f"applied by {holders} of {counted(holders, 'worker')} in {span_text(applied.took_s)}", "fits")
    if applied.unasked:
        have = "worker has" if len(applied.unasked) == 1 else "workers have"
        rest = f"{len(applied.unasked)} {have} not been asked for this dataset lately"
        print_text(f"{rest}: they read its weights with the first request", "waits")
    return True
