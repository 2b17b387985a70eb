"""JSON Schema of the wire contract and of log events, for programs in other languages."""

import inspect
import re
from collections.abc import Iterable, Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import Any, Final, Literal, get_args, get_origin, get_type_hints

from pydantic.json_schema import models_json_schema

from worker.core.events import EVENTS, LONGEST_TEXT, MAX_CHARS, Event
from worker.models.changes import WeightsChange
from worker.models.requests import SampleRequest
from worker.models.results import SampleResult
from worker.models.strict import Model
from worker.models.weights import CategoryWeights
from worker.models.workers import WorkerState

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_EVENT: Final = "Event"
_MODELS: Final[Mapping[str, type[Model]]] = MappingProxyType(
    {
        "request": SampleRequest,
        "result": SampleResult,
        "weights": CategoryWeights,
        "change": WeightsChange,
        "worker": WorkerState,
    }
)
PARTS: Final = (*_MODELS, "events")
"""What there is a schema of."""


def schema_of(part: str | None = None) -> dict[str, Any]:
    """Return the schema of a part as plain data.

    Args:
        part: One of `PARTS`; None: all of them, as definitions of one document, which itself accepts anything.
    """
    if part is not None and (model := _MODELS.get(part)) is not None:
        return {"$schema": _DIALECT, **_model_schemas([model])[model.__name__]}
    events = {kind.__name__: event_schema(kind) for kind in EVENTS.values()}
    one_of = {"description": "One line of a log.", "oneOf": [{"$ref": f"#/$defs/{name}"} for name in events]}
    if part is not None:
        return {"$schema": _DIALECT, "title": _EVENT, **one_of, "$defs": events}
    about = "The wire contract of sampling-worker and its log events; PROTOCOL.md says what they mean."
    definitions = {**_model_schemas(_MODELS.values()), _EVENT: one_of, **events}
    return {"$schema": _DIALECT, "title": "sampling-worker", "description": about, "$defs": definitions}


def event_schema(kind: type[Event]) -> dict[str, Any]:
    """Return the schema of the log lines of one event.

    Args:
        kind: The event.
    """
    about, documented = _read_docstring(kind)
    hints = get_type_hints(kind)
    properties: dict[str, Any] = {
        "timestamp": {"type": "string", "format": "date-time"},
        "level": {"const": kind.level},
        "event": {"const": kind.event},
        "consumer": {"type": "string", "description": "The worker."},
    }
    for field in fields(kind):
        longest = field.metadata.get(MAX_CHARS, LONGEST_TEXT)
        told = {"description": documented[field.name]} if field.name in documented else {}
        properties[field.name] = {**_value_schema(hints[field.name], longest), **told}
    return {
        "title": kind.__name__,
        "description": about,
        "type": "object",
        "properties": properties,
        "required": list(properties),
    }


def _model_schemas(models: Iterable[type[Model]]) -> dict[str, Any]:
    _, found = models_json_schema([(model, "validation") for model in models], ref_template="#/$defs/{model}")
    definitions: dict[str, Any] = found["$defs"]
    return definitions


def _value_schema(hint: Any, longest: int) -> dict[str, Any]:
    """Return the schema of a value; a number that is not finite is written as null."""
    if get_origin(hint) is Literal:
        return {"enum": list(get_args(hint))}
    kinds = set(get_args(hint) or (hint,))
    names = [name for kind, name in _TYPES.items() if kind in kinds]
    if float in kinds and "null" not in names:
        names.append("null")
    limits = {"maxLength": longest} if str in kinds else {}
    return {"type": names[0] if len(names) == 1 else names, **limits}


_TYPES: Final[Mapping[Any, str]] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    type(None): "null",
}


def _read_docstring(kind: type[Event]) -> tuple[str, dict[str, str]]:
    """Read what an event means, and what its fields mean; nothing where Python has left docstrings out."""
    text = inspect.cleandoc(kind.__doc__ or "").replace("None", "null")
    about, _, listed = text.partition("\n\nAttributes:\n")
    items = re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", listed, re.MULTILINE)
    return " ".join(about.split()), {name: " ".join(words.split()) for name, words in items}
