"""A request as a model is accepted exactly when a worker accepts it, and says the same."""

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from worker.core.wire import COLUMNS, LARGEST_SIZE, REQUEST_FIELDS, Entry, Request, encode_request
from worker.core.wire.requests import Refused, read_request
from worker.models import SampleRequest
from worker.models.requests import ColumnName

known = st.sampled_from(REQUEST_FIELDS).map(str.encode)
strangers = st.binary(max_size=20) | st.sampled_from([b"SIZE", b"user", b"model_config", b"fields", b"copy", b"_x"])
words = st.sampled_from(
    [
        "category,path",
        "path,category",
        "path,path",
        "",
        "0",
        "1",
        "01",
        "random",
        "epoch",
        "json",
        "packed",
        "voice",
        "a b",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "x" * 129,
        "\n",
    ]
)
numbers = st.sampled_from([0, 1, 8, 65_536, 65_537, 2**63 - 1, 2**63]) | st.integers(-5, 10)
values = numbers.map(lambda number: str(number).encode()) | words.map(str.encode) | st.binary(max_size=150)
typed = st.fixed_dictionaries(
    {},
    optional={
        "size": numbers,
        "seed": numbers | st.none(),
        "expires_at": numbers | st.none(),
        "budget_s": numbers | st.none() | st.sampled_from([0.5, 600.25, 1e-9]),
        "budget": st.sampled_from(["padded", "sum", "all"]) | st.none(),
        "buckets": numbers | st.none(),
        "columns": st.lists(st.sampled_from([*COLUMNS, "id"]), max_size=3),
        "pin": st.booleans(),
        "replace": st.booleans(),
        "probabilities": st.booleans(),
        **{
            name: words | st.text(max_size=130) | st.none()
            for name in (
                "request_id",
                "category",
                "dataset",
                "preset",
                "session",
                "split",
                "traceparent",
                "method",
                "reply_to",
                "encoding",
            )
        },
    },
)


def read(fields: list[tuple[bytes, bytes]]) -> Request | Refused:
    return read_request(Entry("1-0", [word for pair in fields for word in pair]), LARGEST_SIZE)


def word(value: Any) -> str | int | None:
    if isinstance(value, list):
        return ",".join(value) or None
    return int(value) if isinstance(value, bool) else value


def read_typed(fields: dict[str, Any]) -> Request | Refused:
    found = encode_request(**{name: word(value) for name, value in fields.items()})
    wire = [str(word).encode(errors="surrogatepass") for word in found]
    return read(list(zip(wire[0::2], wire[1::2], strict=True)))


def plain(request: Request) -> dict[str, Any]:
    own = {"request_id": request.request_id, "seed": request.seed, "expires_at": request.expires_at}
    return {**request.terms._asdict(), **own, "traceparent": request.traceparent}


def same(request: Request, model: SampleRequest) -> bool:
    told = {name: getattr(model, name) for name in SampleRequest.model_fields}
    if model.budget_s is not None:  # a worker gives at most so many, then
        told["size"] = LARGEST_SIZE
    return plain(request) == {**told, "request_id": model.request_id or "1-0"}


def test_a_model_has_the_fields_of_the_contract() -> None:
    assert set(SampleRequest.model_fields) == set(REQUEST_FIELDS)
    assert get_args(ColumnName) == COLUMNS


@given(st.lists(st.tuples(known | strangers, values), max_size=8))
def test_fields_are_accepted_exactly_when_a_worker_accepts_them(fields: list[tuple[bytes, bytes]]) -> None:
    request = read(fields)
    if isinstance(request, Refused):
        with pytest.raises(ValidationError) as refused:
            SampleRequest.from_fields(fields)
        is_once = len({name for name, _ in fields}) == len(fields)
        assert not is_once or request.error.message in [error["msg"] for error in refused.value.errors()]
    else:
        assert same(request, SampleRequest.from_fields(fields))


@given(typed)
def test_values_are_accepted_exactly_when_a_worker_accepts_their_words(fields: dict[str, Any]) -> None:
    request = read_typed(fields)
    if isinstance(request, Refused):
        with pytest.raises(ValidationError) as refused:
            SampleRequest(**fields)
        assert request.error.message in [error["msg"] for error in refused.value.errors()]
        return
    model = SampleRequest(**fields)
    assert same(request, model)
    assert read_typed(model.fields()) == request
    assert SampleRequest.model_validate_json(model.model_dump_json()) == model
    assert SampleRequest.from_fields({name: str(word) for name, word in model.fields().items()}) == model


@pytest.mark.parametrize(
    ("fields", "place", "sentence"),
    [
        ({"size": True}, ("size",), "size is True; accepted: a whole number"),
        ({"size": 1.5}, ("size",), "size is 1.5; accepted: a whole number"),
        ({"size": 10**5000}, ("size",), "accepted: a whole number from 1 to 65536"),
        ({"pin": 2, "session": "s"}, ("pin",), "pin is '2'; accepted: 1 or 0"),
        ({"dataset": 7}, ("dataset",), "dataset is 7; accepted: a text"),
        ({"pin": True}, (), "pin is 1 without a session; accepted: "),
        ({"user": ["x"]}, (), "'user' is ['x']; accepted: a text or a number"),
    ],
)
def test_a_value_of_another_type_is_named(fields: dict[str, Any], place: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(ValidationError) as refused:
        SampleRequest(**fields)
    [error] = refused.value.errors()
    assert error["loc"] == place
    assert sentence in error["msg"]


def test_unknown_fields_are_sent_as_they_are() -> None:
    request = SampleRequest.model_validate({"size": 2, "user": "ann", "try": 3, "is_late": True})
    assert request.fields() == {"size": 2, "user": "ann", "try": 3, "is_late": 1}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"size": 1, "size": 2}', "size is given twice; accepted: each field once"),
        ('{"seed": NaN}', "the value is '{"),
        ("[1]", "the value is no JSON object"),
    ],
)
def test_json_is_read_strictly(text: str, sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        SampleRequest.model_validate_json(text)
