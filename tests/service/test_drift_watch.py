"""A mix that is not what its weights say is logged once, with the cause where it is known; the right one never is."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.log_lines import LogLines, captured_log
from tests.support.streams import Desk
from tests.support.workers import Wiring, answers, serving
from worker.core.draw.answer import answer
from worker.core.draw.groups import Answers
from worker.core.draw.prepare import Snapshots
from worker.core.wire import Request, Result
from worker.service.health_file import Identity
from worker.service.reporter import Reporter
from worker.service.wiring import Serving

pytestmark = pytest.mark.any_redis


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LogLines]:
    with captured_log(tmp_path) as log:
        yield log


def _reporter(parts: Serving, run_dir: Path) -> Reporter:
    identity = Identity("one", "p", run_dir)
    return Reporter(
        identity, parts.stream, parts.current, parts.meter, availability=parts.availability, stats_interval_s=3600.0
    )


async def _serve(desk: Desk, requests: int, **fields: object) -> None:
    await answers(desk, await desk.add(*(fields for _ in range(requests))))


def _told(log: LogLines) -> list[tuple[Any, ...]]:
    lines = [*log.of("mix.drifted"), *log.of("mix.fits")]
    return sorted((line["event"], line["dataset"] or "", line["category"]) for line in lines)


class _Skewed(np.random.Generator):
    """A generator whose numbers are too small, so that the first categories come too often."""

    def __init__(self) -> None:
        super().__init__(np.random.PCG64(1))

    def random(self, size: Any = None, *_: object, **__: object) -> NDArray[np.float64]:  # type: ignore[override]
        uniforms: NDArray[np.float64] = super().random(size)
        return uniforms**1.2


def _draw_badly(requests: Sequence[Request | Result], snapshots: Snapshots, _rng: np.random.Generator) -> Answers:
    return answer(requests, snapshots, _Skewed())


async def test_a_worker_with_bad_random_numbers_is_found_out_and_another_one_is_not(
    desk: Desk, redis_url: str, prefix: str, log: LogLines, tmp_path: Path
) -> None:
    """The counts are those that it wrote, and nothing about them is made up."""
    await desk.client.set(desk.keys.weights(), '{"voice": 5, "music": 3, "documentary": 2}')
    async with serving(redis_url, prefix) as parts:
        reporter = _reporter(parts, tmp_path)
        for _ in range(3):
            await _serve(desk, 100, size=64)
            await reporter.log_stats()
    assert _told(log) == []
    async with serving(redis_url, prefix, Wiring(draw=_draw_badly)) as parts:
        reporter = _reporter(parts, tmp_path)
        for _ in range(4):
            await _serve(desk, 200, size=64)
            await reporter.log_stats()
    assert ("mix.drifted", "", "voice") in _told(log)
    assert len(_told(log)) == len(set(_told(log)))
    [line] = [line for line in log.of("mix.drifted") if line["category"] == "voice"]
    assert (line["level"], line["cause"], line["audio_s"], line["suppressed"]) == ("warning", "", None, 0)
    assert (line["expected_share"], line["false_alarm_rate"]) == (0.5, 1e-7)
    assert line["expected_share"] - line["share"] > 0.02
    assert line["count"] / line["expected"] == pytest.approx(2 * line["share"])
    assert line["weights_version"] == log.of("worker.stats")[-1]["weights_version"]


async def test_requests_that_all_have_one_seed_are_a_drift_with_its_cause_and_then_all_fits_again(
    desk: Desk, redis_url: str, prefix: str, log: LogLines, tmp_path: Path
) -> None:
    """The same seed draws the same chunks again: the mix is what those chunks are, and not what the weights say."""
    await desk.client.set(desk.keys.weights("d"), '{"voice": 0.5, "music": 0.5}')
    async with serving(redis_url, prefix) as parts:
        reporter = _reporter(parts, tmp_path)
        await _serve(desk, 200, size=20, dataset="d", seed=3)
        await reporter.log_stats()
        assert _told(log) == [("mix.drifted", "d", "music"), ("mix.drifted", "d", "voice")]
        assert {line["cause"] for line in log.of("mix.drifted")} == {"seeds"}
        for _ in range(11):
            await _serve(desk, 200, size=20, dataset="d")
            await reporter.log_stats()
    assert _told(log)[2:] == [("mix.fits", "d", "music"), ("mix.fits", "d", "voice")]
    assert {line["level"] for line in log.of("mix.fits")} == {"info"}
    assert all(line["drifted_s"] > 0 for line in log.of("mix.fits"))


async def test_weights_that_change_under_load_are_no_drift_and_a_category_without_chunks_is_one(
    desk: Desk, redis_url: str, prefix: str, log: LogLines, tmp_path: Path
) -> None:
    async with serving(redis_url, prefix) as parts:
        reporter = _reporter(parts, tmp_path)
        for number in range(6):
            await desk.client.set(desk.keys.weights(), f'{{"voice": {1 + number % 3 * 10}, "music": 1}}')
            await _serve(desk, 60, size=32)
            await desk.client.set(desk.keys.weights(), f'{{"voice": 1, "music": {1 + number}}}')
            await _serve(desk, 60, size=32)
            await reporter.log_stats()
        assert _told(log) == []
        await desk.client.set(desk.keys.weights(), '{"voice": 1, "music": 1, "jazz": 2}')
        await _serve(desk, 60, size=32)
        await reporter.log_stats()
    assert _told(log) == [("mix.drifted", "", name) for name in ("jazz", "music", "voice")]
    assert {line["cause"] for line in log.of("mix.drifted")} == {"left-out"}
    [jazz] = [line for line in log.of("mix.drifted") if line["category"] == "jazz"]
    assert (jazz["count"], jazz["share"], jazz["expected_share"]) == (0, 0.0, 0.5)


async def test_many_drifts_at_once_are_told_by_the_largest(
    desk: Desk, redis_url: str, prefix: str, log: LogLines, tmp_path: Path
) -> None:
    weights = ", ".join(f'"absent{number}": {number}' for number in range(1, 21))
    await desk.client.set(desk.keys.weights(), f'{{{weights}, "voice": 1}}')
    async with serving(redis_url, prefix) as parts:
        reporter = _reporter(parts, tmp_path)
        await _serve(desk, 600, size=64)
        await reporter.log_stats()
    lines = log.of("mix.drifted")
    assert [line["category"] for line in lines] == ["voice", *(f"absent{number}" for number in (20, 19, 18, 17))]
