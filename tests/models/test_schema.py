"""JSON Schema for other languages: it is valid, it accepts what is really written, and refuses what is not."""

import json
import math
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
from jsonschema import Draft202012Validator

from tests.support.log_lines import captured_log
from worker import models
from worker.core.events import EVENTS, Event
from worker.logs.emit import emit
from worker.models import CategoryWeights, SampleRequest, SampleResult, WeightsChange, WorkerState
from worker.models.schema import PARTS, event_schema, schema_of

EXAMPLES = {
    "request": SampleRequest(size=8, session="s", pin=True, seed=7, dataset="d", columns=("path",)),
    "weights": CategoryWeights.model_validate({"voice": 0.7, "jazz": 2}),
    "worker": WorkerState(consumer="one", ready={"voice": 3}, kept={"": {"voice": 1.0}}),
    "change": WeightsChange.from_fields("5-0", {b"after": b'{"voice":1}', b"who": b"ann", b"until": b"7"}),
    "result": SampleResult(request_id="r", entry_id="1-0", status="ok", chunk_ids=["a"], passes={"voice": {1: 1}}),
}
REFUSED: dict[str, list[dict[str, Any]]] = {
    "request": [{"size": 0}, {"size": "8"}, {"pin": 1}, {"dataset": "a b"}, {"method": "best"}, {"seed": 2**63}],
    "weights": [{"voice": -1}, {"voice": "1"}, {"a b": 1}, {"jazz": None}],
    "worker": [{}, {"consumer": "one", "chunks": -1}, {"consumer": "one", "kept": {"": {"voice": 2}}}],
    "change": [{}, {"entry": "5-0"}],
    "result": [{"request_id": "r", "entry_id": "1-0", "status": "maybe"}, {"status": "ok"}],
}
ODD: dict[type, tuple[Any, Any]] = {
    str: ("x\u2028\x1b\n" * 2000, ""),
    int: (2**62, -1),
    float: (math.nan, 0.1234567891234),
    bool: (True, False),
}


def validator(part: str | None = None) -> Draft202012Validator:
    return Draft202012Validator(schema_of(part))


@pytest.mark.parametrize("part", [None, *PARTS])
def test_a_schema_is_one(part: str | None) -> None:
    schema = schema_of(part)
    Draft202012Validator.check_schema(schema)
    assert json.loads(json.dumps(schema)) == schema


def test_one_document_defines_all_of_it() -> None:
    events = {kind.__name__ for kind in EVENTS.values()}
    assert set(schema_of()["$defs"]) == {*models.__all__, "Event", *events}


@pytest.mark.parametrize("part", EXAMPLES)
def test_what_a_model_writes_is_accepted(part: str) -> None:
    document = json.loads(EXAMPLES[part].model_dump_json())
    validator(part).validate(document)
    for wrong in REFUSED[part]:
        assert list(validator(part).iter_errors(wrong)), wrong


def filled(kind: type[Event], number: int) -> Event:
    """Make an event of odd values."""
    values: dict[str, Any] = {}
    for name, hint in get_type_hints(kind).items():
        if name in {field.name for field in fields(kind)}:
            kinds = get_args(hint) or (hint,)
            is_empty = number == 1 and type(None) in kinds
            is_named = get_origin(hint) is Literal
            values[name] = None if is_empty else kinds[0] if is_named else ODD[kinds[0]][number]
    return kind(**values)


def test_the_lines_of_every_event_are_accepted_and_no_others(tmp_path: Path) -> None:
    with captured_log(tmp_path) as log:
        for kind in EVENTS.values():
            for number in range(2):
                emit(filled(kind, number))
        lines = log.all()
    assert [line["event"] for line in lines] == [name for name in EVENTS for _ in range(2)]
    check, own = validator("events"), {name: event_schema(kind) for name, kind in EVENTS.items()}
    for line in lines:
        complete = {"consumer": "one", **line}
        check.validate(complete)
        for name in complete:
            less = {key: value for key, value in complete.items() if key != name}
            # What names an event can only be accepted as that one: the others have another name in them.
            validator_of_less = Draft202012Validator(own[less["event"]]) if "event" in less else check
            assert not validator_of_less.is_valid(less)
    assert all(schema["properties"]["event"] == {"const": name} for name, schema in own.items())
