"""`dead show` and `dead requeue`."""

import click

from worker.cli import options
from worker.cli.help import REPAIR, Group, Verb
from worker.cli.numbers import Whole


@click.group(cls=Group, panel=REPAIR, example="sampling-worker dead show")
def dead() -> None:
    """Look at requests that were given up, and send them again."""


@dead.command(cls=Verb, example="sampling-worker dead show --count 5")
@click.option("--count", type=Whole(1, 100_000), default=20, show_default=True, help="At most this many.")
@options.as_json
def show(count: int, *, as_json: bool) -> None:
    """Show the requests that were given up, and why, newest first."""
    from worker.cli.dead import show_letters

    show_letters(count, as_json=as_json)


@dead.command(cls=Verb, example="sampling-worker dead requeue 1795376986739-0")
@click.argument("ids", metavar="[ID]...", nargs=-1)
@click.option("--all", "every", is_flag=True, help="Every dead letter.")
@options.as_json
def requeue(ids: tuple[str, ...], *, every: bool, as_json: bool) -> None:
    """Send requests that were given up again, and remove their dead letters; status 1 when one does not exist.

    IDs are those that `dead show` prints.
    """
    from worker.cli.dead import requeue_letters

    requeue_letters(ids, every=every, as_json=as_json)
