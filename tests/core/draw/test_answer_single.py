"""A single plain request gets the same as among others, to the last id and count."""

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.drawing import catalog_of, lasting_catalog, weights_of
from worker.core.catalog import Catalog
from worker.core.draw.answer import answer, single_of
from worker.core.draw.derived import Derived, Prepared
from worker.core.draw.groups import Answers
from worker.core.draw.prepare import Snapshots, prepare
from worker.core.draw.sessions import NEW_SESSION
from worker.core.weights.in_force import InForce
from worker.core.wire import Encoding, Request, Terms

READY = {"conference": 4, "music": 300, "voice": 5000}
CATALOG, UUID_CATALOG = catalog_of(READY), catalog_of(READY, uuids=True)
WEIGHTS = weights_of({"voice": 0.5, "music": 0.25, "zebra": 0.2, "conference": 0.05})
REFUSED = Request("2-0", "late", Terms(size=1), expires_at=1)


def _snapshots(catalog: Catalog) -> Snapshots:
    weights = {None: InForce(None, WEIGHTS, ()), "d": InForce("d", WEIGHTS, ())}
    return Snapshots(Derived(catalog), weights, now_ms=2, sessions={"s": NEW_SESSION})


def _prepared(terms: Terms, snapshots: Snapshots) -> Prepared:
    prepared = prepare(terms, snapshots)
    assert isinstance(prepared, Prepared)
    return prepared


def _answered(*requests: Request, snapshots: Snapshots, seed: int) -> Answers:
    return answer(requests, snapshots, np.random.Generator(np.random.SFC64(seed)))


def _grown(fields: Mapping[str, int]) -> Mapping[str, int]:
    return {name: growth for name, growth in fields.items() if growth}


@given(
    st.integers(1, 3000),
    st.sampled_from(["json", "packed"]),
    st.sampled_from([None, "d"]),
    st.sampled_from([None, "job"]),
    st.sampled_from([CATALOG, UUID_CATALOG]),
    st.integers(0, 2**32),
)
def test_it_is_drawn_and_counted_as_it_would_be_among_others(
    size: int, encoding: Encoding, dataset: str | None, reply_to: str | None, catalog: Catalog, seed: int
) -> None:
    terms = Terms(size=size, encoding=encoding, dataset=dataset, reply_to=reply_to)
    request, snapshots = Request("1-0", "r", terms), _snapshots(catalog)
    assert single_of(request, _prepared(terms, snapshots)) is not None
    alone = _answered(request, snapshots=snapshots, seed=seed)
    among = _answered(request, REFUSED, snapshots=snapshots, seed=seed)
    assert alone.results == [one for one in among.results if one.error is None]
    refused = _answered(REFUSED, snapshots=snapshots, seed=seed).tally.fields
    own = {name: count - refused.get(name, 0) for name, count in among.tally.fields.items()}
    assert _grown(alone.tally.fields) == _grown(own)
    assert (alone.tally.requests, alone.tally.errors, alone.tally.chunks) == (1, 0, size)


@pytest.mark.parametrize(
    ("terms", "seed"),
    [
        (Terms(size=3, replace=False), None),
        (Terms(size=3, method="stratified"), None),
        (Terms(size=3, session="s"), None),
        (Terms(size=3, session="s", method="epoch"), None),
        (Terms(size=3), 7),
    ],
)
def test_others_are_not_plain(terms: Terms, seed: int | None) -> None:
    assert single_of(Request("1-0", "r", terms, seed), _prepared(terms, _snapshots(CATALOG))) is None


def test_nothing_is_plain_where_weights_are_of_seconds_or_categories_are_many() -> None:
    request = Request("1-0", "r", Terms(size=3))
    lasting = lasting_catalog(READY, dict.fromkeys(READY, 2.0))
    assert single_of(request, _prepared(request.terms, _snapshots(lasting))) is None
    many = {f"c{number:02}": 1 for number in range(65)}
    snapshots = Snapshots(Derived(catalog_of(many)), {None: InForce(None, weights_of(many), ())}, now_ms=2)
    assert single_of(request, _prepared(request.terms, snapshots)) is None
