"""`demo`, `up`, `env`, `migrate`, `run` and `check`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import click

from worker.cli import options
from worker.cli.help import START, Verb
from worker.cli.numbers import LONGEST_S, Decimal, Whole
from worker.cli.verbs.scan import scan

_SCANNING: Final = ("category", "category_from", "segment", "hop", "shortest", "splits", "by")
"""Options of `catalog scan` that `up` passes on."""


@click.command(cls=Verb, panel=START, example="sampling-worker demo --seconds 10")
@click.option(
    "--seconds",
    type=Decimal(4, 3600),
    metavar="SECONDS",
    default=20.0,
    show_default=True,
    help="How long to serve.",
)
@click.option(
    "--chunks", type=Whole(1000, 5_000_000), default=200_000, show_default=True, help="Chunks in the library."
)
@click.option("--desk", is_flag=True, help="Run a desk as well, and open it in the browser of this desktop.")
def demo(seconds: float, chunks: int, *, desk: bool) -> None:
    """Start embedded servers, fill a library, run workers, move weights live, and show the mix following."""
    from worker.demo import run_demo

    raise click.exceptions.Exit(run_demo(seconds=seconds, chunks=chunks, has_desk=desk))


@click.command(cls=Verb, panel=START, example="sampling-worker up ~/audio")
@click.argument("library", type=Path, required=False, metavar="[LIBRARY]")
@click.option(
    "--data", type=Path, metavar="DIR", help="Folder of the servers' data; default: in this user's data folder."
)
@click.option("--port", type=Whole(1, 65_535), help="Port of Valkey; default: that of the last time, or a free one.")
@click.option("--database-port", type=Whole(1, 65_535), help="Port of PostgreSQL; the same default.")
@click.option("--desk", is_flag=True, help="Run a desk as well, and open it in the browser of this desktop.")
def up(
    library: Path | None, data: Path | None, port: int | None, database_port: int | None, *, desk: bool, **scanning: Any
) -> None:
    """Serve a library of your own on this machine: start servers, bring LIBRARY in, run a worker, until Ctrl-C.

    LIBRARY is a folder of audio, or a manifest as `catalog import` reads it; without it, what is there already is
    served. A folder is scanned as `catalog scan` does. Nothing is lost at the end. Clients and commands of this user
    find the servers by themselves. Where REDIS_URL or DATABASE_URL is set, that server is used. Needs the extras
    embedded and audio.
    """
    from worker.cli.up import start_up

    start_up(library, _words(scanning), data, port, database_port, desk=desk)


up.params += [param for param in scan.params if param.name in _SCANNING]


def _words(scanning: Mapping[str, Any]) -> list[str]:
    """Write options of `catalog scan` as they were given."""
    words: list[str] = []
    for param in scan.params:
        found = scanning.get(str(param.name))
        for value in found if isinstance(found, tuple) else () if found is None else (found,):
            words += [param.opts[0], str(value)]
    return words


@click.command(cls=Verb, panel=START, example='eval "$(sampling-worker env)"')
@click.option("--data", type=Path, metavar="DIR", help="Data folder of the `up`; needed where several run.")
@options.as_json
def env(data: Path | None, *, as_json: bool) -> None:
    """Print the variables that lead to the `up` that runs here, for a shell; status 1 when none runs."""
    from worker.cli.env import print_environment

    print_environment(data, as_json=as_json)


@click.command(cls=Verb, panel=START, example="DATABASE_URL=... sampling-worker migrate")
@click.option("--print", "only_print", is_flag=True, help="Print the SQL that would run, and run nothing.")
@options.as_json
def migrate(*, only_print: bool, as_json: bool) -> None:
    """Create or upgrade the schema in PostgreSQL; it can be run again, and while others write."""
    from worker.cli.schema import migrate_schema, print_migrations

    (print_migrations if only_print else migrate_schema)(as_json=as_json)


@click.command(cls=Verb, panel=START, example="REDIS_URL=... DATABASE_URL=... sampling-worker run")
def run() -> None:
    """Serve until SIGTERM or SIGINT, then finish what is in hand; settings come from the environment or .env."""
    from worker.settings.model import load_settings

    settings = load_settings()
    from worker.service.app import run_worker

    raise click.exceptions.Exit(run_worker(settings))


@click.command(cls=Verb, panel=START, example="sampling-worker check --samples 50000")
@click.option(
    "--samples",
    type=Whole(1000, 10_000_000),
    default=100_000,
    show_default=True,
    help="Chunks drawn in each round.",
)
@click.option(
    "--significance",
    type=Decimal(1e-12, 0.5, with_power=True),
    default=1e-4,
    show_default=True,
    help="Share of false alarms that is accepted.",
)
@click.option(
    "--timeout",
    type=Decimal(1, LONGEST_S),
    metavar="SECONDS",
    default=60.0,
    show_default=True,
    help="Longest wait of a round, in seconds.",
)
@options.as_json
def check(samples: int, significance: float, timeout: float, *, as_json: bool) -> None:
    """Test this installation: set weights, draw, change them, draw again, and compare the counts with the weights.

    The weights are those of a dataset of its own, which is removed at the end. Live jobs are not affected.
    """
    from worker.cli.check import check_installation

    check_installation(samples, significance, timeout, as_json=as_json)
