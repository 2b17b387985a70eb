"""Requests are read exactly by the contract, whatever bytes come."""

from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.contract import ACCEPTS, go_together, is_name, is_printable
from worker.core.wire import (
    LARGEST_SEED,
    LARGEST_SIZE,
    Decoder,
    Entry,
    Request,
    Result,
    Terms,
    encode_request,
    shown,
)
from worker.core.wire.requests import REQUEST_FIELDS, Refused, RequestReader, read_request

ENTRY_ID = "1700000000000-7"
Fields = Sequence[tuple[bytes, bytes]]


def _entry(*fields: tuple[str | bytes, str | bytes]) -> Entry:
    flat = [part.encode() if isinstance(part, str) else part for pair in fields for part in pair]
    return Entry(ENTRY_ID, flat)


def _decoded(entry: Entry) -> tuple[object, ...]:
    """Read a request. A refusal is compared by its fields, as each has a template of its own."""
    decoded = Decoder().decode(entry)
    return decoded if isinstance(decoded, Request) else (*decoded[:4], decoded.fields)


def _accept(*fields: tuple[str | bytes, str | bytes], max_size: int = LARGEST_SIZE) -> Request:
    request = Decoder(max_size).decode(_entry(*fields))
    assert isinstance(request, Request), request.message
    return request


def _refuse(*fields: tuple[str | bytes, str | bytes], max_size: int = LARGEST_SIZE) -> Result:
    result = Decoder(max_size).decode(_entry(*fields))
    assert isinstance(result, Result), result
    _check_refusal(result)
    return result


def _texts(result: Result) -> dict[str, str]:
    """Read a result as a client does."""
    names, values = result.fields[0::2], result.fields[1::2]
    assert len(names) == len(set(names)) == len(values)
    texts = {}
    for name, value in zip(names, values, strict=True):
        assert isinstance(name, str)
        texts[name] = value if isinstance(value, str) else value.decode()
    return texts


def _check_refusal(result: Result) -> None:
    """Every refusal is a complete error result, with one sentence that is safe to print."""
    texts = _texts(result)
    assert list(texts) == ["request_id", "entry_id", "status", "error", "message"]
    assert texts["entry_id"] == result.entry_id == ENTRY_ID
    assert texts["request_id"] == result.request_id
    assert texts["status"] == "error"
    code = (
        "unknown_preset"
        if texts["message"].startswith("preset ") and "not known" in texts["message"]
        else "invalid_request"
    )
    assert texts["error"] == result.error == code
    assert texts["message"] == result.message
    assert result.message.isascii()
    assert result.message.isprintable()
    assert 0 < len(result.message) <= 300
    assert "; accepted: " in result.message


def _field_refused(result: Result) -> str:
    return result.message.split()[0]


known = st.sampled_from(sorted(ACCEPTS))
numbers = st.sampled_from([0, 1, 8, 65_535, 65_536, 65_537, 2**63 - 1, 2**63, 10**30]) | st.integers(-5, 10)
words = st.sampled_from(
    [
        "",
        "0",
        "1",
        "random",
        "stratified",
        "epoch",
        "json",
        "packed",
        "voice",
        "job-1",
        "category,path",
        "path,path",
        "0.001",
        "600.5",
        "sum",
        "padded",
        "a b",
        "x" * 64,
        "x" * 129,
        "\n",
    ]
)
values = numbers.map(lambda number: str(number).encode()) | words.map(str.encode) | st.binary(max_size=150)
values = values | st.text(max_size=150).map(str.encode)
strangers = st.binary(max_size=20) | st.sampled_from([b"SIZE", b"size ", b"sizes", b"user", b"entry_id", b"status"])
fields = st.lists(st.tuples(known | strangers, values), max_size=8)


def test_the_contract_of_the_tests_has_every_field() -> None:
    """A field that it lacked would count as unknown, and only chance would find that."""
    assert {name.decode() for name in ACCEPTS} == {*REQUEST_FIELDS}


@pytest.mark.fault("any bytes as the fields of a request, by the reader alone", "G01", "G12")
@given(fields)
def test_requests_are_accepted_exactly_when_every_field_is_right(given_fields: Fields) -> None:
    known_fields = [(name, value) for name, value in given_fields if name in ACCEPTS]
    names = [name for name, _ in known_fields]
    right = len(names) == len(set(names)) and all(ACCEPTS[name](value) for name, value in known_fields)
    right = right and go_together(known_fields)
    decoded = Decoder().decode(_entry(*given_fields))
    assert isinstance(decoded, Request if right else Result)
    if isinstance(decoded, Result):
        _check_refusal(decoded)
        assert any(name.decode() in decoded.message for name in names)


@given(fields)
def test_refusals_are_addressed_as_the_request_asked_where_that_is_valid(given_fields: Fields) -> None:
    decoded = Decoder().decode(_entry(*given_fields))
    first = dict(reversed(given_fields))
    request_id, reply_to = first.get(b"request_id", b""), first.get(b"reply_to", b"")
    assert decoded.request_id == (request_id.decode() if is_printable(request_id) else ENTRY_ID)
    address = decoded.terms.reply_to if isinstance(decoded, Request) else decoded.reply_to
    assert address == (reply_to.decode() if is_name(reply_to) else None)


@given(fields, fields)
def test_unknown_fields_change_nothing(given_fields: Fields, others: Fields) -> None:
    ignored = [(name, value) for name, value in others if name not in ACCEPTS]
    plain = _decoded(_entry(*given_fields))
    assert _decoded(_entry(*ignored, *given_fields, *ignored)) == plain


@given(st.lists(fields, max_size=6), st.sampled_from([100, LARGEST_SIZE]))
def test_what_is_looked_up_is_what_would_be_read(batch: list[Fields], max_size: int) -> None:
    """The fast path and the full path agree on every input, whatever was read before."""
    reader = RequestReader(max_size)
    for given_fields in (*batch, *batch):
        entry = _entry(*given_fields)
        quick, whole = reader.read(entry), read_request(entry, max_size)
        if isinstance(whole, Request):
            assert quick == whole
        else:
            assert isinstance(quick, Refused)
            assert (quick.request_id, quick.reply_to, str(quick.error)) == (
                whole.request_id,
                whole.reply_to,
                str(whole.error),
            )


_ALONE = "budget_s beside it, or neither"
_SECONDS = "seconds from 0.001 to 1000000, such as 600 or 0.5"
_ONE_BY_ONE = "with budget sum, which draws one chunk after the other, independently; accepted:"
_NOT_SUM = "left out, budget padded, or buckets of 2 or more"


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ("budget sum", f"budget is given without budget_s; accepted: {_ALONE}"),
        ("buckets 4", f"buckets is given without budget_s; accepted: {_ALONE}"),
        ("budget_s 60 size 8", "size and budget_s are both given; accepted: one of them"),
        ("budget_s 0", f"budget_s is '0'; accepted: {_SECONDS}"),
        ("budget_s 1e3", f"budget_s is '1e3'; accepted: {_SECONDS}"),
        ("budget_s 60 buckets 65", "buckets is '65'; accepted: a whole number from 1 to 64"),
        ("budget_s 60 budget sum method stratified", f"method is stratified {_ONE_BY_ONE} method {_NOT_SUM}"),
        ("budget_s 60 budget sum buckets 1 replace 0", f"replace is 0 {_ONE_BY_ONE} replace {_NOT_SUM}"),
        ("budget_s 60 budget sum method epoch session s", f"method is epoch {_ONE_BY_ONE} method {_NOT_SUM}"),
    ],
)
def test_what_contradicts_a_budget_is_told(fields: str, told: str) -> None:
    words = fields.split()
    assert _refuse(*zip(words[0::2], words[1::2], strict=True)).message == told


def test_a_budget_is_cut_to_whole_milliseconds_and_bounded_by_the_size_of_the_worker() -> None:
    terms = _accept(("budget_s", "17.9999"), ("buckets", "8"), max_size=500).terms
    assert (terms.budget_s, terms.size, terms.budget, terms.buckets) == (17.999, 500, "padded", 8)


def test_requests_that_differ_in_their_own_fields_alone_share_their_terms() -> None:
    decoder = Decoder()
    own: list[Fields] = [[], [(b"request_id", b"a")], [(b"seed", b"7"), (b"request_id", b"b")], [(b"expires_at", b"9")]]
    read = [decoder.decode(_entry(*fields, (b"size", b"8"), (b"reply_to", b"job-1"))) for fields in own]
    assert all(isinstance(request, Request) for request in read)
    assert len({id(request.terms) for request in read if isinstance(request, Request)}) == 1


def test_what_a_reader_remembers_is_bounded() -> None:
    reader = RequestReader(LARGEST_SIZE)
    known = []
    for number in range(5000):
        reader.read(_entry(("dataset", f"d{number}")))
        known.append(repr(reader))
    assert known[4095:4097] == [f"<RequestReader: {count} of at most 4096 terms known>" for count in (4096, 1)]
    assert known[-1] == "<RequestReader: 904 of at most 4096 terms known>"
    reader = RequestReader(LARGEST_SIZE)
    reader.read(_entry(("size", "8"), ("unknown", "x" * 2000)))
    assert repr(reader) == "<RequestReader: 0 of at most 4096 terms known>"


def test_a_request_without_any_field_is_one_chunk_by_the_weights() -> None:
    terms = Terms(
        size=1,
        category=None,
        dataset=None,
        replace=True,
        method="random",
        reply_to=None,
        encoding="json",
        probabilities=False,
    )
    assert _accept() == Request(ENTRY_ID, ENTRY_ID, terms, seed=None, expires_at=None)


def test_every_field_is_taken_over() -> None:
    request = _accept(
        ("request_id", "épreuve 1"),
        ("size", "8"),
        ("category", "voice"),
        ("dataset", "Speech.v2"),
        ("pin", "0"),
        ("replace", "0"),
        ("method", "stratified"),
        ("seed", "5"),
        ("reply_to", "job-1"),
        ("expires_at", "1700000000000"),
        ("encoding", "packed"),
        ("probabilities", "1"),
    )
    terms = Terms(
        size=8,
        category="voice",
        dataset="Speech.v2",
        replace=False,
        method="stratified",
        reply_to="job-1",
        encoding="packed",
        probabilities=True,
    )
    assert request == Request(ENTRY_ID, "épreuve 1", terms, seed=5, expires_at=1_700_000_000_000)


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        ("request_id", "x", "x"),
        ("request_id", "x" * 128, "x" * 128),
        ("request_id", "é" * 128, "é" * 128),
        ("request_id", " ", " "),
        ("size", "1", 1),
        ("size", "65536", LARGEST_SIZE),
        ("size", "08", 8),
        ("category", "voice", "voice"),
        ("category", "No Such", "No Such"),
        ("dataset", "x" * 64, "x" * 64),
        ("dataset", ".", "."),
        ("replace", "1", True),
        ("replace", "0", False),
        ("method", "random", "random"),
        ("seed", "0", 0),
        ("seed", "9223372036854775807", LARGEST_SEED),
        ("reply_to", "A_b.c-9", "A_b.c-9"),
        ("expires_at", "0", 0),
        ("expires_at", "9223372036854775807", 2**63 - 1),
        ("encoding", "json", "json"),
        ("probabilities", "0", False),
        ("probabilities", "1", True),
    ],
)
def test_values_at_the_edge_that_are_accepted(name: str, value: str, read: object) -> None:
    request = _accept((name, value))
    assert {**request.terms._asdict(), **request._asdict()}[name] == read


NO_NUMBERS = ["", " ", "-1", "+1", "1.0", "1e3", "0x10", " 8", "8 ", "8\n", "1_000", "٣", "²", "NaN", "nan", "true"]


@pytest.mark.fault("values of requests that are no numbers, names or flags", "G02", "G10")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[(name, value) for name in ("size", "seed", "expires_at") for value in NO_NUMBERS],
        *[("size", value) for value in ("0", "65537", "1" * 10_000)],
        *[(name, value) for name in ("seed", "expires_at") for value in ("9223372036854775808", "1" * 10_000)],
        *[(name, "") for name in ("request_id", "category", "dataset", "reply_to", "method", "encoding")],
        *[(name, "x" * 129) for name in ("request_id", "category")],
        *[(name, value) for name in ("request_id", "category") for value in ("a\n", "\0", "\x7f", "\u2028", "\ue000")],
        *[(name, value) for name in ("dataset", "reply_to") for value in ("x" * 65, "a b", "a:b", "é", "a\n", "a/b")],
        *[(name, value) for name in ("replace", "probabilities", "pin") for value in ("", "2", "true", "01", "yes")],
        *[("method", value) for value in ("Random", "systematic", "random ")],
        *[("encoding", value) for value in ("JSON", "msgpack", "packed\0")],
    ],
)
def test_values_that_are_refused_name_the_field_and_what_is_accepted(name: str, value: str) -> None:
    message = _refuse((name, value)).message
    assert message.startswith(f"{name} is ")
    assert shown(value.encode()) in message


@pytest.mark.fault("any bytes as the fields of a request, by the reader alone", "G01", "G12")
@pytest.mark.parametrize("name", sorted(ACCEPTS.keys() - {b"traceparent"}))  # which is ignored where it is not valid
@pytest.mark.parametrize("value", [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\x00" * 1000, b"\x1b[31m", b"'\"\\" * 50])
def test_bytes_that_are_no_text_are_refused_by_every_field(name: bytes, value: bytes) -> None:
    assert _field_refused(_refuse((name, value))) == name.decode()


@pytest.mark.parametrize(
    ("given_fields", "message"),
    [
        ([("pin", "1")], "pin is 1 without a session; accepted: session with 1 to 128 printable characters"),
        (
            [("method", "epoch")],
            "method is epoch without a session; accepted: session with 1 to 128 printable characters",
        ),
        ([("method", "epoch"), ("session", "s"), ("seed", "1")], "seed cannot decide what method epoch draws"),
    ],
)
def test_fields_that_do_not_go_together_are_refused(given_fields: list[tuple[str, str]], message: str) -> None:
    result = _refuse(*given_fields, ("reply_to", "job-1"), ("request_id", "r"))
    assert result.message.startswith(message)
    assert (result.request_id, result.reply_to) == ("r", "job-1")


def test_requests_of_a_session_share_their_terms_and_a_seed_is_noticed_all_the_same() -> None:
    decoder = Decoder()
    epoch: Fields = [(b"session", b"s"), (b"method", b"epoch")]
    first, second = (decoder.decode(_entry((b"request_id", name), *epoch)) for name in (b"a", b"b"))
    assert isinstance(first, Request)
    assert isinstance(second, Request)
    assert first.terms is second.terms
    assert isinstance(decoder.decode(_entry((b"seed", b"1"), *epoch)), Result)


@pytest.mark.fault("any bytes as the fields of a request, by the reader alone", "G01", "G12")
@pytest.mark.parametrize("name", sorted(ACCEPTS))
def test_a_field_given_twice_is_refused(name: bytes) -> None:
    value = next(value for value in (b"0", b"1", b"json", b"random", b"a") if ACCEPTS[name](value) or value == b"a")
    result = _refuse((name, value), (name, value))
    if ACCEPTS[name](value):
        assert result.message == f"{name.decode()} is given twice; accepted: each field once"


def test_the_first_departure_is_the_one_told_of() -> None:
    assert _refuse(("size", "0"), ("seed", "-1")).message.startswith("size ")
    assert _refuse(("seed", "-1"), ("size", "0")).message.startswith("seed ")


@pytest.mark.parametrize("value", ["101", "65536", "65537", "0", "x"])
def test_the_largest_size_is_the_operators(value: str) -> None:
    assert _accept(("size", "100"), max_size=100).terms.size == 100
    message = _refuse(("size", value), max_size=100).message
    assert message == f"size is '{value}'; accepted: a whole number from 1 to 100"


def test_an_invalid_address_leaves_the_shared_stream_and_the_entrys_id() -> None:
    result = _refuse(("reply_to", "no such/name"), ("request_id", ""))
    assert (result.request_id, result.reply_to) == (ENTRY_ID, None)


def test_an_address_behind_the_departure_counts() -> None:
    result = _refuse(("size", "0"), ("reply_to", "job-1"), ("request_id", "r"))
    assert (result.request_id, result.reply_to) == ("r", "job-1")


def test_the_first_of_two_addresses_counts() -> None:
    result = _refuse(("reply_to", "job-1"), ("request_id", "r"), ("reply_to", "job-2"), ("request_id", "s"))
    assert (result.request_id, result.reply_to) == ("r", "job-1")


def test_bytes_that_are_no_text_are_shown_as_they_are() -> None:
    assert shown(b"a\xff\0") == r"'a\\xff\x00'"


whole_requests = st.fixed_dictionaries(
    {},
    optional={
        "request_id": st.text(min_size=1, max_size=128).filter(str.isprintable),
        "size": st.integers(1, LARGEST_SIZE),
        "category": st.sampled_from(["voice", "No Such"]),
        "dataset": st.from_regex(r"[A-Za-z0-9_.-]{1,64}", fullmatch=True),
        "method": st.sampled_from(["random", "stratified"]),
        "seed": st.integers(0, LARGEST_SEED),
        "reply_to": st.from_regex(r"[A-Za-z0-9_.-]{1,64}", fullmatch=True),
        "expires_at": st.integers(0, 2**63 - 1),
        "encoding": st.sampled_from(["json", "packed"]),
    },
)


@given(whole_requests, st.none() | st.sampled_from([0, 1]))
def test_a_request_that_is_written_is_the_one_that_is_read(
    given_fields: dict[str, str | int], flag: int | None
) -> None:
    words = encode_request(**given_fields, replace=flag, probabilities=flag)
    assert len(words) == 2 * len(given_fields) + (0 if flag is None else 4)
    request = Decoder().decode(Entry(ENTRY_ID, [str(word).encode() for word in words]))
    assert isinstance(request, Request)
    read = {**request.terms._asdict(), **request._asdict()}
    assert {name: read[name] for name in given_fields} == given_fields
    assert (request.terms.replace, request.terms.probabilities) == (
        (True, False) if flag is None else (flag == 1, flag == 1)
    )


@given(st.binary(max_size=300))
@example(b"\xff" * 300)
@example("😀".encode() * 100)
def test_shown_bytes_are_short_ascii(value: bytes) -> None:
    text = shown(value)
    assert text.isascii()
    assert text.isprintable()
    assert len(text) <= 70


@given(st.text(st.characters(codec="ascii"), max_size=60))
def test_short_text_is_shown_as_it_is(value: str) -> None:
    if len(ascii(value)) <= 64:
        assert shown(value.encode()) == ascii(value)
