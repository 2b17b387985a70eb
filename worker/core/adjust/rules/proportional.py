"""Rule `proportional`: each category's share is proportional to its smoothed loss.

The rule assumes that a high loss means that much is left to learn. That is wrong for a category that is noise. Its loss
stays high, and the rule gives it a large share for ever. The guards and the prior bound what this costs.

Source: Mixtera (`mixtera/core/algo/simple_averaging.py`), "SimpleAveraging": shares proportional to the mean loss.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from worker.core.adjust.evidence import Smoothed, share_errors, smooth
from worker.core.adjust.learning import Learned, LearningRule, Round
from worker.core.adjust.notes import Notes
from worker.core.adjust.rule import Floats
from worker.core.adjust.values import number


class Proportional(LearningRule):
    """The rule `proportional`.

    Parameter: `smoothing` (how much of the smoothed loss stays in a step, 0.9). Those of all rules that learn:
    `LearningRule`.
    """

    name = "proportional"

    def own_parameters(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters that only this rule has, with defaults."""
        return {"smoothing": number(parameters, "smoothing", 0.9, least=0.0, most=0.9999)}

    def learn(self, parameters: Mapping[str, Any], heard: Round, notes: Notes) -> Learned:
        """Learn from one round of reports."""
        before = Smoothed(*notes.column("loss", 0.0, -1.0).T)
        means, errors = heard.evidence.means, heard.evidence.errors
        losses = smooth(before, means, errors, heard.used, parameters["smoothing"])
        columns = {"loss": np.stack(losses, axis=1)}
        asked = proportional_shares(losses, heard.weights)
        if asked is None:
            return Learned(None, np.zeros_like(means), "no category that has weight has a loss above 0", columns)
        return Learned(*asked, "", columns)


def proportional_shares(losses: Smoothed, shares: Floats) -> tuple[Floats, Floats] | None:
    """Compute shares in proportion to losses. A category without a known loss keeps its share.

    Args:
        losses: Smoothed losses, shape (k,). A negative one counts as zero.
        shares: float64, shape (k,): the shares in force, a simplex.

    Returns:
        The shares and their standard errors, each float64, shape (k,). None if no category with a share has a loss
        above zero.
    """
    known = losses.known
    positive = np.where(known, np.maximum(losses.means, 0.0), 0.0)
    total = float(positive.sum())
    mass = float(shares[known].sum())
    if total <= 0 or mass <= 0:
        return None
    target = np.where(known, mass * positive / total, shares)
    errors = mass * share_errors(target / mass, np.where(known, losses.errors / total, 0.0))
    return target, np.where(known, errors, 0.0)
