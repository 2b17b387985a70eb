"""Files beside a manifest that say more about its rows, found by a key."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

Lookup = Callable[[str], str | None]
"""Returns the value of a key; None if it has none."""

ReadPairs = Callable[[str, Iterable[bytes]], Iterator[tuple[str, str]]]
"""Reads the keys and values of a file, out of its name and its bytes."""


class Neighbours(Protocol):
    """The files in the folder of a manifest."""

    @property
    def file(self) -> str:
        """Return the name of the manifest among them."""
        ...

    def look_up(self, name: str, read: ReadPairs) -> Lookup | None:
        """Read a file once, and return what finds its values; None if there is no such file.

        Raises:
            ManifestError: It cannot be read, or has a key twice.
        """


@dataclass(frozen=True, slots=True)
class NoNeighbours:
    """The neighbours of a manifest that is not in a folder: none."""

    file: str = ""

    def look_up(self, name: str, read: ReadPairs) -> Lookup | None:  # noqa: ARG002 - as its protocol says
        """Return None: there is no such file."""
        return None
