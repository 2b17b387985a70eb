"""Lines for people: a short time, the level, the event, and only what says something."""

import re
from pathlib import Path

from worker.core.events import CategoryStats
from worker.logs.emit import configure, emit, shutdown


def test_a_line_for_people_is_short(tmp_path: Path) -> None:
    with (tmp_path / "log").open("ab", buffering=0) as file:
        configure("info", "console", context={"consumer": "c-1"}, fd=file.fileno())
        emit(
            CategoryStats(
                dataset=None,
                category="songs",
                count=41,
                audio_s=123_456.789,
                weight=1 / 3,
                share=0.0,
                expected=40.0,
                z=None,
                ready=209,
                weights_version="",
            )
        )
        shutdown(5)
    line = (tmp_path / "log").read_text()
    assert re.fullmatch(
        r"\d\d:\d\d:\d\d \[info     \] category\.stats        category=songs count=41 audio_s=123457 weight=0\.3333 "
        r"share=0\.0 expected=40\.0 ready=209 consumer=c-1\n",
        line,
    )
