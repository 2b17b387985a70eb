"""What `up` shows to its user; the command line puts it into words on a terminal."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from worker.run_dir.announcement import Announcement


@dataclass(frozen=True, slots=True)
class Shown:
    """An `up` that serves.

    Attributes:
        announcement: Where everything is.
        took_s: Time since its start.
        ready: Category -> READY chunks in the table.
        by_query: Whether the worker reads them by `WORKER_CHUNKS_QUERY`, and not from the table.
        shares: Weights in force; None: not known.
    """

    announcement: Announcement
    took_s: float
    ready: Mapping[str, int]
    by_query: bool
    shares: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """How things stand at a moment.

    Attributes:
        rate: Requests answered a second; None: not known yet.
        chunks: READY chunks that the worker holds.
        shares: Weights in force; None: not known.
        trouble: What is wrong, in a few words; empty: nothing.
    """

    rate: float | None
    chunks: int
    shares: Mapping[str, float] | None
    trouble: str = ""


class Screen(Protocol):
    """Where `up` is shown. Nothing here may fail because nobody reads it."""

    @property
    def wants_status(self) -> bool:
        """Return whether a status line can be seen."""
        ...

    def say(self, sentence: str) -> None:
        """Show what happens."""

    def warn(self, sentence: str) -> None:
        """Show what is wrong."""

    def show_running(self, running: Announcement) -> None:
        """Show that `up` runs already, and where."""

    def show_ready(self, shown: Shown) -> None:
        """Show that `up` serves, where everything is, and what to do with it."""

    def show_status(self, status: Status) -> None:
        """Show how things stand, in the place of what was shown before."""

    def clear_status(self) -> None:
        """Remove what `show_status` showed."""
