"""What became of reports of losses is logged, and what repeats is counted."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.log_lines import LogLines, captured_log
from worker.core.adjust.reports import gather
from worker.core.wire.feedback import Report, read_report
from worker.errors import RequestError
from worker.service.feedback_log import FeedbackLog


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LogLines]:
    with captured_log(tmp_path) as log:
        yield log


def test_refused_reports_are_told_a_few_at_once_and_counted(log: LogLines) -> None:
    told = FeedbackLog()
    error = read_report("5-0", [b"losses", b"x"])
    assert isinstance(error, RequestError)
    told.refused((f"{number}-0", error) for number in range(20))
    lines = log.of("feedback.refused")
    assert [(line["entry_id"], line["suppressed"]) for line in lines] == [(f"{number}-0", 0) for number in range(5)]
    assert {(line["level"], line["error"], line["message"]) for line in lines} == {
        ("warning", "invalid_request", error.message)
    }


def test_what_a_step_left_out_is_told(log: LogLines) -> None:
    reports = [read_report(f"{at}-0", [b"losses", b'{"voice": 1}']) for at in range(10)]
    broken = [[b"losses", b'{"voice": %d, "music": 1}' % loss, b"reporter", b"rank %d" % loss] for loss in (1, 2, 90)]
    all_reports = [*reports, *(read_report("20-0", fields) for fields in broken)]
    losses = gather((one for one in all_reports if isinstance(one, Report)), since_ms=4)
    told = FeedbackLog()
    told.gathered("d", "0123456789ab", losses)
    told.gathered("d", "0123456789ab", losses)
    told.gathered(None, "0123456789ab", gather([]))
    told.gathered(None, "0123456789ab", losses)
    stale = log.of("feedback.stale")
    assert [(line["dataset"], line["reports"], line["used"], line["level"]) for line in stale] == [
        ("d", 4, 9, "info"),
        (None, 4, 9, "info"),
    ]
    [outvoted] = log.of("feedback.outvoted")
    assert (outvoted["dataset"], outvoted["reporter"], outvoted["categories"]) == ("d", "rank 90", "voice")
