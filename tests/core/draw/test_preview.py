"""A preview shows what would be drawn: the same shares, counts and gaps as the draw itself."""

import pytest

from tests.support.drawing import catalog_of, lasting_catalog, weights_of
from worker.core.draw.preview import MOST_PLAYS, preview, warnings

CATALOG = catalog_of({"voice": 1000, "music": 100, "documentary": 60, "custom": 1})


def test_counts_add_up_and_fit_the_weights() -> None:
    parts = preview(weights_of({"voice": 0.7, "music": 0.2, "documentary": 0.1}), CATALOG, 10_000)
    assert [part.category for part in parts] == ["voice", "music", "documentary"]
    assert [part.expected for part in parts] == pytest.approx([7000, 2000, 1000])
    assert [part.spread for part in parts] == pytest.approx([45.826, 40.0, 30.0], abs=1e-3)
    assert [part.plays for part in parts] == pytest.approx([7, 20, 1000 / 60])
    assert [part.ready for part in parts] == [1000, 100, 60]


def test_what_is_empty_goes_to_the_others() -> None:
    parts = {part.category: part for part in preview(weights_of({"voice": 0.6, "conference": 0.4}), CATALOG, 100)}
    assert (parts["voice"].share, parts["voice"].expected, parts["voice"].spread) == (1.0, 100.0, 0.0)
    empty = parts["conference"]
    assert (empty.weight, empty.share, empty.expected, empty.plays, empty.ready) == (0.4, 0.0, 0.0, 0.0, 0)


def test_shares_of_audio_time_are_met_in_seconds_and_long_chunks_are_drawn_less_often() -> None:
    catalog = lasting_catalog({"voice": 1000, "music": 100}, {"voice": 4.0, "music": 40.0})
    voice, music = preview(weights_of({"voice": 0.6, "music": 0.3, "conference": 0.1}), catalog, 10_000)[:2]
    assert voice.expected_s is not None
    assert music.expected_s is not None
    assert voice.expected_s / music.expected_s == pytest.approx(2)
    assert voice.share + music.share == pytest.approx(1)
    assert voice.share > 0.9
    assert voice.plays == pytest.approx(voice.expected / 1000)


def test_warnings_name_what_is_empty_and_what_would_be_heard_too_often() -> None:
    parts = preview(weights_of({"documentary": 0.5, "voice": 0.25, "custom": 0.15, "conference": 0.1}), CATALOG, 54_000)
    assert warnings(parts, CATALOG.categories) == [
        "conference has no READY chunk: its 10.0% go to documentary, voice, custom",
        "documentary: each of the 60 chunks would be heard 500 times on average, more than 16",
        "custom: the only chunk would be heard 9,000 times on average, more than 16",
    ]


def test_up_to_the_limit_nothing_is_said() -> None:
    assert warnings(preview(weights_of({"music": 1}), CATALOG, 100 * MOST_PLAYS), CATALOG.categories) == []
    assert len(warnings(preview(weights_of({"music": 1}), CATALOG, 100 * MOST_PLAYS + 1), CATALOG.categories)) == 1


def test_where_nothing_is_ready_the_last_sentence_says_so() -> None:
    parts = preview(weights_of({"conference": 0.5, "other": 0.5}), CATALOG, 10)
    assert warnings(parts, CATALOG.categories) == [
        "conference has no READY chunk",
        "other has no READY chunk",
        "no weighted category has a READY chunk: requests would get no_ready_chunks",
    ]
