"""Manifests: the chunks to register, as CSV with a header row or as JSON Lines."""

from worker.core.catalog.manifest.notes import Notes
from worker.core.catalog.manifest.problems import Problems
from worker.core.catalog.manifest.reading import Manifest
from worker.core.catalog.manifest.rows import STATUSES, ChunkRow

__all__ = ["STATUSES", "ChunkRow", "Manifest", "Notes", "Problems"]
