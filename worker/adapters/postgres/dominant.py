"""Find categories in which one file has more than a third of the seconds."""

from collections.abc import Collection
from dataclasses import dataclass

from worker.adapters.postgres.client import connected, translated

_STATEMENT_TIMEOUT_S = 600.0
# One of two files always has more than a third, which says little; unless it is a long one.
_DOMINANT = """
with file as (
  select category::text as category, path::text as path, sum(duration_s) as seconds from audio_chunks
  where upper(status::text) = 'READY' and category::text = any($1::text[])
    and duration_s between 0.0005 and 4294967.295 and path is not null
  group by category, path
), ranked as (
  select category, path, seconds, sum(seconds) over each as total, count(*) over each as files,
    row_number() over (partition by category order by seconds desc, path) as rank
  from file window each as (partition by category)
)
select category, path, seconds::double precision, total::double precision from ranked
where rank = 1 and seconds > total / 3 and (files > 2 or seconds >= 600) order by category"""


@dataclass(frozen=True, slots=True)
class DominantFile:
    """A file that has more than a third of its category's seconds.

    Attributes:
        category: The category.
        path: The file.
        duration_s: Its READY seconds.
        of_s: Those of its category.
    """

    category: str
    path: str
    duration_s: float
    of_s: float


async def dominant_files(database_url: str, categories: Collection[str]) -> list[DominantFile]:
    """Return the largest file of each category where it has more than a third of the READY seconds.

    Args:
        database_url: A `postgresql://` URL.
        categories: The categories to look at.

    Returns:
        By category. One with a file or two is left out, unless the largest file has ten minutes or more.

    Raises:
        PostgresError: PostgreSQL could not be reached, or refused the statement.
    """
    with translated(database_url):
        async with connected(database_url, statement_timeout_s=_STATEMENT_TIMEOUT_S) as connection:
            return [DominantFile(*row) for row in await connection.fetch(_DOMINANT, list(categories))]
