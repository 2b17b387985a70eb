"""Read the log lines of this process as the events that they are."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from worker import logs

_FLUSH_S = 10.0


class LogLines:
    """Hold what was logged so far."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def of(self, event: str) -> list[dict[str, Any]]:
        """Return the lines of one event, oldest first."""
        return [line for line in self.all() if line["event"] == event]

    def all(self) -> list[dict[str, Any]]:
        """Return all whole lines, oldest first."""
        whole, _, _ = self._path.read_text(encoding="utf-8").rpartition("\n")
        return [json.loads(line) for line in whole.splitlines()]


@contextmanager
def captured_log(folder: Path) -> Iterator[LogLines]:
    """Log everything to a file from here on; at the end, whatever was logged stands in it."""
    path = folder / "log"
    with path.open("ab", buffering=0) as file:
        logs.configure("debug", "json", context={}, fd=file.fileno())
        try:
            yield LogLines(path)
        finally:
            logs.shutdown(_FLUSH_S)
