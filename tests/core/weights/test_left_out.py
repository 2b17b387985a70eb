"""A weighted category without READY chunks: a sentence says who gets its share, and which name was near."""

import pytest

from worker.core.weights.left_out import left_out, nearest_name, sentences, unweighted_text

READY = {"speech", "songs", "noise"}


def test_what_has_no_ready_chunk_is_found_with_its_weight() -> None:
    assert left_out({"speach": 0.8, "songs": 0.2, "hum": 0.1}, READY) == {"hum": 0.1, "speach": 0.8}
    assert left_out({"songs": 1.0}, READY) == {}
    assert left_out({"songs": 1.0}, ()) == {"songs": 1.0}


def test_a_sentence_says_who_gets_the_share_and_what_may_have_been_meant() -> None:
    assert sentences({"speach": 5 / 6, "songs": 1 / 6}, READY) == [
        "speach has no READY chunk: its 83.3% go to songs; did you mean speech?"
    ]
    many = {"x": 0.5, "songs": 0.1, "speech": 0.2, "noise": 0.15, "hum": 0.05}
    assert sentences(many, {*READY, "hum"}) == ["x has no READY chunk: its 50.0% go to speech, noise, songs and 1 more"]
    assert sentences({"songs": 1.0}, READY) == []


def test_where_nobody_gets_it_requests_are_refused() -> None:
    assert sentences({"voice": 0.5, "sogns": 0.5}, READY) == [
        "sogns has no READY chunk; did you mean songs?",
        "voice has no READY chunk",
        "no weighted category has a READY chunk: requests would get no_ready_chunks",
    ]


def test_of_very_many_the_rest_is_summed_up() -> None:
    said = sentences({"songs": 0.5} | {f"c{i:02}": 0.5 / 30 for i in range(30)}, READY)
    assert len(said) == 21
    assert said[-1] == "10 more categories have no READY chunk either, 16.7% together"


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("speach", "speech"), ("song", "songs"), ("voic", "voice"), ("voice", None), ("jazz", None), ("SPEECH", None)],
)
def test_the_nearest_name_is_of_a_category_that_is_there_or_built_in(name: str, nearest: str | None) -> None:
    assert nearest_name(name, READY) == nearest


def test_what_is_ready_and_weighs_nothing_is_named() -> None:
    assert unweighted_text({"voice": 1.0}, {"voice", "noise", "calls"}) == (
        "READY, but not drawn, as they have no weight: calls, noise"
    )
    assert unweighted_text({"voice": 1.0, "music": 0.0}, {"voice", "music"}) == ""
    many = unweighted_text({"voice": 1.0}, {f"c{number:02}" for number in range(20)})
    assert many.endswith("c06, c07 and 12 more")
