"""The catalog: a snapshot of what is READY, and changes of it."""

from worker.core.catalog.changes import Difference, apply_changes, compare
from worker.core.catalog.checksum import Checksum, checksum_of, checksum_rows
from worker.core.catalog.snapshot import (
    Block,
    Catalog,
    ascending,
    build_catalog,
    empty_catalog,
    fingerprint_of,
    fold_ids,
    gather_catalog,
    largest_categories,
)

__all__ = [
    "Block",
    "Catalog",
    "Checksum",
    "Difference",
    "apply_changes",
    "ascending",
    "build_catalog",
    "checksum_of",
    "checksum_rows",
    "compare",
    "empty_catalog",
    "fingerprint_of",
    "fold_ids",
    "gather_catalog",
    "largest_categories",
]
