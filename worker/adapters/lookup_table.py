"""Keys and values on disk, so that a million of them take no memory: a SQLite file that goes with its connection."""

import sqlite3
from collections.abc import Iterable, Iterator

from worker.core.catalog.manifest import Lookup
from worker.errors import ManifestError

_PRAGMAS = ("journal_mode = off", "synchronous = off", "cache_size = -32768")  # the last in KiB
_TEMPORARY = ""


def lookup_table(name: str, pairs: Iterable[tuple[str, str]]) -> Lookup:
    """Keep keys and values, and return what finds them.

    Args:
        name: What the pairs are called in sentences.
        pairs: May be a generator, and may raise.

    Raises:
        ManifestError: A key comes twice, or there is no room for them.
    """
    try:
        table = sqlite3.connect(_TEMPORARY, isolation_level=None)
        for pragma in _PRAGMAS:
            table.execute(f"pragma {pragma}")
        table.execute("create table held (key text primary key, value text not null) without rowid")
        table.execute("begin")
        _fill(name, table, pairs)
        table.execute("commit")
    except sqlite3.OperationalError as error:
        raise ManifestError(f"{name} cannot be kept on disk while it is used: {error}") from error

    def find(key: str) -> str | None:
        row = table.execute("select value from held where key = ?", (key,)).fetchone()
        return None if row is None else row[0]

    return find


def _fill(name: str, table: sqlite3.Connection, pairs: Iterable[tuple[str, str]]) -> None:
    """Insert all pairs.

    Raises:
        ManifestError: A key comes twice.
    """
    last = ""

    def noted() -> Iterator[tuple[str, str]]:
        nonlocal last
        for pair in pairs:
            last = pair[0]
            yield pair

    try:
        table.executemany("insert into held values (?, ?)", noted())
    except sqlite3.IntegrityError as error:
        raise ManifestError(f"{name}: {last!r} is there twice") from error
