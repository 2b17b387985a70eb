"""Draw the live end of logs again and again, until somebody ends it or nothing more can come."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from worker.report import draw_records, nothing_used
from worker.report.files import STDIN
from worker.report.reading import LogReader
from worker.report.records import without_collections
from worker.report.summary import Summary
from worker.report.tail import FileTail, InputTail, Tail
from worker.report.unwrap import Unwrapper

_REST: Final = 4
"""Rests for each second of reading and drawing, so that a long log does not take a whole core."""


@dataclass(frozen=True, slots=True)
class Follow:
    """What is followed, and how.

    Attributes:
        files: The logs; `-` is standard input.
        picture: File to write; an existing one is replaced.
        with_checks: Whether the draws of `check` count too.
        every_s: Seconds between two pictures, at least.
        last_s: Length of the log's end that is drawn, in s. What is older is forgotten, so that memory is bounded.
    """

    files: Sequence[Path]
    picture: Path
    with_checks: bool
    every_s: float
    last_s: float


@dataclass(frozen=True, slots=True)
class Callbacks:
    """What `follow_logs` calls.

    Attributes:
        wait: Waits some seconds; KeyboardInterrupt ends the following.
        tell: Gets the summary of each picture but the last.
        complain: Gets a sentence about what is wrong for now.
    """

    wait: Callable[[float], None]
    tell: Callable[[Summary], None]
    complain: Callable[[str], None]


def follow_logs(wanted: Follow, calls: Callbacks) -> Summary | None:
    """Draw the end of logs whenever lines were added.

    Args:
        wanted: What to follow. That its picture can be drawn here was checked by `require_drawing`.
        calls: What to call meanwhile.

    Returns:
        The summary of the last picture; None if there was nothing to draw.

    Raises:
        SettingsError: A log cannot be read.
        OutputError: The picture cannot be written.
    """
    tails: list[Tail] = [InputTail() if file == STDIN else FileTail(file) for file in dict.fromkeys(wanted.files)]
    following = _Following(wanted, tails, calls)
    try:
        while not all(tail.is_ended for tail in tails):
            began = time.monotonic()
            with without_collections():
                following.step()
            calls.wait(max(wanted.every_s, _REST * (time.monotonic() - began)))
    except KeyboardInterrupt:
        pass  # the ordinary end
    return following.finish()


class _Following:
    def __init__(self, wanted: Follow, tails: Sequence[Tail], calls: Callbacks) -> None:
        self._wanted = wanted
        self._tails = tails
        self._calls = calls
        self._reader = LogReader(with_checks=wanted.with_checks)
        self._unwrappers = [Unwrapper() for _ in tails]
        self._said: set[str] = set()

    def step(self) -> None:
        """Read what was added; draw if that was anything."""
        lines = self._reader.records.lines
        self._read([tail.read() for tail in self._tails])
        for tail in self._tails:
            if tail.is_missing:
                self._complain(f"{tail.name} does not exist yet; it is waited for")
        if self._reader.records.lines > lines:
            summary = self._draw(self._wanted.every_s)
            if summary is None:
                self._complain(nothing_used(self._reader.records))
            else:
                self._calls.tell(summary)

    def finish(self) -> Summary | None:
        """Read and draw for the last time."""
        self._read([tail.read() for tail in self._tails])
        self._read([tail.rest() for tail in self._tails])
        for tail in self._tails:
            tail.close()
        return self._draw(None)

    def _read(self, added: Iterable[Iterable[str]]) -> None:
        for tail, unwrapper, lines in zip(self._tails, self._unwrappers, added, strict=True):
            self._reader.add(tail.name, lines, unwrapper)

    def _draw(self, refresh_s: float | None) -> Summary | None:
        self._reader.forget(self._wanted.last_s)
        return draw_records(self._reader.records, self._wanted.picture, refresh_s=refresh_s)

    def _complain(self, sentence: str) -> None:
        if sentence not in self._said:
            self._said.add(sentence)
            self._calls.complain(sentence)
