"""README, PROTOCOL and code held against each other: what one names, the others have."""

import re
from dataclasses import fields
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

from worker.cli.commands import app
from worker.core import wire
from worker.core.events import EVENTS
from worker.core.weights import DEFAULTS
from worker.core.wire import requests
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


def commands() -> set[str]:
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    return set(group.commands)


def test_commands_are_documented() -> None:
    documented = set(re.findall(r"^\| `(\w+)", section(README, "Commands"), flags=re.MULTILINE))
    assert documented == commands()


def test_readme_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
