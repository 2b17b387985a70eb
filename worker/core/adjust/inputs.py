"""What a rule is told at a step: the weights in force, its prior, sizes, positions and losses, by category."""

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from worker.core.adjust.guards import least_shares
from worker.core.adjust.reports import LossReports
from worker.core.adjust.rule import TIME_MS, Floats, Inputs
from worker.core.adjust.settings import Settings
from worker.core.adjust.state import State
from worker.core.adjust.step import Found
from worker.core.stats.fields import CHUNKS
from worker.core.weights.in_force import ABSENT, source_of
from worker.core.weights.values import MAX_CATEGORIES, normalise, parse_weights
from worker.errors import WeightsError


class Library(NamedTuple):
    """What a worker knows of the catalog.

    Attributes:
        ready: Category -> READY chunks.
        hours: Category -> READY hours of audio; None where durations are not known.
    """

    ready: Mapping[str, int]
    hours: Mapping[str, float] | None = None


class Evidence(NamedTuple):
    """What was read for one step beside what is stored about the rule.

    Attributes:
        served: Unit, or `chunks:<category>` -> what was heard ever; empty unless it is needed, see `needs_served`.
        losses: Reports since the last step; None for rules without feedback.
        reports: How many reports these are.
        cursor: Id of the last of them.
    """

    served: Mapping[str, int] = {}
    losses: LossReports | None = None
    reports: int = 0
    cursor: str = ""


def counts(settings: Settings) -> bool:
    """Return whether a rule moves the weights by counts of what is heard."""
    return settings.mode == "on" and settings.goes_by_counts


def needs_served(settings: Settings, state: State | None) -> bool:
    """Return whether all that was ever served has to be read: for a shadow, under which nothing is counted.

    A rule that was a shadow until now needs it once more, for the position that it goes on from.

    Args:
        settings: The settings.
        state: The state; None: the rule has not begun.
    """
    modes = {settings.mode} if state is None else {settings.mode, state.mode}
    return settings.goes_by_counts and "shadow" in modes


def make_inputs(settings: Settings, state: State, found: Found, library: Library, evidence: Evidence) -> Inputs:
    """Make the inputs of a rule from what is known.

    Args:
        settings: The settings.
        state: The state.
        found: What Redis holds.
        library: What is READY.
        evidence: What else was read.
    """
    in_force, prior = found.weights.in_force.weights.shares, _prior(settings, state, found)
    weighed = in_force.keys() | prior.keys() | state.shadow.keys()
    names = weighed | library.ready.keys()
    categories = tuple(sorted(names if len(names) <= MAX_CATEGORIES else weighed))
    hours, anchor = library.hours, shares_of(prior, categories)
    heard = positions(settings, state, found, evidence)
    return Inputs(
        found.name,
        found.now_ms,
        categories,
        shares_of(state.shadow if settings.mode == "shadow" and state.shadow else in_force, categories),
        anchor,
        np.array([library.ready.get(name, 0) for name in categories], dtype=np.int64),
        None if hours is None else np.array([hours.get(name, 0.0) for name in categories]),
        heard,
        np.array([heard.get(f"{CHUNKS}:{name}", 0.0) for name in categories]).astype(np.int64),
        evidence.losses,
        shares_of(in_force, categories),
        least_shares(settings, categories, anchor),
    )


def positions(settings: Settings, state: State, found: Found, evidence: Evidence) -> Mapping[str, float]:
    """Return the position by unit: by what is counted, and for a shadow by what was served since it began.

    A rule that is told to go on in another mode is where it was: its state says in which mode it was counted.
    """
    heard = found.heard
    if settings.goes_by_counts and state.mode == "shadow":
        heard = {unit: max(0.0, float(count - state.served.get(unit, 0))) for unit, count in evidence.served.items()}
    return {**heard, TIME_MS: max(0.0, float(found.now_ms - state.began_ms))}


def _prior(settings: Settings, state: State, found: Found) -> Mapping[str, float]:
    """Return the anchor: what the settings say, or the weights before the rule began."""
    weights = None if settings.prior is None else normalise(settings.prior, "prior")
    if weights is None and state.before is not None:
        try:
            weights = parse_weights(state.before.encode(), source_of(found.name))
        except WeightsError:
            weights = None
    return (weights or replace(found.weights, mark=ABSENT, value=None).in_force.weights).shares


def shares_of(shares: Mapping[str, float], categories: tuple[str, ...]) -> Floats:
    """Lay out shares by category.

    Args:
        shares: Category -> share; one of them is among the categories, and above 0.
        categories: Names, shape (k,).

    Returns:
        float64, shape (k,), summing to 1.
    """
    found = np.array([shares.get(name, 0.0) for name in categories])
    found /= found.sum()
    return found
