"""Names of parts: a category has one part for each of its splits, and one for chunks without a split.

The part without a split has the name of its category. The part of the split `train` is named `voice!train`, and that of
any other split `voice+val`. `!` and `+` sort before every character of a category's name. So the parts of a category
are neighbours in the order of names. The two that a request without a split draws from come first.
"""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

from worker.core.keys import CATEGORY_PATTERN, SPLIT_PATTERN

TRAIN: Final = "train"
"""The split whose chunks are drawn without being asked for, as are those without a split."""

_TRAIN_MARK = "!"
_MARK = "+"


def part_name(category: str, split: str | None) -> str:
    """Return the name of a part.

    Args:
        category: A category name.
        split: A split name; None or empty for the chunks without a split.
    """
    if not split:
        return category
    return f"{category}{_TRAIN_MARK if split == TRAIN else _MARK}{split}"


def read_part(name: str) -> tuple[str, str]:
    """Return category and split of a part; the split is empty if it has none."""
    category, _, split = name.replace(_TRAIN_MARK, _MARK).partition(_MARK)
    return category, split


def is_part(name: str) -> bool:
    """Return whether a part of this name can exist."""
    category, split = read_part(name)
    is_category = CATEGORY_PATTERN.fullmatch(category) is not None
    return (
        is_category and name == part_name(category, split) and (not split or SPLIT_PATTERN.fullmatch(split) is not None)
    )


def has_splits(names: Sequence[str]) -> bool:
    """Return whether any of these parts has a split."""
    text = "".join(names)
    return _MARK in text or _TRAIN_MARK in text


def has_part(names: Sequence[str], category: str) -> bool:
    """Return whether a category has a part among these names, which are sorted."""
    at = bisect_left(names, category)
    return at < len(names) and read_part(names[at])[0] == category
