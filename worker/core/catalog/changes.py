"""Changes of a catalog: what is now known of some chunks, applied to a snapshot. The result is a new snapshot."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from worker.core.catalog.columns import Columns
from worker.core.catalog.durations import Milliseconds
from worker.core.catalog.fingerprint import MASK, hash_pairs, part_keys
from worker.core.catalog.rendering import BIGINT, fits_narrow
from worker.core.catalog.rows import Rows
from worker.core.catalog.snapshot import BLOCK, Catalog, Integers, freeze

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
    columns: Columns | None = None,
) -> tuple[Catalog, Difference]:
    """Apply what is now known of some chunks to a catalog.

    Args:
        catalog: The snapshot to start from; it stays as it is.
        ids: int64 or S16, of the catalog's kind, shape (m,), each once.
        parts: Shape (m,): the part in which each is READY now, or None when it is not READY.
        durations: uint32, shape (m,), ms, each >= 1 if it is READY; None if the catalog has none.
        columns: What else is known of each, if it is READY; None if the catalog has none.

    Returns:
        The new snapshot, and how much differs.
    """
    names, bounds = _with_others(catalog, parts)
    known = _Known(_codes_of(names, parts), Rows(ids, durations, columns))
    if catalog.ids.dtype != ids.dtype:
        catalog, known = _alike(catalog, known)
    edit = _compare(catalog, bounds, known)
    difference = Difference(added=len(edit.fresh.ids), removed=len(edit.gone))
    if not difference.added and not difference.removed:
        return catalog, difference
    keys = part_keys(names)
    gone, fresh = catalog.rows.take(edit.gone), edit.fresh
    fingerprint = catalog.fingerprint + hash_pairs(fresh.ids, keys[edit.fresh_codes], fresh.durations)
    fingerprint -= hash_pairs(gone.ids, keys[edit.gone_codes], gone.durations)
    sizes = np.diff(bounds)
    sizes += np.bincount(edit.fresh_codes, minlength=len(names)) - np.bincount(edit.gone_codes, minlength=len(names))
    changed = freeze(
        tuple(name for name, size in zip(names, sizes.tolist(), strict=True) if size),
        np.cumsum([0, *sizes[sizes > 0]]),
        _edited(catalog.rows, edit, gone),
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
        if name in known and before.kind == after.kind:
            kept += _count_kept(before, slice(*known[name]), after, slice(*part))
    return Difference(added=len(after) - kept, removed=len(before) - kept)


@dataclass(frozen=True, slots=True)
class _Edit:
    """What to remove from a catalog, and what to insert.

    Attributes:
        gone: int64, shape (g,): positions of what is removed, ascending.
        gone_codes: int64, shape (g,): their parts.
        at: int64, shape (e,): the position that each new chunk is inserted before, ascending.
        fresh: The new chunks, shape (e,).
        fresh_codes: int64, shape (e,): their parts.
    """

    gone: Integers
    gone_codes: Integers
    at: Integers
    fresh: Rows
    fresh_codes: Integers


class _Known(NamedTuple):
    """What is known of some chunks: the part of each (-1 for none), and the rest."""

    codes: Integers
    rows: Rows

    def take(self, rows: NDArray[np.generic]) -> "_Known":
        """Return some of the rows, given as numbers or as a mask."""
        return _Known(self.codes[rows], self.rows.take(rows))


def _alike(catalog: Catalog, known: _Known) -> tuple[Catalog, _Known]:
    """Give both the same data type of ids: the narrow one of the catalog, unless a chunk that is READY has none such.

    Args:
        catalog: A snapshot whose ids are int32.
        known: What is known of some chunks, with ids of int64.
    """
    fits = fits_narrow(known.rows.ids)
    if np.any(known.codes[~fits] >= 0):
        return replace(catalog, ids=catalog.ids.astype(BIGINT)), known
    known = known.take(fits)  # what does not fit, and is not READY, is in no such catalog
    return catalog, known._replace(rows=known.rows._replace(ids=known.rows.ids.astype(catalog.ids.dtype)))


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
    known = known.take(np.argsort(known.rows.ids))
    positions = _find(catalog, known.rows.ids)
    codes = np.searchsorted(bounds, positions, "right") - 1
    rows = np.searchsorted(known.rows.ids, catalog.ids[positions])
    stays = known.codes[rows] == codes
    stays &= _are_equal(catalog.rows.take(positions), known.rows.take(rows))
    enters = known.codes >= 0
    enters[rows[stays]] = False
    fresh = known.take(enters)
    fresh = fresh.take(np.argsort(fresh.codes, kind="stable"))
    at = _insert_positions(catalog, bounds, fresh.rows.ids, fresh.codes)
    return _Edit(positions[~stays], codes[~stays], at, fresh.rows, fresh.codes)


def _are_equal(some: Rows, others: Rows) -> NDArray[np.bool_]:
    """Return whether rows of the same ids are equal: their durations, and the marks of their columns."""
    are = np.ones(len(some.ids), np.bool_)
    if some.durations is not None and others.durations is not None:
        are &= some.durations == others.durations
    if some.columns is not None and others.columns is not None:
        are &= some.columns.marks == others.columns.marks
    return are


def _edited(rows: Rows, edit: _Edit, gone: Rows) -> Rows:
    """Return the rows without what is gone and with what is fresh."""
    fresh = edit.fresh
    if rows.columns is not None and gone.columns is not None and fresh.columns is not None:
        marked = rows.columns.fingerprint + fresh.columns.hash_marks(fresh.ids) - gone.columns.hash_marks(gone.ids)
        fresh = fresh._replace(columns=(added := fresh.columns.moved(rows.columns.texts)))
        rows = rows._replace(columns=replace(rows.columns, texts=added.texts, fingerprint=marked & MASK))
    pairs = zip(rows.arrays, fresh.arrays, strict=True)
    return rows.with_arrays([_splice(old, edit, new) for old, new in pairs])


def _count_kept(before: Catalog, old: slice, after: Catalog, new: slice) -> int:
    """Count the chunks that a part has in common in two catalogs."""
    if before.durations is None and before.columns is None:
        return len(np.intersect1d(before.ids[old], after.ids[new], assume_unique=True))
    _, olds, news = np.intersect1d(before.ids[old], after.ids[new], assume_unique=True, return_indices=True)
    return int(np.count_nonzero(_are_equal(before.rows.take(old).take(olds), after.rows.take(new).take(news))))


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
