"""Held columns are those of PostgreSQL: after a load, after each change that is heard, and after one that is found."""

import json
from typing import Any

import anyio
import numpy as np
import pytest

from tests.support.feeding import FOUND_S, NEVER_S
from tests.support.library import session
from tests.support.tasks import endless
from tests.support.waiting import wait_until
from worker.adapters.postgres.catalog import PostgresCatalog
from worker.adapters.postgres.client import Connection
from worker.core.catalog import Catalog
from worker.core.catalog.rendering import cut_rendered
from worker.errors import PostgresError
from worker.service.catalog_feed import CatalogFeed
from worker.service.snapshots import CurrentSnapshots
from worker.service.wiring import postgres_availability

ALL = ("duration_s", "start_s", "path")
Row = tuple[str, float | None, float | None, str | None]
# Paths of all kinds, some megabytes of them, so that they are read in several blocks.
FILL = r"""
insert into audio_chunks (category, status, duration_s, start_s, path, split)
select (array['voice', 'music'])[1 + i % 2], 'READY', nullif(i % 10, 0) / 3.0, nullif(i % 7, 0) * 1e6 / 3.0,
  case i % 6 when 0 then null when 1 then case i when 1 then '' end when 2 then E'a "quoted"\\\n\t\x01 path ' || i
  when 3 then repeat(U&'\00e9\+01F600', i % 40) || i else repeat('folder/', i % 60) || i || '.flac' end,
  (array[null, 'val'])[1 + i / 5 % 2]
from generate_series(1, 3000) as i"""


def _contents(catalog: Catalog | None) -> dict[str, Row]:
    assert catalog is not None
    columns = catalog.columns
    assert columns is not None
    assert catalog.held == ALL
    assert columns.paths is not None
    numbers = [[None if np.isnan(one) else one for one in columns.numbers[name].tolist()] for name in ALL[:2]]
    ids = (
        json.loads(cut_rendered(catalog.ids, catalog.width, np.arange(len(catalog)), np.array([len(catalog)]))[0])
        if len(catalog)
        else []
    )
    names = [name for name, owned in catalog.segments() for _ in owned]
    texts = [json.loads(text) for text in columns.texts.read(columns.paths)]
    return dict(zip(map(str, ids), zip(names, *numbers, texts, strict=True), strict=True))


async def _in_sql(connection: Connection) -> dict[str, Row]:
    rows = await connection.fetch(
        "select id::text, category, duration_s, start_s, path from audio_chunks where status = 'READY'"
    )
    return {row[0]: tuple(row)[1:] for row in rows}


async def _becomes(current: CurrentSnapshots, wanted: dict[str, Row], after: str) -> None:
    """Wait until the catalog is as wanted; each is read once, as that takes longer than a look."""
    seen: list[Catalog | None] = [None]

    def is_as_wanted() -> bool:
        if current.catalog is seen[-1]:
            return False
        seen.append(current.catalog)
        return _contents(current.catalog) == wanted

    await wait_until(is_as_wanted, timeout_s=FOUND_S, what=f"columns are as after {after}")


@pytest.mark.parametrize("with_durations", [False, True], ids=["chunks", "seconds"])
async def test_columns_are_loaded_and_read_again_as_they_are(database_url: str, with_durations: bool) -> None:  # noqa: FBT001
    source = PostgresCatalog(database_url, held=ALL, with_durations=with_durations)
    async with session(database_url) as writer:
        await writer.execute(FILL)
        wanted = {chunk: row for chunk, row in (await _in_sql(writer)).items() if row[1] or not with_durations}
        loaded = (await source.load()).catalog
        assert _contents(loaded) == wanted
        assert await source.holds(loaded)
        async with source.listening() as listener:
            known = await listener.read(loaded.ids[np.argsort(loaded.ids)])
        assert known.columns is not None
        assert loaded.columns is not None
        order = np.argsort(loaded.ids)
        assert known.columns.marks.tolist() == loaded.columns.marks[order].tolist()
        assert known.columns.paths is not None
        assert loaded.columns.paths is not None
        read = known.columns.texts.read(known.columns.paths)
        assert read == loaded.columns.texts.read(loaded.columns.paths[order])


@pytest.mark.parametrize("refresh_s", [NEVER_S, 0.05], ids=["heard of", "found"])
async def test_columns_that_change_are_followed(database_url: str, refresh_s: float) -> None:
    current = CurrentSnapshots()
    feed = CatalogFeed(PostgresCatalog(database_url, held=ALL), current, postgres_availability(), refresh_s=refresh_s)
    statements = [
        "update audio_chunks set path = 'moved/' || path where id % 5 = 0",
        "update audio_chunks set start_s = start_s + 0.001 where id <= 30",
        "update audio_chunks set duration_s = null, path = null where id = 4",
        "update audio_chunks set split = 'test', path = 'x' || id where id between 5 and 9",
        "delete from audio_chunks where id > 2800",
        "insert into audio_chunks (category, status, path) values ('voice', 'READY', 'new'), ('b', 'READY', null)",
    ]
    async with session(database_url) as writer, anyio.create_task_group() as loops:
        await writer.execute(FILL)
        if refresh_s < NEVER_S:  # as where nothing notifies
            await writer.execute("alter table audio_chunks disable trigger all")
        await loops.start(endless, feed.run)
        for statement in statements:
            await writer.execute(statement)
            await _becomes(current, await _in_sql(writer), statement)
        assert current.catalog is not None
        assert await PostgresCatalog(database_url, held=ALL).holds(current.catalog)
        without = (await PostgresCatalog(database_url).load()).catalog
        assert (current.catalog.version, without.held) == (without.version, ())
        loops.cancel_scope.cancel()


async def test_uuids_and_queries_may_have_columns(empty_database_url: str) -> None:
    async with session(empty_database_url) as writer:
        await writer.execute("create table mine (key uuid default gen_random_uuid(), file varchar(40), category text)")
        await writer.execute(
            "insert into mine (file, category) select 'file ' || i, 'voice' from generate_series(1, 99) i"
        )
        query = "select key as id, category, file as path, 2.5::numeric as duration_s, null::real as start_s from mine"
        loaded = (await PostgresCatalog(empty_database_url, query, held=ALL).load()).catalog
        wanted = {str(row[0]): ("voice", 2.5, None, row[1]) for row in await writer.fetch("select key, file from mine")}
        assert _contents(loaded) == wanted
        assert await PostgresCatalog(empty_database_url, query, held=ALL).holds(loaded)


@pytest.mark.parametrize(
    ("query", "accepted"),
    [
        (
            None,
            "WORKER_CATALOG_COLUMNS=path needs these columns of audio_chunks, and the right to read them",
        ),
        (
            "select 1 as id, 'a' as category",
            "with WORKER_CATALOG_COLUMNS=path, WORKER_CHUNKS_QUERY has to return these",
        ),
    ],
)
async def test_a_column_that_is_not_there_is_named(empty_database_url: str, query: Any, accepted: str) -> None:
    async with session(empty_database_url) as writer:
        await writer.execute("create table audio_chunks (id bigint, category text, status text)")
    with pytest.raises(PostgresError, match=accepted):
        await PostgresCatalog(empty_database_url, query, held=("path",)).load()
