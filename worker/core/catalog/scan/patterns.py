"""Find the category and the split in a path, by a pattern of its parts or a regular expression.

A pattern is compared with a path relative to the scanned folder, part by part: `{split}/{category}/`. In each part,
`{category}` and `{split}` stand for one or more characters, and `*` for any number of them. A part `**` stands for any
number of folders. A pattern that ends with /, or whose last part has no dot, is one of folders. Anything may stand
below them. Any other pattern goes up to the file's name. A regular expression is one with a group `(?P<category>...)`
or `(?P<split>...)`. It may match anywhere in the path.
"""

import re
from collections.abc import Callable
from typing import Final

from worker.errors import ScanError

Found = tuple[str | None, str | None]
"""The texts of category and split; None if there is none."""

_ACCEPTED: Final = "accepted is a pattern such as '{split}/{category}/', or a regular expression with (?P<category>...)"
_GROUP: Final = re.compile(r"\(\?P<(category|split)>")
_PIECE: Final = re.compile(r"\{([^{}]*)\}|(\*)")
_NAMES: Final = ("category", "split")


def finder(text: str, *, needs_category: bool) -> Callable[[str], Found]:
    """Return what finds category and split in a relative path.

    Args:
        text: A pattern or a regular expression.
        needs_category: Whether it has to name a category; otherwise a split is enough.

    Raises:
        ScanError: It is neither, or names none.
    """
    is_regular = _GROUP.search(text) is not None
    expression = _compiled(text if is_regular else _translated(text), text)
    names = [name for name in _NAMES if name in expression.groupindex]
    if "category" not in names and (needs_category or not names):
        raise ScanError(f"--category-from {text!r} names no category; {_ACCEPTED}")
    find = expression.search if is_regular else expression.fullmatch

    def found(relative: str) -> Found:
        match = find(relative)
        if match is None:
            return None, None
        category, split = (match[name] or None if name in names else None for name in _NAMES)
        return category, split

    return found


def first_folder(relative: str) -> Found:
    """Return the first folder of a relative path as the category; a file without a folder has none."""
    folder, slash, _ = relative.partition("/")
    return (folder if slash else None), None


def _compiled(expression: str, text: str) -> re.Pattern[str]:
    """Compile an expression.

    Args:
        expression: The expression.
        text: What was typed.

    Raises:
        ScanError: It is none.
    """
    try:
        return re.compile(expression, re.DOTALL)
    except re.error as error:
        raise ScanError(f"--category-from {text!r} is no regular expression: {error}; {_ACCEPTED}") from error


def _translated(pattern: str) -> str:
    """Write a pattern as a regular expression.

    Raises:
        ScanError: It is empty, or has a name in braces that is not known or comes twice.
    """
    parts = pattern.removeprefix("./").split("/")
    is_folders = not parts[-1] or "." not in parts[-1]
    parts = parts if parts[-1] else parts[:-1]
    if not any(parts):
        raise ScanError(f"--category-from {pattern!r} is empty; {_ACCEPTED}")
    names = re.findall(r"\{([^{}]*)\}", pattern)
    for name in names:
        if name not in _NAMES or names.count(name) > 1:
            what = "comes twice" if name in _NAMES else "is not known: {category}, {split}, * and ** are"
            raise ScanError(f"--category-from {pattern!r}: {{{name}}} {what}")
    *folders, last = map(_part, parts)
    before = "".join(folders)
    return f"{before}{last}.+" if is_folders else f"{before}{last.removesuffix('/')}"


def _part(part: str) -> str:
    """Write one part, with the / behind it."""
    if part == "**":
        return "(?:[^/]+/)*"
    written, end = [], 0
    for piece in _PIECE.finditer(part):
        written.append(re.escape(part[end : piece.start()]))
        written.append("[^/]*" if piece[2] else f"(?P<{piece[1]}>[^/]+?)")
        end = piece.end()
    return f"{''.join(written)}{re.escape(part[end:])}/"
