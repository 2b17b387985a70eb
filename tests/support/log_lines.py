"""Read the log lines of this process as the events that they are."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.waiting import wait_until_sync
from worker.logs import emit as logs

_FLUSH_S = 60.0
_MARK = "mark of a test"


class LogLines:
    """What was logged so far."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._marks = 0

    def of(self, event: str) -> list[dict[str, Any]]:
        """Return the lines of one event, oldest first."""
        return [line for line in self.all() if line["event"] == event]

    def all(self) -> list[dict[str, Any]]:
        """Return all lines, oldest first; those that are still on their way are waited for."""
        writer = logs._log.writer
        if writer:
            self._marks += 1
            writer.write(json.dumps({"event": _MARK, "number": self._marks}))
            wait_until_sync(self._is_marked, timeout_s=_FLUSH_S, what="what was logged stands in the file")
        return [line for line in self._read() if line["event"] != _MARK]

    def _is_marked(self) -> bool:
        return {"event": _MARK, "number": self._marks} in self._read()

    def _read(self) -> list[dict[str, Any]]:
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
