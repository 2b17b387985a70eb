"""What is not accepted in a manifest: all of it is collected, so that it can be mended at once."""

from dataclasses import dataclass, field

from worker.errors import ManifestError

_MOST_SHOWN = 10
_SHOWN_CHARS = 80


@dataclass(slots=True)
class Problems:
    """Collect what is not accepted, and show the first ten kinds of it.

    Attributes:
        name: What the manifest is called.
        count: How many problems there are.
    """

    name: str
    count: int = 0
    _lines: dict[str, list[int]] = field(default_factory=dict)

    def add(self, line: int, what: str, *, times: int = 1) -> None:
        """Note a problem; one that was noted already is only counted.

        Args:
            line: Where it is, counted from 1.
            what: What is wrong there, and what is accepted.
            times: How many lines have it.
        """
        self.count += times
        if what in self._lines:
            self._lines[what][1] += times
        elif len(self._lines) < _MOST_SHOWN:
            self._lines[what] = [line, times]

    def raise_any(self) -> None:
        """Refuse the manifest if anything is wrong.

        Raises:
            ManifestError: Its sentences name the lines in their order, and at the end how many problems there are.
        """
        if self.count:
            raise self.refusal()

    def refusal(self) -> ManifestError:
        """Make the error that tells all of it."""
        found = sorted((line, times, what) for what, (line, times) in self._lines.items())
        sentences = [f"{self.name}, line {line}: {what}{_and_more(times - 1)}" for line, times, what in found]
        if self.count > 1:
            shown = f"the first {len(found)} kinds are shown, " if len(found) == _MOST_SHOWN else ""
            sentences.append(f"{self.name}: {self.count:,} lines are not accepted, {shown}nothing is imported")
        return ManifestError(*sentences)


def show(value: object) -> str:
    """Show a value in a sentence, and no more than the start of a long one."""
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…"


def counted(count: int, thing: str) -> str:
    """Say how many there are of what takes an s."""
    return f"{count:,} {thing}" if count == 1 else f"{count:,} {thing}s"


def _and_more(others: int) -> str:
    return f" (and {counted(others, 'more line')} like it)" if others else ""
