"""Reports of losses in Redis are read in pages and bounded; each refused one is reported once."""

import asyncio
import json
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.losses import loss_sums
from tests.support.streams import Desk
from worker.adapters.redis import feedback
from worker.adapters.redis.client import Client, connect
from worker.adapters.redis.feedback import (
    BEGINNING,
    MOST_REFUSED,
    MOST_REPORTS,
    add_report,
    count_reports,
    newest_reports,
    read_reports,
    trim_reports,
)
from worker.core.adjust.reports import NOTHING, gather
from worker.core.wire.feedback import RefusedReport, Report, encode_report
from worker.errors import RedisError, RefusedError

LARGEST_ID = "18446744073709551615-18446744073709551615"
BAD = ("losses", '{"voice": NaN}', "reporter", "broken")


async def write(desk: Desk, *words: str | bytes) -> str:
    """Write an entry as it is."""
    return str((await desk.client.execute_command("XADD", desk.keys.feedback, "*", *words)).decode())


async def newest(desk: Desk) -> str:
    """Return the entry of the newest report; empty if there is none."""
    return next((entry for entry, _ in await newest_reports(desk.client, desk.keys, 1)), "")


async def read_all(desk: Desk, count: int, cursor: str = "") -> list[Report | RefusedReport]:
    """Read page by page until there is nothing more."""
    found: list[Report | RefusedReport] = []
    while True:
        page, after = await read_reports(desk.client, desk.keys, cursor, count)
        assert len(page) <= count
        if after == cursor:
            return found
        found += page
        cursor = after


@pytest.mark.parametrize("count", [1, 3, 7, 1000])
async def test_reports_are_read_once_each_in_order(desk: Desk, count: int) -> None:
    words = [encode_report({"voice": number}, step=number) for number in range(10)]
    ids = [await add_report(desk.client, desk.keys, one) for one in words]
    found = await read_all(desk, count)
    assert [one.entry_id for one in found] == ids
    assert [one.step for one in found if isinstance(one, Report)] == [*range(10)]
    assert await read_all(desk, count, ids[6]) == found[7:]
    assert await read_all(desk, count, await newest(desk)) == []


async def test_where_nobody_reports_there_is_nothing(desk: Desk) -> None:
    for cursor in ("", BEGINNING, "5-0"):
        assert await read_reports(desk.client, desk.keys, cursor) == ([], cursor)
    assert await newest(desk) == ""
    assert await count_reports(desk.client, desk.keys) == (0, 0)
    assert await trim_reports(desk.client, desk.keys) == 0


async def test_a_refused_report_moves_with_its_fields_and_why(desk: Desk) -> None:
    good = await add_report(desk.client, desk.keys, encode_report({"voice": 1}))
    bad = await write(desk, *BAD)
    found, cursor = await read_reports(desk.client, desk.keys, "")
    assert [one.entry_id for one in found] == [good, bad]
    assert cursor == bad
    [letter] = await desk.records(desk.keys.dead_feedback)
    assert letter.pop("message").startswith("the loss of 'voice' is nan; accepted: a number")
    assert letter == {
        "losses": '{"voice": NaN}',
        "reporter": "broken",
        "entry_id": bad,
        "error": "invalid_request",
    }
    assert await desk.ids(desk.keys.feedback) == [good]
    again, cursor = await read_reports(desk.client, desk.keys, "")
    assert ([one.entry_id for one in again], cursor) == ([good], good)
    assert await count_reports(desk.client, desk.keys) == (1, 1)


async def test_of_many_readers_one_is_told_of_each_refused_report(desk: Desk) -> None:
    """Each reader sees all valid reports, from any cursor. All readers together see each refused one once."""
    wrong = []
    for number in range(300):
        if number % 3:
            await add_report(desk.client, desk.keys, encode_report({"voice": number}))
        else:
            wrong.append(await write(desk, *BAD))
    readers = await asyncio.gather(*(read_all(desk, count) for count in (1, 2, 7, 50, 1000)))
    told: Counter[str] = Counter()
    for found in readers:
        assert sum(isinstance(one, Report) for one in found) == 200
        told.update(one.entry_id for one in found if isinstance(one, RefusedReport))
    assert told == Counter(wrong)
    assert len(await desk.ids(desk.keys.dead_feedback)) == len(wrong)


@pytest.mark.parametrize(
    "words",
    [
        (b"\xff", b"\xff"),
        ("a", "b") * 5000,
        ("losses", "x" * 1_000_000),
        ("losses", '{"a": 1}', "losses", '{"a": 1}'),
        ("", "") * 9000,
    ],
    ids=["bytes", "many fields", "long", "twice", "many empty fields"],
)
async def test_strange_entries_are_refused_and_kept_small(desk: Desk, words: Sequence[str | bytes]) -> None:
    entry = await write(desk, *words)
    [refused], _ = await read_reports(desk.client, desk.keys, "")
    assert isinstance(refused, RefusedReport)
    [letter] = await desk.words(desk.keys.dead_feedback)
    assert sum(map(len, letter)) < 20_000
    assert letter[-5].decode() == entry
    assert await desk.ids(desk.keys.feedback) == []


async def test_refused_reports_are_about_as_many_as_may_be(desk: Desk) -> None:
    pipeline = desk.client.pipeline(transaction=False)
    for _ in range(3 * MOST_REFUSED):
        pipeline.xadd(desk.keys.feedback, {"losses": "x"})
    await pipeline.execute()
    assert len(await read_all(desk, 1000)) == 3 * MOST_REFUSED
    reports, refused = await count_reports(desk.client, desk.keys)
    assert reports == 0
    assert MOST_REFUSED <= refused < 1.5 * MOST_REFUSED


async def test_reports_are_about_as_many_as_may_be(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers trim the reports of writers that set no bound."""
    monkeypatch.setattr(feedback, "MOST_REPORTS", 500)
    for number in range(1500):
        await add_report(desk.client, desk.keys, encode_report({"voice": number}))
    assert 500 <= (await count_reports(desk.client, desk.keys))[0] < 1000
    for _ in range(1500):
        await write(desk, "losses", '{"a": 1}')
    assert 500 <= await trim_reports(desk.client, desk.keys, most_reports=500) < 1000
    left = await desk.ids(desk.keys.feedback)
    assert left[-1] == await newest(desk)


async def test_reports_take_about_as_many_bytes_as_they_may(desk: Desk) -> None:
    long = {f"category-{number}": 1.0 for number in range(2000)}
    for _ in range(100):
        await add_report(desk.client, desk.keys, encode_report(long))
    last = await newest(desk)
    left = await trim_reports(desk.client, desk.keys, most_bytes=1 << 20)
    assert 10 < left < 60
    assert await desk.client.execute_command("MEMORY", "USAGE", desk.keys.feedback, "SAMPLES", 0) <= 1 << 20
    assert (await desk.ids(desk.keys.feedback))[-1] == last
    assert await trim_reports(desk.client, desk.keys) == left


async def test_people_see_the_newest_first(desk: Desk) -> None:
    ids = [await write(desk, "losses", str(number)) for number in range(5)]
    assert [one[0] for one in await newest_reports(desk.client, desk.keys, 3)] == ids[:1:-1]
    assert await newest_reports(desk.client, desk.keys, 3, dead=True) == []
    await read_reports(desk.client, desk.keys, "", 2)
    letters = await newest_reports(desk.client, desk.keys, 3, dead=True)
    assert [fields[:2] for _, fields in letters] == [[b"losses", b"1"], [b"losses", b"0"]]


async def test_another_type_is_told_and_nothing_is_lost(desk: Desk) -> None:
    bad = await write(desk, *BAD)
    await desk.client.set(desk.keys.dead_feedback, "no stream")
    with pytest.raises(RedisError, match=f"{desk.keys.dead_feedback}.*WRONGTYPE"):
        await read_reports(desk.client, desk.keys, "")
    assert await desk.ids(desk.keys.feedback) == [bad]
    await desk.client.set(desk.keys.feedback, "no stream")
    calls = [
        read_reports(desk.client, desk.keys, ""),
        add_report(desk.client, desk.keys, encode_report({"voice": 1})),
        trim_reports(desk.client, desk.keys),
        newest_reports(desk.client, desk.keys, 1),
        count_reports(desk.client, desk.keys),
    ]
    for call in calls:
        with pytest.raises(RedisError, match=f"{desk.keys.feedback}.*WRONGTYPE"):
            await call


async def test_without_the_right_to_remove_nothing_is_told_twice(desk: Desk, redis_url: str, prefix: str) -> None:
    """A report that cannot be removed is not copied either."""
    bad = await write(desk, *BAD)
    rights = ("-@all", "+auth", "+select", "+client|setname", "+xrange", "+eval", "+xadd", "~*")
    await desk.client.execute_command("ACL", "SETUSER", prefix, "on", "nopass", *rights)
    try:
        async with feedback_client(redis_url, prefix) as powerless:
            with pytest.raises(RefusedError, match="its user may not run XDEL"):
                await read_reports(powerless, desk.keys, "")
    finally:
        await desk.client.execute_command("ACL", "DELUSER", prefix)
    assert await desk.ids(desk.keys.feedback) == [bad]
    assert await desk.ids(desk.keys.dead_feedback) == []


def feedback_client(url: str, user: str) -> Client:
    return connect(url.replace("redis://", f"redis://{user}:x@"), timeout_s=5.0)


async def test_the_largest_id_ends_the_stream_and_nothing_else(desk: Desk) -> None:
    await desk.client.execute_command("XADD", desk.keys.feedback, LARGEST_ID, "losses", '{"a": 1}')
    [report], cursor = await read_reports(desk.client, desk.keys, "")
    assert isinstance(report, Report)
    assert report.at_ms == 2**64 - 1
    assert (cursor, await read_reports(desk.client, desk.keys, cursor)) == (LARGEST_ID, ((), LARGEST_ID))
    with pytest.raises(RedisError, match="adding a report"):
        await add_report(desk.client, desk.keys, encode_report({"voice": 1}))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([b"losses", b"dataset", b"kind", b""]),
            st.binary(max_size=40) | st.sampled_from([b'{"a": 1}', b'{"a": {"sum": 1, "count": 1}}', b"eval", b"d"]),
        ),
        min_size=1,
        max_size=4,
    )
)
async def test_any_bytes_are_read_or_refused(desk: Desk, pairs: Sequence[tuple[bytes, bytes]]) -> None:
    await desk.client.delete(desk.keys.feedback, desk.keys.dead_feedback)
    entry = await write(desk, *(word for pair in pairs for word in pair))
    [one], cursor = await read_reports(desk.client, desk.keys, "")
    assert one.entry_id == cursor == entry
    assert await count_reports(desk.client, desk.keys) == ((1, 0) if isinstance(one, Report) else (0, 1))


async def test_what_was_reported_is_what_is_gathered(desk: Desk) -> None:
    """Eight writers add 400 reports at once, which are read by pages meanwhile: each is used exactly once."""

    async def report(rank: int) -> None:
        for step in range(50):
            losses = {"voice": {"sum": step, "count": 2, "squares": step * step}, f"own-{rank}": 1.5}
            await add_report(desk.client, desk.keys, encode_report(losses, reporter=f"rank {rank}", step=step))

    writing = asyncio.gather(*(report(rank) for rank in range(8)))
    losses, cursor = NOTHING, ""
    while not writing.done() or cursor != await newest(desk):
        page, cursor = await read_reports(desk.client, desk.keys, cursor, 17)
        losses = losses.merged(gather(one for one in page if isinstance(one, Report)))
    await writing
    found = losses.on(["voice", *(f"own-{rank}" for rank in range(8))])
    assert loss_sums(found) == [8 * sum(range(50)), *[75.0] * 8]
    assert found.counts.tolist() == [800, *[50] * 8]
    assert found.reporter_counts.tolist() == [8, *[1] * 8]
    assert (found.used, json.loads(json.dumps(found.outvoted))) == (400, {})


def test_the_bounds_are_those_of_the_contract() -> None:
    assert (MOST_REPORTS, MOST_REFUSED) == (100_000, 1000)
