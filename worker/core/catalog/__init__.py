"""The catalog: a snapshot of what is READY, and changes of it."""

from worker.core.catalog.changes import Change, apply_changes, compare
from worker.core.catalog.snapshot import (
    Block,
    Catalog,
    ascending,
    build_catalog,
    empty_catalog,
    fingerprint_of,
    fold_ids,
    gather_catalog,
)

__all__ = [
    "Block",
    "Catalog",
    "Change",
    "apply_changes",
    "ascending",
    "build_catalog",
    "compare",
    "empty_catalog",
    "fingerprint_of",
    "fold_ids",
    "gather_catalog",
]
