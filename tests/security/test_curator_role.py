"""The role of `deploy/curator.sql`: it takes chunks out and puts them back, and can do little else."""

import asyncpg

from tests.support.guarded import as_role, make_role
from tests.support.library import session
from worker.adapters.postgres.chunks import import_chunks
from worker.adapters.postgres.quarantine import list_quarantines, quarantine_chunks, release_chunks
from worker.core.catalog.manifest import ChunkRow

NEVER = (
    "insert into audio_chunks (category, status) values ('voice', 'READY')",
    "update audio_chunks set category = 'music'",
    "update audio_chunks set path = 'x'",
    "delete from audio_chunks",
    "truncate audio_chunks",
    "select category from audio_chunks",
    "delete from chunk_quarantine",
    "truncate chunk_quarantine",
    "update chunk_quarantine set chunk_id = 7",
    "select * from sampling_worker_migrations",
    "create table mine ()",
    "create temporary table mine ()",
    "set role postgres",
)


async def test_it_takes_out_and_puts_back_and_no_more(database_url: str) -> None:
    await import_chunks(database_url, [ChunkRow("a", "voice"), ChunkRow("b", "voice")])
    make_role(database_url, "curator")
    make_role(database_url, "curator")
    url = as_role(database_url, "curator")
    taken = await quarantine_chunks(url, [("1",), ("b",)], reason="hum", who="ada")
    assert taken.changed == ("1", "2")
    assert (await release_chunks(url, [("1",)], who="bob")).changed == ("1",)
    assert (await quarantine_chunks(url, [("1",), ("2",)], reason="hum", who="ada")).changed == ("1",)
    assert [one.id for one in await list_quarantines(url, with_released=True)] == ["1", "2", "1"]
    done = []
    async with session(url) as curator:
        for statement in NEVER:
            try:
                await curator.execute(statement)
                done.append(statement)
            except asyncpg.InsufficientPrivilegeError:
                continue
    assert done == []
