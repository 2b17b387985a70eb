"""Rows of JSON Lines: one object a line."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from worker.core.catalog.manifest.columns import ACCEPTED, BLANKS, find_columns, plain_names
from worker.core.catalog.manifest.formats.lhotse import flatten, is_lhotse
from worker.core.catalog.manifest.notes import Notes
from worker.core.catalog.manifest.problems import Problems, show
from worker.core.catalog.manifest.rows import Values
from worker.core.catalog.manifest.shapes import LHOTSE
from worker.core.catalog.manifest.wishes import AS_IT_IS, Wishes

_MOST_SHAPES = 1000
_BACKSLASH = "; a backslash is written twice in JSON"
_ONE_LINE = "; each object has a line of its own"

_Name = str | None
_Names = tuple[_Name, _Name, _Name, _Name, _Name, _Name]
_Found = _Names | str
"""The names of our columns in an object, or why its names are not accepted."""


class JsonRows:
    """The rows of a JSON Lines manifest.

    Args:
        lines: Lines with their ends.
        problems: Collects what is not accepted.
        notes: Collects what was left out or interpreted.
        wishes: What was asked for.
    """

    def __init__(self, lines: Iterable[str], problems: Problems, notes: Notes, wishes: Wishes = AS_IT_IS) -> None:
        self._lines = lines
        self._problems = problems
        self._notes = notes
        self._wishes = wishes
        self._of_lhotse = replace(wishes, format=LHOTSE.name)
        self._may_be_lhotse = wishes.format in {None, LHOTSE.name}
        self._unseen = set(wishes.columns)
        self._shapes: dict[tuple[str, ...], _Found] = {}

    def __iter__(self) -> Iterator[tuple[int, Values]]:
        """Yield each row that can be read, with the number of its line."""
        for number, line in enumerate(self._lines, start=1):
            if not line.strip():
                continue
            try:
                yield number, self._values(line)
            except ValueError as error:
                self._problems.add(number, str(error))
        if self._unseen and not self._problems.count:
            self._problems.add(1, f"no object has {show(min(self._unseen))}, which was asked for")

    def _values(self, line: str) -> Values:
        """Return the known values of an object; null counts as None.

        Raises:
            ValueError: The line is not an object, or its names are not accepted.
        """
        fields = _object(line)
        is_of_lhotse = self._may_be_lhotse and is_lhotse(fields)
        if is_of_lhotse:
            fields = flatten(fields, self._notes)
        names = tuple(fields)
        found = self._shapes.get(names) or self._look_at(names, self._of_lhotse if is_of_lhotse else self._wishes)
        if isinstance(found, str):
            raise ValueError(found)  # noqa: TRY004 - it is a sentence about the line
        path, category, status, duration_s, start_s, split = found
        get = fields.get
        written = get(path)
        if isinstance(written, str) and written.strip(BLANKS) != written:
            self._notes.blank_paths += 1
        state = get(status)
        if state is None and status is not None:
            self._notes.without_status += 1
        return written, get(category), state, get(duration_s), get(start_s), get(split)

    def _look_at(self, names: tuple[str, ...], wishes: Wishes) -> _Found:
        """Find the known columns among names that were not seen before."""
        found: _Found
        try:
            columns = find_columns(names, wishes, may_lack=True)
            path, category, status, duration_s, start_s, split = (
                None if at is None else names[at] for at in columns.indexes
            )
            found = (path, category, status, duration_s, start_s, split)
        except ValueError as error:
            found = str(error)
        else:
            self._notes.shape = self._notes.shape or columns.shape
            self._unseen.difference_update(plain_names(names))
            self._notes.ignored.update(dict.fromkeys(columns.ignored))
        if len(self._shapes) < _MOST_SHAPES:
            self._shapes[names] = found
        return found


def _object(line: str) -> Mapping[Any, object]:
    """Read one line.

    Raises:
        ValueError: It is not a JSON object, or has a name twice.
    """
    try:
        fields = json.loads(line, object_pairs_hook=_each_once)
    except json.JSONDecodeError as error:
        hint = _BACKSLASH if "\\" in error.msg else _ONE_LINE if line.strip() == "{" else ""
        raise ValueError(f"it is not JSON: {error.msg} (character {error.colno}){hint}") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is not JSON: {error}") from error
    if not isinstance(fields, dict):
        raise ValueError(f"{show(fields)} is not a JSON object; {ACCEPTED}")  # noqa: TRY004 - the same
    return fields


def _each_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise ValueError("a name stands in an object more than once")
    return fields
