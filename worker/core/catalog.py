"""The catalog: which chunks are READY, by category, as one immutable, versioned snapshot.

All ids lie in one array, category after category in the order of the names, ascending within a category. The
layout is a function of the set of (id, category) pairs alone, so equal catalogs draw equal chunks for equal seeds.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from worker.core.mixing import mix
from worker.core.rendering import BIGINT, UUID, cell_width, render_cells

_MASK = (1 << 64) - 1
_BLOCK = 65_536  # rows at once, so that what is computed of them stays in the processor's cache
_SEARCHED = 64  # categories: up to so many, searching each for a few ids is quicker than a look at every id there is

Integers = NDArray[np.int64]
Item = TypeVar("Item", bound=np.generic)


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
    ids, codes = ids[order], codes[order]
    starts = np.searchsorted(codes, np.arange(len(names), dtype=codes.dtype)).tolist()
    owned = {name: ids[start:end] for name, (start, end) in zip(names, pairwise([*starts, len(ids)]), strict=True)}
    owned = {name: ascending(part) for name, part in owned.items() if len(part)}
    width = max((cell_width(part) for part in owned.values()), default=cell_width(ids[:0]))
    ordered = tuple(sorted(owned))
    offsets = np.cumsum([0, *(len(owned[name]) for name in ordered)])
    return _lay_out(ordered, offsets, np.concatenate([ids[:0], *(owned[name] for name in ordered)]), width)


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
    width = cell_width(ids)
    if width > catalog.cells.dtype.itemsize:
        catalog = _lay_out(catalog.categories, catalog.offsets, catalog.ids, width)
    names, bounds = _with_others(catalog, categories)
    edit = _compare(catalog, bounds, ids, _codes_of(names, categories))
    change = Change(added=len(edit.fresh), removed=len(edit.gone))
    if not change.added and not change.removed:
        return catalog, change
    keys = _category_keys(names)
    fingerprint = catalog.fingerprint + _hash_pairs(edit.fresh, keys[edit.fresh_codes])
    fingerprint -= _hash_pairs(catalog.ids[edit.gone], keys[edit.gone_codes])
    sizes = np.diff(bounds)
    sizes += np.bincount(edit.fresh_codes, minlength=len(names)) - np.bincount(edit.gone_codes, minlength=len(names))
    cells = render_cells(edit.fresh, catalog.cells.dtype.itemsize)
    changed = Catalog(
        tuple(name for name, size in zip(names, sizes.tolist(), strict=True) if size),
        np.cumsum([0, *sizes[sizes > 0]]),
        _splice(catalog.ids, edit, edit.fresh),
        _splice(catalog.cells, edit, cells),
        fingerprint & _MASK,
    )
    return _frozen(changed), change


def fingerprint_of(ids: NDArray[np.generic], category: str) -> int:
    """Hash chunks of one category: the sum modulo 2^64 of a hash of each pair.

    Args:
        ids: int64 or S16, shape (n,).
        category: Their category.
    """
    return _hash_pairs(ids, _category_key(category))


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


def _category_keys(names: Sequence[str]) -> NDArray[np.uint64]:
    return np.array([_category_key(name) for name in names], dtype=np.uint64)


def _hash_pairs(ids: NDArray[np.generic], keys: NDArray[np.uint64] | np.uint64) -> int:
    """Hash chunks, each with the key of its category, shape (n,) or ()."""
    if ids.dtype == UUID:
        words = np.frombuffer(ids.tobytes(), dtype=">u8").astype(np.uint64).reshape(-1, 2)
        folded = mix(words[:, 0]) ^ words[:, 1]
    else:
        folded = ids.astype(np.int64, copy=False).view(np.uint64)
    return int(mix(mix(folded) ^ keys).sum(dtype=np.uint64))


def _lay_out(names: tuple[str, ...], offsets: NDArray[np.int64], ids: NDArray[np.generic], width: int) -> Catalog:
    """Make a catalog of ids in their final order, rendering each."""
    cells = np.empty(len(ids), np.dtype((np.void, width)))
    keys, fingerprint = _category_keys(names), 0
    for start in range(0, len(ids), _BLOCK):
        block = slice(start, start + _BLOCK)
        cells[block] = render_cells(ids[block], width)
        owned = np.diff(offsets.clip(start, start + _BLOCK))
        fingerprint += _hash_pairs(ids[block], keys.repeat(owned))
    return _frozen(Catalog(names, offsets, ids, cells, fingerprint & _MASK))


def _frozen(catalog: Catalog) -> Catalog:
    catalog.ids.flags.writeable = catalog.cells.flags.writeable = False
    return catalog


@dataclass(frozen=True, slots=True)
class _Edit:
    """Say what to take out of a catalog, and what to put in.

    Attributes:
        gone: int64, shape (g,): places of what leaves, ascending.
        gone_codes: int64, shape (g,): their categories.
        at: int64, shape (e,): the place that each entrant is put before, ascending.
        fresh: int64 or S16, shape (e,): the entrants.
        fresh_codes: int64, shape (e,): their categories.
    """

    gone: Integers
    gone_codes: Integers
    at: Integers
    fresh: NDArray[np.generic]
    fresh_codes: Integers


def _with_others(catalog: Catalog, categories: Sequence[str | None]) -> tuple[tuple[str, ...], Integers]:
    """Name the categories of a catalog and others, sorted, and tell where each begins and ends, shape (k + 1,)."""
    ready = catalog.ready
    names = tuple(sorted(ready.keys() | {name for name in categories if name is not None}))
    return names, np.cumsum([0, *(ready.get(name, 0) for name in names)])


def _codes_of(names: Sequence[str], categories: Sequence[str | None]) -> Integers:
    """Tell each category's place among the names; -1 for None."""
    places: dict[str | None, int] = {name: place for place, name in enumerate(names)}
    places[None] = -1
    return np.fromiter(map(places.__getitem__, categories), np.int64, len(categories))


def _compare(catalog: Catalog, bounds: Integers, ids: NDArray[np.generic], wanted: Integers) -> _Edit:
    """Find what has to be edited so that each id stands in the category wanted, and in no other."""
    order = np.argsort(ids)
    ids, wanted = ids[order], wanted[order]
    places = _find(catalog, ids)
    codes = np.searchsorted(bounds, places, "right") - 1
    rows = np.searchsorted(ids, catalog.ids[places])
    stays = wanted[rows] == codes
    enters = wanted >= 0
    enters[rows[stays]] = False
    fresh, fresh_codes = ids[enters], wanted[enters]
    by_code = np.argsort(fresh_codes, kind="stable")
    fresh, fresh_codes = fresh[by_code], fresh_codes[by_code]
    return _Edit(places[~stays], codes[~stays], _places_for(catalog, bounds, fresh, fresh_codes), fresh, fresh_codes)


def _find(catalog: Catalog, ids: NDArray[np.generic]) -> Integers:
    """Find the places in a catalog, ascending, of some ids, ascending."""
    if not len(ids):
        return np.empty(0, np.int64)
    if len(catalog.categories) <= min(_SEARCHED, len(catalog) // len(ids)):
        parts = [slice(start, end) for start, end in pairwise(catalog.offsets.tolist())]
        found = [part.start + _places(catalog.ids[part], ids) for part in parts]
    else:
        parts = [slice(start, start + _BLOCK) for start in range(0, len(catalog), _BLOCK)]
        found = [part.start + np.flatnonzero(_are_among(catalog.ids[part], ids)) for part in parts]
    return np.concatenate([np.empty(0, np.int64), *found])


def _places(owned: NDArray[np.generic], wanted: NDArray[np.generic]) -> Integers:
    """Find the places in `owned` (ascending) of those of `wanted` that are there."""
    at = np.searchsorted(owned, wanted)
    inside = np.flatnonzero(at < len(owned))
    places: Integers = at[inside][owned[at[inside]] == wanted[inside]]
    return places


def _are_among(ids: NDArray[np.generic], wanted: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Tell which ids are among others (ascending, at least one)."""
    found: NDArray[np.bool_] = wanted[np.searchsorted(wanted[:-1], ids)] == ids
    return found


def _places_for(catalog: Catalog, bounds: Integers, fresh: NDArray[np.generic], codes: Integers) -> Integers:
    """Find the place that each of some ids has to be put before; they ascend by category, then by id."""
    at = np.empty(len(fresh), np.int64)
    cuts = np.flatnonzero(np.diff(codes)) + 1
    for start, end in pairwise([0, *cuts.tolist(), len(codes)]) if len(codes) else ():
        low, high = bounds[codes[start] : codes[start] + 2].tolist()
        at[start:end] = low + np.searchsorted(catalog.ids[low:high], fresh[start:end])
    return at


def _splice(old: NDArray[Item], edit: _Edit, fresh: NDArray[Item]) -> NDArray[Item]:
    """Copy an array but for what is gone, with what is fresh in its place."""
    starts = [*range(0, len(old), _BLOCK), len(old)] if len(old) else [0, 0]
    new = np.empty(len(old) - len(edit.gone) + len(fresh), old.dtype)
    gone = np.searchsorted(edit.gone, starts).tolist()
    entered = [*np.searchsorted(edit.at, starts[:-1]).tolist(), len(fresh)]  # what is put last comes with the last
    target = 0
    for block, leaving, entering in zip(*map(pairwise, (starts, gone, entered)), strict=True):
        source = old[slice(*block)]
        gaps, spots = edit.gone[slice(*leaving)] - block[0], edit.at[slice(*entering)] - block[0]
        part = new[target : (target := target + len(source) - len(gaps) + len(spots))]
        if len(gaps) or len(spots):
            kept, copied = np.ones(len(source), np.bool_), np.ones(len(part), np.bool_)
            kept[gaps] = copied[spots - np.searchsorted(gaps, spots) + np.arange(len(spots))] = False
            part[copied], part[~copied] = source[kept], fresh[slice(*entering)]
        else:
            part[:] = source
    return new
