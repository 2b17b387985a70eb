"""Whether a process still lives, told apart from a later one with the same number."""

import os
from pathlib import Path
from typing import Final

# Fields of /proc/<pid>/stat, counted after the name in brackets, which may contain anything.
_STATE: Final = 0
_START: Final = 19
_ENDED: Final = ("Z", "X")  # it has ended, and its parent has not asked for its exit status
_MEMORY: Final = "/proc/self/statm"
_MOST_READ: Final = 256  # bytes: seven numbers


def process_start(pid: int) -> str:
    """Return the start time of a process, which no earlier one with this number has; empty if not known."""
    return _field(pid, _START)


def is_alive(pid: int, started: str) -> bool:
    """Return whether a process lives.

    Args:
        pid: Its number.
        started: Its start time, see `process_start`; empty if not known.
    """
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    if _field(pid, _STATE) in _ENDED:
        return False
    now = process_start(pid)
    return not started or not now or started == now


def resident_bytes() -> int | None:
    """Return how much memory this process has resident, in bytes; None where the system does not say."""
    try:
        opened = os.open(_MEMORY, os.O_RDONLY)
        try:
            return int(os.read(opened, _MOST_READ).split()[1]) * os.sysconf("SC_PAGE_SIZE")
        finally:
            os.close(opened)
    except (OSError, IndexError, ValueError):
        return None


def _field(pid: int, number: int) -> str:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
        return stat.rpartition(")")[2].split()[number]
    except (OSError, IndexError):
        return ""
