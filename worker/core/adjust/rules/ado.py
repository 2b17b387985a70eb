"""Rule `ado`: more of the category whose loss falls fastest by what it is given (Adaptive Data Optimization).

A power law L(n) = E + A n^-a is fitted to the losses of each category. With the prior m and the smoothed credit h:

    slope = max(a, 0.05) * A n^-a / n        how fast the loss falls now
    rho   = m * sqrt(h) * slope, normalised, each at least 0.01
    p     = 0.9 * mean of rho so far + 0.1 * rho

A category whose loss does not fall gets little, whether it is learned already or is noise. The law sees data as heard
by the whole training, as in the paper: n is the same for all categories.

Source: Jiang et al. 2024, "Adaptive Data Optimization: Dynamic Sample Selection with Scaling Laws", section 4, and
their program (`src/data_selectors/ado.py`). Published: 0.1 for the newest rho, 0.5 as the power of credit, floor 0.01,
a refit each 1,000 training steps.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from worker.core.adjust.evidence import LARGEST, share_errors
from worker.core.adjust.learning import Learned, LearningRule, Round
from worker.core.adjust.notes import Notes
from worker.core.adjust.rule import DRAWN, Floats
from worker.core.adjust.rules.power_law import PowerLaws, fit_power_laws
from worker.core.adjust.values import number, whole

MOST_POINTS = 64
"""So many points are kept for a fit, fewer of very many categories. When there are more, neighbours are joined."""

_LEAST_POINTS = 10
_MOST_LOSSES = 100_000  # of all categories together: the state of a rule is read and written at each step

_LEAST_EXPONENT = 0.05
_LEAST_UNIT = 1e-12  # what is heard is divided by it


class Ado(LearningRule):
    """The rule `ado`.

    Parameters, with their defaults, beside those of every `LearningRule`:

    - `floor` (0.01): the least rho of a category.
    - `newest` (0.1): how much the newest rho counts in the shares.
    - `credit` (0.9): how much of the smoothed credit stays in a step.
    - `start` (10): steps before the first move.
    - `refit` (5): steps from one fit to the next.

    A step of this rule stands for many of a training. So the last two are not the paper's 1,000.
    """

    name = "ado"

    def units(self, parameters: Mapping[str, Any]) -> frozenset[str]:  # noqa: ARG002 - whatever they are
        """Return what it goes by: chunks drawn of each category."""
        return frozenset({DRAWN})

    def own_parameters(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters that only this rule has, with defaults."""
        return {
            "floor": number(parameters, "floor", 0.01, least=0.0, most=1.0),
            "newest": number(parameters, "newest", 0.1, least=0.0, most=1.0),
            "credit": number(parameters, "credit", 0.9, least=0.0, most=0.9999),
            "start": whole(parameters, "start", 10, least=4, most=1_000_000),
            "refit": whole(parameters, "refit", 5, least=1, most=1_000_000),
        }

    def learn(self, parameters: Mapping[str, Any], heard: Round, notes: Notes) -> Learned:
        """Learn from one round of reports."""
        counts = np.where(heard.used, heard.evidence.counts, 0.0)
        position = _position(heard, notes)
        curve = _read_curve(notes).with_point(position, heard.evidence.means, counts)
        credit = _moved_credit(heard, notes, parameters["credit"])
        mean, mean_errors = _read_mean(heard, notes)
        laws = _read_laws(notes)
        if heard.step >= parameters["start"] and (laws is None or heard.step % parameters["refit"] == 0):
            laws = fit_power_laws(*curve)
        columns = {"losses": curve.losses, "counts": curve.counts}
        columns |= {"drawn": heard.drawn[:, None], "credit": credit[:, None]}
        numbers = {"heard": curve.heard.tolist(), "position": position}
        if laws is None:
            why = f"the fit begins after {parameters['start']} steps, this is number {heard.step}"
            return Learned(None, np.zeros_like(mean), why, columns, numbers)
        preferred, errors = _preferred(laws, position, heard.prior, credit, parameters["floor"])
        columns["law"] = np.stack([*laws[:3], np.minimum(laws.errors, LARGEST)], axis=1)
        # One fit has most of its points from the last, so errors of a mean do not average out.
        means = moved_mean(mean, preferred, heard.step), moved_mean(mean_errors, errors, heard.step)
        columns["mean"] = np.stack(means, axis=1)
        target = ado_shares(mean, preferred, parameters["newest"])
        errors = ado_shares(mean_errors, errors, parameters["newest"])
        return Learned(target, errors, "", columns, {**numbers, "unit": laws.unit})


class Curve(NamedTuple):
    """The losses so far, as points of a curve.

    Attributes:
        heard: float64, shape (t,), ascending: chunks heard up to each point.
        losses: float64, shape (k, t).
        counts: float64, shape (k, t): how many losses each is the mean of; 0 where there was none.
    """

    heard: Floats
    losses: Floats
    counts: Floats

    def with_point(self, heard: float, losses: Floats, counts: Floats) -> "Curve":
        """Add a point, and join neighbours if there are too many."""
        longer = Curve(
            np.append(self.heard, heard),
            np.append(self.losses, losses[:, None], axis=1),
            np.append(self.counts, counts[:, None], axis=1),
        )
        most = min(MOST_POINTS, max(_LEAST_POINTS, _MOST_LOSSES // max(len(losses), 1)))
        return longer.joined() if len(longer.heard) > most else longer

    def joined(self) -> "Curve":
        """Join the two neighbours that are nearest by ratio. So the early, steep part of a curve keeps its points."""
        first = int(np.diff(np.log(np.maximum(self.heard, 1.0))).argmin())
        starts = np.delete(np.arange(len(self.heard)), first + 1)
        counts = np.add.reduceat(self.counts, starts, axis=1)
        losses = np.add.reduceat(self.losses * self.counts, starts, axis=1) / np.maximum(counts, 1.0)
        heard, joined = self.heard[starts], self.heard[first : first + 2]
        weights = self.counts[:, first : first + 2].sum(axis=0) + 1.0
        heard[first] = joined @ weights / weights.sum()
        return Curve(heard, losses, counts)


def preferred_shares(speeds: Floats, prior: Floats, credit: Floats, *, floor: float = 0.01) -> Floats:
    """Compute rho: prior x square root of credit x learning speed, normalised and with a floor.

    Args:
        speeds: float64, shape (k,), >= 0: how fast each loss falls.
        prior: float64, shape (k,): a simplex.
        credit: float64, shape (k,), >= 0: the smoothed share of each category in what was drawn.
        floor: Least share. With more categories than 1/floor it is 1/k.

    Returns:
        float64, shape (k,): a simplex. It is the prior if no loss falls.
    """
    largest = float(speeds.max())
    raw = prior * np.sqrt(credit) * (speeds / largest if largest > 0 else speeds)
    total = float(raw.sum())
    if not total > 0:
        return prior
    clipped = np.maximum(raw / total, min(floor, 1.0 / len(prior)))
    shares: Floats = clipped / clipped.sum()
    return shares


def ado_shares(mean: Floats, preferred: Floats, newest: float = 0.1) -> Floats:
    """Mix the mean of the preferred shares so far with the newest of them; shape (k,)."""
    return (1.0 - newest) * mean + newest * preferred


def moved_mean(mean: Floats, preferred: Floats, step: int) -> Floats:
    """Return the mean of the preferred shares after a step, which counts 1/(t+1) at step t >= 1; shape (k,)."""
    return mean + (preferred - mean) / (step + 1.0)


def learning_speeds(laws: PowerLaws, heard: float) -> Floats:
    """Return how fast each loss falls: max(a, 0.05) A n^-a / n; float64, shape (k,), >= 0."""
    return np.maximum(laws.exponent, _LEAST_EXPONENT) * laws.reducible(heard) / heard


def _preferred(laws: PowerLaws, heard: float, prior: Floats, credit: Floats, floor: float) -> tuple[Floats, Floats]:
    """Return rho and its standard errors; a category whose law is not known has its prior."""
    known = np.isfinite(laws.errors) & (laws.errors < LARGEST)
    if not known.any():
        return prior, np.ones_like(prior)
    mass = float(prior[known].sum())
    speeds = learning_speeds(laws, heard)[known]
    raw = prior[known] * np.sqrt(credit[known])
    rho = preferred_shares(speeds, prior[known] / mass, credit[known], floor=floor)
    total = max(float(raw @ speeds), np.finfo(float).tiny)
    preferred, errors = prior.copy(), np.ones_like(prior)
    preferred[known] = mass * rho
    errors[known] = mass * share_errors(rho, raw * laws.errors[known] / heard / total)
    return preferred, errors


def _read_curve(notes: Notes) -> Curve:
    heard = notes.numbers("heard")
    nothing = (0.0,) * len(heard)
    return Curve(heard, notes.column("losses", *nothing), notes.column("counts", *nothing))


def _read_mean(heard: Round, notes: Notes) -> tuple[Floats, Floats]:
    """Return the mean of the preferred shares so far, and its errors: at first the prior without errors."""
    found = notes.column("mean", -1.0, 0.0)
    mean = np.where(found[:, 0] >= 0, found[:, 0], heard.prior)
    return mean / mean.sum(), found[:, 1]


def _read_laws(notes: Notes) -> PowerLaws | None:
    if "unit" not in notes.memory:
        return None
    irreducible, scale, exponent, errors = notes.column("law", 0.0, 0.0, 0.0, LARGEST).T
    return PowerLaws(irreducible, scale, exponent, errors, notes.number("unit", 1.0, least=_LEAST_UNIT))


def _position(heard: Round, notes: Notes) -> float:
    """Return how much was heard: chunks drawn, or losses reported where nobody counts chunks. It never falls."""
    last = notes.number("position", 0.0, least=0.0)
    drawn = float(heard.drawn.sum())
    return max(drawn, last) if drawn > 0 else last + float(heard.evidence.counts.sum())


def _moved_credit(heard: Round, notes: Notes, keep: float) -> Floats:
    """Move the credit towards the shares in what was drawn since the last step."""
    drawn = notes.column("drawn", -1.0)[:, 0]
    new = np.where(drawn >= 0, np.maximum(heard.drawn - drawn, 0.0), 0.0)
    shares = new / new.sum() if new.sum() > 0 else heard.drawn_under
    before = notes.column("credit", -1.0)[:, 0]
    return np.where(before >= 0, keep * before + (1.0 - keep) * shares, heard.prior)
