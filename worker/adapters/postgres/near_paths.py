"""Paths that may have been meant by names that no chunk has: the same file name in another folder, or other letters.

A letter such as é can be written as one character or as two (Unicode's forms NFC and NFD). A keyboard writes one, some
file systems the other, and on screen they are the same.
"""

import os
import unicodedata
from collections.abc import Sequence
from typing import Final, Literal

from worker.adapters.postgres.client import connected, translated

_TIMEOUT_S: Final = 60.0
_FORMS: Final[Sequence[Literal["NFC", "NFD"]]] = ("NFC", "NFD")
_FIND: Final = """
select distinct path::text from audio_chunks
where path = any($1::text[]) or path like any($2::text[]) order by path limit 1000"""


async def near_paths(database_url: str, names: Sequence[str]) -> dict[str, str]:
    """Find a path for each of some names, if there is one that may have been meant.

    Args:
        database_url: A `postgresql://` URL.
        names: Names that no chunk has as its path.

    Returns:
        Name -> path.

    Raises:
        PostgresError: PostgreSQL could not be reached, or refused a statement.
    """
    files = {name: os.path.basename(name) for name in names if "\0" not in name}  # noqa: PTH119 - text
    wanted = [form for name in files for form in _written(name)]
    patterns = [f"%/{_literal(form)}" for file in files.values() if file for form in _written(file)]
    with translated(database_url):
        async with connected(database_url, statement_timeout_s=_TIMEOUT_S) as connection:
            found = [path for (path,) in await connection.fetch(_FIND, wanted, patterns)]
    return {name: near for name, file in files.items() if (near := _nearest(name, file, found)) is not None}


def _nearest(name: str, file: str, found: Sequence[str]) -> str | None:
    """Return the path that is the name in other letters, else the first one with its file name."""
    plain = unicodedata.normalize("NFC", name)
    written = {path: unicodedata.normalize("NFC", path) for path in found}
    same = next((path for path, form in written.items() if form == plain), None)
    end = f"/{unicodedata.normalize('NFC', file)}"
    return same or next((path for path, form in written.items() if file and form.endswith(end)), None)


def _written(text: str) -> set[str]:
    return {text, *(unicodedata.normalize(form, text) for form in _FORMS)}


def _literal(text: str) -> str:
    """Escape what a pattern of LIKE gives a meaning."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
