"""Standard input, which a process may have been started without."""

import sys
from typing import IO

from worker.errors import SettingsError


def standard_input(wanted: str) -> IO[bytes]:
    """Return standard input as bytes.

    Args:
        wanted: What has to come from there, such as `a manifest`.

    Raises:
        SettingsError: It is closed.
    """
    if sys.stdin is None:
        raise SettingsError(f"standard input is closed; {wanted} has to come from there, or from a file")
    return sys.stdin.buffer
