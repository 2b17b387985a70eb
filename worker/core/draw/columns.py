"""Columns of the chunks that were drawn, as results carry them; see `worker.core.wire.columns`."""

import json
from collections.abc import Sequence

import numpy as np

from worker.core.catalog.rendering import cut_cells, cut_packed
from worker.core.draw.derived import Prepared
from worker.core.mixture import Integers
from worker.core.wire import CATEGORY

Written = Sequence[str | bytes]
"""A value for each request."""


def write_columns(prepared: Prepared, positions: Integers, sizes: Integers) -> list[Written]:
    """Write the columns that some requests ask for.

    Args:
        prepared: What they were drawn from; they ask for the same columns, in the same encoding.
        positions: int64, shape (sizes.sum(),): the chunks, request after request.
        sizes: int64, shape (r,), each >= 1.

    Returns:
        The values of each slot of the results, see `worker.core.wire.column_slots`.
    """
    is_packed = prepared.terms.encoding == "packed"
    written: list[Written] = []
    for name in prepared.terms.columns:
        if name == CATEGORY:
            written += _write_categories(prepared, positions, sizes, is_packed=is_packed)
    return written


def _write_categories(prepared: Prepared, positions: Integers, sizes: Integers, *, is_packed: bool) -> list[Written]:
    """Write categories, which follow from where chunks lie."""
    mixture = prepared.mixture
    owners = mixture.starts.searchsorted(positions, "right") - 1
    if not is_packed:
        return [cut_cells(prepared.counts.names, owners, sizes)]
    if not mixture.is_wide:
        names = _names(mixture.categories)
        return [[names] * len(sizes), cut_packed(owners.astype("<i2"), sizes)]
    texts: list[str] = []
    indexes: list[bytes] = []
    for own in np.split(owners, sizes.cumsum()[:-1]):
        found, places = np.unique(own, return_inverse=True)
        texts.append(_names([mixture.categories[i] for i in found.tolist()]))
        indexes.append(places.astype("<i2").tobytes())
    return [texts, indexes]


def _names(categories: Sequence[str]) -> str:
    return json.dumps({"names": categories}, separators=(",", ":"))
