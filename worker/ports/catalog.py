"""What the catalog feed needs of PostgreSQL; see `worker.adapters.postgres` for what each call promises.

Every call may raise `PostgresError`.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from worker.core.catalog import Catalog, Columns
    from worker.core.catalog.durations import Milliseconds

ROWS_SHOWN = "accepted: a policy that lets this role see rows, or a role with BYPASSRLS"
"""What to do if row level security hides every row."""

SPLIT_SHOWN = "accepted: GRANT SELECT (split) ON audio_chunks, as deploy/sampler.sql does"
"""What to do if the role may not read splits."""


@dataclass(frozen=True, slots=True)
class LoadedCatalog:
    """A catalog as PostgreSQL has it.

    Attributes:
        catalog: The READY chunks.
        ignored: Rows left out: their category or split is no such name, or a needed duration is missing.
        ignored_examples: Categories of some of these rows, in printable form.
        is_split_hidden: Whether there is a column `split` that this role may not read.
    """

    catalog: "Catalog"
    ignored: int
    ignored_examples: tuple[str, ...] = ()
    is_split_hidden: bool = False


@dataclass(frozen=True, slots=True)
class Unheard:
    """Changes that nobody announces, so that only reading finds them.

    Attributes:
        table: The table, or one of several with the same problem.
        tables: How many tables have this problem.
        reason: Why, with the tables as the subject.
        unseen: Which changes.
        mend: What would solve it.
    """

    table: str
    tables: int
    reason: str
    unseen: str
    mend: str


@dataclass(frozen=True, slots=True)
class CatalogNews:
    """Rows that changed.

    Attributes:
        ids: int64 or S16, shape (m,), each once: rows to read again.
        reload: Too much changed to name it: read everything again.
        is_doubtful: Rows may have changed that nobody named: compare.
    """

    ids: "NDArray[np.generic]"
    reload: bool
    is_doubtful: bool = False


class Known(NamedTuple):
    """What PostgreSQL says now about some chunks.

    Attributes:
        parts: Shape (m,): the part in which each is READY, see `worker.core.catalog.parts`; None if it is not READY.
        durations: uint32, shape (m,), ms, each >= 1 if it is READY; None if durations do not matter.
        columns: What else is known of each that is READY; None if nothing is held.
    """

    parts: Sequence[str | None]
    durations: "Milliseconds | None" = None
    columns: "Columns | None" = None


class CatalogListener(Protocol):
    """Hears of changed rows, and reads those rows again, over one connection."""

    @property
    def unheard(self) -> tuple[Unheard, ...]:
        """Return the changes that are not announced; none if the operator chose to do without announcements."""

    @property
    def hears_all(self) -> bool:
        """Return whether every change is announced."""

    def news(self) -> AsyncGenerator[CatalogNews, None]:
        """Yield changes as they commit; end when the table was replaced, or its rights or triggers changed."""

    async def read(self, ids: "NDArray[np.generic]") -> Known:
        """Return what is known of these chunks now."""


class CatalogSource(Protocol):
    """Reads the catalog from PostgreSQL."""

    def listening(self) -> AbstractAsyncContextManager[CatalogListener]:
        """Open a connection that hears of changes from this moment on."""

    async def load(self) -> LoadedCatalog:
        """Read the whole catalog, over a connection of its own."""

    async def holds(self, catalog: "Catalog") -> bool:
        """Return whether a catalog equals that of PostgreSQL, by a checksum."""

    async def hiding(self) -> tuple[str, ...]:
        """Return names of tables, a few at most, whose rows row level security may hide from this role."""
