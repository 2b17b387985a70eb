"""What a rule will do, as far as it is known: its steps played ahead, with the library as it is now.

Counts of categories go on as the weights make one expect. A rule that goes by time only is played ahead in time. A rule
that learns cannot be foreseen.

Guards that need time are played, too: a warm-up, and the steps that a most change takes, one each interval. How much is
heard in a second is not known. So a rule that goes by counts is shown as if it had that time at each position.
"""

import math
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Final, NamedTuple

import numpy as np

from worker.core.adjust.guards import guard
from worker.core.adjust.rule import TIME_MS, Floats, Inputs, Proposal
from worker.core.adjust.settings import Settings
from worker.core.stats.fields import CHUNKS

MOST_ROWS: Final = 100_000
_LOOK_S: Final = 1.0  # workers look at rules once a second
_SAME: Final = 1e-9  # shares are rounded to this


class Row(NamedTuple):
    """A step that is to come.

    Attributes:
        unit: What the position counts: `chunks`, `ms`, `requests` or `time_ms`; empty for now, where nothing is to
            come, or a warm-up is not over.
        position: Where the step is.
        shares: Category -> share from then on.
        evidence: Why.
        held_by: Limits that hold the step back.
        after_s: How many seconds after that position, for a further step to the same point.
    """

    unit: str
    position: float
    shares: Mapping[str, float]
    evidence: str
    held_by: tuple[str, ...]
    after_s: float = 0.0


class _Moved(NamedTuple):
    """What is known after a step.

    Attributes:
        inputs: What the rule knows then.
        held_by: The limits that held the step back.
        after_s: How many seconds after its position the step is made.
    """

    inputs: Inputs
    held_by: tuple[str, ...]
    after_s: float = 0.0


def preview(settings: Settings, inputs: Inputs, memory: Mapping[str, Any], *, rest_s: float = 0.0) -> Iterator[Row]:
    """Play a rule ahead.

    Args:
        settings: The settings.
        inputs: What is known now.
        memory: The rule's memory.
        rest_s: How long the interval since the last step still lasts, in seconds.

    Yields:
        The weights from now on, and each step that is known, at most `MOST_ROWS`.
    """
    yield from islice(_rows(settings, inputs, memory, rest_s), MOST_ROWS)


def _rows(settings: Settings, inputs: Inputs, memory: Mapping[str, Any], rest_s: float) -> Iterator[Row]:
    unit, before = "", b""
    warm_ms, elapsed_ms = settings.warm_up * 1000, inputs.heard.get(TIME_MS, 0.0)
    if elapsed_ms < warm_ms:
        yield Row("", 0.0, _named(inputs), f"warm-up: nothing moves for {(warm_ms - elapsed_ms) / 1000:.6g} s", ())
        inputs, before = _advance(inputs, TIME_MS, warm_ms), inputs.weights.tobytes()
    while True:
        proposal = settings.moves_by.propose(settings.parameters, inputs, memory)
        memory, unit = proposal.memory, unit or _next(proposal, inputs)[0]
        for moved in _moves(settings, inputs, proposal, unit, rest_s):
            inputs = moved.inputs
            if inputs.weights.tobytes() != before:
                before = inputs.weights.tobytes()
                here = inputs.heard.get(unit, 0.0)
                yield Row(unit, here, _named(inputs), proposal.evidence, moved.held_by, moved.after_s)
        kind, position = _next(proposal, inputs)
        if not position > inputs.heard.get(kind, 0.0):
            return
        inputs, rest_s = _advance(inputs, kind, position), 0.0


def _moves(settings: Settings, inputs: Inputs, proposal: Proposal, unit: str, rest_s: float) -> Iterator[_Moved]:
    """Move to a proposal. With a most change it takes several steps, one each interval, until the next one is due."""
    if proposal.target is None or rest_s:
        yield _Moved(inputs, ())
    after_s, pause_s = 0.0, rest_s
    while proposal.target is not None:
        if unit != TIME_MS:
            after_s += pause_s
        elif (at_ms := inputs.heard.get(TIME_MS, 0.0) + pause_s * 1000) < proposal.next_at.get(TIME_MS, math.inf):
            inputs = _advance(inputs, TIME_MS, at_ms)
        else:
            return
        guarded = guard(settings, inputs.categories, proposal.target, weights=inputs.weights, prior=inputs.prior)
        further = float(np.abs(guarded.shares - inputs.weights).max())
        inputs = inputs._replace(weights=guarded.shares)
        yield _Moved(inputs, guarded.held_by, after_s)
        if settings.most_change is None or further < _SAME:
            return
        pause_s = max(settings.interval_s, _LOOK_S)


def _named(inputs: Inputs) -> Mapping[str, float]:
    return {name: share for name, share in zip(inputs.categories, inputs.weights.tolist(), strict=True) if share}


def _drawable(inputs: Inputs) -> Floats:
    """Return what is drawn: the shares of the categories that have READY chunks, or zeros."""
    shares = np.where(inputs.ready > 0, inputs.weights, 0.0)
    return shares / (shares.sum() or 1.0)


def _next(proposal: Proposal, inputs: Inputs) -> tuple[str, float]:
    """Return unit and position of the step that comes first; -1 for the position if there is none.

    A count of one category is expected at a count of all chunks.
    """
    found: list[tuple[str, float]] = []
    shares = dict(
        zip(inputs.categories, zip(_drawable(inputs).tolist(), inputs.drawn.tolist(), strict=True), strict=True)
    )
    for unit, at in proposal.next_at.items():
        kind, _, category = unit.partition(":")
        share, drawn = shares.get(category, (0.0, 0))
        if not category:
            found.append((unit, at))
        elif share > 0:
            found.append((kind, inputs.heard.get(kind, 0.0) + (math.ceil(at) - drawn) / share))
    return min(found, key=lambda one: one[1], default=("", -1.0))


def _advance(inputs: Inputs, unit: str, position: float) -> Inputs:
    """Go on to a position. What is drawn of each category is what is to be expected, as whole numbers."""
    ahead = position - inputs.heard.get(unit, 0.0)
    drawn, now_ms = inputs.drawn, inputs.now_ms
    if unit == CHUNKS:
        drawn = drawn + np.rint(_drawable(inputs) * ahead).astype(np.int64)
    if unit == TIME_MS:
        now_ms += round(ahead)
    return inputs._replace(heard={**inputs.heard, unit: position}, drawn=drawn, now_ms=now_ms)
