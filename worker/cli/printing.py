"""What verbs print: JSON, lines of text, and tables; everything that strangers wrote is escaped."""

import json
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal
from unicodedata import combining, east_asian_width

from worker.cli.words import Clock, Score, Share, clock_text, number_text, share_text
from worker.core.redaction import escape
from worker.settings.environment import process_environment

State = Literal["fits", "waits", "wrong", "dim"]
Part = tuple[str, State | None]
"""Some text of a line, and what it says."""

_COLOURS: Final[Mapping[State, str]] = {
    "fits": "\x1b[32m",
    "waits": "\x1b[33m",
    "wrong": "\x1b[31m",
    "dim": "\x1b[2m",
}
_PLAIN: Final = "\x1b[0m"
_GAP: Final = "  "
_TELLING_Z, _WRONG_Z = 3.0, 5.0
_FORMS: Final[tuple[tuple[type, Callable[[Any], str]], ...]] = (
    (Share, share_text),
    (Clock, clock_text),
    (Score, lambda z: f"{z:+.2f}"),
    (float, number_text),
    (int, lambda number: f"{number:,}"),
)


def print_json(value: object, *, indent: int | None = None) -> None:
    """Print one JSON document at once: on a line, or on many with `indent` blanks for each level."""
    sys.stdout.write(json.dumps(value, indent=indent) + "\n")
    sys.stdout.flush()


def print_text(text: str, state: State | None = None) -> None:
    """Print a line.

    Args:
        text: What to print; what Redis and PostgreSQL hold may have been written by anybody.
        state: What the line says, for its colour on a terminal.
    """
    print_line([(escape(text), state)])


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a table; where it has no room, a block of lines for each row. No cell is ever cut.

    Args:
        title: The line above it.
        columns: Their names.
        rows: Their cells; text stands to the left, numbers to the right.
    """
    print_text(title)
    cells = [[(escape(_shown(cell)), _state_of(cell)) for cell in row] for row in rows]
    widths = [max(map(text_width, (name, *(row[i][0] for row in cells)))) for i, name in enumerate(columns)]
    total = sum(widths) + len(_GAP) * (len(columns) - 1)
    if total > shutil.get_terminal_size().columns:
        _print_blocks(columns, cells)
        return
    sides = [_is_numeric(rows, i) for i in range(len(columns))]
    print_line(_laid_out([(name, None) for name in columns], widths, sides))
    print_line([("─" * total, None)])
    for row in cells:
        print_line(_laid_out(row, widths, sides))


def shares_text(shares: Mapping[str, float]) -> str:
    """Write weights for people."""
    return "  ".join(f"{name} {share_text(share)}" for name, share in shares.items())


def _print_blocks(columns: Sequence[str], cells: Sequence[Sequence[Part]]) -> None:
    """Print each row as a block: its first cell, then the others by name."""
    for first, *others in cells:
        print_line([first])
        for name, cell in zip(columns[1:], others, strict=True):
            if cell[0]:
                print_line([(f"  {name}: ", None), cell])


def _laid_out(row: Sequence[Part], widths: Sequence[int], sides: Sequence[bool]) -> list[Part]:
    """Fill cells up to the widths of their columns.

    Args:
        row: The cells.
        widths: Of the columns.
        sides: Whether a column stands to the right.
    """
    parts: list[Part] = []
    for (text, state), width, is_right in zip(row, widths, sides, strict=True):
        blanks = " " * (width - text_width(text))
        parts += [(blanks, None), (text, state)] if is_right else [(text, state), (blanks, None)]
        parts.append((_GAP, None))
    return parts


def print_line(parts: Sequence[Part]) -> None:
    """Print a line, in colours where they can be seen; nothing in it is escaped any more."""
    while parts and not parts[-1][0].strip(" "):
        parts = parts[:-1]
    has_colours = any(state for _, state in parts) and _shows_colours()
    shown = (f"{_COLOURS[state]}{text}{_PLAIN}" if state and has_colours else text for text, state in parts)
    sys.stdout.write(f"{''.join(shown)}\n")
    sys.stdout.flush()


def cut_line(parts: Sequence[Part], width: int) -> list[Part]:
    """Cut a line to some columns of a terminal; a character at its end says that more follows.

    Args:
        parts: The line.
        width: The columns.
    """
    if sum(text_width(text) for text, _ in parts) <= width:
        return list(parts)
    found: list[Part] = []
    room = width - 1
    for text, state in parts:
        kept = text
        while text_width(kept) > room:
            kept = kept[:-1]
        room -= text_width(kept)
        found.append((kept, state))
        if kept != text:
            return [*found, ("…", None)]
    return found


def _shows_colours() -> bool:
    """Return whether standard output is a terminal whose user wants colours, see no-color.org."""
    environ = process_environment()
    return sys.stdout.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def _is_numeric(rows: Sequence[Sequence[Any]], column: int) -> bool:
    return bool(rows) and all(not isinstance(row[column], str) or row[column] in {"", "-"} for row in rows)


def text_width(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    wide = sum(east_asian_width(letter) in "WF" for letter in text)
    return len(text) + wide - sum(map(bool, map(combining, text)))


def _shown(cell: object) -> str:
    return next((form(cell) for kind, form in _FORMS if isinstance(cell, kind)), str(cell))


def _state_of(cell: object) -> State | None:
    """Return what a cell says: z far from 0 is wrong."""
    if not isinstance(cell, Score):
        return None
    return "fits" if abs(cell) < _TELLING_Z else "waits" if abs(cell) < _WRONG_Z else "wrong"
