"""`run` and `demo`."""

from typing import Annotated

import typer

from worker.cli.numbers import decimal, whole
from worker.settings.model import load_settings


def run() -> None:
    """Serve until SIGTERM or SIGINT, then finish what is in hand; settings come from the environment or .env."""
    settings = load_settings()
    from worker.service.app import run_worker  # noqa: PLC0415 - numpy and asyncpg, for this verb alone

    raise typer.Exit(run_worker(settings))


def demo(
    seconds: Annotated[
        float, typer.Option(parser=decimal(4, 3600), metavar="SECONDS", help="How long to serve.")
    ] = 20.0,
    chunks: Annotated[
        int, typer.Option(parser=whole(1000, 5_000_000), metavar="NUMBER", help="Chunks in the library.")
    ] = 200_000,
) -> None:
    """Start embedded servers, fill a library, run workers, move weights live, and show the mix following."""
    from worker.demo import run_demo  # noqa: PLC0415 - the embedded extra, for this verb alone

    raise typer.Exit(run_demo(seconds=seconds, chunks=chunks))
