"""Rule `excess`: a category gains while its loss is above what a reference model reached on it (DoReMi).

One step, for shares p and excess e = max(loss - reference, 0):

    p <- p * exp(rate * e), normalised;  p <- (1 - smoothing) * p + smoothing / k

A step begins at the shares that the last one left, so that guards are never outrun. The paper trains another, larger
model with the mean of p over all steps. Where the rule is told to answer that, p is a path of its own, as in the paper.
It begins at the shares of the first step. Then it goes on from itself, and the answer never changes it.

Source: Xie et al. 2023, "DoReMi: Optimizing Data Mixtures Speeds Up Language Model Pretraining", Algorithm 1. Published
defaults, as the authors' program has them: rate 1, smoothing 1e-4.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from worker.core.adjust.evidence import LARGEST, Smoothed, share_errors, smooth
from worker.core.adjust.learning import Learned, LearningRule, Round
from worker.core.adjust.notes import Notes
from worker.core.adjust.rule import Floats
from worker.core.adjust.values import choice, number, shown
from worker.errors import AdjustError

_HIGHEST = 700.0  # exp() of more is not finite
_OTHERS = "*"


class Excess(LearningRule):
    """The rule `excess`.

    Parameters, with their defaults, beside those of every `LearningRule`:

    - `reference`: category -> the loss that a reference model reached on it; `*` for the rest. A category without a
      reference has no excess.
    - `rate` (1): step size.
    - `smoothing` (1e-4): how much of equal shares is mixed in.
    - `answer` (`current`): `current` shares, or their `mean` over all steps, as the paper's larger model has.
    - `keep` (0): how much of the last loss stays.
    """

    name = "excess"

    def own_parameters(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters that only this rule has, with defaults."""
        return {
            "reference": _read_references(parameters.get("reference")),
            "rate": number(parameters, "rate", 1.0, least=0.0, most=1000.0),
            "smoothing": number(parameters, "smoothing", 1e-4, least=0.0, most=1.0),
            "answer": choice(parameters, "answer", "current", ("current", "mean")),
            "keep": number(parameters, "keep", 0.0, least=0.0, most=0.9999),
        }

    def learn(self, parameters: Mapping[str, Any], heard: Round, notes: Notes) -> Learned:
        """Learn from one round of reports."""
        before = Smoothed(*notes.column("loss", 0.0, -1.0).T)
        losses = smooth(before, heard.evidence.means, heard.evidence.errors, heard.used, parameters["keep"])
        given = parameters["reference"]
        otherwise = given.get(_OTHERS, math.nan)
        references = np.array([given.get(name, otherwise) for name in notes.categories], dtype=np.float64)
        excess, rate = excess_of(losses, references), parameters["rate"]
        columns = {"loss": np.stack(losses, axis=1)}
        if parameters["answer"] == "current":
            target = excess_step(heard.weights, excess, rate, parameters["smoothing"])
            return Learned(target, excess_errors(target, losses, rate), "", columns)
        path, mean = _read_path(heard.weights, notes)
        path = excess_step(path, excess, rate, parameters["smoothing"])
        mean = running_mean(mean, path, heard.step)
        columns["path"] = np.stack([path, mean], axis=1)
        return Learned(mean / mean.sum(), excess_errors(path, losses, rate) / heard.step, "", columns)


def _read_path(weights: Floats, notes: Notes) -> tuple[Floats, Floats]:
    """Return where the path is, and the mean of it; what is not on it yet begins at its share."""
    path, mean = notes.column("path", -1.0, -1.0).T
    return _with_shares(path, weights), _with_shares(mean, weights)


def _with_shares(path: Floats, weights: Floats) -> Floats:
    """Fill in shares where there are none (< 0), and scale the others to what is left."""
    known = path >= 0
    total = float(path[known].sum())
    if total <= 0:
        return weights
    return np.where(known, path * (float(weights[known].sum()) / total), weights)


def _read_references(found: object) -> dict[str, float]:
    """Read the losses of the reference model."""
    accepted = 'accepted: an object, category -> loss of a reference model, such as {"voice": 2.1, "*": 3}'
    if not isinstance(found, Mapping) or not found:
        raise AdjustError(f"reference is {'missing' if found is None else shown(found)}; {accepted}")
    return {
        str(name): number({"reference": loss}, "reference", None, least=-LARGEST, most=LARGEST)
        for name, loss in found.items()
    }


def excess_step(shares: Floats, excess: Floats, rate: float = 1.0, smoothing: float = 1e-4) -> Floats:
    """Make one step of DoReMi.

    Args:
        shares: float64, shape (k,): a simplex.
        excess: float64, shape (k,), >= 0: by how much each loss is above its reference.
        rate: Step size, >= 0.
        smoothing: Part of the result that is spread evenly, 0 to 1.

    Returns:
        float64, shape (k,): a simplex.
    """
    exponents = np.minimum(rate * (excess - excess.max()), 0.0)
    grown = shares * np.exp(np.maximum(exponents, -_HIGHEST))
    mixed: Floats = (1.0 - smoothing) * grown / grown.sum() + smoothing / len(shares)
    return mixed


def excess_of(losses: Smoothed, references: Floats) -> Floats:
    """Return by how much each loss is above its reference, 0 where one of them is unknown; shape (k,).

    Args:
        losses: Smoothed losses, shape (k,).
        references: float64, shape (k,): NaN where there is none.
    """
    known = losses.known & np.isfinite(references)
    return np.where(known, np.maximum(losses.means - np.where(known, references, 0.0), 0.0), 0.0)


def excess_errors(target: Floats, losses: Smoothed, rate: float) -> Floats:
    """Return the standard errors of the shares after a step; float64, shape (k,)."""
    return share_errors(target, target * rate * np.where(losses.known, losses.errors, 0.0))


def running_mean(mean: Floats, shares: Floats, steps: int) -> Floats:
    """Return the mean of shares over `steps` steps, of which these are the last; shape (k,)."""
    return mean + (shares - mean) / max(steps, 1)
