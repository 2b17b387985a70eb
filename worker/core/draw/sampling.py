"""Drawing chunks: categories by weights, then chunks within them, vectorised over a group of alike requests."""

from typing import NamedTuple

import numpy as np

from worker.core.draw.allocation import Plan, allocate, count_columns, most_shuffled
from worker.core.draw.distinct import layout_for, pick_distinct
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
    most = min(most_shuffled(len(plan.mixture.ready)), layout_for(plan.mixture, plan.sizes).most_requests)
    if len(plan.sizes) > most:
        return _draw_in_parts(plan, most, rng)
    numbers = RandomNumbers(plan.seeds, plan.sizes, rng)
    allocated = allocate(plan, numbers)
    if plan.replace:
        positions = plan.mixture.finder.pick_positions(numbers.uniforms(Purpose.CHUNK), allocated.columns)
    else:
        positions = pick_distinct(plan.mixture, allocated, numbers)
    return Drawn(positions, allocated.counts)


def _draw_independently(plan: Plan, numbers: RandomNumbers) -> Drawn:
    """Draw each chunk by itself. If a number has bits enough, one number decides on category and chunk."""
    finder = plan.mixture.finder
    uniforms = numbers.uniforms(Purpose.CATEGORY)
    columns = finder.find(uniforms)
    if finder.finds_positions:
        positions = finder.find_positions(uniforms, columns)
    else:
        positions = finder.pick_positions(numbers.uniforms(Purpose.CHUNK), columns)
    return Drawn(positions, count_columns(plan.sizes, columns, len(plan.mixture.ready)))


def _draw_in_parts(plan: Plan, most: int, rng: np.random.Generator) -> Drawn:
    """Draw more requests than words have room for. What one request gets does not depend on the others."""
    parts = []
    for start in range(0, len(plan.sizes), most):
        some = slice(start, start + most)
        parts.append(draw(plan._replace(sizes=plan.sizes[some], seeds=plan.seeds[some]), rng))
    return Drawn(np.concatenate([part.positions for part in parts]), np.concatenate([part.counts for part in parts]))
