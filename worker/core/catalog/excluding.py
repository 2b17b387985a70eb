"""A catalog without the chunks of an exclusion list."""

from dataclasses import replace

import numpy as np

from worker.core.catalog.changes import apply_changes
from worker.core.catalog.columns import NO_TEXTS
from worker.core.catalog.rendering import BIGINT, UUID
from worker.core.catalog.snapshot import Catalog
from worker.core.wire.exclusions import ExclusionList


def without(catalog: Catalog, excluded: ExclusionList) -> Catalog:
    """Return a catalog without the chunks of a list, as if they were not READY.

    Args:
        catalog: The READY chunks; it stays as it is.
        excluded: The list; ids that no chunk has do nothing.

    Raises:
        ValueError: Its ids are of another kind than those of the catalog; an empty list is of any.
    """
    if not excluded.size or not len(catalog):
        return catalog
    is_uuid = catalog.id_kind == "uuid"
    if catalog.id_kind != excluded.kind:
        raise ValueError(f"it holds ids of kind {excluded.kind}, and those of the library are {catalog.id_kind}s")
    ids = np.frombuffer(excluded.packed, UUID if is_uuid else "<i8").astype(UUID if is_uuid else BIGINT)
    any_row = catalog.rows.take(np.zeros(len(ids), np.int64))  # of what goes, nothing but its id matters
    columns = None if any_row.columns is None else replace(any_row.columns, texts=NO_TEXTS)
    return apply_changes(catalog, ids, [None] * len(ids), any_row.durations, columns)[0]
