"""Documents and code, checked against each other: what one names, the others have."""

import json
import re
import tomllib
from dataclasses import fields, replace
from pathlib import Path

import click
import pytest

from worker.adapters.redis import feedback
from worker.cli.commands import app
from worker.core import wire
from worker.core.adjust.reports import MOST_CELLS
from worker.core.draw import derived, slicing
from worker.core.events import EVENTS
from worker.core.weights import values as weights
from worker.core.weights.changes import StoredWeights, WantedChange, plan_change, plan_return
from worker.core.weights.in_force import ABSENT, mark_of
from worker.core.weights.values import DEFAULTS
from worker.core.wire import fields as wire_fields
from worker.core.wire import losses, requests, results
from worker.core.wire.feedback import FIELDS_OF_REFUSED, REPORT_FIELDS
from worker.service import snapshots as state
from worker.settings import environment, postgres_url, redis_url
from worker.settings.model import Settings

ROOT = Path(__file__).parents[1]
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for folder in (ROOT, ROOT / "worker", ROOT / "deploy", ROOT / "tests")
    for path in (folder.glob("*.md") if folder == ROOT else folder.rglob("*.md"))
}
README = PAGES["README.md"]
PROTOCOL = PAGES["worker/PROTOCOL.md"]
LONGEST_README = 250
WORDS_OF_OURS = r"(?i)\b(?:bells?|chores?|rescues?|let go|gives? way)\b"
"""Pictures of our own for what has a word: notify, housekeeping, reclaim, release, end."""
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


def section(text: str, title: str, level: int = 2) -> str:
    """Cut out what stands below one heading, up to the next of its level or above."""
    end = rf"^#{{2,{level}}} "
    found = re.search(rf"^{'#' * level} {re.escape(title)}\n(.*?)(?={end}|\Z)", text, re.MULTILINE | re.DOTALL)
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


def event_rows() -> list[str]:
    """Write the row of each event."""
    rows = []
    for name, kind in EVENTS.items():
        assert kind.__doc__
        meaning, names = kind.__doc__.strip().splitlines()[0], ", ".join(field.name for field in fields(kind))
        rows.append(f"| `{name}` | {kind.level} | {meaning} | {names} |")
    return rows


EVENT_ROWS = event_rows()


@pytest.mark.parametrize("row", [*setting_rows(), *EVENT_ROWS])
def test_every_setting_and_event_is_documented_once(row: str) -> None:
    assert PROTOCOL.count(row) == 1
    assert [name for name, text in PAGES.items() if row.rpartition(" | ")[0] in text] == ["worker/PROTOCOL.md"]


def test_no_setting_is_documented_that_does_not_exist() -> None:
    known = {str(field.alias) for field in Settings.model_fields.values()}
    assert first_cells(section(PROTOCOL, "Settings")) == known
    mentioned = {name for text in PAGES.values() for name in re.findall(r"\bWORKER_[A-Z_]*[A-Z]\b", text)}
    assert mentioned <= known


def test_no_event_is_documented_that_does_not_exist() -> None:
    assert first_cells(section(PROTOCOL, "Events", level=3)) == EVENTS.keys()


def test_error_codes_are_documented() -> None:
    assert first_cells(section(PROTOCOL, "Error codes", level=3)) == set(wire.ERROR_CODES)


def test_request_fields_are_documented() -> None:
    requested = section(PROTOCOL, "A request: `XADD audio:sample:requests * field value ...`")
    in_code = {name.decode() for name in requests._readers(wire.LARGEST_SIZE)}
    table = requested.replace("XADD audio:sample:requests * size 8", "")
    assert first_cells(table) == in_code


def test_result_fields_are_documented() -> None:
    assert first_cells(section(PROTOCOL, "A result")) >= RESULT_FIELDS


def test_report_fields_are_documented() -> None:
    text = section(PROTOCOL, "Feedback")
    assert first_cells(text) == {*REPORT_FIELDS}
    assert all(f"`{name}`" in text for name in FIELDS_OF_REFUSED)


def test_defaults_are_documented() -> None:
    assert ", ".join(f"{name} {share}" for name, share in DEFAULTS.items()) in PROTOCOL


def verbs(group: click.Group, path: str = "") -> set[str]:
    """Collect the words of every verb."""
    found: set[str] = set()
    for name, command in group.commands.items():
        found |= verbs(command, f"{path}{name} ") if isinstance(command, click.Group) else {f"{path}{name}"}
    return found


def documented_verbs(text: str) -> set[str]:
    """Read the first column: `weights show` / `set` are two verbs of one group."""
    found: set[str] = set()
    for cell in re.findall(r"^\| (`.+?) \|", text, flags=re.MULTILINE):
        first, *others = re.findall(r"`([^`]+)`", cell)
        group = first.rpartition(" ")[0]
        found |= {first, *(f"{group} {other}".strip() for other in others)}
    return found


def test_commands_are_documented() -> None:
    assert documented_verbs(section(README, "Operate")) == verbs(app)
    assert documented_verbs(section(PROTOCOL, "Commands")) == verbs(app)


def test_fields_of_the_history_are_documented() -> None:
    standing = StoredWeights(None, 0, ABSENT, None, ABSENT, None)
    wanted = WantedChange('{"voice": 1}', "who", "why", lasts_ms=1, undone_from="1-0")
    step = plan_change(standing, wanted)
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


def anchors(text: str) -> set[str]:
    """Make the anchors of a page's headings, as they are made where it is shown."""
    titles = re.findall(r"^#+ (.+)$", re.sub(r"(?ms)^```.*?^```", "", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str) -> None:
    for path, _, anchor in (link.partition("#") for link in re.findall(r"\]\(([^)\s]+)\)", PAGES[name])):
        target = ((ROOT / name).parent / path).resolve() if path else ROOT / name
        assert target.exists(), path
        assert not anchor or anchor in anchors(target.read_text(encoding="utf-8")), f"{path}#{anchor}"


@pytest.mark.parametrize("name", PAGES)
def test_files_that_are_named_exist(name: str) -> None:
    for path in re.findall(r"(?<![\w/])((?:worker|tests|deploy)/[\w/.-]+\.\w+)", PAGES[name]):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize(("number", "contract"), [(0, "Imports point down"), (1, "Imports point down within the core")])
def test_layers_of_the_page_of_the_code_are_those_of_the_contract(number: int, contract: str) -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    [layers] = [one["layers"] for one in contracts if one["name"] == contract]
    shown = re.findall(r"(?ms)^```\n(.*?)^```", PAGES["worker/README.md"])[number].splitlines()
    assert [re.split(r" {2,}", line)[0] for line in shown] == layers


def test_modules_that_the_page_of_the_code_names_exist() -> None:
    for path in re.findall(r"`((?:[a-z_]+/)+(?:[a-z_]+(?:\.\w+)?)?)`", PAGES["worker/README.md"]):
        target = (ROOT if path.startswith("tests/") else ROOT / "worker") / path
        assert target.exists() or target.with_suffix(".py").exists(), path


def test_examples_of_tests_are_tests() -> None:
    tests = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    examples = re.findall(r"```python\n(.*?)```", PAGES["tests/README.md"], re.DOTALL)
    assert examples
    for example in examples:
        assert example in tests


@pytest.mark.parametrize("name", PAGES)
def test_pages_use_the_words_of_the_field(name: str) -> None:
    prose = "\n".join(line for line in PAGES[name].splitlines() if not line.startswith(tuple(EVENT_ROWS)))
    assert set(re.findall(WORDS_OF_OURS, prose)) == set()


def test_the_readme_is_for_the_first_hour() -> None:
    assert len(README.splitlines()) <= LONGEST_README


@pytest.mark.parametrize("command", ["sampling-worker demo", "-m pytest"])
def test_the_readme_has_one_line_for_each_command_of_ci(command: str) -> None:
    blocks = re.findall(r"(?ms)^```\w*\n(.*?)^```", README)
    assert len([line for block in blocks for line in block.splitlines() if line.endswith(command)]) == 1


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
        losses.MAX_CATEGORIES,
        feedback.MOST_REPORTS,
        feedback.MOST_REFUSED,
        MOST_CELLS,
    }
    assert numbers <= shown
    assert f"{weights.MAX_BYTES // (1 << 20)} MiB" in text
    assert f"in {feedback.MOST_BYTES >> 20} MiB" in text
    assert losses.MAX_BYTES == weights.MAX_BYTES
    assert f"2^{(requests.LARGEST_SEED + 1).bit_length() - 1}-1" in text
