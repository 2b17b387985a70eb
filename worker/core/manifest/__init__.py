"""Manifests: the chunks to register, as CSV with a header row or as JSON Lines."""

from worker.core.manifest.notes import Notes
from worker.core.manifest.problems import Problems
from worker.core.manifest.reading import Manifest
from worker.core.manifest.rows import STATUSES, ChunkRow

__all__ = ["STATUSES", "ChunkRow", "Manifest", "Notes", "Problems"]
