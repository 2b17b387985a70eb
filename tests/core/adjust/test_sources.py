"""Which category a source is: said by somebody, or by its name; anything else is refused, with what there is."""

import pytest

from worker.core.adjust.sources import add_up, place_sources
from worker.core.adjust.weight_lists import Source, read_sources
from worker.errors import WeightsError

READY = {"speech": 10, "songs": 10, "calls-2": 5}


def categories(*sources: Source, ready: dict[str, int] | None = READY, **mapped: str) -> list[str]:
    return [one.category for one in place_sources(sources, mapped, ready)]


@pytest.mark.parametrize(
    ("label", "others", "category"),
    [
        ("speech", (), "speech"),
        ("./songs", ("songs", "songs", "."), "songs"),
        ("/a/songs.jsonl.gz", ("songs.jsonl.gz", "songs", "a"), "songs"),
        ("/a/speech/manifest.json", ("manifest.json", "manifest", "speech"), "speech"),
        ("Calls 2", (), "calls-2"),
        ("train_songs", ("songs",), "songs"),
        ("conference", (), "conference"),  # built in, though it has no READY chunks yet
    ],
)
def test_a_source_is_the_category_of_its_name(label: str, others: tuple[str, ...], category: str) -> None:
    assert categories(Source(label, 1.0, others)) == [category]


def test_what_is_said_goes_first_and_may_be_a_pattern() -> None:
    sources = [Source("speech", 0.5), Source("dclm:a", 0.2), Source("dclm:b", 0.2), Source("wiki", 0.1)]
    mapped = {"dclm:b": "songs", "dclm:*": "calls-2", "wiki": "", "speech": "songs"}
    placed = place_sources(sources, mapped, READY)
    assert [one.category for one in placed] == ["songs", "calls-2", "songs", ""]
    assert add_up(placed) == pytest.approx({"calls-2": 0.2, "songs": 0.7})


def test_sources_of_no_category_are_named_with_what_there_is() -> None:
    with pytest.raises(WeightsError) as refusal:
        categories(Source("speach", 0.5), Source("wiki", 0.4), Source("songs", 0.1), Source("wiki", 0.1))
    assert str(refusal.value) == (
        "2 sources of no category: 'speach' (did you mean speech?), 'wiki'; the library has calls-2, songs, speech; "
        "accepted: --map speach=CATEGORY, or --map speach= to leave it out"
    )
    with pytest.raises(WeightsError, match="1 source of no category: 'songs'"):
        categories(Source("songs", 1.0), songs="nowhere")


def test_a_source_that_weighs_nothing_may_have_any_name() -> None:
    assert categories(Source("wiki", 0.0), Source("songs", 1.0)) == ["", "songs"]


def test_where_the_library_is_not_known_only_names_of_categories_are_taken() -> None:
    assert categories(Source("wiki", 1.0), ready=None) == ["wiki"]
    with pytest.raises(WeightsError, match=r"1 source of no category: '\./songs'; accepted: --map \./songs=CATEGORY"):
        categories(Source("./songs", 1.0, ("songs",)), ready=None)


@pytest.mark.parametrize(
    ("mapped", "sentence"),
    [
        ({"wiki": "songs"}, "--map: there is no source 'wiki'; accepted: 'speech'"),
        ({"dclm:*": "songs"}, "--map: there is no source 'dclm:"),
        ({"speech": "So ngs"}, "--map: 'So ngs' is no category name; accepted: "),
    ],
)
def test_what_is_said_of_nothing_is_refused(mapped: dict[str, str], sentence: str) -> None:
    with pytest.raises(WeightsError) as refusal:
        place_sources([Source("speech", 1.0)], mapped, READY)
    assert sentence in str(refusal.value)


def test_nothing_left_is_refused() -> None:
    with pytest.raises(WeightsError, match="nothing is left that weighs anything"):
        add_up(place_sources([Source("speech", 1.0)], {"speech": ""}, READY))


def test_items_of_a_list_are_called_by_name_tag_or_path() -> None:
    found = read_sources(
        [
            {"type": "nemo", "corpus": "a", "manifest_filepath": "/x/b.json", "weight": 1},
            {"type": "nemo", "tags": {"category": "c"}, "manifest_filepath": "/x/d.json", "weight": 1},
            {"type": "nemo", "manifest_filepath": "/x/e.json", "tags": {"lang": "pl"}, "weight": 2},
        ]
    )
    assert found is not None
    assert [(one.label, one.weight) for one in found] == [("a", 0.25), ("c", 0.25), ("/x/e.json", 0.5)]
