"""The columns of a manifest that are read, found by their names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from worker.core.catalog.manifest.hints import CATEGORY, COLUMNS, PATH, known_format, meant, renames
from worker.core.catalog.manifest.problems import show
from worker.core.catalog.manifest.shapes import Shape, shape_of
from worker.core.catalog.manifest.wishes import AS_IT_IS, Wishes

ACCEPTED = (
    "accepted is CSV with a header row, or JSON Lines, with path and category, and optionally status, duration_s, "
    "start_s and split"
)
BLANKS = " \t\u00a0\u2007\u202f\u3000\u200b\ufeff"
"""Characters around a cell that are not part of it."""

_MOST_NAMED = 20

Indexes = tuple[int | None, int | None, int | None, int | None, int | None, int | None]


@dataclass(frozen=True, slots=True)
class Columns:
    """Where the known columns are.

    Attributes:
        indexes: Index of each of our columns among the names, in the order of `COLUMNS`; None if it is missing.
        ignored: The other names.
        shape: The format of others that it is; None: ours.
    """

    indexes: Indexes
    ignored: tuple[str, ...]
    shape: Shape | None = None


def find_columns(names: Sequence[str], wishes: Wishes = AS_IT_IS, *, may_lack: bool = False) -> Columns:
    """Find the known columns. Case and blanks around a name do not matter.

    Args:
        names: The names there.
        wishes: What was asked for: other names of columns, one category for all.
        may_lack: Whether columns that were asked for may be missing here, as they may in one object of many.

    Raises:
        ValueError: A column is missing or comes twice, or another one seems to be meant for it.
    """
    plain = plain_names(names)
    twice = next((name for i, name in enumerate(plain) if name and name in plain[:i]), None)
    if twice is not None:
        raise ValueError(f"{show(twice)} is the name of two columns; {ACCEPTED}")
    shape = shape_of(plain, wishes.format)
    ours = _ours(plain, shape, wishes)
    if not may_lack:
        _refuse_unknown(plain, wishes)
    missing = [name for name in COLUMNS if name not in ours.values()]
    others = [name for name in plain if name not in ours]
    if PATH in missing or (CATEGORY in missing and wishes.category is None):
        raise ValueError(_lacking(missing, others, shape, wishes))
    for name in others:
        if (column := meant(name)) in missing and not (column == CATEGORY and wishes.category):
            _refuse_meant(name, str(column), wishes)
    places = {column: plain.index(name) for name, column in ours.items()}
    path, category, status, duration_s, start_s, split = map(places.get, COLUMNS)
    return Columns((path, category, status, duration_s, start_s, split), tuple(others), shape)


def plain_names(names: Sequence[str]) -> list[str]:
    """Return names without what does not matter in them."""
    return [name.strip(BLANKS).lower() for name in names]


def _ours(plain: Sequence[str], shape: Shape | None, wishes: Wishes) -> dict[str, str]:
    """Return which of our columns each name is: as was asked for, by our own name, or by that of the format."""
    ours = {name: column for name, column in wishes.columns.items() if column and name in plain}
    taken = {*wishes.columns.values(), *([CATEGORY] if wishes.one_category is not None else [])}
    ours |= {name: name for name in COLUMNS if name in plain and name not in taken and name not in wishes.columns}
    renames_there: Mapping[str, str] = shape.renames if shape else {}
    for name, column in renames_there.items():
        if name in plain and name not in wishes.columns and column not in {*taken, *ours.values()}:
            ours[name] = column
    if wishes.labels and shape and shape.example in plain and CATEGORY not in ours.values():
        ours[shape.example] = CATEGORY
    return ours


def _refuse_unknown(plain: Sequence[str], wishes: Wishes) -> None:
    """Refuse wishes for columns that are not there.

    Raises:
        ValueError: There are such.
    """
    unknown = next((name for name in wishes.columns if name not in plain), None)
    if unknown is not None:
        more = f" and {len(plain) - _MOST_NAMED:,} more" if len(plain) > _MOST_NAMED else ""
        raise ValueError(f"it has no column {show(unknown)}; it has {', '.join(plain[:_MOST_NAMED])}{more}")


def _refuse_meant(name: str, column: str, wishes: Wishes) -> None:
    """Refuse a column that seems to be meant for a missing one of ours, unless it is to be ignored.

    Raises:
        ValueError: It is not to be ignored.
    """
    if name not in wishes.columns:
        said = f"or say --map '{name}={column}', or --map '{name}=' to ignore it"
        ways = f"rename it to {column}, or remove it, {said}"
        raise ValueError(f"column {show(name)} may be meant as {column}: {ways}; {ACCEPTED}")


def _lacking(missing: Sequence[str], others: Sequence[str], shape: Shape | None, wishes: Wishes) -> str:
    """Write that required columns are missing, and which others may be meant."""
    required = [name for name in (PATH, CATEGORY) if name in missing]
    asked = [name for name, column in wishes.columns.items() if column in required]
    if asked:
        return f"it has no {show(asked[0])}, which is to be its {wishes.columns[asked[0]]}"
    if shape is not None and PATH not in required:
        return shape.lacks_category(others)
    words = [f"it has no {' and no '.join(required)}"]
    if found := known_format(others):
        words.append(f"it looks like {found}")
    if renamed := renames(others, missing):
        words.append(renamed)
    words.append(ACCEPTED)
    if PATH not in required:
        words.append("--category NAME gives all rows one")
    return "; ".join(words)
