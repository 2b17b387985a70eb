"""Fit a power law L(n) = E + A n^-a to the losses of each category, all categories at once.

For a given exponent a, E and A are a linear least-squares problem of two unknowns with a closed form. So the fit
searches a grid of exponents, for all categories at once. Then it searches a finer grid around the best, three times. A
point far off counts for less (Huber's loss on the logarithms), by reweighting. E and A are not negative.

Source: the law and its robust loss are those of ADO (Jiang et al. 2024) after Hoffmann et al. 2022. They fit by L-BFGS
from 512 starts; a grid with a closed form needs no optimiser and has no bad starts.
"""

from typing import NamedTuple

import numpy as np

from worker.core.mixture import Floats

STEEPEST = 0.8
"""No exponent is larger; ADO has the same limit."""

_FLATTEST = 0.01
_DELTA = 1e-3  # of Huber's loss, on logarithms, as in ADO
_COARSE, _FINE = 17, 9
_ZOOMS = 4
_REWEIGHTS = 4
_TINY = 1e-12
_MEDIAN_TO_DEVIATION = 1.4826  # of a normal distribution: from the median of absolute deviations
_MEDIAN_TO_MEAN = 1.2533  # sqrt(pi / 2)
_LEAST_POINTS = 4  # one more than the law has parameters


class PowerLaws(NamedTuple):
    """Fitted laws. Where nothing could be fitted, all values are 0 and errors are infinite.

    Attributes:
        irreducible: float64, shape (k,): E, >= 0.
        scale: float64, shape (k,): A, >= 0, for n in units of `unit`.
        exponent: float64, shape (k,): a.
        errors: float64, shape (k,): standard error of a A n^-a at the last point.
        unit: What n is divided by, > 0.
    """

    irreducible: Floats
    scale: Floats
    exponent: Floats
    errors: Floats
    unit: float

    def reducible(self, heard: float) -> Floats:
        """Return the part of each loss that more data can yet lower: A n^-a; shape (k,)."""
        return self.scale * max(heard / self.unit, _TINY) ** -self.exponent


def fit_power_laws(heard: Floats, losses: Floats, counts: Floats) -> PowerLaws:
    """Fit the law of each category.

    Args:
        heard: float64, shape (t,), > 0, ascending: data heard up to each point, the same for all categories.
        losses: float64, shape (k, t), finite.
        counts: float64, shape (k, t), >= 0: how much each point counts. A point of no count, or whose loss is not
            above zero, is left out.
    """
    unit = float(heard[-1]) if len(heard) else 1.0
    usable = (losses > _TINY) & (counts > 0)
    fits = np.count_nonzero(usable, axis=1) >= _LEAST_POINTS
    size = np.where(usable, losses, 0.0).sum(axis=1) / np.maximum(np.count_nonzero(usable, axis=1), 1)
    size = np.where(fits, size, 1.0)
    parts = np.where(usable, counts, 0.0)
    parts = parts / np.maximum(parts.max(axis=1, keepdims=True, initial=0.0), _TINY)
    problem = _Problem(heard / unit, np.where(usable, losses / size[:, None], 1.0), parts)
    low, high, points = np.full(len(losses), _FLATTEST), np.full(len(losses), STEEPEST), _COARSE
    exponents = np.zeros(len(losses))
    for _ in range(_ZOOMS):
        grid = np.linspace(low, high, points, axis=1)
        best = problem.costs(grid).argmin(axis=1)
        exponents = grid[np.arange(len(grid)), best]
        step = (high - low) / (points - 1)
        low, high, points = np.maximum(exponents - step, _FLATTEST), np.minimum(exponents + step, STEEPEST), _FINE
    irreducible, scale = problem.solve(exponents[:, None])
    fitted = irreducible + scale * np.maximum(problem.heard, _TINY) ** -exponents[:, None]
    errors = size * problem.speed_errors(scale[:, 0], exponents, fitted)
    irreducible, scale, exponents = (
        np.where(fits, one, 0.0) for one in (size * irreducible[:, 0], size * scale[:, 0], exponents)
    )
    return PowerLaws(irreducible, scale, exponents, np.where(fits, errors, np.inf), unit)


class _Problem(NamedTuple):
    """The points of all categories.

    Attributes:
        heard: float64, shape (t,), 0 to 1.
        losses: float64, shape (k, t), > 0.
        counts: float64, shape (k, t); 0 for what is left out.
    """

    heard: Floats
    losses: Floats
    counts: Floats

    def solve(self, exponents: Floats) -> tuple[Floats, Floats]:
        """Return E and A, each of shape (k, g), for exponents of shape (k, g)."""
        powers = self._powers(exponents)
        targets, base = self.losses[:, None, :], (self.counts / np.square(self.losses))[:, None, :]
        irreducible, scale = _least_squares(powers, targets, np.broadcast_to(base, powers.shape))
        for _ in range(_REWEIGHTS):
            off = np.abs(self._residuals(irreducible, scale, powers))
            irreducible, scale = _least_squares(powers, targets, base / np.maximum(off / _DELTA, 1.0))
        return irreducible, scale

    def costs(self, exponents: Floats) -> Floats:
        """Return Huber's loss of the best E and A for each exponent; shape (k, g)."""
        irreducible, scale = self.solve(exponents)
        off = np.abs(self._residuals(irreducible, scale, self._powers(exponents)))
        huber = np.where(off > _DELTA, _DELTA * (off - 0.5 * _DELTA), 0.5 * np.square(off))
        costs: Floats = np.einsum("kgt,kt->kg", huber, self.counts)
        return costs

    def speed_errors(self, scale: Floats, exponents: Floats, fitted: Floats) -> Floats:
        """Return the standard error of a A, the speed at the last point, where n is 1; shape (k,).

        The fit is nearly one of least absolute deviations. Its error is that of least squares times sqrt(pi / 2). The
        deviation of a point comes from the median of all, so outliers have no part in it.

        Args:
            scale: A, shape (k,).
            exponents: a, shape (k,).
            fitted: E + A n^-a, shape (k, t).
        """
        powers = self._powers(exponents[:, None])[:, 0]
        jacobian = np.stack([np.ones_like(powers), powers, -scale[:, None] * powers * np.log(self.heard)], axis=-1)
        weights = self.counts / np.square(self.losses)
        normal = np.einsum("kti,kt,ktj->kij", jacobian, weights, jacobian)
        normal += np.eye(3) * (_TINY * np.trace(normal, axis1=1, axis2=2) + _TINY)[:, None, None]
        gradient = np.stack([np.zeros_like(scale), exponents, scale], axis=-1)
        solved = np.linalg.solve(normal, gradient[:, :, None])[:, :, 0]
        number = np.count_nonzero(self.counts > 0, axis=1)
        off = np.where(self.counts > 0, np.sqrt(weights) * np.abs(self.losses - fitted), np.inf)
        off.sort(axis=1)
        median = np.take_along_axis(off, np.maximum(number - 1, 0)[:, None] // 2, axis=1)[:, 0]
        freedom = np.sqrt(number / np.maximum(number - _LEAST_POINTS + 1, 1))
        deviation = _MEDIAN_TO_DEVIATION * _MEDIAN_TO_MEAN * freedom * np.where(number > 0, median, 0.0)
        errors: Floats = deviation * np.sqrt(np.maximum((gradient * solved).sum(axis=1), 0.0))
        return errors

    def _powers(self, exponents: Floats) -> Floats:
        powers: Floats = np.maximum(self.heard, _TINY)[None, None, :] ** -exponents[:, :, None]
        return powers

    def _residuals(self, irreducible: Floats, scale: Floats, powers: Floats) -> Floats:
        fitted = irreducible[:, :, None] + scale[:, :, None] * powers
        residuals: Floats = np.log(np.maximum(fitted, _TINY)) - np.log(self.losses)[:, None, :]
        return residuals


def _least_squares(powers: Floats, targets: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Solve targets = E + A powers with weights, both not negative; all but the last axis are kept."""
    total = np.maximum(weights.sum(axis=-1), _TINY)
    mean_power = (weights * powers).sum(axis=-1) / total
    mean_target = (weights * targets).sum(axis=-1) / total
    centred = powers - mean_power[..., None]
    spread = (weights * np.square(centred)).sum(axis=-1)
    scale = (weights * centred * targets).sum(axis=-1) / np.maximum(spread, _TINY)
    alone = (weights * powers * targets).sum(axis=-1) / np.maximum((weights * np.square(powers)).sum(axis=-1), _TINY)
    scale = np.maximum(scale, 0.0)
    irreducible = mean_target - scale * mean_power
    return np.maximum(irreducible, 0.0), np.where(irreducible < 0, alone, scale)
