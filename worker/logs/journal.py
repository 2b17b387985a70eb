"""Levels of lines for systemd's journal: its field PRIORITY comes from `<N>` before a line, which it takes off.

Source: sd-daemon(3), "SD_WARNING"; systemd.exec(5), "SyslogLevelPrefix=" and "$JOURNAL_STREAM".
"""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

_PRIORITIES: Final[Mapping[str, int]] = {"debug": 7, "info": 6, "warning": 4, "error": 3}


def priorities(fd: int, stream: str) -> Sequence[Callable[[Any, str, Any], str]]:
    """Return what marks a rendered line with its level, where a descriptor leads to the journal; else nothing.

    Args:
        fd: The descriptor of the lines.
        stream: Device and inode of the journal's socket, as systemd names them; empty: there is none.
    """
    return [_mark] if stream and stream == _identity(fd) else []


def _mark(_logger: Any, level: str, line: Any) -> str:
    return f"<{_PRIORITIES[level]}>{line}"


def _identity(fd: int) -> str:
    try:
        found = os.fstat(fd)
    except OSError:  # closed
        return ""
    return f"{found.st_dev}:{found.st_ino}"
