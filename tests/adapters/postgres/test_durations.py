"""Durations of every SQL type are read with the chunks where weights are shares of audio time."""

import math

import numpy as np
import pytest

from tests.support.library import session
from worker.adapters.postgres.catalog import PostgresCatalog
from worker.adapters.postgres.migrate import migrate
from worker.core.catalog import Catalog
from worker.errors import PostgresError

ODD = ["null", "0", "-1", "'nan'", "'infinity'", "'-infinity'", "0.0004", "4294967.296"]
INSERT = "insert into audio_chunks (category, status, duration_s) values"
TABLE = "create table audio_chunks (id %s primary key default %s, category text, status text, duration_s float8)"


async def execute(url: str, *statements: str) -> None:
    async with session(url) as connection:
        for statement in statements:
            await connection.execute(statement)


def lasting(catalog: Catalog) -> dict[str, list[int]]:
    """List the durations of each category, in ms, in the order of the ids."""
    assert catalog.durations is not None
    bounds = zip(catalog.categories, catalog.bounds[:-1].tolist(), catalog.bounds[1:].tolist(), strict=True)
    return {name: catalog.durations.milliseconds[start:end].tolist() for name, start, end in bounds}


def reader(url: str, query: str | None = None) -> PostgresCatalog:
    return PostgresCatalog(url, query, with_durations=True)


async def test_durations_come_with_the_chunks(database_url: str) -> None:
    await execute(
        database_url,
        f"{INSERT} ('voice', 'READY', 1.0004), ('music', 'READY', 200), ('voice', 'FAILED', 5), ('voice', 'READY', .5)",
    )
    loaded = await reader(database_url).load()
    assert (lasting(loaded.catalog), loaded.ignored) == ({"music": [200_000], "voice": [1000, 500]}, 0)
    assert (await PostgresCatalog(database_url).load()).catalog.durations is None


async def test_many_blocks_hold_the_durations_of_their_rows(database_url: str) -> None:
    fill = "select (array['voice', 'music'])[1 + i % 2], 'READY', i / 1000.0 from generate_series(1, 120000) as i"
    await execute(database_url, f"insert into audio_chunks (category, status, duration_s) {fill}")
    catalog = (await reader(database_url).load()).catalog
    assert catalog.durations is not None
    assert catalog.durations.milliseconds.tolist() == catalog.ids.tolist()


async def test_what_has_no_duration_is_left_out_and_counted_by_seconds_alone(empty_database_url: str) -> None:
    await execute(
        empty_database_url,
        "create sequence numbers",
        TABLE % ("int", "nextval('numbers')"),
        *(f"{INSERT} ('voice', 'READY', {duration})" for duration in ODD),
        f"{INSERT} ('voice', 'READY', 7), ('Voice', 'READY', 7), (null, 'READY', 7)",
    )
    loaded = await reader(empty_database_url).load()
    assert (lasting(loaded.catalog), loaded.ignored) == ({"voice": [7000]}, len(ODD) + 2)
    by_chunks = await PostgresCatalog(empty_database_url).load()
    assert (len(by_chunks.catalog), by_chunks.ignored) == (len(ODD) + 1, 2)


async def test_rows_that_are_read_again_are_what_a_load_finds(empty_database_url: str) -> None:
    await execute(
        empty_database_url,
        "create sequence numbers",
        TABLE % ("bigint", "nextval('numbers')"),
        *(f"{INSERT} ('voice', 'READY', {one})" for one in ODD),
        f"{INSERT} ('voice', 'READY', 2.5), ('music', 'READY', 3), ('music', 'FAILED', 3)",
    )
    first = len(ODD) + 1
    async with reader(empty_database_url).listening() as listener:
        known = await listener.read(np.array([first + 1, *range(1, first), first + 2, first, 999]))
    assert known.parts == ["music", *[None] * len(ODD), None, "voice", None]
    assert known.durations is not None
    assert known.durations.tolist() == [3000, *[0] * len(ODD), 0, 2500, 0]


async def test_many_rows_are_read_again_in_the_order_asked_for(database_url: str) -> None:
    fill = "select (array['voice', 'music'])[1 + i % 2], 'READY', i / 1000.0 from generate_series(1, 25000) as i"
    await execute(database_url, f"insert into audio_chunks (category, status, duration_s) {fill}")
    ids = np.random.default_rng(7).permutation(np.arange(1, 25_001))
    async with reader(database_url).listening() as listener:
        known = await listener.read(ids)
    assert known.durations is not None
    assert known.durations.tolist() == ids.tolist()
    assert known.parts == [("voice", "music")[i % 2] for i in ids.tolist()]


async def test_uuids_last_too(empty_database_url: str) -> None:
    await execute(
        empty_database_url,
        TABLE % ("uuid", "gen_random_uuid()"),
        f"{INSERT} ('voice', 'READY', 2.5), ('voice', 'READY', 2.5)",
    )
    assert lasting((await reader(empty_database_url).load()).catalog) == {"voice": [2500, 2500]}


@pytest.mark.parametrize("kind", ["integer", "numeric(12, 3)", "real", "float8", "bigint", "text"])
async def test_a_query_may_tell_durations_of_any_type_of_number(empty_database_url: str, kind: str) -> None:
    query = "select i as id, 'voice' as category, (i * 2)::%s as duration_s from generate_series(1, 3) as i -- all"
    assert lasting((await reader(empty_database_url, query % kind).load()).catalog) == {"voice": [2000, 4000, 6000]}


async def test_a_chunk_that_a_query_returns_twice_is_as_long_as_the_shorter(empty_database_url: str) -> None:
    query = "select 1 as id, 'voice' as category, unnest(array[5, 3, 4]) as duration_s"
    assert lasting((await reader(empty_database_url, query).load()).catalog) == {"voice": [3000]}


@pytest.mark.parametrize(
    ("query", "complaint"),
    [
        ("select 1 as id, 'voice' as category", 'column "duration_s" does not exist'),
        ("select 1 as id, 'voice' as category, interval '1 s' as duration_s", "cannot cast type interval"),
    ],
)
async def test_a_query_without_durations_is_told_what_it_lacks(
    empty_database_url: str, query: str, complaint: str
) -> None:
    with pytest.raises(PostgresError, match=complaint) as caught:
        await reader(empty_database_url, query).load()
    accepted = (
        "; with WORKER_WEIGHT_UNIT=seconds, or sizes by hours, "
        "WORKER_CHUNKS_QUERY has to be a SELECT of id, category and duration_s"
    )
    assert accepted in str(caught.value)


async def test_a_table_without_durations_is_told_what_creates_them(empty_database_url: str) -> None:
    await execute(empty_database_url, "create table audio_chunks (id bigint primary key, category text, status text)")
    accepted = "needs audio_chunks.duration_s, a number, which `sampling-worker migrate` creates"
    with pytest.raises(PostgresError, match=accepted):
        await reader(empty_database_url).load()
    with pytest.raises(PostgresError, match=accepted):
        async with reader(empty_database_url).listening():
            pass
    await migrate(empty_database_url)
    assert len((await reader(empty_database_url).load()).catalog) == 0


async def test_sums_are_what_sql_adds_up(database_url: str) -> None:
    await execute(
        database_url,
        "insert into audio_chunks (category, status, duration_s) select (array['voice', 'music', 'x'])[1 + i % 3],"
        " 'READY', 1 + random() * 59 from generate_series(1, 5000) as i",  # none rounds to nothing, and is not counted
    )
    catalog = (await reader(database_url).load()).catalog
    assert catalog.durations is not None
    async with session(database_url) as connection:
        rows = await connection.fetch(
            "select category, avg(duration_s) as mean, var_pop(duration_s) as variance from audio_chunks group by 1"
        )
    told = {row["category"]: (row["mean"], row["variance"]) for row in rows}
    measured = zip(catalog.durations.means_s.tolist(), catalog.durations.variances_s2.tolist(), strict=True)
    for name, (mean, variance) in zip(catalog.categories, measured, strict=True):
        assert math.isclose(mean, told[name][0], abs_tol=1e-4)
        assert math.isclose(variance, told[name][1], rel_tol=1e-3)
