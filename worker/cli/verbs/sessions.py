"""`session list`, `show`, `release` and `end`."""

import click

from worker.cli import options
from worker.cli.help import LOOK, Group, Verb


@click.group(cls=Group, panel=LOOK, example="sampling-worker session show run-7")
def session() -> None:
    """Look at training sessions, release and end them."""


@session.command("list", cls=Verb, example="sampling-worker session list")
@options.as_json
def list_(*, as_json: bool) -> None:
    """List the sessions; every key of the database is looked at."""
    from worker.cli.sessions import list_sessions

    list_sessions(as_json=as_json)


@session.command(cls=Verb, example="sampling-worker session show run-7")
@options.session_name
@options.as_json
def show(name: str, *, as_json: bool) -> None:
    """Show the weights that a session is pinned to, its passes, and what it heard.

    SESSION is what requests give as `session`.
    """
    from worker.cli.sessions import show_session

    show_session(name, as_json=as_json)


@session.command(cls=Verb, example="sampling-worker session release run-7")
@options.session_name
def release(name: str) -> None:
    """Unpin a session from its weights: its next pinned request pins it again."""
    from worker.cli.sessions import release_session

    release_session(name)


@session.command(cls=Verb, example="sampling-worker session end run-7")
@options.session_name
def end(name: str) -> None:
    """End a session: its pinned weights, its passes and its counts are deleted."""
    from worker.cli.sessions import end_session

    end_session(name)
