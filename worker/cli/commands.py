"""All verbs, and how they end: 0 done; what ends them otherwise names its exit status, see `worker.errors`."""

import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from worker.cli import catalog, check, dead, health, report, sampling, serving, sessions, weights
from worker.cli.help import LOOK, MEND, MOVE, SETTINGS, START, Group, in_words, show_version, usage_advice
from worker.cli.output import complain
from worker.errors import ReaderGoneError, SamplingError

_INTERRUPTED = 130
# Typer shows no name for it, and whose class it is differs between versions: Click's, or Typer's own copy of it.
_USAGE_ERROR: type[Exception] = typer.BadParameter.__mro__[1]

app = typer.Typer(
    name="sampling-worker",
    help="A mixing desk for training data: weighted sampling of audio chunks over Redis Streams.",
    epilog="Example: sampling-worker demo",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    cls=Group,
    context_settings=dict(SETTINGS),
)
app.add_typer(
    weights.app,
    cls=Group,
    rich_help_panel=MOVE,
    name="weights",
    help="Look at the weights, and change them while training runs.",
    epilog="Example: sampling-worker weights set voice=0.7 music=0.2",
)
app.add_typer(
    catalog.app,
    cls=Group,
    rich_help_panel=MOVE,
    name="catalog",
    help="Register chunks, and look at what is READY.",
    epilog="Example: sampling-worker catalog import library.csv",
)
app.add_typer(
    sessions.app,
    cls=Group,
    rich_help_panel=LOOK,
    name="session",
    help="Look at training sessions, release and end them.",
    epilog="Example: sampling-worker session show run-7",
)
app.add_typer(
    dead.app,
    cls=Group,
    rich_help_panel=MEND,
    name="dead",
    help="Look at requests that were given up on, and send them again.",
    epilog="Example: sampling-worker dead show",
)
_VERBS: tuple[tuple[Callable[..., None], str, str], ...] = (
    (serving.demo, START, "sampling-worker demo --seconds 10"),
    (serving.run, START, "REDIS_URL=... DATABASE_URL=... sampling-worker run"),
    (catalog.migrate, START, "DATABASE_URL=... sampling-worker migrate"),
    (sampling.sample, LOOK, "sampling-worker sample --size 8 --method stratified"),
    (sampling.stats, LOOK, "sampling-worker stats --watch"),
    (report.report, LOOK, "sampling-worker report worker-1.log worker-2.log --output mix.svg"),
    (check.check, MEND, "sampling-worker check --samples 50000"),
)
for _verb, _panel, _example in _VERBS:
    app.command(epilog=f"Example: {_example}", rich_help_panel=_panel)(_verb)


@app.callback()
def _main(
    *,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=show_version, help="Show the version and exit.")
    ] = False,
) -> None:
    """Take the options that are of no verb."""


@app.command(
    "health",
    help=health.HELP,
    rich_help_panel=MEND,
    add_help_option=False,
    context_settings={"ignore_unknown_options": True},
)
def _health(arguments: list[str] = typer.Argument(None)) -> None:  # noqa: B008 - typer's way
    raise typer.Exit(health.probe(arguments or []))


def execute(arguments: Sequence[str]) -> int:
    """Run a verb.

    Args:
        arguments: The words after the command's name.

    Returns:
        The exit status.
    """
    try:
        command = in_words(typer.main.get_command(app))
        status = command.main(list(arguments), prog_name="sampling-worker", standalone_mode=False)
    except _USAGE_ERROR as error:
        status = _end_by_usage(error)
    except SamplingError as error:
        status = _end(error)
    except ExceptionGroup as group:  # of tasks that ran side by side
        ours, bugs = group.split(SamplingError)
        if ours is None or bugs is not None:
            raise
        status = _end(_first(ours))
    except (KeyboardInterrupt, typer.Abort):
        status = _INTERRUPTED
    return status if isinstance(status, int) else 0


def _first(group: BaseExceptionGroup[SamplingError]) -> SamplingError:
    """Find the first of several errors: one sentence is told."""
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error


def _end_by_usage(error: Any) -> int:
    """End because of the words given; without any, the message is the whole help."""
    message = error.format_message()
    if message.startswith("Usage:"):
        sys.stderr.write(f"{message}\n")
    else:
        complain(f"{message.rstrip('.')}{usage_advice(error)}")
    return 2


def _end(error: SamplingError) -> int:
    """Say what was wrong, unless nobody reads it, and tell the exit status."""
    if not isinstance(error, ReaderGoneError):
        complain(str(error))
    return error.exit_status
