"""The catalog: which chunks are READY, by category, as one immutable, versioned snapshot.

All ids lie in one array, part after part by name, ascending within a part. A part is a category, or one split of it;
see `parts`. A chunk's *position* is its index in this array. The order follows from the set of (id, part) pairs alone,
so equal catalogs draw equal chunks for equal seeds. If durations decide the draw too, they belong to these pairs, and
to the version.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from worker.core.catalog.columns import Columns
from worker.core.catalog.durations import Durations, Milliseconds, measure_durations
from worker.core.catalog.fingerprint import MASK, hash_pairs, part_keys
from worker.core.catalog.parts import has_part, read_part
from worker.core.catalog.rendering import BIGINT, UUID, cell_width, kind_of, narrow_ids
from worker.core.catalog.rows import Rows
from worker.core.catalog.view import View, list_splits, make_view
from worker.core.wire import PATH

BLOCK = 65_536
"""Rows that are computed at once, so that they stay in the processor's cache."""

Integers = NDArray[np.int64]


class Block(NamedTuple):
    """Some rows in the order in which they came.

    Attributes:
        codes: unsigned integers, shape (n,): the part of each.
        rows: What is known of them.
    """

    codes: NDArray[np.integer]
    rows: Rows


@dataclass(frozen=True, slots=True, eq=False)
class Catalog:
    """The READY chunks. `build_catalog` makes a catalog, and `apply_changes` makes the next one from it.

    Attributes:
        parts: Names of the parts that have READY chunks, sorted, shape (k,).
        bounds: int64, shape (k + 1,): part i owns ids[bounds[i]:bounds[i + 1]].
        ids: int32 if all of them fitted when the catalog was built, else int64, or S16 for uuids, shape (n,).
        fingerprint: Sum modulo 2^64 of a hash of each (id, part) pair, in any order; of each (id, part, duration) if
            durations are known.
        durations: How long they last, by part; None if durations do not matter.
        view: The categories as requests that name no split see them.
        columns: What else is known of each chunk; None if nothing is held.
        splits: Names of the splits, sorted.
        width: Bytes of an id as JSON, see `worker.core.catalog.rendering.cell_width`.
    """

    parts: tuple[str, ...]
    bounds: NDArray[np.int64]
    ids: NDArray[np.generic]
    fingerprint: int
    durations: Durations | None = None
    columns: Columns | None = None
    view: View = field(init=False)
    splits: tuple[str, ...] = field(init=False)
    width: int = field(init=False)

    def __post_init__(self) -> None:
        """Derive what follows from the parts; it is small, and every draw needs it."""
        ends = np.concatenate((self.bounds[:-1], self.bounds[1:] - 1))  # ids ascend within a part
        object.__setattr__(self, "width", cell_width(self.ids[ends]))
        object.__setattr__(self, "view", make_view(self.parts, self.bounds, self.durations))
        object.__setattr__(self, "splits", list_splits(self.parts))

    @property
    def version(self) -> str:
        """Return the version: 16 hex digits, equal exactly when the same chunks are READY (with the same durations)."""
        return f"{self.fingerprint:016x}"

    @property
    def kind(self) -> np.dtype[np.generic]:
        """Return what ids are: int64 or S16."""
        return kind_of(self.ids)

    @property
    def id_kind(self) -> Literal["number", "uuid"] | None:
        """Return what ids are, as exclusion lists call it; None without chunks."""
        if not len(self.ids):
            return None
        return "uuid" if self.kind == UUID else "number"

    @property
    def held(self) -> tuple[str, ...]:
        """Return the columns that are known of each chunk, beside its category."""
        if self.columns is None:
            return ()
        return (*self.columns.numbers, *(() if self.columns.paths is None else (PATH,)))

    @property
    def rows(self) -> Rows:
        """Return what is known of each chunk, by position."""
        return Rows(self.ids, None if self.durations is None else self.durations.milliseconds, self.columns)

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

    def equals(self, other: "Catalog") -> bool:
        """Return whether two catalogs hold the same chunks, and the same columns of them."""
        pairs = [(one.version, one.kind, one.columns and one.columns.fingerprint) for one in (self, other)]
        return pairs[0] == pairs[1]

    def view_of(self, split: str | None) -> View:
        """Return the categories as requests of a split see them; None: of no split."""
        return self.view if split is None else make_view(self.parts, self.bounds, self.durations, split)

    def has(self, category: str) -> bool:
        """Return whether a category has READY chunks, of whatever split."""
        return has_part(self.parts, category)

    def segments(self) -> Iterator[tuple[str, NDArray[np.generic]]]:
        """Yield category and ids of each part."""
        for i, name in enumerate(self.parts):
            owned = slice(int(self.bounds[i]), int(self.bounds[i + 1]))
            yield read_part(name)[0], self.ids[owned]


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
    columns: Columns | None = None,
) -> Catalog:
    """Build a catalog from unordered rows. A pair that comes twice counts once, with the shorter duration.

    Args:
        ids: int64 or S16, shape (n,).
        codes: unsigned integers, shape (n,): index of each row's part in `names`.
        names: Names of parts, shape (k,), each once; rows of None are left out.
        durations: uint32, shape (n,), ms, each >= 1; None if they do not matter.
        columns: What else is known of each; None if nothing is.
    """
    rows = Rows(narrow_ids(ids), durations, columns)
    parts = [slice(start, start + BLOCK) for start in range(0, max(len(ids), 1), BLOCK)]
    return gather_catalog([Block(codes[part], rows.take(part)) for part in parts], names)


def gather_catalog(blocks: Sequence[Block], names: Sequence[str | None]) -> Catalog:
    """Build a catalog from blocks of unordered rows, which takes less memory than all rows in one array.

    Args:
        blocks: At least one, best of tens of thousands of rows; all with the same durations and columns, or none. Their
            columns have the same texts.
        names: Names of parts, shape (k,), each once; rows of None are left out.
    """
    ordered = sorted(name for name in names if name is not None)
    number_of = {name: number for number, name in enumerate(ordered)}
    last = len(ordered)
    numbers = [last if name is None else number_of[name] for name in names]
    rows, bounds = _sort_by_part(blocks, np.array(numbers, dtype=np.min_scalar_type(last)), last)
    parts = [rows.take(slice(start, end)) for start, end in pairwise(bounds.tolist())]
    sorted_parts = [_once(part) for part in parts]
    if any(one is not other for one, other in zip(parts, sorted_parts, strict=True)):
        parts = sorted_parts
        columns = zip(*([one[:0] for one in rows.arrays], *(part.arrays for part in parts)), strict=True)
        rows = rows.with_arrays([np.concatenate(column) for column in columns])
    sizes = [len(part.ids) for part in parts]
    ready = tuple(name for name, size in zip(ordered, sizes, strict=True) if size)
    return _lay_out(ready, np.cumsum([0, *(size for size in sizes if size)]), rows)


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


def _lay_out(names: tuple[str, ...], bounds: Integers, rows: Rows) -> Catalog:
    """Make a catalog of chunks that are in their final order.

    Args:
        names: Parts that have chunks, sorted, shape (k,).
        bounds: int64, shape (k + 1,): where each begins and ends.
        rows: The chunks.
    """
    keys, fingerprint, marked = part_keys(names), 0, 0
    for start in range(0, len(rows.ids), BLOCK):
        block = rows.take(slice(start, start + BLOCK))
        owned = np.diff(bounds.clip(start, start + BLOCK))
        fingerprint += hash_pairs(block.ids, keys.repeat(owned), block.durations)
        marked += 0 if block.columns is None else block.columns.hash_marks(block.ids)
    if rows.columns is not None:
        rows = rows._replace(columns=replace(rows.columns, fingerprint=marked & MASK))
    return freeze(names, bounds, rows, fingerprint)


def freeze(names: tuple[str, ...], bounds: Integers, rows: Rows, fingerprint: int) -> Catalog:
    """Make a catalog of finished rows. They become read-only."""
    ids, durations, columns = rows
    ids.flags.writeable = False
    measured = None if durations is None else measure_durations(durations, bounds)
    held = None if columns is None else columns.frozen()
    return Catalog(names, bounds, ids, fingerprint & MASK, measured, held)


def _sort_by_part(blocks: Sequence[Block], numbers: NDArray[np.unsignedinteger], count: int) -> tuple[Rows, Integers]:
    """Sort rows by the number of their part, without numbers from `count` on; return the bounds of each, too."""
    sizes = np.zeros(count + 1, np.int64)
    for block in blocks:
        np.add.at(sizes, numbers, np.bincount(block.codes, minlength=len(numbers)))
    bounds = np.cumsum([0, *sizes[:count]])
    filled = bounds[:-1].copy()
    sorted_rows = _empty_rows([block.rows for block in blocks], int(bounds[-1]))
    for block in blocks:
        owners = numbers[block.codes]
        order = np.argsort(owners, kind="stable")  # a radix sort, as they are short integers
        order = order[: len(order) - np.count_nonzero(owners == count)]
        owners = owners[order]
        found = np.bincount(owners, minlength=count)
        targets = np.arange(len(owners)) + (filled - np.cumsum(found) + found)[owners]
        for ordered, came in zip(sorted_rows.arrays, block.rows.arrays, strict=True):
            ordered[targets] = came[order]
        filled += found
    return sorted_rows, bounds


def _empty_rows(some: Sequence[Rows], count: int) -> Rows:
    """Make room for rows of the same kind; ids of some blocks may be narrower than those of others."""
    others = some[0].arrays[1:]
    widest = np.result_type(*{rows.ids.dtype for rows in some})
    return some[0].with_arrays([np.empty(count, widest), *(np.empty(count, one.dtype) for one in others)])


def _once(rows: Rows) -> Rows:
    """Sort chunks of a part. One that comes twice stays once, with the shorter duration."""
    once = ascending(rows.ids)
    if once is rows.ids:
        return rows
    ids, *others = rows.arrays
    if not others:
        return Rows(once)
    order = np.lexsort((others[0], ids))
    firsts = order[np.searchsorted(ids, once, sorter=order)]
    return rows.with_arrays([once, *(one[firsts] for one in others)])
