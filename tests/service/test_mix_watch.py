"""A mix that cannot be drawn is logged once a change. Its recovery is logged once."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.drawing import catalog_of
from tests.support.log_lines import LogLines, captured_log
from worker.core.draw.derived import weights_of
from worker.core.weights.in_force import ABSENT, Held, preset_name
from worker.core.weights.values import normalise
from worker.core.wire import Terms
from worker.service.mix_watch import MixWatch
from worker.service.snapshots import CurrentSnapshots

READY = {"voice": 3, "music": 2}


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LogLines]:
    with captured_log(tmp_path) as log:
        yield log


class Watched:
    """A state that is looked at after each change."""

    def __init__(self, ready: Mapping[str, int] = READY) -> None:
        self.current = CurrentSnapshots(catalog_of(ready))
        self.current.weights.put(None, Held(ABSENT, None))
        self._watch = MixWatch(self.current)

    def weigh(self, name: str | None = None, **values: float) -> None:
        weights = normalise(values, "redis")
        self.current.weights.put(name, Held(repr(values).encode() if weights else ABSENT, weights))
        self.look()

    def have(self, **ready: int) -> None:
        self.current.catalog = catalog_of(ready)
        self.look()

    def look(self) -> None:
        self._watch.look()
        self._watch.look()  # what did not change is not logged again


def _left_out(log: LogLines) -> list[tuple[Any, ...]]:
    return [(line["dataset"], line["categories"], line["share"]) for line in log.of("mix.left_out")]


def test_what_is_left_out_is_told_once_a_change(log: LogLines) -> None:
    watched = Watched()
    watched.weigh(voice=1, music=1)
    watched.weigh(voic=3, music=1, speach=1)
    watched.have(voice=4, music=2)  # another catalog, and nothing else is left out
    watched.weigh(voic=6, music=2, speach=2)
    watched.weigh(voic=1, music=1)
    assert _left_out(log) == [(None, "speach, voic", 0.8), (None, "voic", 0.5)]
    [line, _] = log.of("mix.left_out")
    assert line["level"] == "warning"
    assert line["catalog_version"] == catalog_of(READY).version
    assert len(line["weights_version"]) == 12
    assert log.of("mix.complete") == []


def test_a_category_that_vanishes_is_told_and_so_is_its_return(log: LogLines) -> None:
    watched = Watched()
    watched.weigh(voice=3, music=1)
    watched.have(voice=3)
    watched.have(voice=2)
    watched.have(voice=2, music=1)
    watched.have(voice=2, music=9)
    assert _left_out(log) == [(None, "music", 0.25)]
    [line] = log.of("mix.complete")
    assert (line["level"], line["dataset"], line["weights_version"]) == (
        "info",
        None,
        watched.current.weights.in_force(None).weights.version,
    )


def test_where_nothing_weighted_is_ready_all_of_it_is_left_out(log: LogLines) -> None:
    watched = Watched()
    watched.weigh(conference=1)
    assert _left_out(log) == [(None, "conference", 1.0)]


def test_datasets_and_presets_that_are_asked_for_are_told_of_by_name(log: LogLines) -> None:
    watched = Watched()
    watched.weigh(voice=1)
    watched.weigh("d", jazz=1, voice=1)
    watched.weigh("without weights")
    watched.weigh(preset_name("night"), rock=1)
    weights_of(Terms(preset="voice-heavy"), {}, watched.current.derived)
    watched.look()
    assert _left_out(log) == [
        ("d", "jazz", 0.5),
        ("preset:night", "rock", 1.0),
        ("preset:voice-heavy", "conference, documentary", 0.15),
    ]
    watched.weigh("d")
    watched.weigh("d", jazz=1, voice=1)
    assert len(_left_out(log)) == 4
    watched.have(voice=1, documentary=1, conference=1, music=1, jazz=1, rock=1)
    weights_of(Terms(preset="voice-heavy"), {}, watched.current.derived)
    watched.look()
    assert {line["dataset"] for line in log.of("mix.complete")} == {"d", "preset:night", "preset:voice-heavy"}


def test_a_preset_that_is_asked_for_again_after_other_chunks_are_ready_is_not_told_anew(log: LogLines) -> None:
    watched = Watched()
    watched.weigh(voice=1)
    for voice in (1, 2, 3):
        watched.have(voice=voice)
        weights_of(Terms(preset="music-heavy"), {}, watched.current.derived)
        watched.look()
    assert len(_left_out(log)) == 1


def test_before_weights_and_chunks_are_read_nothing_is_known(log: LogLines) -> None:
    current = CurrentSnapshots()
    current.weights.put(None, Held(ABSENT, None))
    MixWatch(current).look()
    MixWatch(CurrentSnapshots(catalog_of(READY))).look()
    assert _left_out(log) == []


def test_names_that_strangers_make_up_are_not_remembered_for_ever(log: LogLines) -> None:
    watched = Watched()
    for number in range(5000):
        watched.current.weights.put(f"d{number}", Held(b"x", normalise({"voice": 1.0}, "dataset")))
        if number % 500 == 0:
            watched.look()
    assert len(watched._watch._looks) <= 4096 + 2049
    assert _left_out(log) == [(None, "conference, documentary", 0.3)]
