"""Drawing chunks: categories by weights, then chunks within them, vectorised over a group of alike requests."""

from typing import NamedTuple

import numpy as np

from worker.core.draw.allocation import allocate, count_columns, most_shuffled
from worker.core.draw.distinct import layout_for, pick_distinct
from worker.core.draw.plans import Plan
from worker.core.draw.random_numbers import Purpose, RandomNumbers
from worker.core.mixture import Integers


class Drawn(NamedTuple):
    """The chunks that were drawn for a plan.

    Attributes:
        positions: int64, shape (n,): chunks, request after request, in random order.
        counts: int64, shape (r, k): how many of each request's chunks are of each category.
    """

    positions: Integers
    counts: Integers


def draw(plan: Plan, rng: np.random.Generator) -> Drawn:
    """Draw the chunks of a plan.

    Args:
        plan: What to draw.
        rng: Numbers for the requests without a seed.
    """
    if plan.replace and not plan.stratified:
        return _draw_independently(plan, RandomNumbers(plan.seeds, plan.sizes, rng))
    most = min(most_shuffled(plan.width), layout_for(plan.finder, plan.sizes).most_requests)
    if len(plan.sizes) > most:
        return _draw_in_parts(plan, most, rng)
    numbers = RandomNumbers(plan.seeds, plan.sizes, rng)
    allocated = allocate(plan, numbers)
    if plan.replace:
        columns = allocated.columns
        cells = columns if plan.choice is None else plan.cells_of(numbers.owners, columns)
        positions = plan.finder.pick_positions(numbers.uniforms(Purpose.CHUNK), cells)
    else:
        positions = pick_distinct(plan, allocated, numbers)
    return Drawn(positions, allocated.counts)


def _draw_independently(plan: Plan, numbers: RandomNumbers) -> Drawn:
    """Draw each chunk by itself. If a number has bits enough, one number decides on category and chunk."""
    finder = plan.finder
    uniforms = numbers.uniforms(Purpose.CATEGORY)
    cells, columns = plan.find(uniforms)
    if finder.finds_positions:
        positions = finder.find_positions(uniforms, cells)
    else:
        positions = finder.pick_positions(numbers.uniforms(Purpose.CHUNK), cells)
    return Drawn(positions, count_columns(plan.sizes, columns, plan.width))


def _draw_in_parts(plan: Plan, most: int, rng: np.random.Generator) -> Drawn:
    """Draw more requests than words have room for. What one request gets does not depend on the others."""
    parts = [draw(plan.of(slice(start, start + most)), rng) for start in range(0, len(plan.sizes), most)]
    return Drawn(np.concatenate([part.positions for part in parts]), np.concatenate([part.counts for part in parts]))
