"""Which changes of a folder are settled: a file that is still being written is not registered half."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from worker.core.catalog.scan import is_audio

SETTLED_S: Final = 0.8
"""How long a file keeps its size and time of change until it is taken for whole."""

Mark = tuple[int, int] | None
"""Size in bytes and time of change in ns of a file; None: it is not there."""


def mark_of(path: str) -> Mark:
    """Return a mark that differs once a file has changed."""
    try:
        about = os.stat(path)  # noqa: PTH116 - paths are text here, and there are many of them
    except OSError:
        return None
    return about.st_size, about.st_mtime_ns


@dataclass(slots=True)
class Settling:
    """Files that changed, until they are settled.

    Attributes:
        known: Marks of the files that were registered last.
    """

    known: dict[str, Mark] = field(default_factory=dict)
    _waiting: dict[str, tuple[Mark, float]] = field(default_factory=dict)

    def learn(self, paths: Iterable[str]) -> None:
        """Take files for registered as they are.

        Args:
            paths: Absolute paths.
        """
        self.known.update((path, mark_of(path)) for path in paths)

    def note(self, path: str, now_s: float) -> None:
        """Note that a path may have changed.

        Args:
            path: An absolute path.
            now_s: A monotonic time in seconds.
        """
        self._waiting[path] = mark_of(path), now_s

    def note_differences(self, paths: list[str], below: str, now_s: float) -> None:
        """Note what differs between what lies below a folder and what is known there.

        Args:
            paths: The audio files that lie there.
            below: The folder, with a / at its end.
            now_s: A monotonic time in seconds.
        """
        there = set(paths)
        for path in paths:
            if path not in self._waiting and mark_of(path) != self.known.get(path, ()):
                self.note(path, now_s)
        for path in self.known:
            if path.startswith(below) and path not in there and path not in self._waiting:
                self.note(path, now_s)

    def settled(self, now_s: float) -> list[str]:
        """Take out the paths that have not changed for a while.

        Args:
            now_s: A monotonic time in seconds.
        """
        done = []
        for path, (mark, since_s) in list(self._waiting.items()):
            if (current := mark_of(path)) != mark:
                self._waiting[path] = current, now_s
            elif now_s - since_s >= SETTLED_S:
                del self._waiting[path]
                self._remember(path, mark)
                done.append(path)
        return sorted(done)

    def _remember(self, path: str, mark: Mark) -> None:
        if mark is None:
            self.known.pop(path, None)
        elif is_audio(path.rpartition("/")[2]):
            self.known[path] = mark
