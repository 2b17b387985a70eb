"""Every callback is called once, whatever is lost on the way, and no result is forgotten before."""

from collections import Counter

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from worker.core.client_state import (
    LONGEST_RECHECK_S,
    MOST_KEPT,
    MOST_KEPT_BYTES,
    MOST_SENT,
    NEVER,
    PORTION_S,
    RECHECK_S,
    Ask,
    ClientState,
    Keeping,
    Sending,
    results_kept,
)
from worker.core.wire import EXPIRED, Reply, Request, Result, decode_result, encode_error, ok_template

IDS = st.sampled_from(["a", "b", "c", "d"])


def reply_to(request_id: str, entry_id: str = "1-0", *, error: str | None = None, ids: bytes = b"[1]") -> Reply:
    """Make a result as it is received."""
    if error is None:
        result = Result(entry_id, request_id, "me", None, ok_template(()), (ids, '{"voice":1}'))
    else:
        result = encode_error(Request(entry_id, request_id), error, "why; accepted: what")
    words = [word.encode() if isinstance(word, str) else word for word in result.fields]
    return decode_result(words, packed=True)


class Told:
    """The replies that the callbacks of each request were called with."""

    def __init__(self) -> None:
        self.of: dict[str, list[Reply | None]] = {}

    def ask(self, state: ClientState, request_id: str, deadline_s: float = NEVER) -> None:
        heard = self.of.setdefault(request_id, [])
        state.ask(Ask(request_id, ("size", 1), deadline_s), heard.append)

    def errors(self, request_id: str) -> list[str | None]:
        return [reply.error if reply else "late" for reply in self.of[request_id]]


def ids_of(sending: Sending) -> list[str]:
    return [ask.request_id for ask in sending.asks]


def test_what_waits_is_sent_in_one_step_and_once() -> None:
    state, told = ClientState(), Told()
    for name in "abcb":
        told.ask(state, name)
    sending = state.next_sending(0)
    assert ids_of(sending) == ["a", "b", "c"]
    assert (sending.forgotten, sending.keep_from, sending.read_until) == ((), "", "0-0")
    assert repr(state) == "<ClientState: 0 unsent, 3 sent, 0 kept, 0 to forget, read until 0-0>"
    state.confirm(sending)
    assert not state.has_unsent
    assert state.is_waiting


def test_everybody_who_waits_for_a_request_is_told() -> None:
    state, told = ClientState(), Told()
    for _ in range(2):
        told.ask(state, "a")
    state.receive("5-0", reply_to("a"), 0)
    assert told.errors("a") == [None, None]
    assert not state.is_waiting
    assert not state.has_unsent


def test_a_result_is_there_for_whoever_asks_again() -> None:
    state, told = ClientState(), Told()
    state.receive("5-0", reply_to("a", ids=b"[7]"), 0)  # an earlier process has asked for it
    told.ask(state, "a")
    [reply] = told.of["a"]
    assert reply is not None
    assert reply.chunk_ids == b"[7]"
    assert not state.has_unsent


def test_of_two_results_of_one_request_the_first_counts() -> None:
    state, told = ClientState(), Told()
    state.receive("5-0", reply_to("a", ids=b"[7]"), 0)
    state.receive("6-0", reply_to("a", ids=b"[8]"), 0)
    told.ask(state, "a")
    assert [reply.chunk_ids for reply in told.of["a"] if reply] == [b"[7]"]


def test_after_a_loss_all_that_is_not_answered_is_sent_again_in_its_order() -> None:
    state, told = ClientState(), Told()
    for name in "abcd":
        told.ask(state, name)
    state.next_sending(0)
    told.ask(state, "e")
    state.receive("5-0", reply_to("b"), 0)
    state.lose_connection()
    assert ids_of(state.next_sending(1)) == ["a", "c", "d", "e"]


def test_what_takes_long_is_sent_again_now_and_then() -> None:
    state, told = ClientState(), Told()
    told.ask(state, "a")
    state.next_sending(0)
    assert state.timer_at_s == RECHECK_S
    state.pass_time(RECHECK_S / 2)
    assert not state.has_unsent
    state.pass_time(RECHECK_S)
    assert ids_of(state.next_sending(RECHECK_S)) == ["a"]
    assert state.timer_at_s == 2 * RECHECK_S


def test_it_is_sent_again_ever_more_rarely_and_soon_again_after_a_loss() -> None:
    state, told = ClientState(), Told()
    told.ask(state, "a")
    sent_at: list[float] = []
    now = 0.0
    while now < 200.0:
        state.pass_time(now)
        if state.has_unsent:
            state.next_sending(now)
            sent_at.append(now)
        now = state.timer_at_s
    assert sent_at == [0, 2, 4, 8, 16, 32, *(62 + LONGEST_RECHECK_S * i for i in range(5))]
    state.lose_connection()
    assert ids_of(state.next_sending(now)) == ["a"]
    assert state.timer_at_s <= now + RECHECK_S


def test_many_that_wait_are_sent_again_in_portions_and_none_is_left_out() -> None:
    state, told = ClientState(), Told()
    many = 5 * MOST_SENT
    for number in range(many):
        told.ask(state, str(number))
    while state.has_unsent:
        state.next_sending(0)
    again = Counter[str]()
    now = RECHECK_S
    while len(again) < many:
        state.pass_time(now)
        sending = state.next_sending(now)
        assert len(sending.asks) <= MOST_SENT
        assert not state.has_unsent, "one portion at a time"
        again.update(ids_of(sending))
        now = state.timer_at_s
    assert now <= RECHECK_S + 5 * PORTION_S
    assert again.total() == many


def test_who_waits_too_long_is_told_so_and_the_result_is_kept() -> None:
    state, told = ClientState(), Told()
    told.ask(state, "a", 1.0)
    assert state.timer_at_s == 1.0
    state.next_sending(0)
    state.pass_time(1.0)
    assert told.errors("a") == ["late"]
    assert not state.is_waiting
    state.receive("5-0", reply_to("a"), 2)
    told.ask(state, "a")
    assert told.errors("a") == ["late", None]


def test_the_longest_wait_of_a_request_counts() -> None:
    state, told = ClientState(), Told()
    told.ask(state, "a", 1.0)
    told.ask(state, "a", 3.0)
    state.pass_time(2.0)
    assert told.of["a"] == []
    state.pass_time(3.0)
    assert told.errors("a") == ["late", "late"]


def test_an_error_is_told_and_asking_again_asks_again() -> None:
    state, told = ClientState(), Told()
    told.ask(state, "a")
    state.next_sending(0)
    state.receive("5-0", reply_to("a", "1-0", error="no_ready_chunks"), 0)
    told.ask(state, "a")
    sending = state.next_sending(1)
    assert (ids_of(sending), sending.forgotten) == (["a"], (("a", "1-0"),))
    state.receive("6-0", reply_to("a", "2-0"), 1)
    assert told.errors("a") == ["no_ready_chunks", None]


def test_an_error_of_an_earlier_process_is_nobodys() -> None:
    state, told = ClientState(), Told()
    told.ask(state, "a")
    state.receive("5-0", reply_to("a", error="no_ready_chunks"), 0)
    assert told.of["a"] == []
    assert state.next_sending(0).forgotten == (("a", "1-0"),)


def test_a_request_that_an_earlier_process_gave_too_little_time_is_asked_for_again() -> None:
    state, told = ClientState(), Told()
    told.ask(state, "a", 10.0)
    state.next_sending(0)
    state.receive("5-0", reply_to("a", error=EXPIRED), 5.0)
    assert ids_of(state.next_sending(5.0)) == ["a"]
    state.receive("6-0", reply_to("a", error=EXPIRED), 10.0)
    assert told.errors("a") == [EXPIRED]


def test_what_is_forgotten_is_said_until_it_is_confirmed() -> None:
    state = ClientState()
    state.receive("5-0", reply_to("a", error="internal"), 0)
    lost, again = state.next_sending(0), state.next_sending(1)
    assert lost.forgotten == again.forgotten == (("a", "1-0"),)
    state.confirm(again)
    assert state.next_sending(2).forgotten == ()


def test_only_so_many_results_are_kept_and_the_oldest_go() -> None:
    state = ClientState()
    for number in range(MOST_KEPT + 2):
        state.receive(f"{number + 1}-0", reply_to(f"r{number}", f"{number}-1"), 0)
    sending = state.next_sending(0)
    assert sending.forgotten == (("r0", "0-1"), ("r1", "1-1"))
    assert sending.keep_from == "3-0"
    state.confirm(sending)
    assert state.next_sending(0).keep_from == ""
    kept = f"{MOST_KEPT} kept, 0 to forget, read until {MOST_KEPT + 2}-0"
    assert repr(state) == f"<ClientState: 0 unsent, 0 sent, {kept}>"


def test_only_so_many_bytes_are_kept() -> None:
    state, large = ClientState(), b"x" * (MOST_KEPT_BYTES // 4)
    for number in range(6):
        state.receive(f"{number + 1}-0", reply_to(f"r{number}", ids=large), 0)
    assert ", 3 kept, 3 to forget, " in repr(state)
    state.receive("99-0", reply_to("larger", ids=large * 5), 0)
    assert ", 1 kept, 6 to forget, " in repr(state)


def test_one_step_is_no_longer_than_redis_likes() -> None:
    state, told = ClientState(), Told()
    for number in range(MOST_SENT + 1):
        told.ask(state, str(number))
    assert len(state.next_sending(0).asks) == MOST_SENT
    assert len(state.next_sending(0).asks) == 1


def test_what_is_no_result_is_passed_over() -> None:
    state = ClientState()
    state.receive("5-0", None, 0)
    assert state.read_until == "5-0"


def test_at_the_end_everybody_is_told() -> None:
    state, told = ClientState(), Told()
    told.ask(state, "a")
    told.ask(state, "b")
    state.give_up()
    assert told.errors("a") == told.errors("b") == ["late"]
    assert not state.is_waiting


def test_who_is_told_may_ask_for_more() -> None:
    state = ClientState()
    heard: list[Reply | None] = []

    def go_on(reply: Reply | None) -> None:
        heard.append(reply)
        state.ask(Ask("b", ()), heard.append)

    state.ask(Ask("a", ()), go_on)
    state.next_sending(0)
    state.receive("5-0", reply_to("a"), 0)
    assert ids_of(state.next_sending(0)) == ["b"]
    assert len(heard) == 1


class AnyCourse(RuleBasedStateMachine):
    """A state under any course of events. The notes that the server would hold decide what is added."""

    def __init__(self) -> None:
        super().__init__()
        self.state, self.told = ClientState(), Told()
        self.asked, self.notes = Counter[str](), dict[str, str]()
        self.answered: set[str] = set()
        self.now_s, self.numbered = 0.0, 0

    @rule(name=IDS)
    def ask(self, name: str) -> None:
        self.asked[name] += 1
        self.told.ask(self.state, name)

    @rule(is_confirmed=st.booleans())
    def send(self, *, is_confirmed: bool) -> None:
        sending = self.state.next_sending(self.now_s)
        assert not self.answered & set(ids_of(sending)), "what is answered is sent again"
        for name, entry_id in sending.forgotten:
            if self.notes.get(name) == entry_id:
                del self.notes[name]
        for name in ids_of(sending):
            self.notes.setdefault(name, f"{self._next()}-1")
        if is_confirmed:
            self.state.confirm(sending)
        else:
            self.state.lose_connection()

    @rule(name=IDS, error=st.sampled_from([None, "internal"]))
    def answer(self, name: str, error: str | None) -> None:
        if name in self.notes and name not in self.answered:
            reply = reply_to(name, self.notes[name], error=error)
            self.state.receive(f"{self._next()}-0", reply, self.now_s)
            if error is None:
                self.answered.add(name)

    @rule()
    def lose(self) -> None:
        self.state.lose_connection()

    @rule(seconds=st.sampled_from([0.5, 2.5]))
    def wait(self, seconds: float) -> None:
        self.now_s += seconds
        self.state.pass_time(self.now_s)

    @invariant()
    def everybody_is_told_once_what_is_answered(self) -> None:
        for name, count in self.asked.items():
            heard = len(self.told.of[name])
            assert heard == count if name in self.answered or not self.state.is_waiting else heard <= count

    def teardown(self) -> None:
        self.state.give_up()
        assert {name: len(replies) for name, replies in self.told.of.items()} == dict(self.asked)

    def _next(self) -> int:
        self.numbered += 1
        return self.numbered


TestAnyCourse = AnyCourse.TestCase


def test_what_stays_for_others_does_not_stay_in_memory() -> None:
    state, told = ClientState(Keeping(most=3, first=2)), Told()
    for number in range(4):
        state.receive(f"{number}-0", reply_to(f"run-0-{number}", f"{number}-1"), 0)
    state.receive("9-0", reply_to("run-0-x", "9-1"), 0)
    assert state.kept_ids == {"run-0-2", "run-0-3"}  # those before the first were handed out by an earlier client
    told.ask(state, "run-0-2")
    assert told.errors("run-0-2") == [None]
    told.ask(state, "run-0-9")
    state.receive("10-0", reply_to("run-0-9", "10-1"), 0)
    assert told.errors("run-0-9") == [None]
    assert state.kept_ids == {"run-0-3"}
    assert state.next_sending(0)[1:3] == ((), "")  # nothing is forgotten, nothing trimmed: the server does that


def test_as_many_results_stay_as_fit() -> None:
    assert results_kept(32) > 20_000
    assert results_kept(65_536) * 65_536 * 8 <= MOST_KEPT_BYTES
    assert results_kept(10**9) == 1
