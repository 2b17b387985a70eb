"""A look at PostgreSQL's own tables sees the same, whether its statement is prepared or not."""

import asyncio
from itertools import pairwise

from tests.support.library import session
from worker.adapters.postgres.migrate import migrate
from worker.adapters.postgres.watch import look, prepare_look

_CHANGES = (
    "select 1",
    "alter table audio_chunks disable trigger user",
    "alter table audio_chunks add column more int, drop column status",
    "alter table audio_chunks enable row level security",
    "alter table audio_chunks rename to away",
    "create table audio_chunks (id bigint, category text, status text) partition by list (category)",
    "create table part partition of audio_chunks for values in ('voice')",
    "insert into audio_chunks values (1, 'voice', 'READY')",
    "alter table audio_chunks detach partition part",
    "drop table audio_chunks",
    "create view audio_chunks as select * from away",
    "do $$ begin execute format('alter role %I in database %I set search_path = x', user, current_database()); end $$",
)


async def test_a_prepared_look_sees_what_any_look_sees(empty_database_url: str) -> None:
    await migrate(empty_database_url)
    async with session(empty_database_url) as connection, session(empty_database_url) as other:
        prepared = await prepare_look(connection)
        shapes = []
        for change in _CHANGES:
            await other.execute(change)
            sight = await look(connection, 60, prepared)
            assert sight[:3] == (await look(connection, 60))[:3], change
            shapes.append((sight.shape, sight.found))
    told = [change for change, (before, now) in zip(_CHANGES[1:], pairwise(shapes), strict=True) if before == now]
    assert told == ["insert into audio_chunks values (1, 'voice', 'READY')"]  # this one is counted, and no new shape


async def test_looks_are_prepared_once_more_where_a_session_was_used_before(database_url: str) -> None:
    async with session(database_url) as connection:
        statements = [await prepare_look(connection) for _ in range(3)]
        sights = [await look(connection, 60, prepared) for prepared in statements]
        names = await connection.fetch("select name from pg_prepared_statements where name like 'sampling_worker_%'")
    assert (len({sight.shape for sight in sights}), len({row["name"] for row in names})) == (1, 3)


async def test_notifications_arrive_once_a_look_is_prepared(database_url: str) -> None:
    """The server sends none within a transaction, and preparing a statement begins one."""
    heard = asyncio.Event()
    async with session(database_url) as connection, session(database_url) as other:
        await connection.add_listener("news", lambda *_: heard.set())
        await prepare_look(connection)
        await other.execute("notify news")
        assert await asyncio.wait_for(heard.wait(), 60)
