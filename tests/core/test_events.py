"""The catalogue of events keeps its own rules."""

import re
from dataclasses import FrozenInstanceError, fields, is_dataclass
from typing import Literal, get_args, get_origin, get_type_hints

import pytest

from worker.core import events
from worker.core.events import EVENTS, MAX_CHARS, Event, RedisRestored

KINDS = [pytest.param(kind, id=name) for name, kind in EVENTS.items()]
CONTRACT = {
    "worker.started",
    "worker.ready",
    "worker.draining",
    "worker.stopped",
    "worker.stats",
    "category.stats",
    "weights.changed",
    "weights.rejected",
    "weights.vanished",
    "mix.left_out",
    "mix.complete",
    "mix.drifted",
    "mix.fits",
    "catalog.loaded",
    "catalog.changed",
    "request.served",
    "request.rejected",
    "request.claimed",
    "request.dead_lettered",
    "redis.lost",
    "redis.restored",
    "postgres.lost",
    "postgres.restored",
}
RATIOS = {
    "share",
    "expected_share",
    "weight",
    "expected",
    "z",
    "false_alarm_rate",
    "repeats",
    "limit",
    "prior_share",
    "loss",
}


def _alternatives(annotation: object) -> set[object]:
    """Take unions and literals apart."""
    if get_origin(annotation) is Literal:
        return {type(choice) for choice in get_args(annotation)}
    return set(get_args(annotation)) or {annotation}


def test_every_event_of_the_module_is_in_the_catalogue() -> None:
    found = {kind for kind in vars(events).values() if isinstance(kind, type) and issubclass(kind, Event)}
    assert found - {Event} == set(EVENTS.values())


def test_every_event_of_the_contract_is_in_the_catalogue() -> None:
    assert set(EVENTS) >= CONTRACT


@pytest.mark.parametrize("kind", KINDS)
def test_an_event_has_a_name_a_level_and_says_when_it_is_emitted(kind: type[Event]) -> None:
    assert re.fullmatch(r"[a-z]+\.[a-z_]+", kind.event)
    assert EVENTS[kind.event] is kind
    assert kind.level in get_args(events.Level)
    assert kind.__doc__
    assert not kind.__doc__.startswith(kind.__name__)


@pytest.mark.parametrize("kind", KINDS)
def test_fields_are_flat_and_leave_the_names_every_line_has_alone(kind: type[Event]) -> None:
    hints = get_type_hints(kind)
    assert is_dataclass(kind)
    assert fields(kind)
    for field in fields(kind):
        assert _alternatives(hints[field.name]) <= {str, int, float, bool, type(None)}
        assert field.name not in {"event", "level", "timestamp", "unloggable", "exception"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_measured_field_has_its_unit_in_its_name(kind: type[Event]) -> None:
    hints = get_type_hints(kind)
    measured = {field.name for field in fields(kind) if float in _alternatives(hints[field.name])}
    assert all(name in RATIOS or re.search(r"_(ms|s|bytes)$", name) for name in measured)


@pytest.mark.parametrize("kind", KINDS)
def test_what_may_be_long_fits_a_line_together(kind: type[Event]) -> None:
    assert sum(field.metadata.get(MAX_CHARS, 0) for field in fields(kind)) <= 3000


def test_an_event_cannot_be_changed() -> None:
    event = RedisRestored(down_s=1.5)
    with pytest.raises(FrozenInstanceError):
        event.down_s = 0.0  # type: ignore[misc]
