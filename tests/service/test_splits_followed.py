"""A catalog in memory follows the splits of chunks, and no request gets a chunk of another split meanwhile."""

from functools import partial
from pathlib import Path

import anyio
import numpy as np
import pytest

from tests.support.library import session
from tests.support.log_lines import captured_log
from tests.support.tasks import endless
from tests.support.waiting import wait_until
from worker.adapters.postgres.catalog import PostgresCatalog
from worker.adapters.postgres.client import Connection
from worker.core.catalog import Catalog, read_part
from worker.core.draw.answer import answer
from worker.core.draw.prepare import Snapshots
from worker.core.weights.in_force import InForce
from worker.core.weights.values import normalise
from worker.core.wire import Request, Terms, decode_result
from worker.service.catalog_feed import CatalogFeed
from worker.service.snapshots import CurrentSnapshots
from worker.service.wiring import postgres_availability

NEVER_S = 3600.0
FILL = """
insert into audio_chunks (id, category, status, split)
select i, (array['voice', 'music'])[1 + i % 2], 'READY', (array[null, 'train', 'val', '', 'test'])[1 + i % 5]
from generate_series(1, 20000) as i"""
# Chunks beyond 10,000 move between splits, and the others stay.
MOVE = "update audio_chunks set split = (array[null, 'val', 'train', 'test', ''])[1 + (id + $1) % 5] where id > $2"
STAYS = 10_000


def _contents(catalog: Catalog | None) -> dict[int, tuple[str, str]]:
    assert catalog is not None
    parts = zip(catalog.parts, catalog.bounds[:-1].tolist(), catalog.bounds[1:].tolist(), strict=True)
    return {chunk: read_part(name) for name, start, end in parts for chunk in catalog.ids[start:end].tolist()}


def _is_as(current: CurrentSnapshots, wanted: dict[int, tuple[str, str]]) -> bool:
    return _contents(current.catalog) == wanted


async def _in_sql(connection: Connection) -> dict[int, tuple[str, str]]:
    rows = await connection.fetch("select id, category, coalesce(split, '') from audio_chunks where status = 'READY'")
    return {chunk: (category, split) for chunk, category, split in rows}


def _draw(current: CurrentSnapshots, split: str | None, rng: np.random.Generator) -> list[int]:
    weights = normalise({"voice": 0.7, "music": 0.3}, "redis")
    assert weights is not None
    snapshots = Snapshots(current.derived, {None: InForce(None, weights, ())}, 0)
    terms = Terms(size=4096, split=split, encoding="packed")
    results = answer([Request(f"{n}-0", f"r{n}", terms) for n in range(16)], snapshots, rng).results
    ids: list[int] = []
    for result in results:
        words = [word.encode() if isinstance(word, str) else word for word in result.fields]
        reply = decode_result(words, packed=True)
        assert isinstance(reply.chunk_ids, bytes)
        ids += np.frombuffer(reply.chunk_ids, "<i8").tolist()
    return ids


async def test_a_million_draws_while_rows_change_their_split_get_none_of_another(database_url: str) -> None:
    current, rng = CurrentSnapshots(), np.random.default_rng(3)
    feed = CatalogFeed(PostgresCatalog(database_url), current, postgres_availability(), refresh_s=NEVER_S)
    drawn = {None: 0, "train": 0, "val": 0}
    versions = set()
    async with session(database_url) as writer, anyio.create_task_group() as loops:
        await writer.execute(FILL)
        stays = {chunk: own for chunk, (_, own) in (await _in_sql(writer)).items() if chunk <= STAYS}
        await loops.start(endless, feed.run)
        for turn in range(6):
            await writer.execute(MOVE, turn, STAYS)
            for split in drawn:
                accepted = {"", "train"} if split is None else {split}
                ids = _draw(current, split, rng)
                drawn[split] += len(ids)
                assert {stays[chunk] for chunk in ids if chunk in stays} <= accepted
                versions.add(current.catalog.version if current.catalog else "")
            wanted = await _in_sql(writer)
            await wait_until(partial(_is_as, current, wanted), timeout_s=30, what="splits are as in SQL")
            for split in drawn:
                accepted = {"", "train"} if split is None else {split}
                assert {wanted[chunk][1] for chunk in set(_draw(current, split, rng))} <= accepted
        loaded = await PostgresCatalog(database_url).load()
        assert current.catalog is not None
        assert (current.catalog.version, current.catalog.parts) == (loaded.catalog.version, loaded.catalog.parts)
        assert await PostgresCatalog(database_url).holds(current.catalog)
        loops.cancel_scope.cancel()
    assert sum(drawn.values()) > 10**6
    assert len(versions) > 1


@pytest.mark.any_redis
async def test_a_changed_split_is_found_without_an_announcement(database_url: str) -> None:
    source = PostgresCatalog(database_url)
    async with session(database_url) as writer:
        await writer.execute(FILL)
        loaded = (await source.load()).catalog
        assert await source.holds(loaded)
        for statement in (
            "set split = 'val' where id = 4",
            "set split = '' where id = 4",
            "set split = 'train' where id = 4",
        ):
            await writer.execute(f"update audio_chunks {statement}")
            assert not await source.holds(loaded)
        await writer.execute("update audio_chunks set split = null where split = ''")
        loaded = (await source.load()).catalog
        await writer.execute("update audio_chunks set split = '' where split is null")
        assert await source.holds(loaded)  # null and empty are one


ODD = """
create table audio_chunks (id bigint, category text, split text, status text default 'READY');
insert into audio_chunks values
(1, 'voice', 'val'), (2, 'voice+val', null), (3, 'voice', 'Dev'), (4, 'voice!train', ''), (5, 'voice', 'a+b')"""


async def test_odd_categories_and_splits_are_ignored_and_never_taken_for_a_part(empty_database_url: str) -> None:
    async with session(empty_database_url) as writer:
        await writer.execute(ODD)
        source = PostgresCatalog(empty_database_url)
        loaded = await source.load()
        assert _contents(loaded.catalog) == {1: ("voice", "val")}
        assert loaded.ignored == 4
        assert set(loaded.ignored_examples) == {
            "'voice+val'",
            "voice of split 'Dev'",
            "'voice!train'",
            "voice of split 'a+b'",
        }
        assert await source.holds(loaded.catalog)
        async with source.listening() as listener:
            assert (await listener.read(np.arange(1, 6))).parts == ["voice+val", None, None, None, None]


async def test_a_query_may_return_splits_and_a_table_need_not_have_them(empty_database_url: str) -> None:
    async with session(empty_database_url) as writer:
        await writer.execute("create table mine (id bigint, category text, part text)")
        await writer.execute("insert into mine values (1, 'voice', 'val'), (2, 'voice', null), (3, 'music', 'train')")
        query = "select id, category, part as split from mine -- as we call it"
        loaded = (await PostgresCatalog(empty_database_url, query).load()).catalog
        assert _contents(loaded) == {1: ("voice", "val"), 2: ("voice", ""), 3: ("music", "train")}
        assert await PostgresCatalog(empty_database_url, query).holds(loaded)
        without = (await PostgresCatalog(empty_database_url, "select id, category from mine").load()).catalog
        assert (without.splits, without.ready) == ((), {"music": 1, "voice": 2})
        await writer.execute("create table audio_chunks (id bigint, category text, status text)")
        await writer.execute("insert into audio_chunks select id, category, 'READY' from mine")
        async with PostgresCatalog(empty_database_url).listening() as listener:
            assert (await listener.read(np.arange(1, 4))).parts == ["voice", "voice", "music"]
        assert (await PostgresCatalog(empty_database_url).load()).catalog.version == without.version


async def test_splits_that_the_role_may_not_read_are_told_of_and_found_once_it_may(
    database_url: str, tmp_path: Path
) -> None:
    role = f"reader_{database_url.rpartition('/')[2]}"
    current = CurrentSnapshots()
    async with session(database_url) as owner:
        await owner.execute(f"{FILL}; create role {role} login")
        await owner.execute(f"grant select (id, category, status) on audio_chunks to {role}")
        source = PostgresCatalog(database_url.replace("postgres@", f"{role}@"))
        feed = CatalogFeed(source, current, postgres_availability(), refresh_s=NEVER_S)
        try:
            with captured_log(tmp_path) as log:
                async with anyio.create_task_group() as loops:
                    await loops.start(endless, feed.run)
                    assert current.catalog is not None
                    assert (current.catalog.splits, len(current.catalog)) == ((), 20_000)
                    await owner.execute(f"grant select (split) on audio_chunks to {role}")
                    await wait_until(
                        lambda: bool(current.catalog and current.catalog.splits), timeout_s=30, what="splits"
                    )
                    loops.cancel_scope.cancel()
                [line] = log.of("catalog.split_hidden")
            assert line["message"] == "accepted: GRANT SELECT (split) ON audio_chunks, as deploy/sampler.sql does"
            assert not current.is_split_hidden
        finally:
            await owner.execute(f"drop owned by {role}; drop role {role}")
