"""The catalog: which chunks are READY, by category, as one immutable, versioned snapshot.

All ids lie in one array, category after category in the order of the names, ascending within a category. The
layout is a function of the set of (id, category) pairs alone, so equal catalogs draw equal chunks for equal seeds.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from numpy.typing import NDArray

from worker.core.mixing import mix
from worker.core.rendering import BIGINT, UUID, cell_width, render_cells

_MASK = (1 << 64) - 1


@dataclass(frozen=True, slots=True, eq=False)
class Catalog:
    """Hold the READY chunks; build it with `build_catalog`, change it with `apply_changes`.

    Attributes:
        categories: Names of the categories that have READY chunks, sorted, shape (k,).
        offsets: int64, shape (k + 1,): category i owns ids[offsets[i]:offsets[i + 1]].
        ids: int64, or S16 for uuids, shape (n,).
        cells: void, shape (n,): the ids rendered for JSON, see `worker.core.rendering`.
        fingerprint: Sum modulo 2^64 of a hash of each (id, category) pair, whatever their order.
        memo: What others derive from this snapshot; goes when the snapshot goes.
    """

    categories: tuple[str, ...]
    offsets: NDArray[np.int64]
    ids: NDArray[np.generic]
    cells: NDArray[np.void]
    fingerprint: int
    memo: dict[object, object] = field(default_factory=dict, repr=False)

    @property
    def version(self) -> str:
        """Tell the version: 16 hex digits, equal exactly when the same chunks are READY."""
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


@dataclass(frozen=True, slots=True)
class Change:
    """Tell how many chunks entered and left READY, or moved (one of each)."""

    added: int
    removed: int


def build_catalog(ids: NDArray[np.generic], codes: NDArray[np.integer], names: Sequence[str]) -> Catalog:
    """Build a catalog from unordered rows; a pair that comes twice counts once.

    Args:
        ids: int64 or S16, shape (n,).
        codes: unsigned integers, shape (n,): index of each row's category in `names`.
        names: Category names, shape (k,), each once.
    """
    order = np.argsort(codes, kind="stable")
    ids = ids[order]
    bounds = np.searchsorted(codes[order], np.arange(len(names) + 1))
    owned = {name: ids[bounds[i] : bounds[i + 1]] for i, name in enumerate(names)}
    owned = {name: ascending(part) for name, part in owned.items()}
    width = max((cell_width(part) for part in owned.values()), default=cell_width(ids[:0]))
    return _assemble(owned, ids.dtype, width)


def empty_catalog(kind: np.dtype[np.generic] = BIGINT) -> Catalog:
    """Build a catalog without chunks, for ids of this kind."""
    return build_catalog(np.empty(0, kind), np.empty(0, np.uint16), ())


def apply_changes(
    catalog: Catalog, ids: NDArray[np.generic], categories: Sequence[str | None]
) -> tuple[Catalog, Change]:
    """Bring the catalog to what is now known of some chunks.

    Args:
        catalog: The snapshot to start from; it stays as it is.
        ids: int64 or S16 as in the catalog, shape (m,), each once.
        categories: Shape (m,): the category in which each is READY now, or None when it is not READY.

    Returns:
        The new snapshot, and how much differs.
    """
    width = max(catalog.cells.dtype.itemsize, cell_width(ids))
    if width > catalog.cells.dtype.itemsize:
        catalog = _assemble({name: owned for name, owned, _ in catalog.segments()}, ids.dtype, width)
    wanted = {name: np.sort(part) for name, part in _by_category(ids, categories).items()}
    known = {name: (owned, cells) for name, owned, cells in catalog.segments()}
    added = removed = 0
    fingerprint, parts = catalog.fingerprint, {}
    for name in sorted(known.keys() | wanted.keys()):
        owned, cells = known.get(name, (ids[:0], catalog.cells[:0]))
        keep = wanted.get(name, ids[:0])
        present = owned[_places(owned, ids)]
        leaving = np.setdiff1d(present, keep, assume_unique=True)
        entering = np.setdiff1d(keep, present, assume_unique=True)
        parts[name] = _edit(owned, cells, leaving, entering)
        added, removed = added + len(entering), removed + len(leaving)
        fingerprint += fingerprint_of(entering, name) - fingerprint_of(leaving, name)
    if not added and not removed:
        return catalog, Change(0, 0)
    return _join(parts, ids.dtype, catalog.cells.dtype, fingerprint & _MASK), Change(added, removed)


def fingerprint_of(ids: NDArray[np.generic], category: str) -> int:
    """Hash chunks of one category: the sum modulo 2^64 of a hash of each pair.

    Args:
        ids: int64 or S16, shape (n,).
        category: Their category.
    """
    if ids.dtype == UUID:
        words = np.frombuffer(ids.tobytes(), dtype=">u8").astype(np.uint64).reshape(-1, 2)
        folded = mix(words[:, 0]) ^ words[:, 1]
    else:
        folded = ids.astype(np.int64, copy=False).view(np.uint64)
    return int(mix(mix(folded) ^ _category_key(category)).sum(dtype=np.uint64))


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


@cache
def _category_key(category: str) -> np.uint64:
    return np.uint64(int.from_bytes(hashlib.sha256(category.encode()).digest()[:8], "big"))


def _assemble(owned: Mapping[str, NDArray[np.generic]], kind: np.dtype[np.generic], width: int) -> Catalog:
    """Lay out whole categories, rendering every id."""
    parts = {name: (part, render_cells(part, width)) for name, part in owned.items()}
    fingerprint = sum(fingerprint_of(part, name) for name, part in owned.items()) & _MASK
    return _join(parts, kind, np.dtype((np.void, width)), fingerprint)


def _join(
    parts: Mapping[str, tuple[NDArray[np.generic], NDArray[np.void]]],
    kind: np.dtype[np.generic],
    cell: np.dtype[np.void],
    fingerprint: int,
) -> Catalog:
    names = tuple(sorted(name for name, (ids, _) in parts.items() if len(ids)))
    sizes = [len(parts[name][0]) for name in names]
    ids = np.concatenate([np.empty(0, kind), *(parts[name][0] for name in names)])
    cells = np.concatenate([np.empty(0, cell), *(parts[name][1] for name in names)])
    for array in (ids, cells):
        array.flags.writeable = False
    return Catalog(names, np.concatenate(([0], np.cumsum(sizes))).astype(np.int64), ids, cells, fingerprint)


def _by_category(ids: NDArray[np.generic], categories: Sequence[str | None]) -> dict[str, NDArray[np.generic]]:
    rows: dict[str, list[int]] = {}
    for row, name in enumerate(categories):
        if name is not None:
            rows.setdefault(name, []).append(row)
    return {name: ids[places] for name, places in rows.items()}


def _places(owned: NDArray[np.generic], wanted: NDArray[np.generic]) -> NDArray[np.intp]:
    """Find the places in `owned` (ascending) of those of `wanted` that are there."""
    at = np.searchsorted(owned, wanted)
    inside = np.flatnonzero(at < len(owned))
    places: NDArray[np.intp] = at[inside][owned[at[inside]] == wanted[inside]]
    return places


def _edit(
    owned: NDArray[np.generic],
    cells: NDArray[np.void],
    leaving: NDArray[np.generic],
    entering: NDArray[np.generic],
) -> tuple[NDArray[np.generic], NDArray[np.void]]:
    """Take out and put in ids of one category, keeping the order and the cells."""
    if len(leaving):
        gone = _places(owned, leaving)
        owned, cells = np.delete(owned, gone), np.delete(cells, gone)
    if len(entering):
        at = np.searchsorted(owned, entering)
        owned, cells = (
            np.insert(owned, at, entering),
            np.insert(cells, at, render_cells(entering, cells.dtype.itemsize)),
        )
    return owned, cells
