"""What verbs print: JSON, lines of text, and tables; everything that strangers wrote is escaped."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal

from worker.cli.words import Clock, Score, Share, clock_text, share_text
from worker.core.redaction import escape

State = Literal["fits", "waits", "wrong"]

_STYLES: Final[Mapping[State, str]] = {"fits": "green", "waits": "yellow", "wrong": "red"}
_GAP: Final = 3  # columns between two cells
_TELLING_Z, _WRONG_Z = 3.0, 5.0
_FORMS: Final[tuple[tuple[type, Callable[[Any], str]], ...]] = (
    (Share, share_text),
    (Clock, clock_text),
    (Score, lambda z: f"{z:+.2f}"),
    (float, lambda number: f"{number:,.1f}"),
    (int, lambda number: f"{number:,}"),
)


def print_json(value: object) -> None:
    """Print one JSON document on a line, at once."""
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def print_text(text: str, state: State | None = None) -> None:
    """Print a line.

    Args:
        text: What to print; what Redis and PostgreSQL hold may have been written by anybody.
        state: What the line says, for its colour on a terminal.
    """
    if state is None or not sys.stdout.isatty():
        sys.stdout.write(f"{escape(text)}\n")
        sys.stdout.flush()
        return
    from rich.console import Console  # noqa: PLC0415 - for terminals alone
    from rich.text import Text  # noqa: PLC0415

    Console().print(Text(escape(text), _STYLES[state]), soft_wrap=True)


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a table; where it has no room, a block of lines for each row. No cell is ever cut.

    Args:
        title: The line above it.
        columns: Their names.
        rows: Their cells; text stands to the left, numbers to the right.
    """
    from rich.console import Console  # noqa: PLC0415 - for the verbs that print tables
    from rich.text import Text  # noqa: PLC0415

    console = Console()
    cells = [[Text(escape(_shown(cell)), _style(cell)) for cell in row] for row in rows]
    print_text(title)
    if _least_width(columns, cells) <= console.width:
        console.print(_table(columns, cells, [_is_numeric(rows, i) for i in range(len(columns))]))
        return
    for first, *others in cells:
        console.print(first, soft_wrap=True)
        for name, cell in zip(columns[1:], others, strict=True):
            if cell:
                console.print(Text(f"  {name}: ").append_text(cell), soft_wrap=True)


def shares_text(shares: Mapping[str, float]) -> str:
    """Write weights for people."""
    return "  ".join(f"{name} {share_text(share)}" for name, share in shares.items())


def _is_numeric(rows: Sequence[Sequence[Any]], column: int) -> bool:
    return bool(rows) and all(not isinstance(row[column], str) or not row[column] for row in rows)


def _table(columns: Sequence[str], cells: Sequence[Sequence[Any]], numeric: Sequence[bool]) -> Any:
    """Lay out a table with one line under its head, and no other."""
    from rich import box  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for name, is_numeric in zip(columns, numeric, strict=True):
        table.add_column(name, justify="right" if is_numeric else "left")
    for row in cells:
        table.add_row(*row)
    return table


def _least_width(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> int:
    """Return how wide a table is that breaks no cell; its head may have several lines."""
    from rich.cells import cell_len  # noqa: PLC0415

    texts = ([*name.split(), *(str(row[i]) for row in rows)] for i, name in enumerate(columns))
    return sum(_GAP + max(map(cell_len, own), default=0) for own in texts) - _GAP


def _shown(cell: object) -> str:
    return next((form(cell) for kind, form in _FORMS if isinstance(cell, kind)), str(cell))


def _style(cell: object) -> str:
    """Return the colour of a cell: z far from 0 is wrong."""
    if not isinstance(cell, Score):
        return ""
    return _STYLES["fits" if abs(cell) < _TELLING_Z else "waits" if abs(cell) < _WRONG_Z else "wrong"]
