"""Columns of the chunks that were drawn, as results carry them; see `worker.core.wire.columns`."""

import json
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from worker.core.catalog import Columns
from worker.core.catalog.rendering import cut_cells, cut_packed
from worker.core.draw.derived import Prepared
from worker.core.mixture import Floats, Integers
from worker.core.wire import CATEGORY, PATH

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
    is_packed, columns = prepared.terms.encoding == "packed", prepared.catalog.columns
    written: list[Written] = []
    for name in prepared.terms.columns:
        if name == CATEGORY:
            written += _write_categories(prepared, positions, sizes, is_packed=is_packed)
        elif columns is not None and name == PATH:
            written.append(_write_paths(columns, positions, sizes))
        elif columns is not None:
            written.append(_write_numbers(columns.numbers[name][positions], sizes, is_packed=is_packed))
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


def _write_numbers(numbers: Floats, sizes: Integers, *, is_packed: bool) -> Written:
    if is_packed:
        return cut_packed(numbers.astype("<f8", copy=False), sizes)
    values = numbers.tolist()
    return [json.dumps(values[start:end], separators=(",", ":")).replace("NaN", "null") for start, end in _spans(sizes)]


def _write_paths(columns: Columns, positions: Integers, sizes: Integers) -> Written:
    """Write paths, which are JSON already."""
    if columns.paths is None:
        raise AssertionError("paths that are not held were asked for")
    texts = columns.texts.read(columns.paths[positions])
    return [b"[" + b",".join(texts[start:end]) + b"]" for start, end in _spans(sizes)]


def _spans(sizes: Integers) -> Iterator[tuple[int, int]]:
    return pairwise((0, *sizes.cumsum().tolist()))
