"""The preview of batches says what draws then give."""

import numpy as np
import pytest

from tests.support.batches import ask, drawn_of, library_of, snapshots_of
from tests.support.drawing import lasting_catalog, weights_of, with_durations_held
from worker.core.draw.answer import answer
from worker.core.draw.batch_preview import preview_batches
from worker.core.wire import LARGEST_SIZE, Terms
from worker.errors import RequestError

CATALOG = with_durations_held(
    lasting_catalog({"voice": 60, "music": 40, "noise": 5}, {"voice": 3, "music": 12, "noise": 1})
)
WEIGHTS = weights_of({"voice": 0.5, "music": 0.5, "zebra": 1.0})


def _terms(budget_s: float, buckets: int) -> Terms:
    return Terms(size=LARGEST_SIZE, budget_s=budget_s, buckets=buckets)


@pytest.mark.parametrize("buckets", [1, 6])
def test_it_foresees_the_batches_and_their_padding(buckets: int) -> None:
    library = library_of(CATALOG, WEIGHTS)
    rows = preview_batches(WEIGHTS, CATALOG, _terms(300.0, buckets))
    requests = [ask(number, budget_s=300.0, buckets=buckets) for number in range(4000)]
    drawn = drawn_of(answer(requests, snapshots_of(CATALOG, WEIGHTS), np.random.default_rng(2)))
    lasting = [np.array([library[chunk].milliseconds for chunk in ids]) / 1000 for ids in drawn]
    of_bucket = np.searchsorted([row.longest_s for row in rows], [one.max() for one in lasting])
    assert sum(row.share for row in rows) == pytest.approx(1)
    for i, row in enumerate(rows):
        own = [one for one, bucket in zip(lasting, of_bucket.tolist(), strict=True) if bucket == i]
        assert {len(one) for one in own} == {row.chunks}
        assert len(own) / len(drawn) == pytest.approx(row.share, abs=0.05)
        assert np.mean([one.sum() for one in own]) == pytest.approx(row.seconds, rel=0.05)
        assert np.mean([one.max() * len(one) for one in own]) == pytest.approx(row.padded_s, rel=0.05)
        assert row.padded_s <= 300


def test_it_foresees_batches_whose_durations_add_up() -> None:
    library = library_of(CATALOG, WEIGHTS)
    [row] = preview_batches(WEIGHTS, CATALOG, Terms(size=LARGEST_SIZE, budget_s=300.0, budget="sum"))
    requests = [ask(number, budget_s=300.0, budget="sum") for number in range(4000)]
    drawn = drawn_of(answer(requests, snapshots_of(CATALOG, WEIGHTS), np.random.default_rng(2)))
    lasting = [np.array([library[chunk].milliseconds for chunk in ids]) / 1000 for ids in drawn]
    assert (row.longest_s, row.share) == (max(one.max() for one in lasting), 1)
    assert np.mean([len(one) for one in lasting]) == pytest.approx(row.chunks, rel=0.02)
    assert np.mean([one.sum() for one in lasting]) == pytest.approx(row.seconds, rel=0.01)
    assert np.mean([one.max() * len(one) for one in lasting]) == pytest.approx(row.padded_s, rel=0.03)
    assert row.seconds <= 300


def test_it_refuses_what_a_worker_would_refuse() -> None:
    with pytest.raises(RequestError, match="the longest chunk that can be drawn"):
        preview_batches(WEIGHTS, CATALOG, _terms(1.0, 4))
    with pytest.raises(RequestError, match="no chunk of these categories is READY"):
        preview_batches(weights_of({"zebra": 1.0}), CATALOG, _terms(300.0, 4))
