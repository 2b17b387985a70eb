"""Problems of a manifest. All are collected, so that they can be fixed at once."""

from dataclasses import dataclass, field

from worker.core.wording import plural
from worker.errors import ManifestError

_MOST_SHOWN = 10
_SHOWN_CHARS = 80


@dataclass(slots=True)
class Problems:
    """The problems of one manifest; the first ten kinds are shown.

    Attributes:
        name: What the manifest is called in sentences.
        count: How many problems there are.
        unit: What rows are numbered by: `line`, or `row` where there are no lines.
    """

    name: str
    count: int = 0
    unit: str = "line"
    _lines: dict[str, list[int]] = field(default_factory=dict)

    def add(self, line: int, what: str, *, times: int = 1) -> None:
        """Add a problem. A problem that is known already is only counted.

        Args:
            line: Number of its line, from 1.
            what: What is wrong there, and what is accepted.
            times: How many lines have it.
        """
        self.count += times
        if what in self._lines:
            self._lines[what][1] += times
        elif len(self._lines) < _MOST_SHOWN:
            self._lines[what] = [line, times]

    def raise_any(self) -> None:
        """Refuse the manifest if there is any problem.

        Raises:
            ManifestError: There is. Its sentences name the lines in order, and at the end the number of problems.
        """
        if self.count:
            raise self.refusal()

    def refusal(self) -> ManifestError:
        """Return the error that names all problems."""
        found = sorted((line, times, what) for what, (line, times) in self._lines.items())
        sentences = [
            f"{self.name}, {self.unit} {line}: {what}{self._and_more(times - 1)}" for line, times, what in found
        ]
        if self.count > 1:
            shown = f"the first {len(found)} kinds are shown, " if len(found) == _MOST_SHOWN else ""
            sentences.append(f"{self.name}: {self.count:,} {self.unit}s are not accepted, {shown}nothing is imported")
        return ManifestError(*sentences)

    def _and_more(self, others: int) -> str:
        return f" (and {plural(others, f'more {self.unit}')} like it)" if others else ""


def show(value: object) -> str:
    """Write a value for a sentence, and only the start of a long one."""
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…"
