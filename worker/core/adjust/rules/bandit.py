"""Rule `bandit`: each category is an arm that is rewarded with its loss (Online Data Mixing, or Hedge).

With shares p, losses l, k arms and the exploration rate e(t), Online Data Mixing is:

    r <- smoothing * r + (1 - smoothing) * l / p                 (importance weights: a rare arm's loss counts for more)
    p  = (1 - k e(t)) * softmax(e(t-1) * r) + e(t)               e(t) = min(1/k, sqrt(ln k / (k t)))

The first r is l / p. The exponent is shifted by its maximum, so it cannot overflow. As e(t) falls, softmax of a *mean*
goes to equal shares. No bound of the regret is known for it.

With `sum`, the rule is Hedge. Here the losses of all arms are seen, so nothing has to be divided by shares:

    s <- s + l                            p = softmax(sqrt(8 ln k / t) * s)  in round t

For losses from 0 to 1, the regret after n rounds is at most

    2 sqrt(n/2 ln k) + sqrt(ln k / 8).

An arm that was not seen in a round gets the mean of the others, weighted by their shares. So its part of the whole
stays as it is.

Source: Albalak et al. 2023, "Efficient Online Data Mixing For Language Model Pre-Training", Algorithm 1, and their
program (`megatron/data/data_sampling_utils.py`); published: smoothing 0.9 (0.5 in the run with 1B parameters). Cesa-
Bianchi and Lugosi 2006, "Prediction, Learning, and Games", theorem 2.3, for Hedge. Freund et al. 1997, "Using and
Combining Predictors That Specialize", for arms that are not seen.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from worker.core.adjust.evidence import LARGEST, Smoothed, share_errors, smooth
from worker.core.adjust.gate import Marks
from worker.core.adjust.learning import Learned, LearningRule, Round
from worker.core.adjust.notes import Notes
from worker.core.adjust.rule import Floats
from worker.core.adjust.values import choice, number

_LEAST_SHARE = 1e-6
"""An importance weight divides by no less than this share."""


class Bandit(LearningRule):
    """The rule `bandit`.

    Parameters, with their defaults, beside those of every `LearningRule`:

    - `rewards` (`mean`): `mean` of the weighted losses, as Online Data Mixing, or `sum` of the losses, as Hedge.
    - `smoothing` (0.9): how much of the mean stays in a step.
    - `scale` (1): a loss of this size is a reward of 1. Hedge asks for rewards from 0 to 1.
    - `exploration` (0): least share of an arm. 0: as published.
    """

    name = "bandit"

    def own_parameters(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters that only this rule has, with defaults."""
        return {
            "rewards": choice(parameters, "rewards", "mean", ("mean", "sum")),
            "smoothing": number(parameters, "smoothing", 0.9, least=0.0, most=0.9999),
            "scale": number(parameters, "scale", 1.0, least=1e-9, most=LARGEST),
            "exploration": number(parameters, "exploration", 0.0, least=0.0, most=1.0),
        }

    def learn(self, parameters: Mapping[str, Any], heard: Round, notes: Notes) -> Learned:
        """Learn from one round of reports."""
        before = Smoothed(*notes.column("score", 0.0, -1.0).T)
        rewards, errors = (one / parameters["scale"] for one in (heard.evidence.means, heard.evidence.errors))
        arms = len(rewards)
        least = min(parameters["exploration"], 1.0 / arms)
        if parameters["rewards"] == "mean":
            rewards, errors = (weighted_rewards(one, heard.drawn_under) for one in (rewards, errors))
            scores = smooth(before, rewards, errors, heard.used, parameters["smoothing"])
            factor, explored = (max(exploration_rate(arms, step), least) for step in (heard.step - 1, heard.step))
        else:
            scores = add_rewards(before, rewards, errors, heard.used, heard.weights)
            factor, explored = hedge_rate(arms, heard.step + 1), least
        # An arm that nothing is known of yet counts as an average one.
        known = scores.known
        values = np.where(known, scores.means, scores.means[known].mean())
        target = bandit_shares(values, factor, explored)
        spread = bandit_errors(target, np.where(known, scores.errors, 0.0), factor)
        return Learned(target, spread, "", {"score": np.stack(scores, axis=1)})


def add_rewards(before: Smoothed, rewards: Floats, errors: Floats, used: Marks, shares: Floats) -> Smoothed:
    """Add rewards to their sums. An arm that was not seen, now or ever, gets the mean of the others by their shares.

    Args:
        before: The sums so far, shape (k,).
        rewards: float64, shape (k,): new rewards.
        errors: float64, shape (k,): their standard errors.
        used: bool, shape (k,): where there is a new one; somewhere there is.
        shares: float64, shape (k,): a simplex.
    """
    parts = np.maximum(shares, _LEAST_SHARE)
    sums, known = before.means, before.known
    if known.any():
        sums = np.where(known, sums, np.average(sums[known], weights=parts[known]))
    new = np.where(used, rewards, np.average(rewards[used], weights=parts[used]))
    variances = np.maximum(before.variances, 0.0) + np.where(used, np.minimum(errors, LARGEST) ** 2, 0.0)
    return Smoothed(np.clip(sums + new, -LARGEST, LARGEST), variances)


def hedge_rate(arms: int, step: int) -> float:
    """Return the learning rate of Hedge in a round, the first of which is 1: sqrt(8 ln k / t)."""
    return math.sqrt(8.0 * math.log(arms) / step)


def exploration_rate(arms: int, step: int) -> float:
    """Return the least share of each arm at a step: min(1/k, sqrt(ln k / (k t))).

    Args:
        arms: Number of arms k, >= 1.
        step: The step t; the first is 1. Before it, the rate is 1/k.
    """
    if step < 1 or arms <= 1:
        return 1.0 / max(arms, 1)
    return min(1.0 / arms, math.sqrt(math.log(arms) / (arms * step)))


def weighted_rewards(rewards: Floats, shares: Floats) -> Floats:
    """Divide rewards by the shares that they were drawn with, so that rare arms are not undervalued.

    Args:
        rewards: float64, shape (..., k).
        shares: float64, shape (..., k): a simplex.
    """
    return np.clip(rewards / np.maximum(shares, _LEAST_SHARE), -LARGEST, LARGEST)


def bandit_shares(scores: Floats, factor: float, rate: float) -> Floats:
    """Compute the shares of arms from their scores.

    Args:
        scores: float64, shape (..., k): mean of the weighted rewards, or sum of the rewards.
        factor: What multiplies the scores: the exploration rate of the step before, or the learning rate of Hedge.
        rate: The exploration rate, at most 1/k.

    Returns:
        float64, shape (..., k): simplexes.
    """
    exponents = factor * scores
    grown = np.exp(exponents - exponents.max(axis=-1, keepdims=True))
    arms = scores.shape[-1]
    shares: Floats = (1.0 - arms * rate) * grown / grown.sum(axis=-1, keepdims=True) + rate
    return shares


def bandit_errors(target: Floats, errors: Floats, factor: float) -> Floats:
    """Return the standard errors of shares; float64, shape (k,).

    Args:
        target: float64, shape (k,): the shares.
        errors: float64, shape (k,): standard errors of the scores.
        factor: As in `bandit_shares`.
    """
    return share_errors(target, target * factor * errors)
