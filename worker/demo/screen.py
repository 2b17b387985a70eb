"""What the demo shows: a live table on a terminal, plain lines elsewhere; every figure is counted."""

import time
from collections import Counter, deque
from typing import Self

from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from worker.core.stats.fit import z_score
from worker.demo.ledger import Ledger, Move

_LONGEST_BAR, _SHORTEST_BAR = 30, 8
_BESIDE_BAR = 48  # columns of a table that are not its bar
_TELLING_Z, _WRONG_Z = 3.0, 5.0
_NOTES = 12


class Screen:
    """A view of how the mix follows the weights."""

    def __init__(self, ledger: Ledger, console: Console) -> None:
        """Prepare the view.

        Args:
            ledger: What to show.
            console: Where.
        """
        self._ledger = ledger
        self._console = console
        self._notes: deque[str] = deque(maxlen=_NOTES)
        self._live = Live(console=console, auto_refresh=False, transient=False) if console.is_terminal else None
        self._began = time.monotonic()
        self._rate = 0.0
        self._last = (self._began, 0)

    def __enter__(self) -> Self:
        """Start the live table, on a terminal."""
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End the live table; its last state stays on the terminal."""
        if self._live:
            self.refresh()
            self._live.stop()

    def note(self, sentence: str) -> None:
        """Show what happened."""
        line = f"{time.monotonic() - self._began:5.1f} s  {sentence}"
        self._notes.append(line)
        if self._live:
            self.refresh()
        else:
            self._console.print(line, highlight=False, soft_wrap=True)

    def refresh(self) -> None:
        """Draw the live table again; plain output has none."""
        if self._live:
            self._live.update(self._picture(), refresh=True)

    def print_move(self, move: Move) -> None:
        """Print the table of some weights that are over, where there is no live table."""
        if not self._live:
            self._console.print(_title(move), _table(move, self._console.width), sep="\n", highlight=False)

    def _picture(self) -> Group:
        now = time.monotonic()
        if now - self._last[0] >= 1:
            self._rate = (self._ledger.results - self._last[1]) / (now - self._last[0])
            self._last = (now, self._ledger.results)
        head = f"{self._ledger.results:,} results  {self._ledger.chunks:,} chunks  {self._rate:,.0f} requests/s"
        notes = [Text(note) for note in self._notes]
        if not self._ledger.moves:
            return Group(Text(head), *notes)
        move = self._ledger.moves[-1]
        return Group(Text(_title(move)), _table(move, self._console.width), Text(head), *notes)


def _title(move: Move) -> str:
    return f"weights {move.weights.version}: target and what was drawn"


def _table(move: Move, width: int) -> Table:
    """Compare the mix drawn under some weights with them.

    Args:
        move: The weights, and what was drawn under them.
        width: Columns of the console.
    """
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for name, is_number in (("category", False), ("target", True), ("actual", True), ("", False), ("z", True)):
        table.add_column(name, justify="right" if is_number else "left", no_wrap=True)
    total = move.drawn.total()
    length = max(_SHORTEST_BAR, min(_LONGEST_BAR, width - _BESIDE_BAR))
    for name, expected in move.expected().items():
        target = move.weights.shares.get(name, 0.0)
        actual = move.drawn[name] / total if total else 0.0
        z = z_score(move.drawn[name], expected, expected * (1 - target))
        table.add_row(
            name, f"{target:.1%}", f"{actual:.1%}", _bar(target, actual, length), Text(f"{z:+.1f}", _style(z))
        )
    return table


def _style(z: float) -> str:
    """Return the colour of a z score: one far from 0 is wrong."""
    return "green" if abs(z) < _TELLING_Z else "yellow" if abs(z) < _WRONG_Z else "red"


def _bar(target: float, actual: float, length: int) -> str:
    """Draw the actual share, with a mark where the target is."""
    bar = ["█" if i < round(actual * length) else " " for i in range(length + 1)]
    bar[min(length, round(target * length))] = "│"
    return "".join(bar)


def summary(ledger: Ledger, lost: int) -> str:
    """Sum up the demo in one line."""
    drawn: Counter[str] = sum((move.drawn for move in ledger.moves), Counter())
    return (
        f"{ledger.results:,} results, {drawn.total():,} chunks: {lost} lost, {ledger.doubled} doubled, "
        f"{ledger.stale} under older weights, {ledger.wrong} wrong; chi-square p = {ledger.p_value():.4f}"
    )
