"""Draw for one session so that no chunk comes again before its category is used up."""

from collections.abc import Sequence

import numpy as np

from worker.core.catalog import Catalog
from worker.core.epoch import Cursor, Passes, Spans, take
from worker.core.mixture import Integers
from worker.core.sampling import Drawn, Plan, allocate
from worker.core.sessions import Visit
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
    counts, mixture = allocate(plan, rng), plan.mixture
    drawn_from = np.flatnonzero(np.logical_or.reduce(counts, axis=0))
    parts: list[Integers] = []
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
    places = np.concatenate(parts)[_by_request(counts, drawn_from)]
    mixed = np.empty_like(places)
    mixed[_slots_in_random_order(counts, plan.sizes, rng)] = places
    return Drawn(mixed, counts), [encode_passes(spans) for spans in passes]


def _by_request(counts: Integers, columns: Integers) -> Integers:
    """Tell how chunks that stand category after category are put request after request, shape (n,)."""
    rows = len(counts)
    chunks = counts[:, columns].T.ravel()
    return np.argsort(np.tile(np.arange(rows), len(columns)).repeat(chunks), kind="stable")


def _slots_in_random_order(counts: Integers, sizes: Integers, rng: np.random.Generator) -> Integers:
    """Mix the categories within each request, and leave the chunks of each in their order.

    Returns:
        int64, shape (n,): where each chunk goes, of those that stand request after request, category after category.
    """
    rows, width = counts.shape
    owners = np.repeat(np.arange(rows), sizes)
    categories = np.repeat(np.tile(np.arange(width), rows), counts.ravel())
    mixed = categories[np.argsort(owners + rng.random(len(owners)))]
    return np.argsort(owners * width + mixed, kind="stable")
