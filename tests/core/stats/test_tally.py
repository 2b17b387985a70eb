"""Counts are read back exactly, to the last chunk, and a dataset's counts are separate from the others'."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.drawing import mixture_of
from worker.core.stats import MICRO, CategoryCount, Counts, Tally, fields_of_dataset, read_counts

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
    tally.add_chunks(None, ("voice",), [7], expected=[6.5], variances=[4.0])
    tally.add_chunks(None, ("voice",), [1], expected=[0.5], variances=[0.25])
    tally.add_chunks("speech", ("music",), [4], expected=[4.0], variances=[0.0])
    return tally


def test_categories_counted_together_are_counted_as_one_by_one() -> None:
    together, one_by_one = Tally(), Tally()
    together.add_chunks("d", ("a", "b"), [3, 0], expected=[2.5, 0.5], variances=[1.0, 0.25])
    one_by_one.add_chunks("d", ("a",), [3], expected=[2.5], variances=[1.0])
    one_by_one.add_chunks("d", ("b",), [0], expected=[0.5], variances=[0.25])
    assert together == one_by_one


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
        tally.add_chunks(dataset, (category,), [count], expected=[expected], variances=[variance])
    counts = read_counts(tally.fields)
    assert counts.chunks == sum(count for _, _, count, _, _ in added)
    rounding = (len(added) + 1) / MICRO
    assert sum(row.expected for row in counts.categories) == pytest.approx(sum(a[3] for a in added), abs=rounding)
    assert sum(row.variance for row in counts.categories) == pytest.approx(sum(a[4] for a in added), abs=rounding)
    assert [(row.dataset, row.category) for row in counts.categories] == sorted({(a[0] or "", a[1]) for a in added})


def test_datasets_are_walked_over_in_order_with_their_categories() -> None:
    tally = Tally()
    for dataset, category in [("b", "y"), ("b", "x"), (None, "z"), ("a", "x")]:
        tally.add_chunks(dataset, (category,), [1], expected=[1], variances=[0])
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
    """A dataset called `preset`, and a category with the name of a preset, are something else."""
    tally = Tally()
    for dataset in ("preset", "preset:a", None):
        tally.add_requests(dataset, 1)
        tally.add_error(dataset, "expired")
        tally.add_chunks(dataset, ("a",), [1], expected=[1], variances=[0])
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
            counted.add_chunks(dataset, (category,), [1], expected=[1], variances=[0])
    for name in fields_of_dataset(tally.fields, removed or ""):
        del tally.fields[name]
    assert tally.fields == others.fields


times = st.tuples(datasets, categories, st.integers(0, 99), st.integers(0, 10**7), st.floats(0, 1e6), st.floats(0, 1e9))


@given(st.lists(times, max_size=30))
def test_seconds_add_up_to_the_millisecond(added: list[tuple[str | None, str, int, int, float, float]]) -> None:
    tally = Tally()
    for dataset, category, count, milliseconds, expected_s, variance_s2 in added:
        tally.add_seconds(dataset, category, (count, milliseconds), expected_s=expected_s, variance_s2=variance_s2)
    counts, rounding = read_counts(tally.fields), (len(added) + 1) / MICRO
    assert counts.chunks == tally.chunks == sum(one[2] for one in added)
    assert sum(round((row.seconds or 0) * 1000) for row in counts.categories) == sum(one[3] for one in added)
    assert sum(row.expected for row in counts.categories) == pytest.approx(sum(a[4] for a in added), abs=rounding)
    assert sum(row.variance for row in counts.categories) == pytest.approx(sum(a[5] for a in added), abs=rounding)
    assert [(row.dataset, row.category) for row in counts.categories] == sorted({(a[0] or "", a[1]) for a in added})


def test_a_century_of_hours_overflows_no_field_and_milliseconds_stay_exact() -> None:
    """Redis counts to 2^63: a billion chunks of an hour, and a million batches of one chunk of a millisecond."""
    tally = Tally()
    tally.add_seconds(None, "voice", (10**9, 36 * 10**14), expected_s=3.6e12, variance_s2=1.296e16)
    assert max(tally.fields.values()) < 2**63
    short = Tally()
    for _ in range(1000):
        short.add_seconds(None, "voice", (1, 1), expected_s=0.001, variance_s2=1e-6)
    (row,) = read_counts(short.fields).categories
    assert [row.expected, row.variance] == pytest.approx([1, 1e-3])


def test_z_is_of_seconds_where_these_are_counted() -> None:
    tally = Tally()
    tally.add_seconds(None, "voice", (3, 14_500), expected_s=12.5, variance_s2=4.0)
    counts = read_counts(tally.fields)
    assert counts.categories == (CategoryCount("", "voice", 3, 12.5, 4.0, 14.5),)
    assert (counts.categories[0].z, counts.categories[0].amount, counts.is_mixed) == (1.0, 14.5, False)


def test_counts_of_both_units_are_told_to_be_mixed() -> None:
    tally = _tally()
    assert not read_counts(tally.fields).is_mixed
    tally.add_seconds(None, "voice", (3, 14_500), expected_s=12.5, variance_s2=4.0)
    assert read_counts(tally.fields).is_mixed


def test_the_seconds_of_a_dataset_are_removed_without_a_trace() -> None:
    mixture = mixture_of({"a": 1.0, "b": 2.0}, {"a": 3, "b": 4})
    tally = Tally()
    tally.add_seconds("gone", "voice", (3, 14_500), expected_s=12.5, variance_s2=4.0)
    tally.add_seconds_drawn("gone", mixture, 2.5, {"a": (2, 5_000, 12.5)})
    assert len(tally.fields) == 6 + 5 + 4
    assert sorted(fields_of_dataset(tally.fields, "gone")) == sorted(tally.fields)
