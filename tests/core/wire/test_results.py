"""Results are written by the contract, and any client can read them."""

import json
from collections.abc import Sequence

import pytest

from worker.client.samples import sample_of
from worker.core.wire import (
    ERROR_CODES,
    Entry,
    Reply,
    Request,
    Result,
    Template,
    Terms,
    decode_any,
    decode_result,
    encode_common,
    encode_dead_letter,
    encode_error,
    encode_passes,
    encode_probabilities,
    ok_template,
)

ENTRY_ID = "1700000000000-7"
REQUEST = Request(ENTRY_ID, "r-1", Terms(size=3, reply_to="job-1"))
COMMON = encode_common(weights_version="0123456789ab", weights_source="redis", catalog_version="c0")


def _ok(chunk_ids: bytes, counts: str, common: Sequence[str] = COMMON) -> Result:
    return Result(ENTRY_ID, "r-1", "job-1", None, ok_template(common), (chunk_ids, counts))


def _texts(result: Result) -> dict[str, str]:
    """Read a result as a client does."""
    names, values = result.fields[0::2], result.fields[1::2]
    assert len(names) == len(set(names)) == len(values)
    texts = {}
    for name, value in zip(names, values, strict=True):
        assert isinstance(name, str)
        texts[name] = value if isinstance(value, str) else value.decode()
    return texts


def test_an_ok_result_can_be_read_back() -> None:
    result = _ok(b"[ 1, 2, 3]", '{"voice":2,"music":1}')
    assert (result.entry_id, result.request_id, result.reply_to) == (ENTRY_ID, "r-1", "job-1")
    assert (result.error, result.message, result.weights_version) == (None, "", "0123456789ab")
    texts = _texts(result)
    assert json.loads(texts.pop("chunk_ids")) == [1, 2, 3]
    assert json.loads(texts.pop("counts")) == {"voice": 2, "music": 1}
    assert texts == {
        "request_id": "r-1",
        "entry_id": ENTRY_ID,
        "status": "ok",
        "weights_version": "0123456789ab",
        "weights_source": "redis",
        "catalog_version": "c0",
    }


def test_what_was_left_out_is_told_only_where_there_is_any() -> None:
    left_out = encode_common(weights_version="v", weights_source="redis", catalog_version="c", left_out=["a", "b"])
    assert left_out[:6] == encode_common(weights_version="v", weights_source="redis", catalog_version="c")
    assert left_out[6] == "left_out"
    assert json.loads(left_out[7]) == ["a", "b"]


def test_probabilities_can_be_read_back() -> None:
    weights, ready = {"voice": 1 / 3, "music": 2 / 3}, {"voice": 5, "music": 7, "noise": 1}
    names, values = encode_probabilities(weights, ready)[0::2], encode_probabilities(weights, ready)[1::2]
    assert names == ("weights", "ready")
    assert [json.loads(value) for value in values] == [weights, ready]


@pytest.mark.parametrize("code", ERROR_CODES)
@pytest.mark.parametrize("common", [(), COMMON], ids=["nothing known", "versions known"])
def test_an_error_result_can_be_read_back(code: str, common: tuple[str, ...]) -> None:
    result = encode_error(REQUEST, code, "why; accepted: what", common)
    assert (result.entry_id, result.request_id, result.reply_to) == (ENTRY_ID, "r-1", "job-1")
    assert (result.error, result.message) == (code, "why; accepted: what")
    assert result.weights_version == ("0123456789ab" if common else "")
    assert list(_texts(result).items())[:5] == [
        ("request_id", "r-1"),
        ("entry_id", ENTRY_ID),
        ("status", "error"),
        ("error", code),
        ("message", "why; accepted: what"),
    ]


def test_an_error_replaces_an_earlier_one() -> None:
    earlier = encode_error(REQUEST, "invalid_request", "why")
    result = encode_error(earlier, "too_many_deliveries", "gone")
    assert (result.request_id, result.reply_to) == ("r-1", "job-1")
    assert (result.error, result.message) == ("too_many_deliveries", "gone")


def test_messages_in_bytes_are_read_too() -> None:
    template = Template(("request_id", None, "entry_id", None, "message", None))
    assert Result(ENTRY_ID, "r", None, "internal", template, ("é".encode(),)).message == "é"


def test_a_dead_letter_has_all_original_fields_and_why() -> None:
    original = [b"size", b"junk", b"\xff", b"\0", b"size", b"again"]
    letter = encode_dead_letter(Entry(ENTRY_ID, original, deliveries=6), "internal", "why")
    assert list(letter[:6]) == original
    assert letter[6:] == ("entry_id", ENTRY_ID, "error", "internal", "message", "why", "deliveries", "6")


def test_a_dead_letter_of_a_freak_says_how_many_fields_it_leaves_out() -> None:
    original = [b"size", b"8"] * 5000
    letter = encode_dead_letter(Entry(ENTRY_ID, original), "internal", "why")
    assert list(letter[:7000]) == original[:7000]
    assert letter[7000:] == (
        *("entry_id", ENTRY_ID, "error", "internal", "message", "why", "deliveries", "1"),
        *("fields_left_out", "1500"),
    )


def test_a_dead_letter_as_long_as_may_be_is_whole() -> None:
    original = [b"size", b"8"] * 3500
    assert "fields_left_out" not in encode_dead_letter(Entry(ENTRY_ID, original), "internal", "why")


def _received(result: Result, *, packed: bool = False) -> Reply:
    words = [word.encode() if isinstance(word, str) else word for word in result.fields]
    return decode_result(words, packed=packed)


def test_a_receiver_reads_what_was_written() -> None:
    extra = encode_probabilities({"voice": 1.0}, {"voice": 5, "music": 7})
    result = _ok(b"[ 1, 2, 3]", '{"voice":3}', (*COMMON, *extra))
    reply = _received(result)
    assert (reply.entry_id, reply.request_id, reply.error, reply.message) == (ENTRY_ID, "r-1", None, "")
    assert (reply.chunk_ids, reply.counts) == ([1, 2, 3], {"voice": 3})
    assert (reply.weights_version, reply.weights, reply.ready) == (
        "0123456789ab",
        {"voice": 1.0},
        {"voice": 5, "music": 7},
    )
    assert reply.as_dict() == {
        "request_id": "r-1",
        "entry_id": ENTRY_ID,
        "status": "ok",
        "chunk_ids": [1, 2, 3],
        "counts": {"voice": 3},
        "weights_version": "0123456789ab",
        "weights_source": "redis",
        "catalog_version": "c0",
        "weights": {"voice": 1.0},
        "ready": {"voice": 5, "music": 7},
    }


def test_a_receiver_reads_what_few_results_have() -> None:
    common = encode_common(
        weights_version="0123456789ab", weights_source="session", catalog_version="c0", left_out=["custom"]
    )
    passes = (
        "seconds",
        '{"voice":4.5}',
        "passes",
        encode_passes({"voice": [(1, 2), (2, 1)]}),
        "of_a_later_version",
        "7",
    )
    reply = _received(_ok(b"[ 1, 2, 3]", '{"voice":3}', (*common, *passes)))
    assert (reply.weights_source, reply.catalog_version, reply.left_out) == ("session", "c0", ["custom"])
    assert reply.passes == {"voice": {1: 2, 2: 1}}
    assert reply.seconds == {"voice": 4.5}
    assert reply.extra == {"of_a_later_version": "7"}


def test_a_receiver_does_not_miss_what_most_results_lack() -> None:
    reply = _received(encode_error(REQUEST, "expired", "why; accepted: what"))
    assert (reply.weights_source, reply.catalog_version, reply.left_out) == ("", "", [])
    assert (reply.seconds, reply.passes, reply.extra) == ({}, {}, {})


def test_a_receiver_gets_packed_ids_as_they_are() -> None:
    reply = _received(_ok(b"\xff\0[]", '{"voice":1}'), packed=True)
    assert reply.chunk_ids == b"\xff\0[]"
    assert reply.as_dict()["chunk_ids"] == "ff005b5d"


@pytest.mark.parametrize("packed", [False, True])
def test_a_receiver_reads_errors(*, packed: bool) -> None:
    reply = _received(encode_error(REQUEST, "expired", "why; accepted: what", COMMON), packed=packed)
    assert (reply.error, reply.message) == ("expired", "why; accepted: what")
    assert (reply.chunk_ids, reply.counts, reply.weights, reply.ready) == ([], {}, {}, {})
    assert reply.as_dict()["error"] == "expired"
    assert "chunk_ids" not in reply.as_dict()


def test_the_error_codes_are_the_contracts() -> None:
    assert set(ERROR_CODES) == {
        "invalid_request",
        "unknown_category",
        "no_ready_chunks",
        "too_few_chunks",
        "unknown_preset",
        "unknown_exclude",
        "expired",
        "catalog_unavailable",
        "too_many_deliveries",
        "internal",
    }


GOOD = {
    "request_id": b"r",
    "entry_id": b"1-1",
    "status": b"ok",
    "chunk_ids": b"[1,2]",
    "counts": b'{"voice":2}',
    "left_out": b'["x"]',
    "seconds": b'{"voice":2.5}',
    "passes": b'{"voice":{"1":2}}',
    "weights": b'{"voice":1}',
    "ready": b'{"voice":9}',
}
STRANGE = (
    *(b"", b"[1]", b"5", b"null", b"true", b'"x"', b"{", b"\xff", b"[" * 100_000, b'{"a":' * 20_000, b"9" * 5000),
    *(b'{"voice":NaN}', b'{"voice":1e999}', b'{"voice":-1}', b'{"voice":"2"}', b'{"voice":null}', b'{"voice":true}'),
    *(b'{"\\ud800":1}', b'{"voice":[]}', b'{"voice":' + b"9" * 5000 + b"}", b'{"voice":' + b"9" * 400 + b"}"),
)


def _words(fields: dict[str, bytes]) -> list[bytes]:
    return [word for name, value in fields.items() for word in (name.encode(), value)]


@pytest.mark.parametrize("name", ["counts", "seconds", "passes", "weights", "ready", "left_out", "chunk_ids"])
@pytest.mark.parametrize("value", STRANGE)
def test_a_result_that_no_worker_wrote_is_told_and_never_a_bug(name: str, value: bytes) -> None:
    assert decode_result(_words(GOOD)).counts == {"voice": 2}
    words = _words({**GOOD, name: value})
    for packed in (False, True):
        reply = decode_any(words, packed=packed)
        assert reply is not None
        try:
            sample_of(decode_result(words, packed=True))
        except ValueError as error:
            assert len(str(error)) < 300  # noqa: PT017 - whether it is refused depends on the field
        assert (reply.entry_id, reply.request_id) == ("1-1", "r")
        if reply.error is not None:
            assert (reply.error, reply.fields["error"]) == ("internal", b"internal")
            assert f"{name} " in reply.message
            assert reply.as_dict()["message"] == reply.message


@pytest.mark.parametrize(
    "ids", [b"[1,true]", b"[1,2.5]", b'[1,"a"]', b"[9223372036854775808]", b"[null]", b"[]", b"{}"]
)
def test_ids_that_are_none_are_refused(ids: bytes) -> None:
    with pytest.raises(ValueError, match="chunk_ids"):
        decode_result(_words({**GOOD, "chunk_ids": ids}))


def test_what_names_no_request_is_no_result() -> None:
    for name in ("request_id", "entry_id"):
        assert decode_any(_words({key: value for key, value in GOOD.items() if key != name})) is None
        assert decode_any(_words({**GOOD, name: b"\xff"})) is None
    assert decode_any([]) is None


def test_fields_of_strangers_beside_a_result_are_text() -> None:
    reply = decode_result([*_words(GOOD), b"\xff", b"\xfe", b"message", b"\xff"])
    assert (reply.extra, reply.message) == ({"\ufffd": "\ufffd"}, "\ufffd")
