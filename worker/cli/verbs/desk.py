"""`desk`."""

from pathlib import Path

import click

from worker.cli.help import LOOK, Verb
from worker.cli.numbers import Whole


@click.command(cls=Verb, panel=LOOK, example="sampling-worker desk --open")
@click.option("--host", default="127.0.0.1", show_default=True, help="Listen there; other than loopback needs a token.")
@click.option("--port", type=Whole(0, 65_535), help="Default: 8088, or a free one where that is taken; 0: a free one.")
@click.option("--token-file", type=Path, metavar="FILE", help="Browsers have to give what it holds, once.")
@click.option("--allow-host", "allowed", metavar="NAME", multiple=True, help="A further name of it, as behind a proxy.")
@click.option("--read-only", is_flag=True, help="Show, and refuse every change.")
@click.option("--open", "open_", is_flag=True, help="Open it in the browser of this desktop.")
def desk(
    host: str, port: int | None, token_file: Path | None, allowed: tuple[str, ...], *, read_only: bool, open_: bool
) -> None:
    """Serve the mixing desk to browsers: see the mix live and change it, until Ctrl-C.

    It needs only Redis, any number can run at once, and it looks at nothing while nobody watches. Needs the extra desk.
    """
    from worker.cli.desk import run_desk

    run_desk(host, port, token_file, allowed=allowed, read_only=read_only, open_=open_)
