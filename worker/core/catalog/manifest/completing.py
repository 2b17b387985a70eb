"""What completes a row as it was asked for: its category, the folder of its path, a duration that stands elsewhere."""

import re

from worker.core.catalog.manifest.formats.commonvoice import CLIP_DURATIONS, clip_durations
from worker.core.catalog.manifest.neighbours import Lookup, Neighbours
from worker.core.catalog.manifest.notes import Notes
from worker.core.catalog.manifest.problems import show
from worker.core.catalog.manifest.rows import Values
from worker.core.catalog.manifest.shapes import COMMON_VOICE
from worker.core.catalog.manifest.wishes import Wishes
from worker.core.catalog.naming import made_name

_ABSOLUTE = re.compile(r"/|\\\\|[A-Za-z]:[\\/]|[A-Za-z][A-Za-z0-9+.-]*://")
_MOST_HELD = 10_000
_EMPTY = "it has no category: its column is empty there; --category NAME gives such rows one"


class Completion:
    """Completes the values of rows.

    Args:
        wishes: What was asked for.
        notes: Collects what was interpreted.
        neighbours: The files beside the manifest.
    """

    def __init__(self, wishes: Wishes, notes: Notes, neighbours: Neighbours) -> None:
        self._wishes = wishes
        self._notes = notes
        self._neighbours = neighbours
        self._names: dict[str, str] = {}
        self._clips: Lookup | None = None
        self._has_looked = False

    def complete(self, values: Values) -> Values:
        """Return the values of a row as they are to be checked and stored.

        Raises:
            ValueError: The row gets no category.
        """
        path, category, status, duration_s, start_s, split = values
        if self._notes.shape is COMMON_VOICE and duration_s is None and isinstance(path, str):
            duration_s = self._clip_duration(path)
        return self._placed(path), self._category(category), status, duration_s, start_s, split

    def _category(self, value: object) -> object:
        """Return the category of a row; without wishes it stays as it is, and is checked by the letter.

        Raises:
            ValueError: None can be made out of the value.
        """
        if not self._wishes.names_categories:
            return value if self._wishes.category is None else self._wishes.category
        labels = _labels(value)
        if self._wishes.labels:
            named = (self._wishes.labels[label] for label in labels if label in self._wishes.labels)
            if (found := next(named, self._wishes.category)) is None:
                raise ValueError(f"no --label names {show(value)}; --category NAME gives such rows a category")
            return found
        if not labels:
            if self._wishes.category is None:
                raise ValueError(_EMPTY)
            return self._wishes.category
        self._notes.several += len(labels) > 1
        return self._names.get(labels[0]) or self._named(labels[0])

    def _named(self, label: str) -> str:
        """Make a label into a category name."""
        name = made_name(label)
        if len(self._names) < _MOST_HELD:
            self._names[label] = name
            if name != label:
                self._notes.renamed[label] = name
        return name

    def _placed(self, path: object) -> object:
        """Put the folder that was asked for before a relative path."""
        if not isinstance(path, str) or not path or _ABSOLUTE.match(path):
            return path
        if not self._wishes.root:
            self._notes.relative += 1
            return path
        return f"{self._wishes.root.rstrip('/')}/{path.removeprefix('./')}"

    def _clip_duration(self, path: str) -> float | None:
        """Return how long a clip of Common Voice is, in seconds; None if that is not known."""
        if not self._has_looked:
            self._has_looked = True
            self._clips = self._neighbours.look_up(CLIP_DURATIONS, clip_durations)
            self._notes.used += [CLIP_DURATIONS] if self._clips else []
        found = self._clips(path) if self._clips else None
        return None if found is None else float(found)


def _labels(value: object) -> list[str]:
    """Return the labels that a row has: a text, a whole number, or a list of such.

    Raises:
        ValueError: The value is something else.
    """
    several = value if isinstance(value, list) else [] if value is None else [value]
    if any(isinstance(label, bool) or not isinstance(label, str | int) for label in several):
        raise ValueError(f"{show(value)} is no label: accepted are text, whole numbers, and lists of them")
    return [text for label in several if (text := str(label).strip())]
