"""What leaves a lane's hand, and what a settling decides: by values alone."""

import pytest

from worker.core.wire import Decoder, Entry, Request, Result, encode_error
from worker.ports import Failure, GivenUp, Reading, Settled
from worker.service.in_hand import InHand
from worker.service.settler import FENCED_REDRAWS, Step, next_step

STALE: dict[str | None, Reading] = {None: Reading(b"mark", b"{}")}
DECODE = Decoder().decode


def request(number: int) -> Request | Result:
    return DECODE(Entry(f"{number}-0", (b"size", b"1"), 1))


def given_up(number: int) -> GivenUp:
    failure = Failure("internal", "it failed")
    return GivenUp(encode_error(request(number), failure.code, failure.why), ("why", "it failed"), 5, failure)


def holding(*numbers: int) -> InHand:
    hand = InHand()
    hand.add([request(number) for number in numbers])
    return hand


def test_the_first_part_leaves_with_its_dead_letters() -> None:
    hand = holding(1, 2)
    hand.add_given_up(given_up(3))
    hand.add([request(4)])
    assert repr(hand) == "<InHand 4 requests, 1 of them given up on>"
    hand.discard_first(hand.requests[:3])
    assert repr(hand) == "<InHand 1 requests, 0 of them given up on>"
    assert [one.entry_id for one in hand.requests] == ["4-0"]


def test_entries_leave_from_wherever_they_are() -> None:
    hand = holding(1, 2, 3)
    hand.add_given_up(given_up(4))
    hand.discard({"2-0", "4-0"})
    assert [one.entry_id for one in hand.requests] == ["1-0", "3-0"]
    assert hand.letters == {}


def test_only_what_is_given_up_on_in_a_part_is_named() -> None:
    hand = holding(1)
    hand.add_given_up(given_up(2))
    assert hand.given_up_of(hand.requests[:1]) == []
    assert [one.result.entry_id for one in hand.given_up_of(hand.requests)] == ["2-0"]
    assert hand.letters == {"2-0": ("why", "it failed")}


@pytest.mark.parametrize(
    ("settled", "step"),
    [
        (Settled(1), Step("conclude")),
        (Settled(1, counted=False), Step("conclude")),
        (Settled(1, stale=STALE), Step("draw again", 3)),
        (Settled(1, moved={"s": {}}), Step("draw again", 2)),
        (Settled(1, stale=STALE, moved={"s": {}}), Step("draw again", 3)),
        (Settled(1, lost=("1-0",)), Step("discard", gone={"1-0"})),
        (Settled(1, unwritable=("2-0",)), Step("discard", gone={"2-0"})),
        (Settled(1, lost=("1-0",), unwritable=("2-0",)), Step("discard", gone={"1-0", "2-0"})),
        (Settled(1, stale=STALE, lost=("1-0",)), Step("draw again", 3)),
    ],
)
def test_the_reply_and_a_count_decide_what_is_next(settled: Settled, step: Step) -> None:
    assert next_step(settled, 2) == step


def test_a_writer_that_never_rests_is_compared_with_so_many_times() -> None:
    step = Step("draw again")
    for _ in range(FENCED_REDRAWS):
        assert step.redraws < FENCED_REDRAWS
        step = next_step(Settled(1, stale=STALE), step.redraws)
    assert step.redraws == FENCED_REDRAWS
