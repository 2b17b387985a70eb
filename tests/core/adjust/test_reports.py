"""Losses that were reported add up, however they are split; and one reporter that lies is outvoted and named."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.losses import loss_sums
from worker.core.adjust.reports import NOTHING, LossReports, gather
from worker.core.wire.feedback import Kind, Report
from worker.core.wire.losses import LossSum

NAMES = ["voice", "music", "news"]
VERSION, OLDER = "0123456789ab", "ba9876543210"
single_sums = st.builds(
    lambda values: LossSum(sum(values), len(values), sum(value * value for value in values)),
    st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=5),
)
many = st.lists(
    st.builds(
        lambda losses, who, at: Report(f"{at}-0", losses, reporter=who),
        st.dictionaries(st.sampled_from(NAMES), single_sums, min_size=1),
        st.sampled_from(["r1", "r2", "r3", "r4", None]),
        st.integers(0, 100),
    ),
    max_size=12,
)


def report(losses: dict[str, float | LossSum], who: str | None = None, at_ms: int = 5, **more: object) -> Report:
    told = {name: loss if isinstance(loss, LossSum) else LossSum(loss, 1, loss * loss) for name, loss in losses.items()}
    return Report(f"{at_ms}-0", told, reporter=who, **more)  # type: ignore[arg-type]


def of(losses: LossReports, name: str) -> tuple[float, float]:
    """Return the mean and its error of a category."""
    one = losses.on([name])
    return float(one.means[0]), float(one.errors[0])


@given(many, st.data())
def test_sums_are_the_same_over_any_split_of_the_reports(all_reports: list[Report], data: st.DataObject) -> None:
    whole = gather(all_reports)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(all_reports)), max_size=4)))
    split = [gather(all_reports[start:end]) for start, end in zip([0, *cuts], [*cuts, len(all_reports)], strict=True)]
    parts = NOTHING.merged(*split)
    one_by_one = NOTHING
    for part in split:
        one_by_one = one_by_one.merged(part)
    assert np.array_equal(one_by_one.means, parts.means, equal_nan=True)
    assert (parts.categories, parts.reporters, parts.used) == (whole.categories, whole.reporters, len(all_reports))
    for name in ("counts", "report_counts", "reporter_counts", "means", "errors"):
        assert np.array_equal(getattr(parts, name), getattr(whole, name), equal_nan=True), name
    assert loss_sums(parts) == loss_sums(whole)
    assert parts.outvoted == whole.outvoted
    for place, name in enumerate(whole.categories):
        found = [one.losses[name] for one in all_reports if name in one.losses]
        assert loss_sums(whole)[place] == pytest.approx(math.fsum(one.sum for one in found), abs=1e-6)
        assert whole.counts[place] == sum(one.count for one in found)
        assert whole.report_counts[place] == len(found)


@given(many, st.permutations(NAMES))
def test_what_is_believed_lies_within_what_was_reported(all_reports: list[Report], order: Sequence[str]) -> None:
    losses = gather(all_reports).on(order)
    assert losses.categories == tuple(order)
    for place, name in enumerate(order):
        means = [one.losses[name].sum / one.losses[name].count for one in all_reports if name in one.losses]
        if means:
            assert min(means) - 1e-6 <= losses.means[place] <= max(means) + 1e-6
            assert 0 <= losses.errors[place] < math.inf
        else:
            assert math.isnan(losses.means[place])
            assert math.isnan(losses.errors[place])
            assert losses.counts[place] == losses.report_counts[place] == losses.reporter_counts[place] == 0


@given(many, st.floats(-1e15, 1e15), st.integers(1, 10**12), st.data())
def test_no_one_reporter_moves_a_mean_beyond_the_others(
    honest: list[Report], lie: float, count: int, data: st.DataObject
) -> None:
    """With three others or more of a category, the median stays between their least and their largest mean."""
    name = data.draw(st.sampled_from(NAMES))
    liar = report({name: LossSum(lie * count, count, lie * lie * count)}, "liar")
    whole = gather([*honest, liar]).on([name])
    without = gather(honest).on([name])
    if without.reporter_counts[0] >= 2:
        pairs = without._pairs
        means = pairs.sum / pairs.count
        assert means.min() - 1e-6 <= whole.means[0] <= means.max() + 1e-6


def test_a_reporter_that_lies_is_outvoted_and_named() -> None:
    ranks = [report({"voice": 1 + rank / 100, "music": 3.0}, f"rank {rank}") for rank in range(4)]
    liar = report({"voice": LossSum(9e14, 10**12, 9e17), "music": 3.1}, "broken")
    losses = gather([*ranks, liar])
    assert of(losses, "voice")[0] == pytest.approx(1.02)
    assert of(losses, "voice")[1] < 0.02
    assert losses.outvoted == {"broken": ("voice",)}
    assert gather(ranks).outvoted == {}


def test_ranks_that_differ_by_chance_are_not_named() -> None:
    """64 ranks that draw from one distribution, 200 times: with 3.5 standard errors about 1 in 2,000 is too far."""
    numbers = np.random.default_rng(7)
    named = 0
    for _ in range(200):
        drawn = numbers.gamma(2.0, 1.0, (64, 30))
        all_reports = [
            report({"voice": LossSum(float(row.sum()), 30, float((row * row).sum()))}, f"r{rank}")
            for rank, row in enumerate(drawn)
        ]
        named += len(gather(all_reports).outvoted)
    assert named <= 30  # of 12,800: 6 are expected, and more than 30 have a chance below 1e-6


def test_of_two_reporters_nobody_is_outvoted_but_one_wild_report_is_pulled_in() -> None:
    calm = [report({"voice": 1 + number / 100}, f"r{number % 2}") for number in range(20)]
    wild = report({"voice": LossSum(1e9, 1000, 1e15)}, "r0")
    losses = gather([*calm, wild])
    assert of(losses, "voice")[0] == pytest.approx(1.1, abs=0.01)
    assert losses.outvoted == {}
    assert loss_sums(losses)[0] == pytest.approx(1e9, rel=1e-6)  # the sums say what was reported


def test_the_error_is_that_of_a_mean() -> None:
    numbers = np.random.default_rng(3)
    inside = []
    for _ in range(300):
        drawn = numbers.normal(2.0, 0.5, (3, 40))
        reports = [
            report({"voice": LossSum(float(row.sum()), 40, float((row * row).sum()))}, f"r{rank}")
            for rank, row in enumerate(drawn)
        ]
        mean, error = of(gather(reports), "voice")
        inside.append(abs(mean - 2.0) < 2 * error)
    assert 0.9 < np.mean(inside) <= 1


def test_reports_under_older_weights_are_counted_and_dropped() -> None:
    reports = [
        report({"voice": 1}, weights_version=VERSION),
        report({"voice": 2}, weights_version=OLDER),
        report({"voice": 3}, at_ms=9),
        report({"voice": 4}, at_ms=11),
    ]
    losses = gather(reports, version=VERSION, since_ms=10)
    assert (losses.used, losses.stale, loss_sums(losses)) == (2, 2, [5])
    assert gather(reports).used == 4


def test_reports_of_another_dataset_or_kind_are_no_evidence() -> None:
    reports = [
        report({"voice": 1}),
        report({"voice": 2}, dataset="d"),
        report({"voice": 4}, dataset="d", weights_version=VERSION),
        report({"voice": 8}, kind="eval"),
        report({"voice": 16}, dataset="e"),
        report({"voice": 32}, weights_version=OLDER),
    ]
    used: dict[tuple[str | None, str, tuple[Kind, ...]], tuple[float, int, int]] = {
        (None, VERSION, ("train",)): (5, 2, 1),  # d has no weights of its own if it was drawn under the global ones
        (None, "", ("train",)): (33, 2, 0),
        ("d", "", ("train",)): (6, 2, 0),
        ("d", OLDER, ("train",)): (34, 2, 1),  # who does not name the dataset says its version
        ("e", "", ("train",)): (16, 1, 0),
        ("e", VERSION, ("train",)): (16, 1, 0),
        (None, "", ("eval",)): (8, 1, 0),
        (None, "", ("eval", "train")): (41, 3, 0),
    }
    for (dataset, version, kinds), (total, *expected) in used.items():
        losses = gather(reports, dataset=dataset, version=version, kinds=kinds)
        assert (loss_sums(losses), losses.used, losses.stale) == ([total], *expected)


def test_nothing_is_nothing() -> None:
    losses = gather([]).on(NAMES)
    for array in (losses.counts, losses.report_counts, losses.reporter_counts):
        assert array.tolist() == [0, 0, 0]
    assert np.isnan(losses.means).all()
    assert np.isnan(losses.errors).all()
    assert losses.outvoted == {}
    assert repr(losses) == "<LossReports: 3 categories of 0 reporters, 0 used, 0 stale>"
    assert losses.categories == tuple(NAMES)
    assert losses.counts.dtype == np.float64
    assert losses.report_counts.dtype == np.int64
