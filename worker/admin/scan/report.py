"""What became of a scan."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from worker.adapters.postgres.dominant import DominantFile
from worker.adapters.postgres.scanned import Registered

MOST_LISTED = 1000


class Trouble(NamedTuple):
    """A file, and what is wrong with it."""

    path: str
    reason: str


@dataclass(slots=True)
class Listing:
    """Files with what is wrong with them; only the first thousand are kept, all are counted."""

    count: int = 0
    first: list[Trouble] = field(default_factory=list)

    def add(self, path: str, reason: str) -> None:
        """Add a file."""
        self.count += 1
        if self.count <= MOST_LISTED:
            self.first.append(Trouble(path, reason))

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {"count": self.count, "first": [trouble._asdict() for trouble in self.first]}


@dataclass(slots=True)
class CategoryScan:
    """Counts of one category: files, READY chunks, and their seconds."""

    files: int = 0
    chunks: int = 0
    duration_s: float = 0.0


@dataclass(slots=True)
class Found:
    """What a scan has found in the folder.

    Attributes:
        files: Audio files that were registered, FAILED ones too.
        categories: Counts by category.
        splits: Number of files by split; empty text: no split.
        failed: Files that cannot be read, and are registered FAILED.
        refused: Files that cannot be registered, because of their names.
        unplaced: Files that no rule gives a category.
        unreadable: Folders that cannot be read; chunks below them stay as they are.
        too_short: Number of files that are shorter than the shortest chunk.
        vanished: Number of files that went while they were scanned.
        others: Number of other files by the ends of their names; empty text: without one.
        hidden: Number of hidden files and folders.
        linked_again: Number of links to what is found by itself.
        sentences: Names that were made into names of categories and splits.
    """

    files: int = 0
    categories: dict[str, CategoryScan] = field(default_factory=dict)
    splits: Counter[str] = field(default_factory=Counter)
    failed: Listing = field(default_factory=Listing)
    refused: Listing = field(default_factory=Listing)
    unplaced: Listing = field(default_factory=Listing)
    unreadable: Listing = field(default_factory=Listing)
    too_short: int = 0
    vanished: int = 0
    others: Mapping[str, int] = field(default_factory=dict)
    hidden: int = 0
    linked_again: int = 0
    sentences: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class ScanReport:
    """What became of a scan.

    Attributes:
        folder: The folder, as paths of chunks begin.
        found: What was found in it.
        registered: What became of it in PostgreSQL.
        dominant: Files that have more than a third of their category's seconds.
        is_trial: Whether nothing was written.
    """

    folder: str
    found: Found
    registered: Registered
    dominant: Sequence[DominantFile] = ()
    is_trial: bool = False

    @property
    def chunks(self) -> int:
        """Return the number of READY chunks that were found."""
        return sum(one.chunks for one in self.found.categories.values())
