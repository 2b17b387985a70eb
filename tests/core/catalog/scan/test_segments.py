"""Segments cover a file from its start, in order, and leave out only a last piece that is too short."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.catalog.scan.options import check_segments
from worker.core.catalog.scan.segments import Segments, Span, cut
from worker.errors import ScanError

LENGTHS = st.floats(0.05, 50)


@pytest.mark.parametrize(
    ("duration_s", "segments", "spans"),
    [
        (25, None, [(None, 25)]),
        (25, Segments(10), [(0, 10), (10, 10), (20, 5)]),
        (20, Segments(10), [(0, 10), (10, 10)]),
        (20.9, Segments(10), [(0, 10), (10, 10)]),  # a tenth is the least
        (0.5, Segments(10), [(0, 0.5)]),  # but a file is never left out as a whole,
        (0.5, Segments(10, shortest_s=1), []),  # unless it is said
        (25, Segments(10, shortest_s=6), [(0, 10), (10, 10)]),
        (25, Segments(10, hop_s=5), [(0, 10), (5, 10), (10, 10), (15, 10)]),
        (27, Segments(10, hop_s=5), [(0, 10), (5, 10), (10, 10), (15, 10), (20, 7)]),
        (35, Segments(10, hop_s=20), [(0, 10), (20, 10)]),
    ],
)
def test_a_file_is_cut(duration_s: float, segments: Segments | None, spans: list[tuple[float | None, float]]) -> None:
    assert list(cut(duration_s, segments)) == [Span(*span) for span in spans]


@given(st.floats(0.01, 2000), LENGTHS, LENGTHS | st.none(), st.floats(0, 1) | st.none())
def test_segments_lie_in_their_file(
    duration_s: float, length_s: float, hop_s: float | None, part: float | None
) -> None:
    shortest_s = None if part is None else part * length_s
    spans = list(cut(duration_s, Segments(length_s, hop_s, shortest_s)))
    starts = [span.start_s or 0 for span in spans]
    assert starts == sorted(set(starts))
    assert all(0 < span.duration_s <= length_s for span in spans)
    assert all(start + span.duration_s <= duration_s + 1e-5 for start, span in zip(starts, spans, strict=True))
    assert all(span.duration_s == length_s for span in spans[:-1])
    if part is None:
        assert starts[0] == 0
    if part is None and (hop_s is None or hop_s <= length_s):
        assert starts[-1] + spans[-1].duration_s >= duration_s - length_s / 10 - 1e-5


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ((None, 5.0, None), "--hop is for --segment"),
        ((None, None, 5.0), "--shortest is for --segment"),
        ((1.0, None, 5.0), "accepted is at most that"),
    ],
)
def test_what_does_not_go_together_is_refused(words: tuple[float | None, ...], part: str) -> None:
    with pytest.raises(ScanError, match=part):
        check_segments(*words)
