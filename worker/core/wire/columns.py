"""Columns of chunks: which a request may ask for, and how a result carries them, in the order of its ids.

In JSON each column is an array. With `encoding packed`, `categories` holds names, and `category_indexes` little-endian
int16 indexes of them. Numbers are little-endian float64, as float32 is too coarse for milliseconds after some hours.
Paths are JSON all the same.
"""

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final

from worker.core.wire.fields import invalid, shown
from worker.core.wire.json_text import read_json

CATEGORY: Final = "category"
PATH: Final = "path"
COLUMNS: Final = (CATEGORY, "duration_s", "start_s", PATH)
"""The columns that a request may ask for."""

RESULT_COLUMNS: Final = ("categories", "durations_s", "starts_s", "paths")
"""The fields of results that carry them, in the same order."""

INDEXES: Final = "category_indexes"

Column = list[str] | list[float | None] | list[str | None]

_FIELD_OF: Final = dict(zip(COLUMNS, RESULT_COLUMNS, strict=True))
_ACCEPTED: Final = f"some of {', '.join(COLUMNS)}, each once, with commas between"
_INDEX_BYTES = 2
_NUMBER_BYTES = 8


def column_names(name: str, value: bytes) -> tuple[str, ...]:
    """Read a list of columns; they are returned in one order, so that equal requests have equal terms.

    Raises:
        RequestError: The value is not one.
    """
    given = value.decode("ascii", errors="replace").split(",")
    if len(set(given)) < len(given) or not set(given) <= set(COLUMNS):
        raise invalid(f"{name} is {shown(value)}; accepted: {_ACCEPTED}")
    return tuple(one for one in COLUMNS if one in given)


def column_slots(columns: Sequence[str], *, packed: bool) -> tuple[str, ...]:
    """Return the fields of a result that carry some columns.

    Args:
        columns: The columns, in the order of `COLUMNS`.
        packed: Whether packed ids were asked for.
    """
    return tuple(
        field for one in columns for field in (_FIELD_OF[one], *((INDEXES,) if packed and one == CATEGORY else ()))
    )


def read_columns(found: Mapping[str, bytes], count: int) -> dict[str, Column]:
    """Read the columns of a result.

    Args:
        found: Field -> value.
        count: Number of its ids.

    Returns:
        Field -> a value for each id, None where it is not known; without columns that were not asked for.

    Raises:
        ValueError: A column cannot be read.
    """
    return {name: _READERS[name](name, found, count) for name in RESULT_COLUMNS if name in found}


def _read_categories(name: str, found: Mapping[str, bytes], count: int) -> Column:
    if INDEXES not in found:
        return _read_list(name, found[name], count, str)
    table, raw = read_json(name, found[name]), found[INDEXES]
    names = table.get("names") if type(table) is dict else None
    if type(names) is not list or any(type(one) is not str for one in names) or len(raw) != _INDEX_BYTES * count:
        raise ValueError(f"{name} is {shown(found[name])}, which are no names of {count} categories")
    indexes = struct.unpack(f"<{count}h", raw)
    if indexes and not 0 <= min(indexes) <= max(indexes) < len(names):
        raise ValueError(f"{INDEXES} has an index of no name")
    return [names[index] for index in indexes]


def _read_numbers(name: str, found: Mapping[str, bytes], count: int) -> Column:
    """Read numbers in either encoding: an earlier process may have sent the request with another one."""
    raw = found[name]
    if len(raw) != _NUMBER_BYTES * count:
        return _read_list(name, raw, count, float, int, type(None))
    if raw[:1] == b"[":
        with suppress(ValueError):  # packed numbers may begin so, too
            return _read_list(name, raw, count, float, int, type(None))
    return [None if math.isnan(one) else one for one in struct.unpack(f"<{count}d", raw)]


def _read_texts(name: str, found: Mapping[str, bytes], count: int) -> Column:
    return _read_list(name, found[name], count, str, type(None))


def _read_list(name: str, raw: bytes, count: int, *kinds: type) -> Column:
    values: Column = read_json(name, raw)
    if type(values) is not list or len(values) != count or not set(map(type, values)) <= set(kinds):
        raise ValueError(f"{name} is {shown(raw)}, which is no list of {count} values")
    return values


_READERS: Final[Mapping[str, Callable[[str, Mapping[str, bytes], int], Column]]] = {
    "categories": _read_categories,
    "durations_s": _read_numbers,
    "starts_s": _read_numbers,
    "paths": _read_texts,
}
