"""How verbs are listed and described: whole sentences, in groups, types in words of people."""

from collections.abc import Iterator, Mapping
from typing import Any

import typer
from typer.core import TyperGroup

from worker.cli.context import print_text
from worker.core.wire import REQUEST_FIELDS
from worker.version import own_version

SETTINGS: Mapping[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
_TYPES = {int: "NUMBER", float: "NUMBER"}
_NAMES = {
    "category": "CATEGORY",
    "dataset": "NAME",
    "preset": "NAME",
    "session": "SESSION",
}
_OTHER = "TEXT"
START, MOVE, LOOK, MEND = "Start", "Library and weights", "Draw and look", "Test and repair"
_VERBS = "Verbs"


class Group(TyperGroup):
    """List verbs by what they are for; a summary is a sentence, and is never cut."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - of no use here
        """Write the list."""
        for title, names in self._sections():
            with formatter.section(title):
                formatter.write_dl([(name, _summary(self.commands[name])) for name in names])

    def _sections(self) -> Iterator[tuple[str, list[str]]]:
        panels: dict[str, list[str]] = {panel: [] for panel in (START, MOVE, LOOK, MEND, _VERBS)}
        for name, command in self.commands.items():
            panel = getattr(command, "rich_help_panel", None)
            panels[panel if panel in panels else _VERBS].append(name)
        return ((title, names) for title, names in panels.items() if names)


def in_words(command: Any) -> Any:
    """Name the types of all options below a command in words.

    Args:
        command: As typer made it; it is changed.
    """
    for param in command.params:
        if param.param_type_name == "argument":
            param.display_type_rich = _nothing  # typer writes it behind the name, whatever that says
        elif not param.is_flag and param.metavar is None:
            annotation = param.type_descriptor.annotation
            param.metavar = _TYPES.get(annotation) or _NAMES.get(param.name, _OTHER)
    for below in getattr(command, "commands", {}).values():
        in_words(below)
    return command


def _nothing(ctx: Any) -> None:
    """Name no type."""


def usage_advice(error: Any) -> str:
    """Say what is accepted, where words were not; empty where the message says it already.

    Args:
        error: A usage error, as the command line raises it.
    """
    message, context = error.format_message(), error.ctx
    option = str(getattr(error, "option_name", "") or "").lstrip("-").replace("-", "_")
    if context is not None and context.info_name == "sample" and option in REQUEST_FIELDS:
        return f"; accepted: --field {option}=VALUE"
    if context is None or "accepted" in message or "Did you mean" in message or "Possible options" in message:
        return ""
    return f"; accepted: what `{context.command_path} --help` lists"


def _summary(command: Any) -> str:
    """Take the first paragraph of a command's help."""
    return " ".join((command.help or "").partition("\n\n")[0].split())


def show_version(wanted: bool) -> None:  # noqa: FBT001 - typer's way
    """Print the version and end."""
    if wanted:
        print_text(f"sampling-worker {own_version()}")
        raise typer.Exit
