"""Add up losses by category, with NumPy where it is installed."""

import math
import operator
from collections.abc import Sequence
from itertools import chain
from typing import Any

from worker.client.samples import find_numpy
from worker.core.wire.losses import LARGEST_SQUARES, LARGEST_SUM

Sums = dict[str, dict[str, float | int]]
"""Category -> `sum`, `count` and `squares` of its losses."""


def joined(parts: Sequence[Any]) -> Any:
    """Join vectors to one on the host.

    Args:
        parts: Tensors on any device, arrays or sequences, >= 1.

    Returns:
        An array, if all of them are tensors or arrays and NumPy is installed; else a list.
    """
    numpy = find_numpy()
    if all(hasattr(part, "detach") for part in parts):
        from worker.client.torch.losses import to_host  # noqa: PLC0415 - who has tensors has imported PyTorch

        whole = to_host(parts)
        return whole.numpy() if numpy else whole.tolist()
    if numpy and all(isinstance(part, numpy.ndarray) for part in parts):
        return numpy.concatenate(parts)
    return list(chain.from_iterable(part.tolist() if hasattr(part, "tolist") else part for part in parts))


def place(categories: Any, names: Sequence[str]) -> tuple[Any, Sequence[str]]:
    """Find the place of each category in a list of names.

    Args:
        categories: Names, or indexes of `names`, as `joined` returns them.
        names: What indexes are of.

    Returns:
        Indexes, and the names that they are of.

    Raises:
        TypeError: A category is neither a name nor an index.
        ValueError: An index is of no name.
    """
    if len(categories) == 0:
        return [], names
    if isinstance(categories[0], str):
        return _place_names(categories)
    if not (hasattr(categories, "dtype") and categories.dtype.kind in "iu"):
        categories = list(map(operator.index, categories))
        least, largest = min(categories), max(categories)
    else:
        least, largest = categories.min(), categories.max()
    if least < 0 or largest >= len(names):
        wrong = least if least < 0 else largest
        raise ValueError(f"category {wrong} is none of {len(names)}; accepted: names, or indexes of categories=")
    return categories, names


def _place_names(categories: Sequence[Any]) -> tuple[list[int], list[str]]:
    """Find the place of each name among those that there are.

    Raises:
        TypeError: There is something else among the names.
    """
    kinds = list(dict.fromkeys(categories))
    if wrong := [kind for kind in kinds if not isinstance(kind, str)]:
        raise TypeError(f"category {wrong[0]!r} stands among names; accepted: names, or indexes of categories=")
    places = {kind: number for number, kind in enumerate(kinds)}
    return list(map(places.__getitem__, categories)), kinds


def add_up(places: Any, names: Sequence[str], losses: Any) -> tuple[Sums, dict[str, int]]:
    """Add up losses by category.

    Args:
        places: Index of the category of each loss.
        names: The categories.
        losses: As many losses.

    Returns:
        The sums of the losses that a report may hold; and how many others there are of each category that has some.
        If the sums of a category are too large for a report, none of its losses may be in one.
    """
    numpy = find_numpy()
    add = _add_up_lists if numpy is None else _add_up_arrays
    total, squares, count, broken = add(numpy, places, len(names), losses)
    sums: Sums = {}
    others: dict[str, int] = {}
    for name, one, square, n, wrong in zip(names, total, squares, map(int, count), map(int, broken), strict=True):
        is_too_large = abs(one) > LARGEST_SUM or square > LARGEST_SQUARES
        if n and not is_too_large:
            sums[name] = {"sum": one, "count": n, "squares": square}
        if not_reported := wrong + n * is_too_large:
            others[name] = not_reported
    return sums, others


def _add_up_lists(_: object, places: Any, k: int, losses: Any) -> Sequence[Sequence[float]]:
    """Return sums, squares and counts of losses that are no larger than accepted, and counts of others, of each."""
    groups: list[list[float]] = [[] for _ in range(k)]
    for number, loss in zip(places, losses, strict=True):
        groups[number].append(loss)
    known = [[loss for loss in group if abs(loss) <= LARGEST_SUM] for group in groups]  # so NaN is none of them
    counts = [len(group) for group in known]
    squares = [math.fsum(loss * loss for loss in group) for group in known]
    return [*map(math.fsum, known)], squares, counts, [len(group) - n for group, n in zip(groups, counts, strict=True)]


def _add_up_arrays(numpy: Any, places: Any, k: int, losses: Any) -> Sequence[Sequence[float]]:
    """Do the same by NumPy."""
    which, values = numpy.asarray(places, numpy.intp), numpy.asarray(losses, numpy.float64)
    is_known = numpy.abs(values) <= LARGEST_SUM
    known = values if is_known.all() else numpy.where(is_known, values, 0.0)
    counts, of_known = numpy.bincount(which, None, k), numpy.bincount(which, is_known, k)
    totals = [numpy.bincount(which, weights, k).tolist() for weights in (known, known * known)]
    return [*totals, of_known.tolist(), (counts - of_known).tolist()]
