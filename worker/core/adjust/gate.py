"""The gate: what reports of losses allow of a move, asked about the shares that the prior and the limits leave.

1. A share stays where it is on too few reports, or where its change is within its standard error.
2. A move in which no share changes by more than a thousandth of it is not made. Each move makes workers draw again what
   they have in hand.
3. What may move shares what the others leave.
4. A category that is given back its prior takes it, and the others are scaled to what is left.

The gate is asked about what is left of a proposal, and not about the proposal. The reason: the prior is mixed in, and
limits cut. So weights come to rest where no rule asked them to be. The gate remembers no earlier question. A shadow, a
rule in warm-up and one whose step was shortened ask again at the next step.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from worker.core.mixture import Floats

Marks = NDArray[np.bool_]

_LEAST = 1e-12  # a sum of shares below this is none
_SAME = 1e-9  # shares that differ by no more are the same
_AT_REST = 1e-3  # a share that moves by no more than this part of it is at rest
_SHOWN_MOVES: Final = 3


class Gate(NamedTuple):
    """What is known of a proposal of a rule that learns. All arrays have the shape (k,).

    Attributes:
        categories: Names.
        errors: float64: standard errors of the shares that are asked for.
        enough: bool: where there are enough reports.
        within: A change of at most so many standard errors is none, >= 0.
        stuck: bool: the categories that are given back their prior.
        losses: float64: the losses that were heard; NaN where there was none.
        loss_errors: float64: their standard errors.
        said: What has to be said first.
        why: Why no shares are asked for; "" where they are.
    """

    categories: Sequence[str]
    errors: Floats
    enough: Marks
    within: float
    stuck: Marks
    losses: Floats
    loss_errors: Floats
    said: Sequence[str] = ()
    why: str = ""

    def hold(self, weights: Floats, asked: Floats, prior: Floats, part: float = 1.0) -> Floats:
        """Return the shares that a proposal may move the weights to: the weights themselves if nothing may move.

        Args:
            weights: float64, shape (k,): the shares that move, a simplex.
            asked: float64, shape (k,): what the prior and the limits leave of the proposal, a simplex.
            prior: float64, shape (k,): a simplex.
            part: How much of the proposal is in what is left, 0 to 1; its standard errors shrink by it.
        """
        errors = part * self.errors
        free = free_to_move(weights, asked, errors, enough=self.enough & ~self.stuck, within=self.within)
        shares = settle_shares(weights, asked, free)
        if self.stuck.any():
            shares = give_back(shares, prior, self.stuck)
        is_at_rest = np.abs(shares - weights) <= np.maximum(_AT_REST * weights, _SAME)
        return weights if is_at_rest.all() else shares

    def tell(self, before: Floats, after: Floats, most: int) -> str:
        """Write why shares move, the largest move first, or why they do not.

        Args:
            before: float64, shape (k,): the shares before the step.
            after: float64, shape (k,): those after it.
            most: Most characters of the text.
        """
        moves = np.abs(after - before)
        if float(moves.max()) <= _SAME:
            return _cut([*self.said, self.why or "no change is larger than its standard error"], most)
        said = list(self.said)
        for i in np.argsort(-moves, kind="stable")[:_SHOWN_MOVES]:
            loss = f", loss {self.losses[i]:.4g} ± {self.loss_errors[i]:.2g}" if np.isfinite(self.losses[i]) else ""
            said.append(f"{self.categories[i]} {before[i]:.1%} to {after[i]:.1%}{loss}")
        held = int(np.count_nonzero((moves <= _SAME) & (before > 0)))
        return _cut([*said, f"held: {held}"] if held else said, most)


def free_to_move(weights: Floats, asked: Floats, errors: Floats, *, enough: Marks, within: float) -> Marks:
    """Return which categories may move: there is enough evidence, and the change is larger than its standard error.

    Args:
        weights: float64, shape (k,): the shares that move.
        asked: float64, shape (k,): the shares that are asked for.
        errors: float64, shape (k,): their standard errors.
        enough: bool, shape (k,): where there are enough reports.
        within: A change of at most so many standard errors is none, >= 0.
    """
    return enough & (np.abs(asked - weights) > within * errors)


def settle_shares(weights: Floats, asked: Floats, free: Marks) -> Floats:
    """Give the categories that may move what the others leave, in proportion to what is asked for.

    Args:
        weights: float64, shape (k,): the shares that move, a simplex.
        asked: float64, shape (k,): what is asked for, a simplex.
        free: bool, shape (k,): which may move.

    Returns:
        float64, shape (k,): a simplex. It is the weights themselves if fewer than two may move.
    """
    if np.count_nonzero(free) <= 1:
        return weights
    left = max(1.0 - float(weights[~free].sum()), 0.0)
    wanted = float(asked[free].sum())
    moved = asked / wanted * left if wanted > _LEAST else np.full_like(weights, left / np.count_nonzero(free))
    return _normalised(np.where(free, moved, weights))


def give_back(shares: Floats, prior: Floats, stuck: Marks) -> Floats:
    """Set some categories to their prior, and scale the others to what is left.

    Args:
        shares: float64, shape (k,): a simplex.
        prior: float64, shape (k,): a simplex.
        stuck: bool, shape (k,): which go back to their prior.
    """
    others = float(shares[~stuck].sum())
    left = 1.0 - float(prior[stuck].sum())
    if others <= _LEAST or left <= 0:
        return prior
    return _normalised(np.where(stuck, prior, shares / others * left))


def _normalised(shares: Floats) -> Floats:
    return shares / float(shares.sum())


def _cut(said: Sequence[str], most: int) -> str:
    """Join as many parts of a sentence as there is room for."""
    text = said[0][:most]
    for more in said[1:]:
        if len(text) + len(more) + 2 <= most:
            text += f"; {more}"
    return text
