"""What the catalog feed logs."""

import time
from typing import Literal

from worker.core.catalog import Catalog, Difference
from worker.core.events import CatalogChanged, CatalogLoaded, WeightsChanged
from worker.core.weights.values import Weights
from worker.logs.emit import emit
from worker.ports import LoadedCatalog
from worker.service.snapshots import WeightsBook

Cause = Literal["notify", "reload", "refresh"]


def log_defaults(book: WeightsBook, before: Weights) -> None:
    """Log that the default weights changed with the categories, if nobody has set weights."""
    if book.defaults is not before and book.shared.weights is None:
        book.changed_at_ms = time.time_ns() // 1_000_000
        after = book.defaults
        emit(
            WeightsChanged(
                dataset=None, version=after.version, source=after.source, before=before.text, after=after.text
            )
        )


def log_first(catalog: Catalog, loaded: LoadedCatalog, load_ms: float) -> None:
    """Log that the catalog was read for the first time."""
    emit(
        CatalogLoaded(
            catalog_version=catalog.version,
            chunks=len(catalog),
            categories=len(catalog.categories),
            ignored=loaded.ignored,
            ignored_examples=", ".join(loaded.ignored_examples),
            load_ms=load_ms,
        )
    )


def log_change(catalog: Catalog, change: Difference, cause: Cause, apply_ms: float) -> None:
    """Log that another catalog is in force."""
    emit(
        CatalogChanged(
            catalog_version=catalog.version,
            added=change.added,
            removed=change.removed,
            chunks=len(catalog),
            cause=cause,
            apply_ms=apply_ms,
        )
    )


def ms_since(began: float) -> float:
    """Return the time since a moment of `time.perf_counter`, in ms."""
    return (time.perf_counter() - began) * 1000
