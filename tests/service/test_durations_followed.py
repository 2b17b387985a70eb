"""By seconds, a catalog in memory follows durations as it follows categories."""

from pathlib import Path

import anyio
import pytest

from tests.support.feeding import FOUND_S, NEVER_S
from tests.support.library import session
from tests.support.log_lines import captured_log
from tests.support.tasks import endless
from tests.support.waiting import wait_until
from worker.adapters.postgres.catalog import PostgresCatalog
from worker.adapters.postgres.client import Connection
from worker.core.catalog import Catalog
from worker.service.catalog_feed import CatalogFeed
from worker.service.snapshots import CurrentSnapshots
from worker.service.wiring import postgres_availability

FILL = (
    "insert into audio_chunks (category, status, duration_s) select 'voice', 'READY', i from generate_series(1, 9) as i"
)


def _contents(catalog: Catalog | None) -> dict[tuple[str, int], int]:
    assert catalog is not None
    assert catalog.durations is not None
    names = [name for name, ids in catalog.segments() for _ in ids]
    return dict(
        zip(zip(names, catalog.ids.tolist(), strict=True), catalog.durations.milliseconds.tolist(), strict=True)
    )


async def _in_sql(connection: Connection) -> dict[tuple[str, int], int]:
    rows = await connection.fetch(
        "select category, id, round(duration_s * 1000)::int from audio_chunks where status = 'READY' and duration_s > 0"
    )
    return {(category, chunk): milliseconds for category, chunk, milliseconds in rows}


@pytest.mark.parametrize("refresh_s", [NEVER_S, 0.05], ids=["heard of", "found"])
async def test_durations_that_change_are_followed(database_url: str, tmp_path: Path, refresh_s: float) -> None:
    current = CurrentSnapshots()
    availability = postgres_availability()
    source = PostgresCatalog(database_url, with_durations=True)
    statements = [
        "update audio_chunks set duration_s = duration_s + 0.5 where id <= 3",
        "update audio_chunks set duration_s = null where id = 4",
        "update audio_chunks set duration_s = 12, category = 'music' where id = 5",
        "update audio_chunks set duration_s = 8 where id = 4",
        "insert into audio_chunks (category, status, duration_s) values ('music', 'READY', 0.25), ('x', 'READY', null)",
        "delete from audio_chunks where id = 9",
    ]
    with captured_log(tmp_path) as log:
        async with session(database_url) as writer, anyio.create_task_group() as loops:
            await writer.execute(FILL)
            if refresh_s < NEVER_S:  # as where nothing notifies
                await writer.execute("alter table audio_chunks disable trigger all")
            await loops.start(endless, CatalogFeed(source, current, availability, refresh_s=refresh_s).run)
            assert _contents(current.catalog) == await _in_sql(writer)
            for statement in statements:
                await writer.execute(statement)
                wanted = await _in_sql(writer)
                await wait_until(
                    lambda wanted=wanted: _contents(current.catalog) == wanted,  # type: ignore[misc]
                    timeout_s=FOUND_S,
                    what=f"durations are what SQL says after {statement}",
                )
            told = len(statements)
            await wait_until(lambda: len(log.of("catalog.changed")) == told, timeout_s=FOUND_S, what="all is logged")
            loops.cancel_scope.cancel()
        logged = [(line["added"], line["removed"]) for line in log.of("catalog.changed")]
    assert logged == [(3, 3), (0, 1), (1, 1), (1, 0), (1, 0), (0, 1)]


async def test_by_chunks_durations_do_not_matter(database_url: str) -> None:
    current = CurrentSnapshots()
    availability = postgres_availability()
    async with session(database_url) as writer, anyio.create_task_group() as loops:
        await writer.execute(FILL)
        await loops.start(
            endless, CatalogFeed(PostgresCatalog(database_url), current, availability, refresh_s=NEVER_S).run
        )
        before = current.catalog
        await writer.execute("update audio_chunks set duration_s = null where id = 1")
        await writer.execute("delete from audio_chunks where id = 2")
        await wait_until(lambda: current.catalog is not before, timeout_s=30, what="the deletion is heard of")
        assert current.catalog is not None
        assert (len(current.catalog), current.catalog.durations) == (8, None)
        loops.cancel_scope.cancel()
