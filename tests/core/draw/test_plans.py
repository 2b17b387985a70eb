"""Several mixtures in one plan: each request draws what it would draw from its own mixture alone."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.support.drawing import MODES, RANDOM, Mode
from worker.core.draw.plans import Choice, Plan, Several
from worker.core.draw.sampling import draw
from worker.core.mixture import Finder, Floats, Integers, Mixture

WIDTH = 3


@st.composite
def side_by_side(pick: st.DrawFn) -> tuple[Several, list[Mixture]]:
    """Make up to five mixtures of three categories, and the same side by side."""
    rows = pick(st.integers(1, 5))
    ready = np.array(pick(st.lists(st.integers(1, 12), min_size=rows * WIDTH, max_size=rows * WIDTH)))
    values = np.array(pick(st.lists(st.integers(1, 9), min_size=rows * WIDTH, max_size=rows * WIDTH)), float)
    starts, ready, values = (table.reshape(rows, WIDTH) for table in (ready.cumsum() - ready, ready, values))
    shares = values / values.sum(axis=1, keepdims=True)
    cumulative = np.hstack((shares.cumsum(axis=1)[:, :-1], np.ones((rows, 1))))
    finder = Finder(((np.arange(rows)[:, None] + cumulative) / rows).ravel(), starts.ravel(), ready.ravel())
    cells = np.arange(rows * WIDTH).reshape(rows, WIDTH)
    several = Several(finder, np.tile(np.arange(WIDTH), rows), cells, ready, shares, cumulative)
    return several, [_mixture(*row) for row in zip(shares, cumulative, starts, ready, strict=True)]


def _mixture(shares: Floats, cumulative: Floats, starts: Integers, ready: Integers) -> Mixture:
    finder = Finder(cumulative, starts, ready)
    return Mixture(("a", "b", "c"), shares, cumulative, tuple(shares.tolist()), starts, ready, (), finder)


@given(
    side_by_side(),
    st.sampled_from([mode for mode in MODES.values() if mode != RANDOM]),
    st.lists(st.tuples(st.integers(0, 4), st.integers(1, 36), st.integers(0, 2**63 - 1)), min_size=1, max_size=6),
)
def test_each_request_draws_what_its_own_mixture_gives(
    made: tuple[Several, list[Mixture]], mode: Mode, rows: list[tuple[int, int, int]]
) -> None:
    several, alone = made
    chosen = np.array([number % len(alone) for number, _, _ in rows])
    most = several.ready.sum(axis=1)[chosen]
    sizes = np.minimum([size for _, size, _ in rows], most) if not mode.replace else np.array([row[1] for row in rows])
    seeds = [seed for _, _, seed in rows]
    plan = Plan(alone[0], sizes, seeds, *mode, Choice(several, chosen))
    drawn = draw(plan, np.random.default_rng(0))
    parts = [plan.of(slice(row, row + 1)) for row in range(len(rows))]
    for row, positions in enumerate(np.split(drawn.positions, sizes.cumsum()[:-1])):
        own = Plan(alone[chosen[row]], sizes[row : row + 1], seeds[row : row + 1], *mode)
        for one in (own, parts[row]):
            found = draw(one, np.random.default_rng(1))
            assert found.positions.tolist() == positions.tolist()
            assert found.counts[0].tolist() == drawn.counts[row].tolist()
