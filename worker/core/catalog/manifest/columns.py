"""The columns of a manifest that are read, found by their names."""

from collections.abc import Sequence
from dataclasses import dataclass

from worker.core.catalog.manifest.hints import COLUMNS, known_format, meant, renames
from worker.core.catalog.manifest.problems import show

ACCEPTED = (
    "accepted is CSV with a header row, or JSON Lines, with path and category, and optionally status and duration_s"
)
BLANKS = " \t\u00a0\u2007\u202f\u3000\u200b\ufeff"
"""Characters around a cell that are not part of it."""

_REQUIRED = COLUMNS[:2]


@dataclass(frozen=True, slots=True)
class Columns:
    """Where the known columns are.

    Attributes:
        indexes: Index of path, category, status and duration_s among the names; None if it is missing.
        ignored: The other names.
    """

    indexes: tuple[int, int, int | None, int | None]
    ignored: tuple[str, ...]


def find_columns(names: Sequence[str]) -> Columns:
    """Find the known columns. Case and blanks around a name do not matter.

    Raises:
        ValueError: A column is missing or comes twice, or another one seems to be meant for it.
    """
    plain = [name.strip(BLANKS).lower() for name in names]
    twice = next((name for i, name in enumerate(plain) if name and name in plain[:i]), None)
    if twice is not None:
        raise ValueError(f"{show(twice)} is the name of two columns")
    ignored = tuple(name for name in plain if name not in COLUMNS)
    missing = [name for name in COLUMNS if name not in plain]
    _refuse_missing([name for name in missing if name in _REQUIRED], missing, ignored)
    for name in ignored:
        if (column := meant(name)) in missing:
            raise ValueError(f"column {show(name)} may be meant as {column}: rename it to {column}, or remove it")
    indexes = {name: plain.index(name) for name in COLUMNS if name in plain}
    return Columns((indexes["path"], indexes["category"], indexes.get("status"), indexes.get("duration_s")), ignored)


def _refuse_missing(required: Sequence[str], missing: Sequence[str], others: Sequence[str]) -> None:
    """Refuse names that lack a required one, and say which others may be meant.

    Raises:
        ValueError: `required` is not empty.
    """
    if not required:
        return
    words = [f"it has no {' and no '.join(required)}"]
    if found := known_format(others):
        words.append(f"it looks like {found}")
    if renamed := renames(others, missing):
        words.append(f"rename {renamed}")
    raise ValueError("; ".join(words))
