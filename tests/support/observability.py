"""What `deploy/observability/` reads of a log line, and makes of it: by the catalogue, and by Vector's own language."""

import json
import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml
from vrl_python import VRLRuntime

from worker.core.events import EVENTS

OBSERVABILITY = Path(__file__).parents[2] / "deploy" / "observability"
VECTOR = yaml.safe_load((OBSERVABILITY / "vector.yaml").read_text(encoding="utf-8"))
SOURCES = {
    path.stem: yaml.safe_load(path.read_text(encoding="utf-8"))["sources"]
    for path in (OBSERVABILITY / "sources").iterdir()
}
_PROGRAMS = {
    name: re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", VECTOR["transforms"][name]["source"]) for name in ("lines", "samples")
}
_RUNTIMES = {name: VRLRuntime() for name in _PROGRAMS}  # each compiles a program once

STREAM_LABELS = {"app", "level", "event"}
IN_EVERY_LINE = {"event", "level", "timestamp", "consumer"}
PREFIX = "sampling_worker_"


def fields_of(event: str) -> set[str]:
    """Return what a line of this event has; nothing where there is no such event."""
    return {one.name for one in fields(EVENTS[event])} | IN_EVERY_LINE if event in EVENTS else set()


def line_of(event: str, **values: object) -> str:
    """Write a line that has each field, with a number where it is one."""
    numbers = dict.fromkeys(fields_of(event), 1)
    texts = {"dataset": "speech", "category": "voice", "consumer": "w-1", "level": "info", "event": event}
    return json.dumps({**numbers, **texts, "timestamp": "2026-11-29T20:40:00.123456Z", **values})


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric: its name, whether it is a counter or a gauge, and its labels."""

    name: str
    kind: str
    labels: frozenset[str]


def vector(line: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Run both programs of `vector.yaml` on a line: the stream's entry, and the metrics."""
    entry = _run("lines", {"message": line})
    return entry, _run("samples", entry)


def _run(name: str, event: dict[str, Any]) -> Any:
    return _RUNTIMES[name].execute(_PROGRAMS[name], event).processed_event


def metric(sample: dict[str, Any]) -> Metric:
    """Return the metric that a sample belongs to."""
    kind = "counter" if "counter" in sample else "gauge"
    assert sample["kind"] == {"counter": "incremental", "gauge": "absolute"}[kind]
    assert isinstance(sample[kind]["value"], float)  # `log_to_metric` drops what is a whole number
    return Metric(sample["name"], kind, frozenset(sample["tags"]))


METRICS = {metric(sample) for event in EVENTS for sample in vector(line_of(event))[1]}
"""Every metric that a line of some event makes."""
