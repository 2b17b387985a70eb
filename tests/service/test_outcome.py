"""What follows an attempt to settle a part: settled, drawn again, or without some of its entries."""

from collections.abc import Mapping

import pytest

from tests.support.streams import result_of
from worker.core.weights.in_force import ABSENT
from worker.core.wire import Result, encode_error
from worker.ports import Failure, GivenUp, Settled
from worker.service.outcome import FENCED_REDRAWS, Done, DrawAgain, Drop, decide, is_fenced

_STALE: Mapping[str | None, bytes] = {None: ABSENT}
RESULTS = [result_of(f"{number}-0") for number in range(1, 5)]


def _given_up(result: Result) -> GivenUp:
    return GivenUp(encode_error(result, "internal", "a sentence"), (), 5, Failure("internal", "a bug"))


DEAD = {result.entry_id: _given_up(result) for result in RESULTS[2:]}


def test_a_settled_part_is_done_and_names_what_was_given_up_on() -> None:
    assert decide(RESULTS, {}, Settled(1), redraws=3) == Done()
    assert decide(RESULTS[:3], DEAD, Settled(1), redraws=0) == Done([DEAD["3-0"]])


def test_what_could_not_be_counted_or_trimmed_is_done_all_the_same() -> None:
    assert decide(RESULTS, {}, Settled(1, uncounted="audio:sample:stats", unbounded="refused"), redraws=0) == Done()


@pytest.mark.parametrize("redraws", [0, 1, FENCED_REDRAWS])
def test_a_part_is_drawn_again_and_only_changes_of_weights_use_up_the_fence(redraws: int) -> None:
    assert decide(RESULTS, {}, Settled(1, stale=_STALE), redraws=redraws) == DrawAgain(redraws + 1)
    assert decide(RESULTS, {}, Settled(1, moved={"s": {}}), redraws=redraws) == DrawAgain(redraws)
    assert decide(RESULTS, {}, Settled(1, stale=_STALE, moved={"s": {}}), redraws=redraws) == DrawAgain(redraws + 1)


def test_a_new_draw_comes_before_what_was_lost_or_could_not_be_written() -> None:
    settled = Settled(1, stale=_STALE, lost=("1-0",), unwritable=("2-0",))
    assert decide(RESULTS, {}, settled, redraws=0) == DrawAgain(1)


def test_lost_and_unwritten_entries_leave_the_hand_and_no_others() -> None:
    outcome = decide(RESULTS, DEAD, Settled(1, lost=("1-0",), unwritable=("2-0", "3-0")), redraws=0)
    assert outcome == Drop(("1-0",), [RESULTS[1]], [DEAD["3-0"]])
    assert isinstance(outcome, Drop)
    assert outcome.entry_ids == {"1-0", "2-0", "3-0"}


def test_the_fence_lasts_for_some_redraws() -> None:
    assert [is_fenced(redraws) for redraws in (0, FENCED_REDRAWS - 1, FENCED_REDRAWS)] == [True, True, False]
