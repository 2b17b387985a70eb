"""Each rule gets all reports after its cursor, though they are read once for all rules."""

import json
from collections.abc import Sequence

import pytest

from tests.support.streams import Desk
from worker.adapters.redis.adjust import RedisAdjust
from worker.adapters.redis.feedback import PAGE, add_report
from worker.core.adjust.inputs import Evidence
from worker.core.adjust.state import State
from worker.core.wire.feedback import RefusedReport, Report, encode_report
from worker.service import report_reader
from worker.service.feedback_log import FeedbackLog
from worker.service.report_reader import ReportReader

REPORTS = 2 * PAGE + 50


class Counting(RedisAdjust):
    """What counts how many reports it has read."""

    read = 0

    async def reports(self, cursor: str) -> tuple[Sequence[Report | RefusedReport], str]:
        """Read a page."""
        found, last = await super().reports(cursor)
        self.read += len(found)
        return found, last


@pytest.fixture
def store(desk: Desk) -> Counting:
    return Counting(desk.client, desk.keys)


@pytest.fixture
def reader(store: Counting) -> ReportReader:
    return ReportReader(store, FeedbackLog())


async def add(desk: Desk, first: int, count: int) -> list[str]:
    """Add reports, each of one loss that is its number."""
    numbers = range(first, first + count)
    return [await add_report(desk.client, desk.keys, encode_report({"voice": number})) for number in numbers]


async def read(store: Counting, reader: ReportReader, cursor: str) -> Evidence:
    return await reader.read(State("mark", cursor=cursor), await store.look(None))


def told(evidence: Evidence) -> tuple[int, float]:
    """Return how many reports were used, and the sum of their losses."""
    assert evidence.losses is not None
    return evidence.reports, float(evidence.losses.cells.sum.sum())


@pytest.mark.parametrize("heavy", [0, 10**9], ids=["in threads", "at once"])
@pytest.mark.parametrize("kept", [0, PAGE, 10**9])
async def test_from_any_cursor_all_that_comes_after_it_is_read(
    desk: Desk, store: Counting, reader: ReportReader, monkeypatch: pytest.MonkeyPatch, *, heavy: int, kept: int
) -> None:
    monkeypatch.setattr(report_reader, "HEAVY", heavy)
    monkeypatch.setattr(report_reader, "_MOST_KEPT", kept)
    entries = await add(desk, 0, REPORTS)
    for place in (130, 0, 249, 57, 100, 99, 248):
        evidence = await read(store, reader, entries[place])
        assert told(evidence) == (REPORTS - 1 - place, sum(range(place + 1, REPORTS)))
        assert evidence.cursor == entries[-1]
    later = await add(desk, REPORTS, 7)
    for cursor in ("0-0", entries[57], entries[-1], later[-1]):
        evidence = await read(store, reader, cursor)
        first = [*entries, *later].index(cursor) + 1 if cursor != "0-0" else 0
        assert told(evidence) == (REPORTS + 7 - first, sum(range(first, REPORTS + 7)))
        assert evidence.cursor == later[-1]


async def test_many_rules_read_each_report_once(desk: Desk, store: Counting, reader: ReportReader) -> None:
    entries = await add(desk, 0, REPORTS)
    for cursor in ("0-0", *entries[:: PAGE // 3]):
        await read(store, reader, cursor)
    assert store.read == REPORTS
    await add(desk, REPORTS, 7)
    for cursor in (entries[-1], "0-0", entries[5]):
        await read(store, reader, cursor)
    assert store.read == REPORTS + 7


async def test_what_is_kept_is_bounded(
    desk: Desk, store: Counting, reader: ReportReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report_reader, "_MOST_KEPT", 4 * PAGE)  # a report of one loss counts for two
    entries = await add(desk, 0, REPORTS)
    await read(store, reader, "0-0")
    await read(store, reader, entries[PAGE - 1])
    assert store.read == REPORTS  # the later ones are kept
    await read(store, reader, "0-0")
    assert store.read == REPORTS + PAGE


async def test_a_refused_report_is_told_of_once_and_used_by_none(
    desk: Desk, store: Counting, reader: ReportReader
) -> None:
    await add(desk, 0, 3)
    await desk.client.xadd(desk.keys.feedback, {"losses": json.dumps("junk")})
    await add(desk, 3, 3)
    for _ in range(2):
        assert told(await read(store, reader, "0-0")) == (6, 15.0)
    assert await desk.client.xlen(desk.keys.dead_feedback) == 1
