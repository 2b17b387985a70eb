"""The catalog: which chunks are READY, by category, as one immutable, versioned snapshot.

All ids lie in one array, category after category in the order of the names, ascending within a category. The
layout is a function of the set of (id, category) pairs alone, so equal catalogs draw equal chunks for equal seeds.
Where durations decide the draw too, they belong to these pairs, and to the version.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from worker.core.catalog.durations import Durations, Milliseconds, measure_durations
from worker.core.catalog.rendering import BIGINT, UUID, cell_width, render_cells
from worker.core.hashing import GOLDEN, mix

BLOCK = 65_536
"""Rows at once, so that what is computed of them stays in the processor's cache."""

_MASK = (1 << 64) - 1

Integers = NDArray[np.int64]


class Block(NamedTuple):
    """Hold some rows in the order in which they came.

    Attributes:
        ids: int64 or S16, shape (n,).
        codes: unsigned integers, shape (n,): which category each is of.
        durations: uint32, shape (n,), ms, each >= 1; None where durations do not matter.
    """

    ids: NDArray[np.generic]
    codes: NDArray[np.integer]
    durations: Milliseconds | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Catalog:
    """Hold the READY chunks; build it with `build_catalog`, change it with `apply_changes`.

    Attributes:
        categories: Names of the categories that have READY chunks, sorted, shape (k,).
        offsets: int64, shape (k + 1,): category i owns ids[offsets[i]:offsets[i + 1]].
        ids: int64, or S16 for uuids, shape (n,).
        cells: void, shape (n,): the ids rendered for JSON, see `worker.core.catalog.rendering`.
        fingerprint: Sum modulo 2^64 of a hash of each (id, category) pair, whatever their order; of each (id, category,
            duration) where durations are known.
        durations: How long they last; None where that does not matter.
        memo: What others derive from this snapshot; goes when the snapshot goes.
    """

    categories: tuple[str, ...]
    offsets: NDArray[np.int64]
    ids: NDArray[np.generic]
    cells: NDArray[np.void]
    fingerprint: int
    durations: Durations | None = None
    memo: dict[object, object] = field(default_factory=dict, repr=False)

    @property
    def version(self) -> str:
        """Tell the version: 16 hex digits, equal exactly when the same chunks are READY (and as long, where told)."""
        return f"{self.fingerprint:016x}"

    @property
    def ready(self) -> dict[str, int]:
        """Count the READY chunks of each category."""
        return dict(zip(self.categories, np.diff(self.offsets).tolist(), strict=True))

    def __len__(self) -> int:
        """Count the (chunk, category) pairs."""
        return len(self.ids)

    def segments(self) -> Iterator[tuple[str, NDArray[np.generic], NDArray[np.void]]]:
        """Walk over the categories: name, ids, cells."""
        for i, name in enumerate(self.categories):
            owned = slice(int(self.offsets[i]), int(self.offsets[i + 1]))
            yield name, self.ids[owned], self.cells[owned]


def largest_categories(catalog: Catalog, most: int) -> dict[str, int]:
    """Count the READY chunks of the categories that have the most, sorted by name; the catalog remembers.

    Args:
        catalog: The READY chunks.
        most: Of how many categories.
    """
    found = catalog.memo.get((largest_categories, most))
    if not isinstance(found, dict):
        ready = catalog.ready
        found = dict(sorted(sorted(ready.items(), key=lambda one: (-one[1], one[0]))[:most]))
        catalog.memo[largest_categories, most] = found
    return found


def build_catalog(
    ids: NDArray[np.generic],
    codes: NDArray[np.integer],
    names: Sequence[str | None],
    durations: Milliseconds | None = None,
) -> Catalog:
    """Build a catalog from unordered rows; a pair that comes twice counts once, for as long as the shorter lasts.

    Args:
        ids: int64 or S16, shape (n,).
        codes: unsigned integers, shape (n,): index of each row's category in `names`.
        names: Category names, shape (k,), each once; rows of None are left out.
        durations: uint32, shape (n,), ms, each >= 1; None where they do not matter.
    """
    parts = [slice(start, start + BLOCK) for start in range(0, max(len(ids), 1), BLOCK)]
    lasting = [None if durations is None else durations[part] for part in parts]
    return gather_catalog([Block(ids[p], codes[p], d) for p, d in zip(parts, lasting, strict=True)], names)


def gather_catalog(blocks: Sequence[Block], names: Sequence[str | None]) -> Catalog:
    """Build a catalog from unordered rows as `build_catalog` does, without ever having all of them side by side.

    Args:
        blocks: At least one, tens of thousands of rows each at best; all with durations, or none.
        names: Category names, shape (k,), each once; rows of None are left out.
    """
    ordered = sorted(name for name in names if name is not None)
    place_of = {name: place for place, name in enumerate(ordered)}
    last = len(ordered)
    places = [last if name is None else place_of[name] for name in names]
    ids, durations, offsets = _sort_by_category(blocks, np.array(places, dtype=np.min_scalar_type(last)), last)
    bounds = [slice(start, end) for start, end in pairwise(offsets.tolist())]
    parts = [(ids[part], None if durations is None else durations[part]) for part in bounds]
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


def fingerprint_of(ids: NDArray[np.generic], category: str) -> int:
    """Hash chunks of one category: the sum modulo 2^64 of a hash of each pair.

    Args:
        ids: int64 or S16, shape (n,).
        category: Their category.
    """
    return hash_pairs(ids, _category_key(category))


def ascending(ids: NDArray[np.generic]) -> NDArray[np.generic]:
    """Sort ids and drop repeated ones, at no more than a look when they come in order.

    Args:
        ids: int64 or S16, shape (n,).
    """
    if bool(np.all(ids[1:] > ids[:-1])):  # type: ignore[operator]
        return ids
    # Not `np.unique`: it hashes, which takes ten times as long and keeps the interpreter locked meanwhile.
    ordered = np.sort(ids)
    return ordered[np.concatenate(([True], ordered[1:] != ordered[:-1]))]


def category_keys(names: Sequence[str]) -> NDArray[np.uint64]:
    """Tell what categories add to the hash of their chunks."""
    return np.array([_category_key(name) for name in names], dtype=np.uint64)


def hash_pairs(
    ids: NDArray[np.generic], keys: NDArray[np.uint64] | np.uint64, durations: Milliseconds | None = None
) -> int:
    """Hash chunks: the sum modulo 2^64 of a hash of each pair, or of each pair and its duration.

    Args:
        ids: int64 or S16, shape (n,).
        keys: Those of their categories, shape (n,) or ().
        durations: uint32, shape (n,), ms; None where they do not matter.
    """
    hashes = mix(mix(fold_ids(ids)) ^ keys)
    if durations is not None:
        hashes = mix(hashes + durations * GOLDEN)
    return int(hashes.sum(dtype=np.uint64))


def fold_ids(ids: NDArray[np.generic]) -> NDArray[np.uint64]:
    """Make one number of each id: of a bigint the number itself, of a uuid a hash.

    Args:
        ids: int64 or S16, shape (n,).
    """
    if ids.dtype == UUID:
        words = np.frombuffer(ids.tobytes(), dtype=">u8").astype(np.uint64).reshape(-1, 2)
        return mix(words[:, 0]) ^ words[:, 1]
    return ids.astype(np.int64, copy=False).view(np.uint64)


def lay_out(
    names: tuple[str, ...], offsets: Integers, rows: tuple[NDArray[np.generic], Milliseconds | None], width: int
) -> Catalog:
    """Make a catalog of chunks in their final order, rendering the id of each.

    Args:
        names: Categories that have chunks, sorted, shape (k,).
        offsets: int64, shape (k + 1,): where each begins and ends.
        rows: Ids, int64 or S16, shape (n,); and durations, uint32, shape (n,), where they matter.
        width: Bytes a cell.
    """
    ids, durations = rows
    cells = np.empty(len(ids), np.dtype((np.void, width)))
    keys, fingerprint = category_keys(names), 0
    for start in range(0, len(ids), BLOCK):
        block = slice(start, start + BLOCK)
        cells[block] = render_cells(ids[block], width)
        owned = np.diff(offsets.clip(start, start + BLOCK))
        lasting = None if durations is None else durations[block]
        fingerprint += hash_pairs(ids[block], keys.repeat(owned), lasting)
    return freeze(names, offsets, (ids, cells, durations), fingerprint)


def freeze(
    names: tuple[str, ...],
    offsets: Integers,
    columns: tuple[NDArray[np.generic], NDArray[np.void], Milliseconds | None],
    fingerprint: int,
) -> Catalog:
    """Make a catalog whose parts are ready: ids, cells and perhaps durations, which nobody may write to any more."""
    ids, cells, durations = columns
    ids.flags.writeable = cells.flags.writeable = False
    measured = None if durations is None else measure_durations(durations, offsets)
    return Catalog(names, offsets, ids, cells, fingerprint & _MASK, measured)


def _sort_by_category(
    blocks: Sequence[Block], places: NDArray[np.unsignedinteger], count: int
) -> tuple[NDArray[np.generic], Milliseconds | None, Integers]:
    """Put rows in the order of their categories' places, without those from `count` on; tell where each begins."""
    sizes = np.zeros(count + 1, np.int64)
    for block in blocks:
        np.add.at(sizes, places, np.bincount(block.codes, minlength=len(places)))
    offsets = np.cumsum([0, *sizes[:count]])
    ids, filled = np.empty(offsets[-1], blocks[0].ids.dtype), offsets[:-1].copy()
    durations = None if blocks[0].durations is None else np.empty(offsets[-1], np.uint32)
    for block in blocks:
        owners = places[block.codes]
        order = np.argsort(owners, kind="stable")  # of short integers, which is quick
        order = order[: len(order) - np.count_nonzero(owners == count)]
        owners = owners[order]
        found = np.bincount(owners, minlength=count)
        targets = np.arange(len(owners)) + (filled - np.cumsum(found) + found)[owners]
        ids[targets] = block.ids[order]
        if durations is not None and block.durations is not None:
            durations[targets] = block.durations[order]
        filled += found
    return ids, durations, offsets


def _once(ids: NDArray[np.generic], durations: Milliseconds | None) -> tuple[NDArray[np.generic], Milliseconds | None]:
    """Sort chunks of a category; one that comes twice stays once, for as long as the shorter lasts."""
    once = ascending(ids)
    if durations is None or once is ids:
        return once, durations
    order = np.lexsort((durations, ids))
    firsts = np.searchsorted(ids, once, sorter=order)
    return once, durations[order[firsts]]


@cache
def _category_key(category: str) -> np.uint64:
    return np.uint64(int.from_bytes(hashlib.sha256(category.encode()).digest()[:8], "big"))
