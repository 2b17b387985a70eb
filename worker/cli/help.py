"""How verbs are listed and described: whole sentences, in groups, each with an example."""

from collections.abc import Iterator
from typing import Any

import click

START, LIBRARY, WEIGHTS, LOOK, REPAIR = "Start here", "Library", "Weights", "Look", "Repair"
_VERBS = "Verbs"


class Verb(click.Command):
    """A verb: its help ends with an example."""

    def __init__(self, name: str | None = None, *, panel: str = _VERBS, example: str = "", **settings: Any) -> None:
        """Add where the verb is listed, and its example.

        Args:
            name: Its name.
            panel: The title that it is listed under.
            example: A whole command line.
            settings: As for every command.
        """
        super().__init__(name, epilog=f"Example: {example}", **settings)
        self.panel = panel


class Group(Verb, click.Group):
    """A group of verbs; they are listed by what they are for, and a summary is a sentence that is never cut."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """List the verbs as they were added."""
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - the same
        """Write the list."""
        for title, commands in self._sections():
            with formatter.section(title):
                formatter.write_dl([(str(command.name), _summary(command)) for command in commands])

    def _sections(self) -> Iterator[tuple[str, list[click.Command]]]:
        for panel in (START, LIBRARY, WEIGHTS, LOOK, REPAIR, _VERBS):
            found = [command for command in self.commands.values() if getattr(command, "panel", None) == panel]
            if found:
                yield panel, found


def usage_advice(error: click.UsageError) -> str:
    """Write what is accepted, where words were not; empty where the message says it already."""
    from worker.core.wire import REQUEST_FIELDS, encode_request  # noqa: PLC0415 - where something was wrong

    message, context = error.format_message(), error.ctx
    others = {*REQUEST_FIELDS}.difference(encode_request(reply_to=""))  # that one is the command's own
    option = str(getattr(error, "option_name", "") or "").lstrip("-").replace("-", "_")
    if option.isdecimal() and context is not None:
        return f"; accepted: -- before what begins with -, such as `{context.command_path} -- -{option}`"
    if context is not None and context.info_name == "sample" and option in others:
        return f"; accepted: --field {option}=VALUE"
    if context is None or "accepted" in message or "Did you mean" in message:
        return ""
    return f"; accepted: what `{context.command_path} --help` lists"


def _summary(command: click.Command) -> str:
    """Return the first paragraph of a command's help."""
    return " ".join((command.help or "").partition("\n\n")[0].split())
