"""What others call a category becomes a category name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.catalog.naming import category_name
from worker.core.keys import CATEGORY_PATTERN


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("voice", "voice"),
        ("conference calls", "conference-calls"),
        ("Jännér & Co.", "janner-co"),
        ("№", "no"),
        ("/m/09x0r", "m-09x0r"),
        ("a" * 100, "a" * 64),
        ("日本", None),
        (" - ", None),
        ("", None),
    ],
)
def test_names_are_made_of_what_ascii_knows(text: str, name: str | None) -> None:
    assert category_name(text) == name


@given(st.text(max_size=100))
def test_what_is_made_is_a_name_and_stays_as_it_is(text: str) -> None:
    name = category_name(text)
    assert name is None or (CATEGORY_PATTERN.fullmatch(name) and category_name(name) in {name, name.strip("-")})
