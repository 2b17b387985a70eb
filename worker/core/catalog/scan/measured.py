"""What the header of an audio file says."""

from typing import NamedTuple


class Measured(NamedTuple):
    """How long a file is, or why that is not known. Without either, the file is not there any more.

    Attributes:
        duration_s: Its length in seconds, above 0; None if it cannot be read.
        reason: Why it cannot be read, in a few words; None if it can, or if it is gone.
    """

    duration_s: float | None
    reason: str | None = None
