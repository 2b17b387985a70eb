"""Counts of what was heard under positioned weights grow by exactly what the batch got."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.stats import Tally
from worker.core.stats.heard import UNITS, heard_field, heard_growth, read_field

datasets = st.none() | st.sampled_from(["d", "a.b", "preset:p"])
categories = st.sampled_from(["voice", "music", "x_1"])
parts = st.lists(st.tuples(datasets, categories, st.integers(0, 99), st.integers(0, 10**6), st.booleans()), max_size=20)


@given(parts, st.sets(st.sampled_from([None, "d", "a.b"])))
def test_growth_is_what_the_named_datasets_got(
    added: list[tuple[str | None, str, int, int, bool]], names: set[str | None]
) -> None:
    tally, expected = Tally(), dict[str, int]()
    for dataset, category, chunks, milliseconds, is_error in added:
        tally.add_requests(dataset, 1)
        if is_error:
            tally.add_error(dataset, "expired")
            continue
        tally.add_seconds(dataset, category, (chunks, milliseconds), expected_s=1.5, variance_s2=2.5)
        if dataset in names:
            growth = {"requests": 1, "chunks": chunks, "ms": milliseconds, f"chunks:{category}": chunks}
            for unit, amount in growth.items():
                field = heard_field(unit, dataset)
                expected[field] = expected.get(field, 0) + amount
    expected = {field: amount for field, amount in expected.items() if amount or field.count(":") > 1}
    assert heard_growth(tally.fields, names) == expected


@given(st.sampled_from([*UNITS, "chunks:voice"]), st.none() | st.sampled_from(["d", "a.b"]))
def test_a_field_is_read_back(unit: str, dataset: str | None) -> None:
    assert read_field(heard_field(unit, dataset)) == (unit, dataset)


@pytest.mark.parametrize(
    ("unit", "dataset", "field"),
    [("chunks", None, "chunks:"), ("ms", "d", "ms:d"), ("chunks:voice", None, "chunks::voice")],
)
def test_fields_are_named_as_the_contract_says(unit: str, dataset: str | None, field: str) -> None:
    assert heard_field(unit, dataset) == field
