"""Notes on an accepted manifest: what was left out, and what was interpreted."""

from dataclasses import dataclass, field

from worker.core.catalog.manifest.problems import show
from worker.core.wording import plural

_MOST_NAMED = 20


@dataclass(slots=True)
class Notes:
    """Counts of what a reader decided on its own.

    Attributes:
        ignored: Names of unknown columns, in the order in which they came.
        headers: Lines that repeat the header.
        empty: Rows of blank cells.
        trimmed: Paths without the blanks that were around them.
        blank_paths: Paths that keep blanks at their ends.
        without_status: Rows with an empty status, which count as READY.
        spanning: Rows over several lines.
        lines: Lines read.
        rows: Rows that were accepted.
        open_end: Whether the last line has no line end.
    """

    ignored: dict[str, None] = field(default_factory=dict)
    headers: int = 0
    empty: int = 0
    trimmed: int = 0
    blank_paths: int = 0
    without_status: int = 0
    spanning: int = 0
    lines: int = 0
    rows: int = 0
    open_end: bool = False

    def sentences(self) -> list[str]:
        """Write a sentence for each kind of note."""
        said = [self._ignored()] if self.ignored else []
        spread = f"{plural(self.spanning, 'row')} over several lines: {self.lines:,} lines, {self.rows:,} rows"
        told = {
            f"{plural(self.headers, 'line')} that repeated the header left out": self.headers,
            f"{plural(self.empty, 'row')} of blanks alone left out": self.empty,
            f"blanks around {plural(self.trimmed, 'path')} left out; JSON Lines keeps them": self.trimmed,
            f"{plural(self.blank_paths, 'path')} with a blank at an end, kept": self.blank_paths,
            f"{plural(self.without_status, 'row')} with an empty status, taken as READY": self.without_status,
            spread: self.spanning,
            "the last line has no line end; is the file whole?": self.open_end,
        }
        return said + [sentence for sentence, count in told.items() if count]

    def _ignored(self) -> str:
        names = [show(name) for name in self.ignored]
        more = f" and {len(names) - _MOST_NAMED:,} more" if len(names) > _MOST_NAMED else ""
        columns = "column" if len(names) == 1 else "columns"
        return f"ignored {columns}: {', '.join(names[:_MOST_NAMED])}{more}; read: path, category, status, duration_s"
