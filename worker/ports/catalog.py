"""What the catalog feed needs of PostgreSQL."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from worker.core.catalog import Catalog
    from worker.core.catalog.durations import Milliseconds

ROWS_SHOWN = "accepted: a policy that lets this role see rows, or a role with BYPASSRLS"
"""What helps where row level security hides everything."""


@dataclass(frozen=True, slots=True)
class LoadedCatalog:
    """Hold a catalog as PostgreSQL has it.

    Attributes:
        catalog: The READY chunks.
        ignored: Rows left out because their category is not a category name, or their duration is needed and none.
        ignored_examples: Categories of some of them, as far as they can be shown.
    """

    catalog: "Catalog"
    ignored: int
    ignored_examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unheard:
    """Say which changes nobody announces, so that reading alone finds them.

    Attributes:
        table: The table, or one of those that it is so with.
        tables: How many tables it is so with.
        reason: Why, with the tables as the subject.
        unseen: Which changes.
        mend: What would help.
    """

    table: str
    tables: int
    reason: str
    unseen: str
    mend: str


@dataclass(frozen=True, slots=True)
class CatalogNews:
    """Tell which rows changed.

    Attributes:
        ids: int64 or S16, shape (m,), each once: rows to read again.
        reload: Too much changed to name it: read everything again.
        is_doubtful: Rows may have changed that nobody named: find out.
    """

    ids: "NDArray[np.generic]"
    reload: bool
    is_doubtful: bool = False


class Known(NamedTuple):
    """Hold what is known now of some chunks.

    Attributes:
        categories: Shape (m,): the category in which each is READY, or None when it is not READY.
        durations: uint32, shape (m,), ms, each >= 1 where it is READY; None where durations do not matter.
    """

    categories: Sequence[str | None]
    durations: "Milliseconds | None" = None


class CatalogListener(Protocol):
    """Hear of changed rows, and read those rows again, over one connection."""

    @property
    def unheard(self) -> tuple[Unheard, ...]:
        """Tell which changes are announced to nobody; none where that is what the operator chose."""
        ...

    @property
    def hears_all(self) -> bool:
        """Tell whether every change is announced."""
        ...

    def news(self) -> AsyncGenerator[CatalogNews, None]:
        """Yield changes as they commit, those that pile up meanwhile as one.

        It ends when the table itself is another one, or has other rights or triggers: subscribe again.

        Raises:
            PostgresError: The connection is gone, or silent for too long.
        """
        ...

    async def read(self, ids: "NDArray[np.generic]") -> Known:
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

    async def holds(self, catalog: "Catalog") -> bool:
        """Tell whether a catalog is what PostgreSQL has, by no more than a checksum of it.

        Raises:
            PostgresError: PostgreSQL could not be reached, or refused the statement.
        """
        ...

    async def hiding(self) -> tuple[str, ...]:
        """Name tables, a few at most, whose rows row level security may hide from this role.

        Raises:
            PostgresError: PostgreSQL could not be reached, or refused the statement.
        """
        ...
