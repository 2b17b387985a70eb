"""The catalog: a snapshot of what is READY, and changes of it."""

from worker.core.catalog.changes import Difference, apply_changes, compare
from worker.core.catalog.checksum import Checksum, checksum_of, checksum_rows
from worker.core.catalog.columns import Columns, refer_to_paths
from worker.core.catalog.excluding import without
from worker.core.catalog.fingerprint import fingerprint_of, fold_ids
from worker.core.catalog.parts import part_name, read_part
from worker.core.catalog.rows import Rows
from worker.core.catalog.snapshot import (
    Block,
    Catalog,
    ascending,
    build_catalog,
    empty_catalog,
    gather_catalog,
    largest_categories,
)
from worker.core.catalog.view import View

__all__ = [
    "Block",
    "Catalog",
    "Checksum",
    "Columns",
    "Difference",
    "Rows",
    "View",
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
    "part_name",
    "read_part",
    "refer_to_paths",
    "without",
]
