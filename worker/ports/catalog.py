"""What the catalog feed needs of PostgreSQL."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from worker.core.catalog import Catalog
from worker.core.durations import Milliseconds


@dataclass(frozen=True, slots=True)
class LoadedCatalog:
    """Hold a catalog as PostgreSQL has it.

    Attributes:
        catalog: The READY chunks.
        ignored: Rows left out because their category is not a category name, or their duration is needed and none.
    """

    catalog: Catalog
    ignored: int


@dataclass(frozen=True, slots=True)
class CatalogNews:
    """Tell which rows changed.

    Attributes:
        ids: int64 or S16, shape (m,), each once: rows to read again.
        reload: Too much changed to name it: read everything again.
    """

    ids: NDArray[np.generic]
    reload: bool


class Known(NamedTuple):
    """Hold what is known now of some chunks.

    Attributes:
        categories: Shape (m,): the category in which each is READY, or None when it is not READY.
        durations: uint32, shape (m,), ms, each >= 1 where it is READY; None where durations do not matter.
    """

    categories: Sequence[str | None]
    durations: Milliseconds | None = None


class CatalogListener(Protocol):
    """Hear of changed rows, and read those rows again, over one connection."""

    def news(self) -> AsyncGenerator[CatalogNews, None]:
        """Yield changes as they commit, those that pile up meanwhile as one.

        Raises:
            PostgresError: The connection is gone, or silent for too long.
        """
        ...

    async def read(self, ids: NDArray[np.generic]) -> Known:
        """Tell what is known of these chunks now.

        Raises:
            PostgresError: The connection is gone, or silent for too long.
        """
        ...


class CatalogSource(Protocol):
    """Read the catalog from PostgreSQL."""

    def listening(self) -> AbstractAsyncContextManager[CatalogListener]:
        """Open a connection that hears of changes from this moment on; of none where the source cannot notify.

        Raises:
            PostgresError: PostgreSQL could not be reached.
        """
        ...

    async def load(self) -> LoadedCatalog:
        """Read the whole catalog, over a connection of its own.

        Raises:
            PostgresError: PostgreSQL could not be reached, or refused the statement.
        """
        ...
