"""Keys and values are kept on disk: found by their key, and each key once."""

import pytest

from worker.adapters.lookup_table import lookup_table
from worker.errors import ManifestError


def test_values_are_found_by_their_keys() -> None:
    find = lookup_table("utt2dur", ((f"utt-{number:05}", str(number)) for number in range(20_000)))
    assert [find(key) for key in ("utt-00000", "utt-19999", "utt-20000", "")] == ["0", "19999", None, None]


def test_a_key_that_comes_twice_is_refused() -> None:
    with pytest.raises(ManifestError, match=r"^wav\.scp: 'b' is there twice$"):
        lookup_table("wav.scp", [("a", "1"), ("b", "2"), ("b", "2"), ("c", "3")])
