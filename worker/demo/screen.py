"""What the demo shows: a live table on a terminal, plain lines elsewhere; every figure is computed."""

import time
from collections import Counter, deque
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from worker.core.stats.fit import z_score
from worker.demo.ledger import Ledger, Move

_BAR = 30
_NOTES = 12


class Screen:
    """Show how the mix follows the weights."""

    def __init__(self, ledger: Ledger, console: Console) -> None:
        """Take what to show, and where."""
        self._ledger = ledger
        self._console = console
        self._notes: deque[str] = deque(maxlen=_NOTES)
        self._live = Live(console=console, auto_refresh=False, transient=False) if console.is_terminal else None
        self._began = time.monotonic()
        self._rate = 0.0
        self._last = (self._began, 0)

    def __enter__(self) -> Self:
        """Take the terminal."""
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Give the terminal back, with the last picture on it."""
        if self._live:
            self.refresh()
            self._live.stop()

    def note(self, sentence: str) -> None:
        """Tell what happened."""
        line = f"{time.monotonic() - self._began:5.1f} s  {sentence}"
        self._notes.append(line)
        if self._live:
            self.refresh()
        else:
            self._console.print(line, highlight=False, soft_wrap=True)

    def refresh(self) -> None:
        """Draw the picture anew; plain output has none."""
        if self._live:
            self._live.update(self._picture(), refresh=True)

    def print_move(self, move: Move) -> None:
        """Where there is no live table, print one when a set of weights has had its time."""
        if not self._live:
            self._console.print(_title(move), _table(move), sep="\n", highlight=False)

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
        return Group(Text(_title(move)), _table(move), Text(head), *notes)


def _title(move: Move) -> str:
    return f"weights {move.weights.version}: target against what was drawn"


def _table(move: Move) -> Table:
    """Hold the mix drawn under one set of weights against it."""
    table = Table()
    for name, justify in (("category", "left"), ("target", "right"), ("actual", "right"), ("", "left"), ("z", "right")):
        table.add_column(name, justify="left" if justify == "left" else "right")
    total = move.drawn.total()
    for name, expected in move.expected().items():
        target = move.weights.shares.get(name, 0.0)
        actual = move.drawn[name] / total if total else 0.0
        z = z_score(move.drawn[name], expected, expected * (1 - target))
        table.add_row(name, f"{target:.1%}", f"{actual:.2%}", _bar(target, actual), f"{z:+.1f}")
    return table


def _bar(target: float, actual: float) -> str:
    """Draw the actual share, with a mark where the target is."""
    bar = ["█" if i < round(actual * _BAR) else " " for i in range(_BAR + 1)]
    bar[min(_BAR, round(target * _BAR))] = "│"
    return "".join(bar)


def summary(ledger: Ledger, lost: int) -> str:
    """Write the last line."""
    drawn: Counter[str] = sum((move.drawn for move in ledger.moves), Counter())
    return (
        f"{ledger.results:,} results, {drawn.total():,} chunks: {lost} lost, {ledger.doubled} doubled, "
        f"{ledger.stale} under older weights, {ledger.wrong} wrong; chi-square p = {ledger.p_value():.4f}"
    )
