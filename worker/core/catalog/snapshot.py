"""The catalog: which chunks are READY, by category, as one immutable, versioned snapshot.

All ids lie in one array, part after part by name, ascending within a part. A part is a category, or one split of it;
see `parts`. A chunk's *position* is its index in this array. The order follows from the set of (id, part) pairs alone,
so equal catalogs draw equal chunks for equal seeds. If durations decide the draw too, they belong to these pairs, and
to the version.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from worker.core.catalog.durations import Durations, Milliseconds, measure_durations
from worker.core.catalog.fingerprint import MASK, hash_pairs, part_keys
from worker.core.catalog.parts import has_part, read_part
from worker.core.catalog.rendering import BIGINT, cell_width, render_cells
from worker.core.catalog.view import View, list_splits, make_view

BLOCK = 65_536
"""Rows that are computed at once, so that they stay in the processor's cache."""

Integers = NDArray[np.int64]


class Block(NamedTuple):
    """Some rows in the order in which they came.

    Attributes:
        ids: int64 or S16, shape (n,).
        codes: unsigned integers, shape (n,): the part of each.
        durations: uint32, shape (n,), ms, each >= 1; None if durations do not matter.
    """

    ids: NDArray[np.generic]
    codes: NDArray[np.integer]
    durations: Milliseconds | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Catalog:
    """The READY chunks. `build_catalog` makes a catalog, and `apply_changes` makes the next one from it.

    Attributes:
        parts: Names of the parts that have READY chunks, sorted, shape (k,).
        bounds: int64, shape (k + 1,): part i owns ids[bounds[i]:bounds[i + 1]].
        ids: int64, or S16 for uuids, shape (n,).
        cells: void, shape (n,): the ids rendered for JSON, see `worker.core.catalog.rendering`.
        fingerprint: Sum modulo 2^64 of a hash of each (id, part) pair, in any order; of each (id, part, duration) if
            durations are known.
        durations: How long they last, by part; None if durations do not matter.
        view: The categories as requests that name no split see them.
        splits: Names of the splits, sorted.
    """

    parts: tuple[str, ...]
    bounds: NDArray[np.int64]
    ids: NDArray[np.generic]
    cells: NDArray[np.void]
    fingerprint: int
    durations: Durations | None = None
    view: View = field(init=False)
    splits: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Derive what follows from the parts; both are small, and every draw needs them."""
        object.__setattr__(self, "view", make_view(self.parts, self.bounds, self.durations))
        object.__setattr__(self, "splits", list_splits(self.parts))

    @property
    def version(self) -> str:
        """Return the version: 16 hex digits, equal exactly when the same chunks are READY (with the same durations)."""
        return f"{self.fingerprint:016x}"

    @property
    def held(self) -> tuple[str, ...]:
        """Return the columns that are known of each chunk, beside its category."""
        return ()

    @property
    def categories(self) -> tuple[str, ...]:
        """Return the categories that requests without a split draw from, sorted."""
        return self.view.categories

    @property
    def ready(self) -> dict[str, int]:
        """Count the READY chunks of each category that requests without a split draw from."""
        return self.view.ready

    @property
    def sizes(self) -> dict[str, int]:
        """Count the READY chunks of each part."""
        return dict(zip(self.parts, np.diff(self.bounds).tolist(), strict=True))

    def __len__(self) -> int:
        """Count the (chunk, part) pairs."""
        return len(self.ids)

    def view_of(self, split: str | None) -> View:
        """Return the categories as requests of a split see them; None: of no split."""
        return self.view if split is None else make_view(self.parts, self.bounds, self.durations, split)

    def has(self, category: str) -> bool:
        """Return whether a category has READY chunks, of whatever split."""
        return has_part(self.parts, category)

    def segments(self) -> Iterator[tuple[str, NDArray[np.generic], NDArray[np.void]]]:
        """Yield category, ids and cells of each part."""
        for i, name in enumerate(self.parts):
            owned = slice(int(self.bounds[i]), int(self.bounds[i + 1]))
            yield read_part(name)[0], self.ids[owned], self.cells[owned]


def largest_categories(catalog: Catalog, most: int) -> dict[str, int]:
    """Count the READY chunks of the largest categories, sorted by name.

    Args:
        catalog: The READY chunks.
        most: How many categories.
    """
    return dict(sorted(sorted(catalog.ready.items(), key=lambda one: (-one[1], one[0]))[:most]))


def build_catalog(
    ids: NDArray[np.generic],
    codes: NDArray[np.integer],
    names: Sequence[str | None],
    durations: Milliseconds | None = None,
) -> Catalog:
    """Build a catalog from unordered rows. A pair that comes twice counts once, with the shorter duration.

    Args:
        ids: int64 or S16, shape (n,).
        codes: unsigned integers, shape (n,): index of each row's part in `names`.
        names: Names of parts, shape (k,), each once; rows of None are left out.
        durations: uint32, shape (n,), ms, each >= 1; None if they do not matter.
    """
    parts = [slice(start, start + BLOCK) for start in range(0, max(len(ids), 1), BLOCK)]
    lasting = [None if durations is None else durations[part] for part in parts]
    return gather_catalog([Block(ids[p], codes[p], d) for p, d in zip(parts, lasting, strict=True)], names)


def gather_catalog(blocks: Sequence[Block], names: Sequence[str | None]) -> Catalog:
    """Build a catalog from blocks of unordered rows, which takes less memory than all rows in one array.

    Args:
        blocks: At least one, best of tens of thousands of rows; all with durations, or none.
        names: Names of parts, shape (k,), each once; rows of None are left out.
    """
    ordered = sorted(name for name in names if name is not None)
    number_of = {name: number for number, name in enumerate(ordered)}
    last = len(ordered)
    numbers = [last if name is None else number_of[name] for name in names]
    ids, durations, bounds = _sort_by_category(blocks, np.array(numbers, dtype=np.min_scalar_type(last)), last)
    slices = [slice(start, end) for start, end in pairwise(bounds.tolist())]
    parts = [(ids[part], None if durations is None else durations[part]) for part in slices]
    sorted_parts = [_once(*part) for part in parts]
    if any(one[0] is not other[0] for one, other in zip(parts, sorted_parts, strict=True)):
        ids, parts = np.concatenate([ids[:0], *(part for part, _ in sorted_parts)]), sorted_parts
        if durations is not None:
            durations = np.concatenate([durations[:0], *(part for _, part in sorted_parts if part is not None)])
    sizes = [len(part) for part, _ in parts]
    width = max((cell_width(part) for part, _ in parts if len(part)), default=cell_width(ids[:0]))
    ready = tuple(name for name, size in zip(ordered, sizes, strict=True) if size)
    return lay_out(ready, np.cumsum([0, *(size for size in sizes if size)]), (ids, durations), width)


def empty_catalog(kind: np.dtype[np.generic] = BIGINT) -> Catalog:
    """Build a catalog without chunks, for ids of this kind."""
    return build_catalog(np.empty(0, kind), np.empty(0, np.uint16), ())


def ascending(ids: NDArray[np.generic]) -> NDArray[np.generic]:
    """Sort ids and drop repeated ones. Ids that are in order already are returned as they are.

    Args:
        ids: int64 or S16, shape (n,).
    """
    if bool(np.all(ids[1:] > ids[:-1])):  # type: ignore[operator]
        return ids
    # Not `np.unique`: it hashes, which takes ten times as long and holds the interpreter's lock.
    ordered = np.sort(ids)
    return ordered[np.concatenate(([True], ordered[1:] != ordered[:-1]))]


def lay_out(
    names: tuple[str, ...], bounds: Integers, rows: tuple[NDArray[np.generic], Milliseconds | None], width: int
) -> Catalog:
    """Make a catalog of chunks that are in their final order, rendering the id of each.

    Args:
        names: Parts that have chunks, sorted, shape (k,).
        bounds: int64, shape (k + 1,): where each begins and ends.
        rows: Ids, int64 or S16, shape (n,); and durations, uint32, shape (n,), if they matter.
        width: Bytes a cell.
    """
    ids, durations = rows
    cells = np.empty(len(ids), np.dtype((np.void, width)))
    keys, fingerprint = part_keys(names), 0
    for start in range(0, len(ids), BLOCK):
        block = slice(start, start + BLOCK)
        cells[block] = render_cells(ids[block], width)
        owned = np.diff(bounds.clip(start, start + BLOCK))
        lasting = None if durations is None else durations[block]
        fingerprint += hash_pairs(ids[block], keys.repeat(owned), lasting)
    return freeze(names, bounds, (ids, cells, durations), fingerprint)


def freeze(
    names: tuple[str, ...],
    bounds: Integers,
    columns: tuple[NDArray[np.generic], NDArray[np.void], Milliseconds | None],
    fingerprint: int,
) -> Catalog:
    """Make a catalog of finished columns: ids, cells and perhaps durations. They become read-only."""
    ids, cells, durations = columns
    ids.flags.writeable = cells.flags.writeable = False
    measured = None if durations is None else measure_durations(durations, bounds)
    return Catalog(names, bounds, ids, cells, fingerprint & MASK, measured)


def _sort_by_category(
    blocks: Sequence[Block], numbers: NDArray[np.unsignedinteger], count: int
) -> tuple[NDArray[np.generic], Milliseconds | None, Integers]:
    """Sort rows by the number of their part, without numbers from `count` on; return the bounds of each, too."""
    sizes = np.zeros(count + 1, np.int64)
    for block in blocks:
        np.add.at(sizes, numbers, np.bincount(block.codes, minlength=len(numbers)))
    bounds = np.cumsum([0, *sizes[:count]])
    ids, filled = np.empty(bounds[-1], blocks[0].ids.dtype), bounds[:-1].copy()
    durations = None if blocks[0].durations is None else np.empty(bounds[-1], np.uint32)
    for block in blocks:
        owners = numbers[block.codes]
        order = np.argsort(owners, kind="stable")  # a radix sort, as they are short integers
        order = order[: len(order) - np.count_nonzero(owners == count)]
        owners = owners[order]
        found = np.bincount(owners, minlength=count)
        targets = np.arange(len(owners)) + (filled - np.cumsum(found) + found)[owners]
        ids[targets] = block.ids[order]
        if durations is not None and block.durations is not None:
            durations[targets] = block.durations[order]
        filled += found
    return ids, durations, bounds


def _once(ids: NDArray[np.generic], durations: Milliseconds | None) -> tuple[NDArray[np.generic], Milliseconds | None]:
    """Sort chunks of a part. One that comes twice stays once, with the shorter duration."""
    once = ascending(ids)
    if durations is None or once is ids:
        return once, durations
    order = np.lexsort((durations, ids))
    firsts = np.searchsorted(ids, once, sorter=order)
    return once, durations[order[firsts]]
