"""Evidence: what reports of losses say, whether it is enough to move on, and whether a category is stuck.

Rules that learn share three guards. Each is a function of arrays, one entry a category.

1. Evidence is kept for each category until it has enough reports. Then it is used once.
2. The gate keeps in place what reports do not allow to move, see `worker.core.adjust.gate`.
3. The alarm: a category whose share is starved, and whose loss does not move for many steps, goes back to its prior.

The third is for reports that are wrong. A rule that believes them gives a category nothing. Then the rule hears nothing
new of it, and never corrects itself.
"""

from typing import NamedTuple

import numpy as np

from worker.core.adjust.gate import Marks
from worker.core.mixture import Floats

LARGEST = 1e12
"""No mean is taken for larger than this, in either direction."""

_MOVED = 2.0  # standard errors: a loss that is further off has moved


class LossEvidence(NamedTuple):
    """What was reported of each category, and has not been used yet; gathered part by part.

    Attributes:
        counts: float64, shape (k,): number of the losses.
        sums: float64, shape (k,): sum over the parts of count x mean.
        apart: float64, shape (k,): sum over the parts of count x (mean - mean of all)^2.
        spreads: float64, shape (k,): sum over the parts of (count x standard error)^2.
        parts: float64, shape (k,): number of the parts.
        reports: float64, shape (k,): number of the reports.
    """

    counts: Floats
    sums: Floats
    apart: Floats
    spreads: Floats
    parts: Floats
    reports: Floats

    @property
    def means(self) -> Floats:
        """Return the mean loss of each category, 0 where there is none; shape (k,)."""
        return self.sums / np.maximum(self.counts, 1.0)

    @property
    def errors(self) -> Floats:
        """Return the standard error of each mean, shape (k,); infinite where there is no loss.

        It is the larger one of two: that within the parts, and that by the spread of their means.
        """
        counts = np.maximum(self.counts, 1.0)
        within = np.sqrt(self.spreads) / counts
        between = np.sqrt(self.apart / counts / np.maximum(self.parts - 1.0, 1.0))
        return np.where(self.counts > 0, np.maximum(within, between), np.inf)

    def added(self, other: "LossEvidence") -> "LossEvidence":
        """Return the evidence of both.

        Source: Chan, Golub and LeVeque 1983, "Algorithms for Computing the Sample Variance", for `apart`.
        """
        both = LossEvidence(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))
        share = self.counts * other.counts / np.maximum(both.counts, 1.0)
        return both._replace(apart=both.apart + share * np.square(self.means - other.means))

    def without(self, used: Marks) -> "LossEvidence":
        """Return the evidence that is left when that of some categories has been used."""
        return LossEvidence(*(np.where(used, 0.0, one) for one in self))


def make_evidence(means: Floats, errors: Floats, counts: Floats, reports: Floats) -> LossEvidence:
    """Make evidence of one part. Where a number is not finite, or nothing was counted, there is none.

    Args:
        means: Mean losses, shape (k,). At most `LARGEST` is believed, in either direction.
        errors: Their standard errors, >= 0, shape (k,).
        counts: Number of the losses, shape (k,).
        reports: Number of the reports, shape (k,).
    """
    is_sound = np.isfinite(np.stack([means, errors, counts, reports])).all(axis=0) & (counts > 0) & (reports > 0)
    mean, error = (np.clip(np.where(is_sound, one, 0.0), -LARGEST, LARGEST) for one in (means, errors))
    count = np.minimum(np.where(is_sound, counts, 0.0), LARGEST)
    seen = np.where(is_sound, reports, 0.0)
    return LossEvidence(
        count, count * mean, np.zeros_like(count), np.square(count * error), is_sound.astype(np.float64), seen
    )


class Smoothed(NamedTuple):
    """Losses as a moving mean, and the variance of that mean; negative where nothing was heard yet.

    Attributes:
        means: float64, shape (k,).
        variances: float64, shape (k,).
    """

    means: Floats
    variances: Floats

    @property
    def known(self) -> Marks:
        """Return where something was heard; shape (k,)."""
        return self.variances >= 0

    @property
    def errors(self) -> Floats:
        """Return the standard errors, infinite where nothing was heard; shape (k,)."""
        return np.where(self.known, np.sqrt(np.maximum(self.variances, 0.0)), np.inf)


def smooth(before: Smoothed, means: Floats, errors: Floats, used: Marks, keep: float) -> Smoothed:
    """Move each mean towards a new one. The first is taken as it is.

    Args:
        before: The means so far.
        means: float64, shape (k,): new means.
        errors: float64, shape (k,): their standard errors.
        used: bool, shape (k,): where there is a new one.
        keep: How much of the old mean stays, 0 <= keep < 1.
    """
    part = np.where(before.known, 1.0 - keep, 1.0)
    variances = (1.0 - part) ** 2 * np.maximum(before.variances, 0.0) + part**2 * np.minimum(errors, LARGEST) ** 2
    return Smoothed(
        np.where(used, (1.0 - part) * before.means + part * means, before.means),
        np.where(used, variances, before.variances),
    )


def share_errors(shares: Floats, parts: Floats) -> Floats:
    """Return the standard errors of shares p = x / X, X = sum(x), whose terms x are uncertain.

    With s the standard errors of x, the delta method gives:

        var(p_i) = ((1 - 2 p_i) s_i^2 + p_i^2 sum_j s_j^2) / X^2

    Args:
        shares: float64, shape (k,): p, a simplex.
        parts: float64, shape (k,): s / X. Of a softmax it is p times the standard error of the exponent.

    Source: the delta method for a ratio; for instance Casella and Berger, "Statistical Inference", 5.5.4.
    """
    variances = np.square(np.minimum(parts, LARGEST))
    spread = (1.0 - 2.0 * shares) * variances + np.square(shares) * variances.sum()
    errors: Floats = np.minimum(np.sqrt(np.maximum(spread, 0.0)), 1.0)
    return errors


class Watch(NamedTuple):
    """For how long each category has been starved while its loss did not move.

    Attributes:
        levels: float64, shape (k,): its loss when this began.
        errors: float64, shape (k,): the standard error of that; negative where no loss is known.
        steps: float64, shape (k,): steps since then; 0 where a category is not starved.
        rests: float64, shape (k,): steps for which it yet stays at its prior.
    """

    levels: Floats
    errors: Floats
    steps: Floats
    rests: Floats


def watch_stuck(before: Watch, evidence: LossEvidence, used: Marks, starved: Marks, most: float) -> tuple[Watch, Marks]:
    """Count the steps in which a category is starved and its loss does not move.

    Args:
        before: The watch so far.
        evidence: New evidence.
        used: bool, shape (k,): where there is enough of it.
        starved: bool, shape (k,): where a share is as low as it gets.
        most: After so many such steps a category goes back to its prior, and stays there for as many.

    Returns:
        The watch, and bool, shape (k,): the categories that go back to their prior now.
    """
    heard = used & np.isfinite(evidence.errors)
    known = (before.errors >= 0) & (before.steps > 0)
    off = np.abs(evidence.means - before.levels)
    moved = heard & known & (off > _MOVED * np.hypot(np.where(heard, evidence.errors, 0.0), before.errors))
    counts = starved & (before.rests <= 0)
    steps = np.where(counts, np.where(moved, 1.0, before.steps + 1.0), 0.0)
    renew = heard & (~known | moved)
    levels = np.where(renew, evidence.means, np.where(known, before.levels, 0.0))
    errors = np.where(renew, evidence.errors, np.where(known, before.errors, -1.0))
    alarm = steps >= most
    rests = np.where(alarm, float(most), np.maximum(before.rests - 1.0, 0.0))
    return Watch(levels, errors, np.where(alarm, 0.0, steps), rests), alarm
