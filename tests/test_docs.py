"""README, PROTOCOL and code held against each other: what one names, the others have."""

import json
import re
from dataclasses import fields, replace
from pathlib import Path

import click
import pytest

from worker.cli.commands import app
from worker.core import wire
from worker.core.draw import derived, slicing
from worker.core.events import EVENTS
from worker.core.weights import values as weights
from worker.core.weights.changes import StoredWeights, WantedChange, plan_change, plan_return
from worker.core.weights.in_force import ABSENT, mark_of
from worker.core.weights.values import DEFAULTS
from worker.core.wire import fields as wire_fields
from worker.core.wire import requests, results
from worker.service import snapshots as state
from worker.settings import environment, postgres_url, redis_url
from worker.settings.model import Settings

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PROTOCOL = (ROOT / "worker" / "PROTOCOL.md").read_text()
RESULT_FIELDS = {
    "passes",
    "request_id",
    "entry_id",
    "status",
    "chunk_ids",
    "counts",
    "seconds",
    "left_out",
    "weights_version",
    "weights_source",
    "catalog_version",
    "weights",
    "ready",
    "error",
    "message",
}


def section(text: str, title: str) -> str:
    """Cut out what stands below one heading."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"no section {title}"
    return found[1]


def first_cells(text: str) -> set[str]:
    """Collect the names in backquotes of the first column of every table."""
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}


def setting_rows() -> list[str]:
    rows = []
    for field in Settings.model_fields.values():
        extra = field.json_schema_extra
        assert isinstance(extra, dict)
        rows.append(f"| `{field.alias}` | {field.description} | {extra['accepted']} | {extra['default']} |")
    return rows


def event_rows() -> list[tuple[str, str]]:
    """Write the row of each event, as in README, and as in PROTOCOL, which lists its fields."""
    rows = []
    for name, kind in EVENTS.items():
        assert kind.__doc__
        row = f"| `{name}` | {kind.level} | {kind.__doc__.strip().splitlines()[0]} |"
        rows.append((row, f"{row} {', '.join(field.name for field in fields(kind))} |"))
    return rows


@pytest.mark.parametrize("row", setting_rows())
def test_readme_and_protocol_have_every_setting(row: str) -> None:
    assert row in README
    assert row in PROTOCOL


def test_no_setting_is_documented_that_does_not_exist() -> None:
    known = {str(field.alias) for field in Settings.model_fields.values()}
    assert first_cells(section(README, "Settings")) == known
    mentioned = set(re.findall(r"\bWORKER_[A-Z_]+\b", README + PROTOCOL))
    assert mentioned <= known


@pytest.mark.parametrize(("row", "row_with_fields"), event_rows())
def test_readme_and_protocol_have_every_event(row: str, row_with_fields: str) -> None:
    assert row in README
    assert row_with_fields in PROTOCOL


def test_no_event_is_documented_that_does_not_exist() -> None:
    assert first_cells(section(README, "Events")) == EVENTS.keys()


def test_error_codes_are_documented() -> None:
    assert first_cells(section(README, "Errors")) == set(wire.ERROR_CODES)
    assert set(wire.ERROR_CODES) <= first_cells(section(PROTOCOL, "A result"))


def test_request_fields_are_documented() -> None:
    requested = section(PROTOCOL, "A request: `XADD audio:sample:requests * field value ...`")
    in_code = {name.decode() for name in requests._readers(wire.LARGEST_SIZE)}
    table = requested.replace("XADD audio:sample:requests * size 8", "")
    assert first_cells(table) == in_code


def test_result_fields_are_documented() -> None:
    assert first_cells(section(PROTOCOL, "A result")) >= RESULT_FIELDS


def test_defaults_are_documented() -> None:
    assert ", ".join(f"{name} {share}" for name, share in DEFAULTS.items()) in PROTOCOL


def verbs(group: click.Group, path: str = "") -> set[str]:
    """Collect the words of every verb."""
    found: set[str] = set()
    for name, command in group.commands.items():
        found |= verbs(command, f"{path}{name} ") if isinstance(command, click.Group) else {f"{path}{name}"}
    return found


def documented_verbs() -> set[str]:
    """Read the first column: `weights show` / `set` are two verbs of one group."""
    found: set[str] = set()
    for cell in re.findall(r"^\| (`.+?) \|", section(README, "Commands"), flags=re.MULTILINE):
        first, *others = re.findall(r"`([^`]+)`", cell)
        group = first.rpartition(" ")[0]
        found |= {first, *(f"{group} {other}" for other in others)}
    return found


def test_commands_are_documented() -> None:
    assert documented_verbs() == verbs(app)


def test_fields_of_the_history_are_documented() -> None:
    standing = StoredWeights(None, 0, ABSENT, None, ABSENT, None)
    order = WantedChange('{"voice": 1}', "who", "why", lasts_ms=1, undone_from="1-0")
    step = plan_change(standing, order)
    pending = replace(standing, mark=mark_of(step.value), value=step.value, return_text=step.return_text.encode())
    returned = plan_return(replace(pending, now_ms=1))
    assert returned is not None
    fields_written = {*step.record, *plan_change(pending, WantedChange(None, "", "")).record, *returned.record}
    assert first_cells(section(PROTOCOL, "Changes")) == fields_written
    assert all(f"`{name}`" in section(PROTOCOL, "Changes") for name in json.loads(step.return_text))


def test_every_parameter_of_a_url_is_documented() -> None:
    text = section(PROTOCOL, "What the environment may hold")
    known = first_cells(text) | {"protocol", "decode_responses", "legacy_responses", "retry_on_timeout"}
    in_code = {name for rules in redis_url._RULES.values() for name in rules} | {*postgres_url._RULES}
    assert known == in_code | redis_url._OURS
    assert all(f"`{name}`" in text for name in environment._POSTGRES)


def test_readme_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_limits_are_those_of_the_code() -> None:
    text = section(PROTOCOL, "Limits")
    shown = {int(number.replace(",", "")) for number in re.findall(r"\b\d[\d,]*\d\b", text)}
    numbers = {
        wire_fields._LONGEST_TEXT,
        wire_fields._SHOWN_LENGTH,
        requests.LARGEST_SIZE,
        results._LONGEST_LETTER // 2,
        slicing._CHUNKS_A_SLICE,
        state._SESSIONS_REMEMBERED,
        state._WIDTH_REMEMBERED,
        state._DATASETS_REMEMBERED,
        weights.MAX_CATEGORIES,
        derived.MOST_KEPT,
        derived.WIDEST_KEPT,
    }
    assert numbers <= shown
    assert f"{weights.MAX_BYTES // (1 << 20)} MiB" in text
    assert f"2^{(requests.LARGEST_SEED + 1).bit_length() - 1}-1" in text
