"""Models are importable without the worker's other dependencies, and have the fields of what they stand for."""

import dataclasses
import json
import math
import struct
import subprocess
import sys
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from worker import models
from worker.client import WeightsChange as Change
from worker.core.wire import columns, replies
from worker.core.workers.state_document import _FIELDS, UNREADABLE, read_state
from worker.models import SampleResult, WeightsChange, WorkerState

BLOCKED = ("anyio", "asyncpg", "click", "dotenv", "hiredis", "numpy", "redis", "rich", "structlog")
PROGRAM = f"""
import sys
for name in {BLOCKED}:
    sys.modules[name] = None
from worker.models import *
import worker.models.schema
print(CategoryWeights(voice=3, music=1).shares, SampleRequest(size=8).fields(), len(worker.models.schema.schema_of()))
"""


def test_they_need_pydantic_alone() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("{'music': 0.25, 'voice': 0.75} {'size': 8} 4\n", "")


@pytest.mark.parametrize("name", models.__all__)
def test_every_field_of_a_model_is_described(name: str) -> None:
    kind = getattr(models, name)
    assert kind.__doc__
    undescribed = [field for field, about in kind.model_fields.items() if not about.description]
    assert undescribed == ([] if name != "CategoryWeights" else list(kind.model_fields))


# -- results ---------------------------------------------------------------------------------------------------


def test_a_result_has_the_fields_of_the_contract() -> None:
    assert set(SampleResult.model_fields) == replies._NAMES - {columns.INDEXES}


OK = {
    b"request_id": b"r",
    b"entry_id": b"1-0",
    b"status": b"ok",
    b"chunk_ids": b"[  7, 8,  9]",
    b"counts": b'{"voice":2,"music":1}',
    b"weights_version": b"2b630f93c191",
    b"weights_source": b"redis",
    b"catalog_version": b"e5a218ee5170b11a",
}
UUIDS = [UUID(int=number) for number in (1, 2, 3)]


@pytest.mark.parametrize(
    ("raw", "ids"),
    [
        (b"[7,8,9]", [7, 8, 9]),
        (b"".join(number.to_bytes(8, "little", signed=True) for number in (7, -8, 0x5B)), [7, -8, 0x5B]),
        (b"".join(one.bytes for one in UUIDS), [str(one) for one in UUIDS]),
        (json.dumps([str(one) for one in UUIDS]).encode(), [str(one) for one in UUIDS]),
    ],
)
def test_chunk_ids_are_read_in_any_encoding(raw: bytes, ids: list[int] | list[str]) -> None:
    result = SampleResult.from_fields({**OK, b"chunk_ids": raw, b"passes": b'{"voice":{"1":2}}', b"new": b"x"})
    assert (result.chunk_ids, result.counts) == (ids, {"voice": 2, "music": 1})
    assert (result.passes, result.model_extra) == ({"voice": {1: 2}}, {"new": "x"})
    assert SampleResult.model_validate_json(result.model_dump_json()) == result


def test_columns_are_read_in_any_encoding() -> None:
    table = {b"categories": b'["voice","voice","music"]', b"durations_s": b"[1.5,2,null]", b"paths": b'["a",null,"b"]'}
    packed = {
        **table,
        b"chunk_ids": struct.pack("<3q", 7, 8, 9),
        b"categories": b'{"names": ["voice", "music"]}',
        b"category_indexes": struct.pack("<3h", 0, 0, 1),
        b"durations_s": struct.pack("<3d", 1.5, 2.0, math.nan),
    }
    first, second = (SampleResult.from_fields({**OK, **more}) for more in (table, packed))
    assert first == second
    assert (first.categories, first.durations_s) == (["voice", "voice", "music"], [1.5, 2.0, None])
    assert (first.paths, first.starts_s) == (["a", None, "b"], None)
    assert first.model_extra == {}


def test_an_error_result_is_read() -> None:
    told = {"request_id": "r", "entry_id": "1-0", "status": "error", "error": "expired", "message": "why"}
    result = SampleResult.from_fields(told)
    assert (result.error, result.message, result.chunk_ids, result.counts) == ("expired", "why", [], {})


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({b"chunk_ids": b"[7]"}, "this is no result: 3 chunk ids cannot be read out of 3 bytes"),
        ({b"counts": b'{"voice":-1}'}, "this is no result: counts is "),
        ({b"counts": b"{}"}, "this is no result: 0 chunk ids"),
        ({b"weights": b'{"voice":NaN}'}, "this is no result: weights is "),
        ({b"status": b"soon"}, "Input should be 'ok' or 'error'"),
    ],
)
def test_what_is_no_result_is_refused(more: dict[bytes, bytes], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        SampleResult.from_fields({**OK, **more})


# -- changes and workers ---------------------------------------------------------------------------------------


def test_a_change_is_what_a_client_returns() -> None:
    assert list(WeightsChange.model_fields) == [field.name for field in dataclasses.fields(Change)]
    change = Change(
        entry="5-0",
        dataset=None,
        preset=None,
        who="ann",
        reason="",
        at_ms=5,
        version="2b630f93c191",
        version_before=None,
        before={},
        after={"voice": 1.0},
        applied_by=("one",),
        waited_ms=0.4,
    )
    model = WeightsChange.model_validate(change)
    assert model.model_dump() == dataclasses.asdict(change)
    assert WeightsChange.model_validate_json(model.model_dump_json()) == model


anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
right = {
    "chunks": st.integers(0, 9),
    "datasets": st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2),
    "ready": st.none() | st.dictionaries(st.text(max_size=3), st.integers(0, 9), max_size=2),
    "kept": st.dictionaries(st.text(max_size=3), st.dictionaries(st.text(max_size=3), st.floats(0, 1)), max_size=2),
}
documents = st.fixed_dictionaries(
    {}, optional={name: right.get(name, anything) | anything for name in [*_FIELDS, "consumer", "new"]}
)


@given(documents | st.fixed_dictionaries({"consumer": st.just("one")}, optional=right))
def test_a_state_is_accepted_exactly_when_commands_can_read_it(document: dict[str, Any]) -> None:
    text = json.dumps(document).encode()
    consumer = document.get("consumer")
    is_right = isinstance(consumer, str) and UNREADABLE not in read_state(consumer, text)
    try:
        state = WorkerState.model_validate_json(text)
    except ValidationError:
        assert not is_right
    else:
        assert is_right
        assert state.model_dump(exclude_unset=True) == json.loads(text)


def test_a_state_has_the_fields_of_the_contract() -> None:
    assert set(WorkerState.model_fields) == {*_FIELDS, "consumer"}
