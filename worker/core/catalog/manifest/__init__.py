"""Manifests: the chunks to register, as CSV with a header row, as JSON Lines, or in a format of others."""

from worker.core.catalog.manifest.hints import COLUMNS
from worker.core.catalog.manifest.neighbours import Lookup, Neighbours, NoNeighbours, ReadPairs
from worker.core.catalog.manifest.notes import Notes
from worker.core.catalog.manifest.problems import Problems
from worker.core.catalog.manifest.reading import Manifest
from worker.core.catalog.manifest.rows import STATUSES, ChunkRow
from worker.core.catalog.manifest.tables import Table
from worker.core.catalog.manifest.wishes import AS_IT_IS, FORMATS, Wishes

__all__ = [
    "AS_IT_IS",
    "COLUMNS",
    "FORMATS",
    "STATUSES",
    "ChunkRow",
    "Lookup",
    "Manifest",
    "Neighbours",
    "NoNeighbours",
    "Notes",
    "Problems",
    "ReadPairs",
    "Table",
    "Wishes",
]
