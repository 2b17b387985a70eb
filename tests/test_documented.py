"""What the documents name exists, and what is declared for others to see is used."""

import ast
import inspect
import re
from collections.abc import Iterator

import click
import pytest

from tests.support.sources import ROOT, modules
from worker.cli.commands import app
from worker.core import wire
from worker.core.events import EVENTS
from worker.core.keys import Keys
from worker.settings.model import Settings

DOCUMENTS = [
    "README.md",
    "worker/README.md",
    "worker/PROTOCOL.md",
    "worker/client/README.md",
    "deploy/README.md",
    "deploy/worker.env",
    "deploy/compose.yaml",
    "tests/README.md",
]
TEXTS = {name: (ROOT / name).read_text(encoding="utf-8") for name in DOCUMENTS}
KEYS = Keys("audio")


def _nodes(*but: str) -> Iterator[ast.AST]:
    for path, tree in modules().items():
        if not path.startswith(but):
            yield from ast.walk(tree)


def test_every_event_is_emitted_somewhere() -> None:
    named = {node.id for node in _nodes("worker/core/events/", "worker/report/") if isinstance(node, ast.Name)}
    assert {kind.__name__ for kind in EVENTS.values()} - named == set()


def test_every_setting_is_read_somewhere() -> None:
    read = {node.attr for node in _nodes("worker/settings/model.py") if isinstance(node, ast.Attribute)}
    assert Settings.model_fields.keys() - read == set()


def test_every_error_code_is_raised_somewhere() -> None:
    texts = [node.value for node in _nodes() if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    assert {code for code in wire.ERROR_CODES if texts.count(code) < 2} == set()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_events_that_are_named_exist(name: str) -> None:
    kinds = "|".join({event.partition(".")[0] for event in EVENTS} - {"worker", "health", "catalog"})
    named = set(re.findall(rf"`((?:{kinds})\.[a-z_]+)`", TEXTS[name]))
    named |= set(re.findall(r"`((?:worker|catalog|health)\.(?:[a-z]+ed|stats|ready))`", TEXTS[name]))
    files = {"redis.acl"}
    assert named - files - EVENTS.keys() == set()


def _commands(group: click.Group, path: str = "") -> dict[str, set[str]]:
    """Return the options of every command."""
    found: dict[str, set[str]] = {}
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            found |= _commands(command, f"{path}{name} ")
        else:
            found[f"{path}{name}"] = {word for one in command.params for word in one.opts}
    return found


def _all_commands() -> dict[str, set[str]]:
    return _commands(app)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_commands_that_are_named_exist(name: str) -> None:
    commands = _all_commands()
    groups = {command.partition(" ")[0] for command in commands if " " in command}
    for first, second in re.findall(r"\bsampling-worker ([a-z]+)(?: ([a-z]+))?", TEXTS[name]):
        if first in groups and second not in {"", "preset"}:
            assert f"{first} {second}" in commands, (first, second)
        elif first in {"run", "sample", "stats", "check", "report", "health", "demo", "migrate"}:
            assert first in commands
    for group, verb in re.findall(rf"`({'|'.join(groups)}) ([a-z]+)\b", TEXTS[name]):
        assert verb == "preset" or f"{group} {verb}" in commands


@pytest.mark.parametrize("name", ["README.md", "worker/PROTOCOL.md", "deploy/README.md"])
def test_options_that_are_named_exist(name: str) -> None:
    known = {"--json", "--help"}.union(*_all_commands().values())
    rows = [line for line in TEXTS[name].splitlines() if line.startswith("| `") or "sampling-worker" in line]
    named = {word for line in rows for word in re.findall(r"`[^`]*?(--[a-z-]+)", line)}
    assert named - known == set()


def test_keys_that_roles_may_use_exist() -> None:
    text = (ROOT / "deploy" / "redis.acl").read_text(encoding="utf-8")
    real = {getattr(KEYS, name) for name, value in vars(Keys).items() if isinstance(value, property)}
    for name, value in vars(Keys).items():
        if inspect.isfunction(value) and not name.startswith("_"):
            real.add(value(KEYS, "*"))
    real.add(KEYS.weights())
    assert set(re.findall(r"[~&](audio:\S+?)(?=[\s)])", text)) - real == set()
