"""Simulated learners: the loss of each category follows a known scaling law of what was heard, of it and of others.

The law of category i, after n_i chunks: L_i = E_i + A_i (n_i + m_i)^-a_i, with m_i from an earlier training. Here n is
what was heard after three effects:

- A chunk that is heard again is worth less. After r repeats, the U chunks of a category count as
  U + U R (1 - exp(-r / R)). R is 15.4.
- Some of what is heard of one category helps the others (transfer).
- What was heard is forgotten slowly: after a whole training 1/e of it is left.

Many learners are simulated at once: arrays have the shape (b, k), b learners by k categories.

Source: Muennighoff et al. 2023, "Scaling Data-Constrained Language Models", equation 5, for repeats.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

CATEGORIES: Final = ("voice", "music", "documentary", "conference", "street", "nature")
SIZES: Final = np.array([400_000.0, 250_000.0, 150_000.0, 100_000.0, 60_000.0, 40_000.0])
STEPS, CHUNKS = 100, 10_000
"""A training: so many steps of so many chunks, which is once the library."""

SPREAD: Final = 0.8
"""Standard deviation of the losses of single chunks."""

_REPEATS = 15.4
_AT = 1e5  # chunks at which the reducible part of a loss is stated
_KEPT = float(np.exp(-1.0 / STEPS))


@dataclass(frozen=True, eq=False)
class Laws:
    """The laws of b learners.

    Attributes:
        irreducible: E, shape (b, k).
        reducible: A 100,000^-a, shape (b, k).
        exponent: a, shape (b, k).
        before: m, shape (b, k).
        transfer: What of each row's category helps each column's, shape (b, k, k); 1 on the diagonal.
        sizes: U, shape (b, k).
        drift: What is left of what was heard when half the training is over, shape (b, k); 1: nothing drifts.
    """

    irreducible: Array
    reducible: Array
    exponent: Array
    before: Array
    transfer: Array
    sizes: Array
    drift: Array

    def of(self, learners: NDArray[np.int64]) -> "Laws":
        """Return the laws of some learners, by index."""
        return replace(self, **{name: getattr(self, name)[learners] for name in self.__dataclass_fields__})


def draw_laws(seeds: int) -> tuple[Laws, Array]:
    """Draw the laws of a learner for each seed, and a mix that was set without tuning, shape (seeds, k)."""
    rng = np.random.default_rng(16)
    shape = (seeds, len(CATEGORIES))
    transfer = rng.uniform(0.0, 0.15, (*shape, len(CATEGORIES)))
    transfer[:, np.arange(len(CATEGORIES)), np.arange(len(CATEGORIES))] = 1.0
    laws = Laws(
        irreducible=rng.uniform(0.8, 2.2, shape),
        reducible=rng.uniform(0.3, 1.0, shape),
        exponent=rng.uniform(0.2, 0.45, shape),
        before=np.full(shape, 20_000.0),
        transfer=transfer,
        sizes=np.tile(SIZES, (seeds, 1)),
        drift=np.ones(shape),
    )
    prior = np.exp(rng.normal(0.0, 0.7, shape))
    return laws, prior / prior.sum(axis=1, keepdims=True)


class Learners:
    """Learners that hear a mix, step by step.

    Args:
        laws: Their laws.
    """

    def __init__(self, laws: Laws) -> None:
        self._laws = laws
        self._raw = np.zeros_like(laws.sizes)
        self._heard = np.zeros_like(laws.sizes)
        self._scale = laws.reducible * _AT**laws.exponent
        self._step = 0

    @property
    def losses(self) -> Array:
        """Return the loss of each category now; shape (b, k)."""
        laws = self._laws
        return laws.irreducible + self._scale * (self._heard + laws.before) ** -laws.exponent

    def hear(self, shares: Array) -> None:
        """Hear one step of chunks; shares, shape (b, k)."""
        laws = self._laws
        raw = self._raw + CHUNKS * shares
        gain = _worth(raw, laws.sizes) - _worth(self._raw, laws.sizes)
        self._raw = raw
        self._heard = _KEPT * self._heard + np.einsum("bi,bij->bj", gain, laws.transfer)
        self._step += 1
        if self._step == STEPS // 2:
            self._heard = self._heard * laws.drift - laws.before * (1.0 - laws.drift)


def _worth(raw: Array, sizes: Array) -> Array:
    """Return what chunks are worth, in chunks that are heard for the first time."""
    more = np.maximum(raw / sizes - 1.0, 0.0)
    worth: Array = np.minimum(raw, sizes) + sizes * _REPEATS * (1.0 - np.exp(-more / _REPEATS))
    return worth


def train(laws: Laws, schedule: Sequence[Array]) -> Array:
    """Return the losses at the end of a training; shape (b, k).

    Args:
        laws: The laws of b learners.
        schedule: The shares at each step, shape (b, k).
    """
    learners = Learners(laws)
    for shares in schedule:
        learners.hear(shares)
    return learners.losses


def best_fixed(laws: Laws, *, first: int = 400, rounds: int = 8, others: int = 60) -> Array:
    """Search the fixed mix with the least mean loss for each learner, by what only a simulation knows; shape (b, k).

    Args:
        laws: The laws.
        first: Mixes that are drawn at random.
        rounds: Rounds of smaller changes to the best one.
        others: Mixes a round.
    """
    rng = np.random.default_rng(17)
    learners, k = laws.sizes.shape
    best = np.full((learners, k), 1.0 / k)
    for number in range(rounds + 1):
        tried = first if number == 0 else others
        drawn = rng.dirichlet(np.ones(k), (learners, tried))
        if number > 0:
            width = 0.5 * 0.6 ** (number - 1)
            drawn = best[:, None] * np.exp(width * rng.standard_normal((learners, tried, k)))
            drawn /= drawn.sum(axis=2, keepdims=True)
        mixes = np.concatenate([best[:, None], drawn], axis=1)
        rows = np.repeat(np.arange(learners), tried + 1)
        found = train(laws.of(rows), [mixes.reshape(-1, k)] * STEPS).mean(axis=1).reshape(learners, tried + 1)
        best = mixes[np.arange(learners), found.argmin(axis=1)]
    return best
