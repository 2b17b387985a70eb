"""The findings of `check` on results and counts. The end-to-end tests cover the case without problems."""

import asyncio
import json
from collections.abc import Mapping

import pytest

from tests.support.drawing import weights_of
from tests.support.streams import Desk, batch_of, result_of
from worker.admin.check import run_check
from worker.core.keys import CHECK
from worker.core.stats import CategoryCount, read_counts
from worker.core.stats.judging import judge_seconds
from worker.core.wire import Entry, Reply
from worker.errors import CheckError, RedisError

WEIGHTS = weights_of({"voice": 0.25, "music": 0.75})
PROBABILITIES = {"voice": 0.4, "music": 0.6}
NONE: Mapping[str, CategoryCount] = {}


def _reply(counts: dict[str, int], seconds: dict[str, float], version: str = WEIGHTS.version) -> Reply:
    return Reply(
        "1-0", "r", None, "", [], counts, version, PROBABILITIES, {}, {"seconds": json.dumps(seconds).encode()}
    )


def _counted(**rows: tuple[int, float, float, float]) -> dict[str, CategoryCount]:
    return {name: CategoryCount("d", name, n, e, v, s) for name, (n, s, e, v) in rows.items()}


def _results(voice: int, music: int, second: float = 1.0) -> list[Reply]:
    return [
        _reply({"voice": voice // 2, "music": music}, {"voice": voice // 2 * second, "music": music * 2.0}),
        _reply({"voice": voice - voice // 2}, {"voice": (voice - voice // 2) * second}),
    ]


def test_seconds_that_are_as_expected_fit() -> None:
    before = _counted(voice=(10, 10.0, 9.0, 5.0))
    after = _counted(voice=(4030, 4030.0, 4009.0, 2405.0), music=(5980, 11960.0, 12000.0, 9600.0))
    found = judge_seconds(WEIGHTS, _results(4020, 5980), before, after)
    assert [(row.category, row.count, row.seconds, row.target) for row in found.rows] == [
        ("music", 5980, 11960.0, 0.75),
        ("voice", 4020, 4020.0, 0.25),
    ]
    assert [row.z for row in found.rows] == pytest.approx([-40 / 9600**0.5, 20 / 2400**0.5])
    assert (found.drawn, found.version, found.total) == (10_000, WEIGHTS.version, 15_980.0)
    assert found.p_value > 0.1


def test_seconds_that_are_off_do_not_fit() -> None:
    after = _counted(voice=(4000, 4400.0, 4000.0, 2400.0), music=(6000, 12000.0, 12000.0, 9600.0))
    assert judge_seconds(WEIGHTS, _results(4000, 6000, 1.1), NONE, after).p_value < 1e-6


@pytest.mark.parametrize(
    ("after", "sentence"),
    [
        (
            _counted(voice=(4000, 3999.999, 4000.0, 1.0), music=(6000, 12000.0, 12000.0, 1.0)),
            "the workers counted 3999.999 s of voice, and the results add up to 4000.000 s",
        ),
        (
            _counted(voice=(4000, 4000.0, 4100.0, 1.0), music=(6000, 12000.0, 12000.0, 1.0)),
            "the workers expected 74.5342% of the seconds of music, and its weight is 75.0000%",
        ),
        ({}, "the workers counted 0.000 s of music, and the results add up to 12000.000 s"),
    ],
)
def test_counts_that_contradict_results_or_weights_are_a_problem(
    after: Mapping[str, CategoryCount], sentence: str
) -> None:
    with pytest.raises(CheckError) as caught:
        judge_seconds(WEIGHTS, _results(4000, 6000), NONE, after)
    assert str(caught.value) == sentence


def test_results_of_other_weights_are_a_problem() -> None:
    with pytest.raises(CheckError, match="answered under weights other"):
        judge_seconds(WEIGHTS, [_reply({"voice": 1}, {"voice": 1.0}, "other")], NONE, NONE)


# -- what is not tested, and what is left behind ----------------------------------------------------------------


async def test_without_an_answer_nothing_is_tested_and_nothing_is_left(desk: Desk) -> None:
    told: list[str] = []
    report = await run_check(desk.client, desk.keys, samples=1000, timeout_s=0.2, tell=told.append)
    assert (report.tested, report.fits(0.5), report.rounds, report.left) == (False, None, (), None)
    assert report.problem == "no result came within 0.2 s; is a worker running?"
    assert told == []
    assert [key async for key in desk.client.scan_iter(f"{desk.keys.prefix}*")] == [desk.keys.requests.encode()]
    assert await desk.client.xlen(desk.keys.requests) == 0  # what nobody waits for is counted by nobody


async def test_a_round_that_is_not_complete_is_not_tested(desk: Desk) -> None:
    stream = desk.consumer("one")
    await stream.open()

    async def answer_two() -> None:
        weights = {"weights_version": "x"}
        for fields in ({"ready": '{"voice":9}'}, {}):
            entries: list[Entry] = []
            while not entries:
                entries = await stream.read(1, 100)
            reply_to = entries[0].fields[list(entries[0].fields).index(b"reply_to") + 1].decode()
            words = [word for pair in ({"chunk_ids": "[1]", **weights, **fields}).items() for word in pair]
            await stream.settle(batch_of([result_of(entries[0], reply_to, *words)]))

    answering = asyncio.create_task(answer_two())
    report = await run_check(desk.client, desk.keys, samples=1000, timeout_s=5.0, tell=pytest.fail)
    await answering
    assert (report.tested, report.problem) == (False, "1 of 10 results came within 5 s; is a worker running?")
    assert await desk.client.xlen(desk.keys.requests) == 0


async def test_each_thing_is_removed_although_another_cannot_be_and_what_is_left_is_told(desk: Desk) -> None:
    """The key of the counts is no hash, so that none of them can be removed."""
    await desk.client.set(desk.keys.stats, "not a hash")
    told: list[str] = []
    report = await run_check(desk.client, desk.keys, samples=1000, timeout_s=0.2, tell=told.append)
    assert report.left is not None
    assert told == [report.left]
    assert report.left.startswith("counts of dataset check-")
    assert "could not be removed: Redis at " in report.left
    assert " refused reading the counts" in report.left
    left = {key async for key in desk.client.scan_iter(f"{desk.keys.prefix}*")}
    assert left == {desk.keys.requests.encode(), desk.keys.stats.encode()}


async def test_what_is_left_is_told_when_a_check_breaks_off(desk: Desk) -> None:
    await desk.client.set(desk.keys.stats, "not a hash")
    await desk.client.set(desk.keys.requests, "not a stream")
    told: list[str] = []
    with pytest.raises(RedisError, match="WRONGTYPE"):
        await run_check(desk.client, desk.keys, samples=1000, timeout_s=0.2, tell=told.append)
    assert [sentence.partition(" of ")[0] for sentence in told] == ["counts"]


def test_counts_of_checks_can_be_left_out() -> None:
    fields = {
        "requests:": 3,
        "requests:check-1": 2,
        "errors:check-1:expired": 1,
        "chunks::voice": 4,
        "chunks:check-1:voice": 5,
    }
    counts = read_counts(fields, {}).without(CHECK)
    assert (dict(counts.requests), dict(counts.errors), counts.chunks) == ({"": 3}, {}, 4)
