"""What `check` makes of results and counts; that it fits where all is well is in the end-to-end tests."""

import json
from collections.abc import Mapping

import pytest

from tests.support.drawing import weights_of
from worker.check import _judge_seconds
from worker.core.tally import CategoryCount
from worker.core.wire import Reply
from worker.errors import CheckError

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
    found = _judge_seconds(WEIGHTS, _results(4020, 5980), before, after)
    assert [(row.category, row.count, row.seconds, row.target) for row in found.rows] == [
        ("music", 5980, 11960.0, 0.75),
        ("voice", 4020, 4020.0, 0.25),
    ]
    assert [row.z for row in found.rows] == pytest.approx([-40 / 9600**0.5, 20 / 2400**0.5])
    assert (found.drawn, found.version, found.total) == (10_000, WEIGHTS.version, 15_980.0)
    assert found.p_value > 0.1


def test_seconds_that_are_off_do_not_fit() -> None:
    after = _counted(voice=(4000, 4400.0, 4000.0, 2400.0), music=(6000, 12000.0, 12000.0, 9600.0))
    assert _judge_seconds(WEIGHTS, _results(4000, 6000, 1.1), NONE, after).p_value < 1e-6


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
        _judge_seconds(WEIGHTS, _results(4000, 6000), NONE, after)
    assert str(caught.value) == sentence


def test_results_of_other_weights_are_a_problem() -> None:
    with pytest.raises(CheckError, match="answered under weights other"):
        _judge_seconds(WEIGHTS, [_reply({"voice": 1}, {"voice": 1.0}, "other")], NONE, NONE)
