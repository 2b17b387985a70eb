"""`session list`, `show`, `schedule`, `limit`, `release` and `end`."""

import click

from worker.cli import options
from worker.cli.help import LOOK, Group, Verb
from worker.cli.numbers import Decimal


@click.group(cls=Group, panel=LOOK, example="sampling-worker session show run-7")
def session() -> None:
    """Look at training sessions, schedule, limit, release and end them."""


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
    """Show the weights that a session is pinned to, its schedule, its passes, what it heard, and how often.

    SESSION is what requests give as `session`.
    """
    from worker.cli.sessions import show_session

    show_session(name, as_json=as_json)


@session.command(cls=Verb, example='sampling-worker session schedule run-7 "0 voice=1; 1e6 music=1" --between linear')
@options.session_name
@click.argument("points", metavar="POINTS")
@click.option(
    "--unit",
    type=click.Choice(["chunks", "requests", "hours", "audio_seconds", "time"]),
    default="chunks",
    show_default=True,
    help="What positions are of: counts of what the session's pinned requests got, or times.",
)
@click.option(
    "--between",
    type=click.Choice(["step", "linear", "cosine"]),
    default="step",
    show_default=True,
    help="How weights go from one point to the next.",
)
@click.option("--keep", metavar="SPAN", default="24h", show_default=True, help="End it if nobody asks for so long.")
@options.as_json
def schedule(name: str, points: str, unit: str, between: str, keep: str, *, as_json: bool) -> None:
    """Let the pinned requests of a session follow a schedule, from its beginning.

    POINTS are positions with weights or a preset: "0 voice=1; 10000 balanced", or a JSON list. Requests with
    `pin=1` are drawn under them, each at what the session has heard before it. Set it again to begin anew;
    `release` removes it.
    """
    from worker.cli.sessions import Wanted, schedule_session

    schedule_session(name, Wanted(points, unit, between, keep), as_json=as_json)


@session.command(cls=Verb, example="sampling-worker session limit run-7 8")
@options.session_name
@click.argument("repeats", metavar="REPEATS", type=Decimal(0, 1e9))
@click.option("--keep", metavar="SPAN", default="24h", show_default=True, help="End it if nobody asks for so long.")
@options.as_json
def limit(name: str, repeats: float, keep: str, *, as_json: bool) -> None:
    """Limit how often chunks are repeated in a session; the limit warns, and stops nothing.

    Workers log `mix.repeats` when a category comes to 80 % of REPEATS, and when it reaches REPEATS. The repeats of a
    category are the chunks that the session got of it, divided by its READY chunks. 0 removes the limit.
    """
    from worker.cli.sessions import limit_session

    limit_session(name, repeats, keep, as_json=as_json)


@session.command(cls=Verb, example="sampling-worker session release run-7")
@options.session_name
def release(name: str) -> None:
    """Unpin a session from its weights, and remove its schedule: its next pinned request pins it again."""
    from worker.cli.sessions import release_session

    release_session(name)


@session.command(cls=Verb, example="sampling-worker session end run-7")
@options.session_name
def end(name: str) -> None:
    """End a session: its pinned weights, its schedule, its passes and its counts are deleted."""
    from worker.cli.sessions import end_session

    end_session(name)
