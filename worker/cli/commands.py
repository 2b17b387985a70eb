"""All verbs, and how they end: 0 done; every other end names its exit status, see `worker.errors`.

Nothing that a verb needs is imported here: its options and its help stand in `worker.cli.verbs`, and what it does is
imported when it runs. So help, a typo and a refused option are answered at once.
"""

import sys
from collections.abc import Sequence
from typing import Final

import click

from worker.cli.help import Group, usage_advice
from worker.cli.output import complain
from worker.cli.printing import print_text
from worker.cli.verbs import adjust, desk, library, look, repair, scan, sessions, start, weights
from worker.errors import ReaderGoneError, SamplingError

_INTERRUPTED: Final = 130
_VERBS: Final = (
    start.demo,
    start.up,
    start.env,
    start.migrate,
    start.run,
    start.check,
    library.catalog,
    library.exclude,
    weights.weights,
    adjust.adjust,
    look.stats,
    look.watch,
    look.sample,
    look.feedback,
    desk.desk,
    look.report,
    look.schema,
    sessions.session,
    look.health,
    repair.dead,
)


def _show_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:  # noqa: FBT001 - click's signature
    """Print the version and end."""
    if wanted:
        from worker.version import own_version  # noqa: PLC0415 - the metadata of packages, here alone

        print_text(f"sampling-worker {own_version()}")
        ctx.exit()


@click.group(
    cls=Group,
    example="sampling-worker demo",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version and exit.",
)
def app() -> None:
    """A mixing desk for training data: weighted sampling of audio chunks over Redis Streams."""


for _verb in (scan.scan, scan.remove):
    library.catalog.add_command(_verb)
for _verb in _VERBS:
    app.add_command(_verb)


def execute(arguments: Sequence[str]) -> int:
    """Run a verb.

    Args:
        arguments: The words after the command's name.

    Returns:
        The exit status.
    """
    # Not app.main, which answers an interrupt by an empty line.
    try:
        with app.make_context("sampling-worker", list(arguments)) as context:
            app.invoke(context)
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.UsageError as error:
        return _end_by_usage(error)
    except SamplingError as error:
        return _end(error)
    except ExceptionGroup as group:  # of tasks that ran side by side
        ours, bugs = group.split(SamplingError)
        if ours is None or bugs is not None:
            raise
        return _end(_first(ours))
    except KeyboardInterrupt:
        return _INTERRUPTED
    return 0


def _first(group: BaseExceptionGroup[SamplingError]) -> SamplingError:
    """Return the first of several errors, so that one sentence is printed."""
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error


def _end_by_usage(error: click.UsageError) -> int:
    """End because of the words given; without any, the message is the whole help."""
    message = error.format_message()
    if message.startswith("Usage:"):
        sys.stderr.write(f"{message}\n")
    else:
        complain(f"{message.rstrip('.')}{usage_advice(error)}")
    return 2


def _end(error: SamplingError) -> int:
    """Print what was wrong, unless nobody reads it, and return the exit status."""
    if not isinstance(error, ReaderGoneError):
        complain(str(error))
    return error.exit_status
