"""A file's split depends on its path alone, and a split that grows gives nothing back."""

from collections import Counter
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.catalog.scan.options import parse_splits
from worker.core.catalog.scan.splitting import splitter
from worker.errors import ScanError

PATHS = [f"voice/{number // 10}/{number}.wav" for number in range(40_000)]
STAYS = ["val", None, "test", None, None, None, None, "test"]


def test_splits_stay_what_they_are_for_ever() -> None:
    """A library that was split by an earlier version is split alike: these paths may never move."""
    split_of = splitter({"val": 0.3, "test": 0.3}, "file")
    assert [split_of(f"voice/{number}.wav") for number in range(8)] == STAYS


@pytest.mark.parametrize(
    "shares",
    [{"val": 0.05}, {"val": 0.05, "test": 0.05}, {"train": 0.8, "val": 0.1, "test": 0.1}, {"val": 1.0}, {"val": 0.0}],
)
def test_each_split_gets_its_share(shares: dict[str, float]) -> None:
    counts = Counter(map(splitter(shares, "file"), PATHS))
    counts[None] += 0
    for name, share in (*shares.items(), (None, 1 - sum(shares.values()))):
        # 5 standard deviations: a false alarm in a million runs, if paths were new ones each time
        assert abs(counts[name] - share * len(PATHS)) <= 5 * (len(PATHS) * share * max(0, 1 - share)) ** 0.5 + 1e-6


@pytest.mark.parametrize("grows", ["val", "test"])
def test_a_split_that_grows_gives_nothing_back(grows: str) -> None:
    shares = {"val": 0.05, "test": 0.05}
    before, after = splitter(shares, "file"), splitter({**shares, grows: 0.1}, "file")
    moves = Counter((before(path), after(path)) for path in PATHS if before(path) != after(path))
    assert not [move for move in moves if move[1] is None or move[0] == grows]
    alone, more = splitter({"val": 0.05}, "file"), splitter({"val": 0.1}, "file")
    assert {(alone(path), more(path)) for path in PATHS} == {(None, None), (None, "val"), ("val", "val")}


@given(st.permutations([("a", 0.2), ("b", 0.3), ("train", 0.5)]))
def test_the_order_of_the_words_does_not_matter(words: list[tuple[str, float]]) -> None:
    one, other = splitter({"a": 0.2, "b": 0.3, "train": 0.5}, "file"), splitter(dict(words), "file")
    assert [one(path) for path in PATHS[:200]] == [other(path) for path in PATHS[:200]]


def test_files_of_a_folder_stay_together() -> None:
    split_of = splitter({"val": 0.2}, "folder")
    by_folder: dict[str, set[str | None]] = {}
    for path in PATHS:
        by_folder.setdefault(path.rpartition("/")[0], set()).add(split_of(path))
    assert {len(splits) for splits in by_folder.values()} == {1}
    assert {next(iter(splits)) for splits in by_folder.values()} == {None, "val"}


@given(st.text(max_size=20))
def test_both_forms_of_a_name_in_unicode_are_one(name: str) -> None:
    split_of = splitter({"val": 0.5}, "file")
    assert split_of(normalize("NFC", name)) == split_of(normalize("NFD", name))


def test_splits_are_read() -> None:
    assert parse_splits(["val=0.05", "test=5%", "train=.9"]) == (("val", 0.05), ("test", 0.05), ("train", 0.9))


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["val"], "the share of split val, '', is not a number"),
        (["Val=0.1"], "is not NAME=SHARE"),
        (["=0.1"], "is not NAME=SHARE"),
        (["val=5"], "not a number from 0 to 1"),
        (["val=nan"], "not a number from 0 to 1"),
        (["val=-0.1"], "not a number from 0 to 1"),
        (["val=0.1", "val=0.2"], "given twice"),
        (["val=0.6", "test=0.6"], "1.2 of the files in all"),
    ],
)
def test_other_words_are_refused(words: list[str], part: str) -> None:
    with pytest.raises(ScanError, match=part):
        parse_splits(words)
