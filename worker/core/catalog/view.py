"""Views of a catalog: the categories as requests of one split see them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.core.catalog.durations import Durations, merge_durations
from worker.core.catalog.parts import TRAIN, has_splits, read_part


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """The categories that have READY chunks of one split, and where those lie.

    Attributes:
        categories: Their names, sorted, shape (k,).
        starts: int64, shape (k,): position of each category's first chunk of the split.
        ends: int64, shape (k,): the position after its last one.
        durations: How long chunks last, with means and variances of these categories; None if that does not matter.
    """

    categories: tuple[str, ...]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    durations: Durations | None

    @property
    def ready(self) -> dict[str, int]:
        """Count the READY chunks of each category."""
        return dict(zip(self.categories, (self.ends - self.starts).tolist(), strict=True))


def make_view(
    parts: Sequence[str], bounds: NDArray[np.int64], durations: Durations | None, split: str | None = None
) -> View:
    """Make the view of one split.

    Args:
        parts: Names of all parts, sorted, shape (p,).
        bounds: int64, shape (p + 1,): part i owns the positions bounds[i] to bounds[i + 1] - 1.
        durations: Durations by part; None if they do not matter.
        split: The split; None: chunks without a split, and those of `train`.
    """
    if split is None and not has_splits(parts):
        return View(tuple(parts), bounds[:-1], bounds[1:], durations)
    wanted = ("", TRAIN) if split is None else (split,)
    chosen: list[int] = []
    names: list[str] = []
    firsts: list[int] = []
    for place, part in enumerate(parts):
        category, own = read_part(part)
        if own not in wanted:
            continue
        if not names or names[-1] != category:
            names.append(category)
            firsts.append(len(chosen))
        chosen.append(place)
    places, begins = np.array(chosen, np.int64), np.array(firsts, np.int64)
    lasts = places[np.append(begins[1:], len(places)) - 1] if names else begins
    merged = None if durations is None else merge_durations(durations, np.diff(bounds), places, begins)
    return View(tuple(names), bounds[places[begins]], bounds[lasts + 1], merged)


def list_splits(parts: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the splits that these parts have, sorted."""
    if not has_splits(parts):
        return ()
    return tuple(sorted({split for _, split in map(read_part, parts) if split}))
