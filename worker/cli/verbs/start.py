"""`demo`, `migrate`, `run` and `check`."""

import click

from worker.cli import options
from worker.cli.help import START, Verb
from worker.cli.numbers import LONGEST_S, Decimal, Whole


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
def demo(seconds: float, chunks: int) -> None:
    """Start embedded servers, fill a library, run workers, move weights live, and show the mix following."""
    from worker.demo import run_demo

    raise click.exceptions.Exit(run_demo(seconds=seconds, chunks=chunks))


@click.command(cls=Verb, panel=START, example="DATABASE_URL=... sampling-worker migrate")
@options.as_json
def migrate(*, as_json: bool) -> None:
    """Create or upgrade the schema in PostgreSQL; it can be run again."""
    from worker.cli.schema import migrate_schema

    migrate_schema(as_json=as_json)


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
