"""The draw: categories by weights, then chunks within them, vectorised over groups of alike requests."""

from typing import NamedTuple

import numpy as np

from worker.core.draw.allocation import Plan, allocate, most_in_order, tally_rows
from worker.core.draw.distinct import layout_for, pick_distinct
from worker.core.draw.random_numbers import Lane, Numbers
from worker.core.mixture import Integers


class Drawn(NamedTuple):
    """Hold what was drawn for a plan.

    Attributes:
        places: int64, shape (sizes.sum(),): places in the catalog's ids, request after request, in random order.
        counts: int64, shape (r, k): how many of each request's chunks are of each category.
    """

    places: Integers
    counts: Integers


def draw(plan: Plan, rng: np.random.Generator) -> Drawn:
    """Draw the chunks of a plan.

    Args:
        plan: What to draw.
        rng: Numbers for the requests that have no seed.
    """
    if plan.replace and not plan.stratified:
        return _draw_independently(plan, Numbers(plan.seeds, plan.sizes, rng))
    most = min(most_in_order(len(plan.mixture.ready)), layout_for(plan.mixture, plan.sizes).most_requests)
    if len(plan.sizes) > most:
        return _draw_in_parts(plan, most, rng)
    numbers = Numbers(plan.seeds, plan.sizes, rng)
    allocated = allocate(plan, numbers)
    if plan.replace:
        places = plan.mixture.finder.pick_places(numbers.uniforms(Lane.CHUNK), allocated.categories)
    else:
        places = pick_distinct(plan.mixture, allocated, numbers)
    return Drawn(places, allocated.counts)


def _draw_independently(plan: Plan, numbers: Numbers) -> Drawn:
    """Draw each chunk by itself; where a number has bits enough, one decides on category and chunk."""
    finder = plan.mixture.finder
    uniforms = numbers.uniforms(Lane.CATEGORY)
    categories = finder.find(uniforms)
    if finder.finds_places:
        places = finder.find_places(uniforms, categories)
    else:
        places = finder.pick_places(numbers.uniforms(Lane.CHUNK), categories)
    return Drawn(places, tally_rows(plan.sizes, categories, len(plan.mixture.ready)))


def _draw_in_parts(plan: Plan, most: int, rng: np.random.Generator) -> Drawn:
    """Draw more requests than words have room for; what one draws does not depend on the others."""
    parts = []
    for start in range(0, len(plan.sizes), most):
        some = slice(start, start + most)
        parts.append(draw(plan._replace(sizes=plan.sizes[some], seeds=plan.seeds[some]), rng))
    return Drawn(np.concatenate([part.places for part in parts]), np.concatenate([part.counts for part in parts]))
