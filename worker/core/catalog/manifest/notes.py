"""Notes on an accepted manifest: what was left out, and what was interpreted."""

from dataclasses import dataclass, field

from worker.core.catalog.manifest.hints import COLUMNS
from worker.core.catalog.manifest.problems import show
from worker.core.catalog.manifest.shapes import Shape
from worker.core.wording import plural

_MOST_NAMED = 20


@dataclass(slots=True)
class Notes:
    """Counts of what a reader decided on its own.

    Attributes:
        shape: The format of others that it is; None: ours.
        ignored: Names of unknown columns, in the order in which they came.
        headers: Lines that repeat the header.
        empty: Rows of blank cells.
        trimmed: Paths without the blanks that were around them.
        blank_paths: Paths that keep blanks at their ends.
        without_status: Rows with an empty status, which count as READY.
        spanning: Rows over several lines.
        lines: Lines read.
        rows: Rows that were accepted.
        relative: Relative paths, stored as they were written.
        renamed: What others call a category -> the name that was made of it.
        several: Rows with several labels, of which the first counts.
        first_files: Rows of recordings with a file for each channel, of which the first counts.
        used: Names of files beside the manifest that say more of its rows.
        beside: Names of files beside the manifest that are not read, though they say more.
        open_end: Whether the last line has no line end.
    """

    shape: Shape | None = None
    ignored: dict[str, None] = field(default_factory=dict)
    headers: int = 0
    empty: int = 0
    trimmed: int = 0
    blank_paths: int = 0
    without_status: int = 0
    spanning: int = 0
    lines: int = 0
    rows: int = 0
    relative: int = 0
    renamed: dict[str, str] = field(default_factory=dict)
    several: int = 0
    first_files: int = 0
    used: list[str] = field(default_factory=list)
    beside: list[str] = field(default_factory=list)
    open_end: bool = False

    def sentences(self) -> list[str]:
        """Write a sentence for each kind of note."""
        said = [f"{_read_as(self.shape)}{self._with_used()}"] if self.shape else []
        said += [self._ignored()] if self.ignored else []
        said += [self._renamed()] if self.renamed else []
        said += [f"{name} beside it is not read: give the folder" for name in self.beside]
        spread = f"{plural(self.spanning, 'row')} over several lines: {self.lines:,} lines, {self.rows:,} rows"
        relative = f"{plural(self.relative, 'relative path')} stored as written; --root DIR puts a folder before them"
        first_file = f"{plural(self.first_files, 'row')} of recordings with a file for each channel: the first is taken"
        told = {
            f"{plural(self.headers, 'line')} that repeated the header left out": self.headers,
            f"{plural(self.empty, 'row')} of blanks alone left out": self.empty,
            f"blanks around {plural(self.trimmed, 'path')} left out; JSON Lines keeps them": self.trimmed,
            f"{plural(self.blank_paths, 'path')} with a blank at an end, kept": self.blank_paths,
            f"{plural(self.without_status, 'row')} with an empty status, taken as READY": self.without_status,
            f"{plural(self.several, 'row')} with several labels: the first is the category": self.several,
            first_file: self.first_files,
            relative: self.relative if self.shape else 0,
            spread: self.spanning,
            "the last line has no line end; is the file whole?": self.open_end,
        }
        return said + [sentence for sentence, count in told.items() if count]

    def _with_used(self) -> str:
        return f", with {', '.join(self.used)} beside it" if self.used else ""

    def _ignored(self) -> str:
        columns = "column" if len(self.ignored) == 1 else "columns"
        return f"ignored {columns}: {_first([show(name) for name in self.ignored])}; read: {', '.join(COLUMNS)}"

    def _renamed(self) -> str:
        names = [f"{show(label)} is {name}" for label, name in self.renamed.items()]
        return f"categories made out of other names: {_first(names)}"


def _first(words: list[str]) -> str:
    """List the first words, and write how many more there are."""
    more = f" and {len(words) - _MOST_NAMED:,} more" if len(words) > _MOST_NAMED else ""
    return f"{', '.join(words[:_MOST_NAMED])}{more}"


def _read_as(shape: Shape) -> str:
    """Write which format was read, and which of its columns were taken for ours."""
    renames = ", ".join(f"{theirs} as {ours}" for theirs, ours in shape.renames.items())
    return f"read as {shape.title}{renames and f': {renames}'}"
