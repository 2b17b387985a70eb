"""Changes of a catalog: what is now known of some chunks, applied to a snapshot, which stays as it is."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from worker.core.catalog.durations import Milliseconds
from worker.core.catalog.rendering import cell_width, render_cells
from worker.core.catalog.snapshot import BLOCK, Catalog, Integers, category_keys, freeze, hash_pairs, lay_out

_SEARCHED = 64  # categories: up to so many, searching each for a few ids is quicker than a look at every id there is

Item = TypeVar("Item", bound=np.generic)


@dataclass(frozen=True, slots=True)
class Change:
    """Tell how many chunks entered and left READY, or moved (one of each)."""

    added: int
    removed: int


def apply_changes(
    catalog: Catalog,
    ids: NDArray[np.generic],
    categories: Sequence[str | None],
    durations: Milliseconds | None = None,
) -> tuple[Catalog, Change]:
    """Bring the catalog to what is now known of some chunks.

    Args:
        catalog: The snapshot to start from; it stays as it is.
        ids: int64 or S16 as in the catalog, shape (m,), each once.
        categories: Shape (m,): the category in which each is READY now, or None when it is not READY.
        durations: uint32, shape (m,), ms, each >= 1 where it is READY; None where the catalog has none.

    Returns:
        The new snapshot, and how much differs.
    """
    width = cell_width(ids)
    if width > catalog.cells.dtype.itemsize:
        catalog = lay_out(catalog.categories, catalog.offsets, (catalog.ids, _lasting(catalog)), width)
    names, bounds = _with_others(catalog, categories)
    edit = _compare(catalog, bounds, _Told(ids, _codes_of(names, categories), durations))
    change = Change(added=len(edit.fresh), removed=len(edit.gone))
    if not change.added and not change.removed:
        return catalog, change
    keys = category_keys(names)
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
    return changed, change


def compare(before: Catalog, after: Catalog) -> Change:
    """Count what two catalogs differ in.

    Args:
        before: A snapshot.
        after: Another one, with durations if the first has them.
    """
    known = dict(zip(before.categories, pairwise(before.offsets.tolist()), strict=True))
    kept = 0
    for name, part in zip(after.categories, pairwise(after.offsets.tolist()), strict=True):
        if name in known and before.ids.dtype == after.ids.dtype:
            kept += _count_kept(before, slice(*known[name]), after, slice(*part))
    return Change(added=len(after) - kept, removed=len(before) - kept)


@dataclass(frozen=True, slots=True)
class _Edit:
    """Say what to take out of a catalog, and what to put in.

    Attributes:
        gone: int64, shape (g,): places of what leaves, ascending.
        gone_codes: int64, shape (g,): their categories.
        at: int64, shape (e,): the place that each entrant is put before, ascending.
        fresh: int64 or S16, shape (e,): the entrants.
        fresh_codes: int64, shape (e,): their categories.
        durations: uint32, shape (e,), ms: how long they last, where that matters.
    """

    gone: Integers
    gone_codes: Integers
    at: Integers
    fresh: NDArray[np.generic]
    fresh_codes: Integers
    durations: Milliseconds | None


class _Told(NamedTuple):
    """What is known of some chunks: their ids, categories (-1 for none), and durations where they matter."""

    ids: NDArray[np.generic]
    codes: Integers
    durations: Milliseconds | None

    def take(self, rows: NDArray[np.generic]) -> "_Told":
        """Take some of them: rows by number, or by yes and no."""
        return _Told(self.ids[rows], self.codes[rows], None if self.durations is None else self.durations[rows])


def _lasting(catalog: Catalog) -> Milliseconds | None:
    return None if catalog.durations is None else catalog.durations.milliseconds


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


def _compare(catalog: Catalog, bounds: Integers, told: _Told) -> _Edit:
    """Find what has to be edited so that each id stands in the category wanted, as long as told, and in no other."""
    told = told.take(np.argsort(told.ids))
    places = _find(catalog, told.ids)
    codes = np.searchsorted(bounds, places, "right") - 1
    rows = np.searchsorted(told.ids, catalog.ids[places])
    stays = told.codes[rows] == codes
    if catalog.durations is not None and told.durations is not None:
        stays &= told.durations[rows] == catalog.durations.milliseconds[places]
    enters = told.codes >= 0
    enters[rows[stays]] = False
    fresh = told.take(enters)
    fresh = fresh.take(np.argsort(fresh.codes, kind="stable"))
    at = _places_for(catalog, bounds, fresh.ids, fresh.codes)
    return _Edit(places[~stays], codes[~stays], at, *fresh)


def _count_kept(before: Catalog, old: slice, after: Catalog, new: slice) -> int:
    """Count the chunks that a part of one catalog and a part of another have in common."""
    if before.durations is None or after.durations is None:
        return len(np.intersect1d(before.ids[old], after.ids[new], assume_unique=True))
    _, olds, news = np.intersect1d(before.ids[old], after.ids[new], assume_unique=True, return_indices=True)
    lasting = before.durations.milliseconds[old][olds], after.durations.milliseconds[new][news]
    return int(np.count_nonzero(np.equal(*lasting)))


def _find(catalog: Catalog, ids: NDArray[np.generic]) -> Integers:
    """Find the places in a catalog, ascending, of some ids, ascending."""
    if not len(ids):
        return np.empty(0, np.int64)
    if len(catalog.categories) <= min(_SEARCHED, len(catalog) // len(ids)):
        parts = [slice(start, end) for start, end in pairwise(catalog.offsets.tolist())]
        found = [part.start + _places(catalog.ids[part], ids) for part in parts]
    else:
        parts = [slice(start, start + BLOCK) for start in range(0, len(catalog), BLOCK)]
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
    starts = [*range(0, len(old), BLOCK), len(old)] if len(old) else [0, 0]
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
