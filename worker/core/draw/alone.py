"""A plain request that comes alone, as most do while little is asked for: the same draw, in half the time.

What keeps many requests apart (terms, groups, rows) costs as much as drawing one; here there is nothing to keep apart.
"""

import numpy as np

from worker.core.catalog.rendering import cut_cells, cut_ids
from worker.core.draw.allocation import Plan
from worker.core.draw.prepare import Prepared
from worker.core.draw.sampling import draw
from worker.core.stats import Tally
from worker.core.wire import Request, Result


def is_plain(request: Request, prepared: Prepared) -> bool:
    """Tell whether a request is drawn independently, under weights of chunks, with no seed and for no session."""
    terms, mixture = request.terms, prepared.mixture
    is_independent = terms.method == "random" and terms.replace and request.seed is None and terms.session is None
    return is_independent and mixture.times is None and not mixture.is_wide


def answer_plain(request: Request, prepared: Prepared, rng: np.random.Generator, tally: Tally) -> Result:
    """Answer a plain request and count what it drew.

    Args:
        request: Plain, see `is_plain`.
        prepared: What it is drawn from.
        rng: Random numbers.
        tally: Where to count.
    """
    mixture, size = prepared.mixture, request.terms.size
    sizes = np.array([size])
    drawn = draw(Plan(mixture, sizes, (None,), replace=True, stratified=False), rng)
    ids, cells = prepared.columns
    is_packed = request.terms.encoding == "packed"
    chunk_ids = cut_ids(ids, drawn.places, sizes) if is_packed else cut_cells(cells, drawn.places, sizes)
    expected = [size * share for share in mixture.shares]
    variances = [size * share * (1.0 - share) for share in mixture.shares]
    tally.add_requests(prepared.dataset, 1)
    tally.add_chunks(
        prepared.dataset, mixture.categories, drawn.counts[0].tolist(), expected=expected, variances=variances
    )
    values = (chunk_ids[0], prepared.counts.render(drawn.counts)[0])
    return Result(request.entry_id, request.request_id, request.terms.reply_to, None, prepared.form, values)
