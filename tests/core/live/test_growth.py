"""The difference of two looks is exactly what was drawn in between, each draw beside its own weights."""

from hypothesis import given
from hypothesis import strategies as st

from tests.core.live.conftest import Counting
from worker.core.live.evidence import drawn_of, fit_of
from worker.core.live.growth import Growth, grew, look_at
from worker.core.stats import Counts, Tally, read_counts

LOUD, QUIET = {"voice": 0.9, "music": 0.1}, {"voice": 0.2, "music": 0.5, "noise": 0.3}
batches = st.lists(st.tuples(st.sampled_from([LOUD, QUIET]), st.integers(1, 500)), max_size=6)


@given(batches, batches)
def test_only_what_was_drawn_in_between_counts(
    first: list[tuple[dict[str, float], int]], second: list[tuple[dict[str, float], int]]
) -> None:
    counting = Counting()
    for weights, size in first:
        counting.draw(weights, size)
    before = counting.look()
    drawn = [counting.draw(weights, size) for weights, size in second]
    after = counting.look()
    growth = Growth(before, after)
    assert grew(before, after)
    assert growth.sums.chunks == sum(size for _, size in second)
    for name in ("voice", "music", "noise", "never"):
        row = growth.row(name)
        assert row.count == sum(counts.get(name, 0) for counts in drawn)
        assert abs(row.expected - sum(size * weights.get(name, 0.0) for weights, size in second)) < 1e-3


def test_a_legal_change_is_no_departure_from_the_weights(counting: Counting) -> None:
    """Each draw is compared with its own weights: a share half-way between two mixes fits."""
    before = counting.look()
    counting.draw(LOUD, 10_000)
    counting.draw(QUIET, 10_000)
    growth = Growth(before, counting.look())
    voice = drawn_of(growth, "voice")
    assert voice is not None
    assert abs(voice.expected_share - 0.55) < 1e-6
    assert voice.low < voice.share < voice.high
    assert fit_of(growth).p > 1e-6  # type: ignore[operator]  # there are draws


def test_evidence_begins_at_a_hundred_expected_draws(counting: Counting) -> None:
    before = counting.look()
    assert drawn_of(Growth(before, before), "voice") is None
    assert fit_of(Growth(before, before)) == (None, 0, False)
    counting.draw(LOUD, 110)
    growth = Growth(before, counting.look())
    shown = {name: drawn_of(growth, name) for name in ("voice", "music", "never")}
    assert [one and one.is_enough for one in shown.values()] == [False, False, False]
    counting.draw(LOUD, 10)
    growth = Growth(before, counting.look())
    assert [drawn_of(growth, name).is_enough for name in shown] == [True, False, False]  # type: ignore[union-attr]
    assert fit_of(growth).is_enough


def test_a_wrong_share_is_seen(counting: Counting) -> None:
    before = counting.look()
    counting.tally.add_chunks(None, ("voice", "music"), [700, 300], expected=[600, 400], variances=[240, 240])
    growth = Growth(before, counting.look())
    voice = drawn_of(growth, "voice")
    assert voice is not None
    assert voice.share == 0.7 > voice.high
    assert voice.z > 6
    assert fit_of(growth).p < 1e-9  # type: ignore[operator]  # there are draws


def test_seconds_are_compared_with_seconds() -> None:
    def seconds(scale: int) -> Counts:
        fields = {
            "chunks::a": 300 * scale,
            "ms::a": 3_000_000 * scale,
            "expected_s::a": 2_990 * scale,
            "variance_s2::a": 9_000 * scale,
            "chunks::b": 20 * scale,
            "ms::b": 1_000_000 * scale,
            "expected_s::b": 1_010 * scale,
            "variance_s2::b": 9_000 * scale,
        }
        return read_counts(fields)

    before, after = (look_at(seconds(scale), "", float(scale), scale) for scale in (1, 2))
    growth = Growth(before, after)
    a, b = drawn_of(growth, "a"), drawn_of(growth, "b")
    assert a is not None
    assert b is not None
    assert (a.count, a.amount, a.share, a.is_enough) == (300, 3000.0, 0.75, True)
    assert (b.count, b.is_enough) == (20, False)
    assert growth.row("c").seconds == 0.0
    assert fit_of(growth).p > 0.1  # type: ignore[operator]  # there are draws


def test_counts_that_fell_or_changed_their_unit_are_not_compared(counting: Counting) -> None:
    nothing = counting.look()
    counting.draw(LOUD, 10)
    ten = counting.look()
    counting.tally = Tally()
    assert grew(nothing, ten)
    assert not grew(ten, counting.look())
    counting.draw({"voice": 1.0}, 100)
    assert not grew(ten, counting.look())  # fewer categories
    in_seconds = look_at(read_counts({"chunks::a": 50, "chunks::b": 50, "ms::a": 1, "expected_s::a": 1}), "", 0.0, 0)
    assert not grew(ten, in_seconds)
    assert repr(Growth(nothing, ten)) == "<Growth of 10 chunks in 1.0 s>"
