"""Names of folders become names of categories: accepted, stable, and different where the folders differ."""

from unicodedata import normalize

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from worker.core.catalog.naming import LONGEST_SPLIT, made_name
from worker.core.keys import CATEGORY_PATTERN


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("voice", "voice"),
        ("Conference Calls", "conference-calls"),
        ("Rock & Roll!", "rock-roll"),
        ("Café", "cafe"),
        (normalize("NFD", "Café"), "cafe"),
        ("Straße", "strasse"),
        ("Ærø", "aero"),
        ("a_b-c", "a_b-c"),
        ("音楽", "xn--66v140h"),
        ("musik 音楽", "xn--musik--uu7mp780a"),
        ("музыка", "xn--80anjg9azc"),
        ("line\nbreak\t", "line-break"),
    ],
)
def test_a_folder_s_name_becomes_a_category(text: str, name: str) -> None:
    assert made_name(text) == name


@given(st.text(min_size=1), st.sampled_from([64, LONGEST_SPLIT]))
def test_every_text_becomes_an_accepted_name(text: str, longest: int) -> None:
    name = made_name(text, longest)
    assert CATEGORY_PATTERN.fullmatch(name)
    assert len(name) <= longest
    assert name == made_name(normalize("NFC", text), longest) or text != normalize("NFC", text)


@given(st.from_regex(CATEGORY_PATTERN, fullmatch=True))
def test_an_accepted_name_stays(name: str) -> None:
    assert made_name(name) == name


@given(*[st.text(st.characters(categories=["Lo"]), min_size=1, max_size=12)] * 2)
def test_names_of_other_scripts_stay_apart(one: str, other: str) -> None:
    assume(normalize("NFKD", one) != normalize("NFKD", other))
    assert made_name(one) != made_name(other)


def test_long_names_that_begin_alike_stay_apart() -> None:
    names = {made_name(f"{'a' * 80}{end}") for end in range(10)}
    assert len(names) == 10
    assert {len(name) for name in names} == {64}


@pytest.mark.parametrize("text", ["🎵", "...", "\udcff"])
def test_a_name_without_letters_gets_one_of_its_own(text: str) -> None:
    assert made_name(text).startswith("folder-")
    assert made_name(text) != made_name(f"{text}{text}")
