"""Changes of a catalog: what is now known of some chunks, applied to a snapshot. The result is a new snapshot."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from worker.core.catalog.durations import Milliseconds
from worker.core.catalog.fingerprint import hash_pairs, part_keys
from worker.core.catalog.rendering import cell_width, render_cells
from worker.core.catalog.snapshot import BLOCK, Catalog, Integers, freeze, lay_out

_SEARCHED = 64  # parts: up to so many, searching each of them for a few ids is faster than a scan of all ids

Item = TypeVar("Item", bound=np.generic)


@dataclass(frozen=True, slots=True)
class Difference:
    """How many chunks entered and left READY. A chunk that moved to another category or split counts as both."""

    added: int
    removed: int


def apply_changes(
    catalog: Catalog,
    ids: NDArray[np.generic],
    parts: Sequence[str | None],
    durations: Milliseconds | None = None,
) -> tuple[Catalog, Difference]:
    """Apply what is now known of some chunks to a catalog.

    Args:
        catalog: The snapshot to start from; it stays as it is.
        ids: int64 or S16 as in the catalog, shape (m,), each once.
        parts: Shape (m,): the part in which each is READY now, or None when it is not READY.
        durations: uint32, shape (m,), ms, each >= 1 if it is READY; None if the catalog has none.

    Returns:
        The new snapshot, and how much differs.
    """
    width = cell_width(ids)
    if width > catalog.cells.dtype.itemsize:
        catalog = lay_out(catalog.parts, catalog.bounds, (catalog.ids, _lasting(catalog)), width)
    names, bounds = _with_others(catalog, parts)
    edit = _compare(catalog, bounds, _Known(ids, _codes_of(names, parts), durations))
    difference = Difference(added=len(edit.fresh), removed=len(edit.gone))
    if not difference.added and not difference.removed:
        return catalog, difference
    keys = part_keys(names)
    old = _lasting(catalog)
    fingerprint = catalog.fingerprint + hash_pairs(edit.fresh, keys[edit.fresh_codes], edit.durations)
    fingerprint -= hash_pairs(catalog.ids[edit.gone], keys[edit.gone_codes], None if old is None else old[edit.gone])
    sizes = np.diff(bounds)
    sizes += np.bincount(edit.fresh_codes, minlength=len(names)) - np.bincount(edit.gone_codes, minlength=len(names))
    cells = render_cells(edit.fresh, catalog.cells.dtype.itemsize)
    changed = freeze(
        tuple(name for name, size in zip(names, sizes.tolist(), strict=True) if size),
        np.cumsum([0, *sizes[sizes > 0]]),
        (
            _splice(catalog.ids, edit, edit.fresh),
            _splice(catalog.cells, edit, cells),
            None if old is None or edit.durations is None else _splice(old, edit, edit.durations),
        ),
        fingerprint,
    )
    return changed, difference


def compare(before: Catalog, after: Catalog) -> Difference:
    """Count the chunks by which two catalogs differ.

    Args:
        before: A snapshot.
        after: Another one, with durations if the first has them.
    """
    known = dict(zip(before.parts, pairwise(before.bounds.tolist()), strict=True))
    kept = 0
    for name, part in zip(after.parts, pairwise(after.bounds.tolist()), strict=True):
        if name in known and before.ids.dtype == after.ids.dtype:
            kept += _count_kept(before, slice(*known[name]), after, slice(*part))
    return Difference(added=len(after) - kept, removed=len(before) - kept)


@dataclass(frozen=True, slots=True)
class _Edit:
    """What to remove from a catalog, and what to insert.

    Attributes:
        gone: int64, shape (g,): positions of what is removed, ascending.
        gone_codes: int64, shape (g,): their parts.
        at: int64, shape (e,): the position that each new chunk is inserted before, ascending.
        fresh: int64 or S16, shape (e,): the new chunks.
        fresh_codes: int64, shape (e,): their parts.
        durations: uint32, shape (e,), ms: how long they last, if that matters.
    """

    gone: Integers
    gone_codes: Integers
    at: Integers
    fresh: NDArray[np.generic]
    fresh_codes: Integers
    durations: Milliseconds | None


class _Known(NamedTuple):
    """What is known of some chunks: ids, parts (-1 for none), and durations if they matter."""

    ids: NDArray[np.generic]
    codes: Integers
    durations: Milliseconds | None

    def take(self, rows: NDArray[np.generic]) -> "_Known":
        """Return some of the rows, given as numbers or as a mask."""
        return _Known(self.ids[rows], self.codes[rows], None if self.durations is None else self.durations[rows])


def _lasting(catalog: Catalog) -> Milliseconds | None:
    return None if catalog.durations is None else catalog.durations.milliseconds


def _with_others(catalog: Catalog, parts: Sequence[str | None]) -> tuple[tuple[str, ...], Integers]:
    """Return the names of a catalog's parts and others, sorted, and the bounds of each, shape (k + 1,)."""
    sizes = catalog.sizes
    names = tuple(sorted(sizes.keys() | {name for name in parts if name is not None}))
    return names, np.cumsum([0, *(sizes.get(name, 0) for name in names)])


def _codes_of(names: Sequence[str], parts: Sequence[str | None]) -> Integers:
    """Return the number of each part among the names; -1 for None."""
    numbers: dict[str | None, int] = {name: number for number, name in enumerate(names)}
    numbers[None] = -1
    return np.fromiter(map(numbers.__getitem__, parts), np.int64, len(parts))


def _compare(catalog: Catalog, bounds: Integers, known: _Known) -> _Edit:
    """Find the edit that puts each id into its part and into no other, with its duration."""
    known = known.take(np.argsort(known.ids))
    positions = _find(catalog, known.ids)
    codes = np.searchsorted(bounds, positions, "right") - 1
    rows = np.searchsorted(known.ids, catalog.ids[positions])
    stays = known.codes[rows] == codes
    if catalog.durations is not None and known.durations is not None:
        stays &= known.durations[rows] == catalog.durations.milliseconds[positions]
    enters = known.codes >= 0
    enters[rows[stays]] = False
    fresh = known.take(enters)
    fresh = fresh.take(np.argsort(fresh.codes, kind="stable"))
    at = _insert_positions(catalog, bounds, fresh.ids, fresh.codes)
    return _Edit(positions[~stays], codes[~stays], at, *fresh)


def _count_kept(before: Catalog, old: slice, after: Catalog, new: slice) -> int:
    """Count the chunks that a part has in common in two catalogs."""
    if before.durations is None or after.durations is None:
        return len(np.intersect1d(before.ids[old], after.ids[new], assume_unique=True))
    _, olds, news = np.intersect1d(before.ids[old], after.ids[new], assume_unique=True, return_indices=True)
    lasting = before.durations.milliseconds[old][olds], after.durations.milliseconds[new][news]
    return int(np.count_nonzero(np.equal(*lasting)))


def _find(catalog: Catalog, ids: NDArray[np.generic]) -> Integers:
    """Find the positions of some ids in a catalog; both ascend."""
    if not len(ids):
        return np.empty(0, np.int64)
    if len(catalog.parts) <= min(_SEARCHED, len(catalog) // len(ids)):
        parts = [slice(start, end) for start, end in pairwise(catalog.bounds.tolist())]
        found = [part.start + _positions_of(catalog.ids[part], ids) for part in parts]
    else:
        parts = [slice(start, start + BLOCK) for start in range(0, len(catalog), BLOCK)]
        found = [part.start + np.flatnonzero(_are_among(catalog.ids[part], ids)) for part in parts]
    return np.concatenate([np.empty(0, np.int64), *found])


def _positions_of(owned: NDArray[np.generic], wanted: NDArray[np.generic]) -> Integers:
    """Find the positions in `owned` (ascending) of the ids of `wanted` that are in it."""
    at = np.searchsorted(owned, wanted)
    inside = np.flatnonzero(at < len(owned))
    positions: Integers = at[inside][owned[at[inside]] == wanted[inside]]
    return positions


def _are_among(ids: NDArray[np.generic], wanted: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Return which ids are among `wanted` (ascending, at least one)."""
    found: NDArray[np.bool_] = wanted[np.searchsorted(wanted[:-1], ids)] == ids
    return found


def _insert_positions(catalog: Catalog, bounds: Integers, fresh: NDArray[np.generic], codes: Integers) -> Integers:
    """Find the position that each of some ids is inserted before. The ids ascend by part, then by id."""
    at = np.empty(len(fresh), np.int64)
    cuts = np.flatnonzero(np.diff(codes)) + 1
    for start, end in pairwise([0, *cuts.tolist(), len(codes)]) if len(codes) else ():
        low, high = bounds[codes[start] : codes[start] + 2].tolist()
        at[start:end] = low + np.searchsorted(catalog.ids[low:high], fresh[start:end])
    return at


def _splice(old: NDArray[Item], edit: _Edit, fresh: NDArray[Item]) -> NDArray[Item]:
    """Copy an array without what is gone and with what is fresh, block by block."""
    starts = [*range(0, len(old), BLOCK), len(old)] if len(old) else [0, 0]
    new = np.empty(len(old) - len(edit.gone) + len(fresh), old.dtype)
    gone = np.searchsorted(edit.gone, starts).tolist()
    entered = [*np.searchsorted(edit.at, starts[:-1]).tolist(), len(fresh)]  # the last block takes what comes after it
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
