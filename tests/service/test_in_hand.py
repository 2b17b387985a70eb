"""What a lane holds: nothing leaves it but what is named, and sessions that were not settled go back together."""

from tests.support.streams import Desk
from worker.core.draw.cursor import Cursor
from worker.core.draw.sessions import NEW_SESSION, Session, Visit, read_session
from worker.core.wire import Request, Terms, encode_error
from worker.ports import Failure, GivenUp, Settled
from worker.service.in_hand import InHand, SessionsInHand
from worker.service.snapshots import SessionsBook


def _request(number: int, size: int = 1) -> Request:
    return Request(f"{number}-0", f"r{number}", Terms(size=size))


def _given_up(number: int) -> GivenUp:
    return GivenUp(encode_error(_request(number), "internal", "a sentence"), (), 5, Failure("internal", "a bug"))


def _hand() -> InHand:
    hand = InHand()
    hand.add([_request(1), _request(2)])
    hand.add_dead(_given_up(3))
    hand.add([_request(4)])
    return hand


def test_requests_are_held_in_the_order_in_which_they_came() -> None:
    hand = _hand()
    assert hand.entry_ids == ["1-0", "2-0", "3-0", "4-0"]
    assert repr(hand) == "<InHand 4 requests, 1 given up on>"
    assert [request.entry_id for request in hand.next_part().requests] == hand.entry_ids


def test_a_part_is_bounded_by_its_work() -> None:
    hand = InHand()
    hand.add([_request(number, 65_536) for number in range(1, 4)])
    part = hand.next_part()
    assert [request.entry_id for request in part.requests] == ["1-0", "2-0"]
    hand.drop_first(part.requests)
    assert hand.entry_ids == ["3-0"]


def test_the_first_part_leaves_with_what_was_given_up_on_in_it() -> None:
    hand = _hand()
    hand.drop_first(hand.next_part().requests[:3])
    assert (hand.entry_ids, hand.dead) == (["4-0"], {})


def test_entries_leave_wherever_they_are_and_all_at_once() -> None:
    hand = _hand()
    hand.drop({"1-0", "3-0", "9-0"})
    assert (hand.entry_ids, hand.dead) == (["2-0", "4-0"], {})
    hand.clear()
    assert not hand
    assert repr(hand) == "<InHand 0 requests, 0 given up on>"


# -- sessions ------------------------------------------------------------------------------------------------------


def _visit(book: SessionsBook, name: str, rank: int) -> Visit:
    """Draw once in a session."""
    visit = Visit(book.get(name) or NEW_SESSION)
    visit.cursors["voice"] = Cursor(1, rank)
    return visit


def _rank(session: Session | None) -> int:
    """Return how far a session has come; -1 before its first draw."""
    return -1 if session is None or "voice" not in session.cursors else session.cursors["voice"].last


async def test_sessions_run_ahead_of_redis_and_stay_so_once_settled(desk: Desk) -> None:
    book = SessionsBook()
    sessions = SessionsInHand(desk.consumer("one"), book)
    visits = {"a": _visit(book, "a", 7)}
    changes = sessions.advance(visits)
    assert changes["a"].stored == {"epoch:voice": Cursor(1, 7).text.encode()}
    sessions.correct(visits, Settled(1))
    assert _rank(book.get("a")) == 7


async def test_all_sessions_of_a_batch_that_was_not_settled_go_back_at_once(desk: Desk) -> None:
    book = SessionsBook()
    sessions = SessionsInHand(desk.consumer("one"), book)
    visits = {name: _visit(book, name, 7) for name in ("moved", "still")}
    sessions.advance(visits)
    assert [_rank(book.get(name)) for name in visits] == [7, 7]
    sessions.correct(visits, Settled(1, moved={"moved": {"epoch:voice": Cursor(1, 3).text.encode()}}))
    assert {name: _rank(book.get(name)) for name in visits} == {"moved": 3, "still": -1}


async def test_sessions_are_read_when_a_draw_needs_them_and_unusable_ones_each_time(desk: Desk) -> None:
    book = SessionsBook()
    sessions = SessionsInHand(desk.consumer("one"), book)
    key = desk.keys.session("s")
    free, epoch = Terms(session="s"), Terms(session="s", method="epoch")
    await desk.client.set(key, "no hash")
    assert (await sessions.read([free]))["s"] == NEW_SESSION
    assert (await sessions.read([free, epoch]))["s"].problem
    await desk.client.delete(key)
    await desk.client.hset(key, "epoch:voice", Cursor(2, 5).text)
    assert (await sessions.read([epoch]))["s"].cursors == {"voice": Cursor(2, 5)}
    await desk.client.hset(key, "epoch:voice", Cursor(3, 6).text)
    assert (await sessions.read([epoch]))["s"].cursors == {"voice": Cursor(2, 5)}  # known: settling finds the change
    assert read_session(None).problem
