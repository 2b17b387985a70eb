"""What is counted is read back, to the last chunk, and a dataset's counts can be told from the others'."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.tally import MICRO, CategoryCount, Counts, Tally, fields_of_dataset, read_counts

datasets = st.none() | st.sampled_from(["speech", "a.b", "A-1"])
categories = st.sampled_from(["voice", "music", "x_1"])
codes = st.sampled_from(["expired", "internal"])
chunks = st.tuples(datasets, categories, st.integers(0, 10**6), st.floats(0, 1e6), st.floats(0, 1e6))


def _tally() -> Tally:
    tally = Tally()
    tally.add_requests(None, 3)
    tally.add_requests("speech", 2)
    tally.add_error(None, "expired")
    tally.add_error("speech", "internal")
    tally.add_error("speech", "internal")
    tally.add_chunks(None, "voice", 7, expected=6.5, variance=4.0)
    tally.add_chunks(None, "voice", 1, expected=0.5, variance=0.25)
    tally.add_chunks("speech", "music", 4, expected=4.0, variance=0.0)
    return tally


def test_counts_are_read_back() -> None:
    assert read_counts(_tally().fields) == Counts(
        requests={"": 3, "speech": 2},
        errors={("", "expired"): 1, ("speech", "internal"): 2},
        categories=(CategoryCount("", "voice", 8, 7.0, 4.25), CategoryCount("speech", "music", 4, 4.0, 0.0)),
    )


@given(st.lists(chunks, max_size=30))
def test_chunks_add_up_whatever_they_are_counted_under(
    added: list[tuple[str | None, str, int, float, float]],
) -> None:
    tally = Tally()
    for dataset, category, count, expected, variance in added:
        tally.add_chunks(dataset, category, count, expected=expected, variance=variance)
    counts = read_counts(tally.fields)
    assert counts.chunks == sum(count for _, _, count, _, _ in added)
    rounding = (len(added) + 1) / MICRO
    assert sum(row.expected for row in counts.categories) == pytest.approx(sum(a[3] for a in added), abs=rounding)
    assert sum(row.variance for row in counts.categories) == pytest.approx(sum(a[4] for a in added), abs=rounding)
    assert [(row.dataset, row.category) for row in counts.categories] == sorted({(a[0] or "", a[1]) for a in added})


def test_datasets_are_walked_over_in_order_with_their_categories() -> None:
    tally = Tally()
    for dataset, category in [("b", "y"), ("b", "x"), (None, "z"), ("a", "x")]:
        tally.add_chunks(dataset, category, 1, expected=1, variance=0)
    walked = [(name, [row.category for row in rows]) for name, rows in read_counts(tally.fields).datasets()]
    assert walked == [("", ["z"]), ("a", ["x"]), ("b", ["x", "y"])]


def test_z_compares_a_count_with_its_own_expectation() -> None:
    assert CategoryCount("", "voice", 12, 10.0, 4.0).z == 1.0
    assert CategoryCount("", "voice", 12, 12.0, 0.0).z == 0.0


def test_fields_of_other_kinds_are_left_alone() -> None:
    fields = {**_tally().fields, "": 1, "since": 5, "other:voice": 2, "other:a:b:c": 3}
    assert read_counts(fields) == read_counts(_tally().fields)


def test_nothing_counted_is_read_as_nothing() -> None:
    assert read_counts({}) == Counts({}, {}, ())
    assert list(read_counts({}).datasets()) == []


def test_the_colon_of_a_preset_stays_with_the_preset() -> None:
    """A dataset by the name of `preset`, and a category by that of a preset, are others."""
    tally = Tally()
    for dataset in ("preset", "preset:a", None):
        tally.add_requests(dataset, 1)
        tally.add_error(dataset, "expired")
        tally.add_chunks(dataset, "a", 1, expected=1, variance=0)
    counts = read_counts(tally.fields)
    assert counts.requests == {"preset": 1, "preset:a": 1, "": 1}
    assert counts.errors == {("preset", "expired"): 1, ("preset:a", "expired"): 1, ("", "expired"): 1}
    assert [(row.dataset, row.category) for row in counts.categories] == [("", "a"), ("preset", "a"), ("preset:a", "a")]
    of_preset = fields_of_dataset(tally.fields, "preset:a")
    assert sorted(name.split(":")[0] for name in of_preset) == ["chunks", "errors", "expected", "requests", "variance"]
    assert all(":preset:a" in name for name in of_preset)


@given(st.lists(st.tuples(datasets, categories, codes), max_size=30), datasets)
def test_a_dataset_is_removed_without_a_trace(added: list[tuple[str | None, str, str]], removed: str | None) -> None:
    tally, others = Tally(), Tally()
    for dataset, category, code in added:
        for counted in (tally, *([others] if dataset != removed else [])):
            counted.add_requests(dataset, 1)
            counted.add_error(dataset, code)
            counted.add_chunks(dataset, category, 1, expected=1, variance=0)
    for name in fields_of_dataset(tally.fields, removed or ""):
        del tally.fields[name]
    assert tally.fields == others.fields
