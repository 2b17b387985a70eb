"""Draw for one session so that no chunk comes again before its category is used up."""

from collections.abc import Sequence

import numpy as np

from worker.core.catalog import Catalog
from worker.core.draw.allocation import Plan, allocate, order_by
from worker.core.draw.cursor import Cursor
from worker.core.draw.passes import Passes, Spans, take
from worker.core.draw.random_numbers import Numbers
from worker.core.draw.sampling import Drawn
from worker.core.draw.sessions import Visit
from worker.core.wire import encode_passes


def draw_epoch(
    plan: Plan, catalog: Catalog, session: str, visit: Visit, rng: np.random.Generator
) -> tuple[Drawn, Sequence[str]]:
    """Draw the chunks of a plan; weights decide the categories, the session's passes the chunks.

    Args:
        plan: What to draw, for one session, unseeded.
        catalog: The READY chunks that the plan's mixture was made of.
        session: Name of the session.
        visit: Where the session stands, and where it stands afterwards.
        rng: Decides the categories and their order.

    Returns:
        What was drawn, within each category of a request in the order of the passes; and which passes these are, as
        the results say it, shape (r,).
    """
    categories, counts = allocate(plan, Numbers(plan.seeds, plan.sizes, rng))
    mixture = plan.mixture
    drawn_from = np.flatnonzero(np.logical_or.reduce(counts, axis=0))
    parts = []
    passes: list[dict[str, Spans]] = [{} for _ in plan.sizes]
    for column in drawn_from.tolist():
        name, wanted = mixture.categories[column], counts[:, column].tolist()
        cursor = visit.cursors.get(name, Cursor())
        taken = take(Passes(catalog, session, name), cursor, wanted, distinct=not plan.replace)
        visit.cursors[name] = taken.cursor
        parts.append(taken.offsets + mixture.starts[column])
        for of_request, spans in zip(passes, taken.passes, strict=True):
            if spans:
                of_request[name] = spans
    places = np.empty_like(categories)
    places[order_by(categories)] = np.concatenate(parts)
    return Drawn(places, counts), [encode_passes(spans) for spans in passes]
