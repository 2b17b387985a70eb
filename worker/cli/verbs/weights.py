"""`weights`: look at the weights, and change them while training runs."""

import click

from worker.cli import options
from worker.cli.help import WEIGHTS, Group, Verb
from worker.cli.numbers import Whole
from worker.cli.verbs.presets import preset


@click.group(cls=Group, panel=WEIGHTS, example="sampling-worker weights set voice=0.7 music=0.2")
def weights() -> None:
    """Look at the weights, and change them while training runs."""


@weights.command(cls=Verb, example="sampling-worker weights show --dataset podcasts")
@options.dataset
@options.as_json
def show(dataset: str | None, *, as_json: bool) -> None:
    """Show the weights in force, and who set them; status 1 while the key holds a refused value."""
    from worker.cli.weights.show import show_weights

    show_weights(dataset, as_json=as_json)


@weights.command(
    "set", cls=Verb, example="sampling-worker weights set voice=0.7 music=0.2 documentary=0.1 --for 2h --wait"
)
@options.weights
@options.dataset
@options.temperature
@options.reason
@options.lasts
@options.if_version
@options.wait
@options.timeout
@options.as_json
def set_(
    weights: tuple[str, ...],
    dataset: str | None,
    temperature: float | None,
    reason: str,
    *,
    lasts: str | None,
    if_version: str | None,
    wait: bool,
    timeout: float,
    as_json: bool,
) -> None:
    """Set the weights: they are in force for the next request, and the change is in the history.

    Categories that are not given weigh 0. With --temperature and without weights, the weights in force are changed.
    You are warned of categories without READY chunks.
    """
    from worker.cli.weights.store import Storing, set_weights

    set_weights(weights, temperature, Storing(dataset, reason, lasts, if_version, timeout if wait else None, as_json))


@weights.command(cls=Verb, example="sampling-worker weights remove --dataset podcasts")
@options.dataset
@options.reason
@options.if_version
@options.wait
@options.timeout
@options.as_json
def remove(
    dataset: str | None, reason: str, *, if_version: str | None, wait: bool, timeout: float, as_json: bool
) -> None:
    """Remove the weights that were set: then the defaults hold, or for a dataset the global weights."""
    from worker.cli.weights.store import Storing, remove_weights

    remove_weights(Storing(dataset, reason, None, if_version, timeout if wait else None, as_json))


@weights.command(cls=Verb, example="sampling-worker weights watch")
@options.dataset
@click.option("--session", metavar="SESSION", help="Those that a session is pinned to.")
@options.as_json
def watch(dataset: str | None, session: str | None, *, as_json: bool) -> None:
    """Print the weights now, and again on every change, until interrupted."""
    from worker.cli.weights.watch import watch_weights

    watch_weights(dataset, session, as_json=as_json)


@weights.command(cls=Verb, example="sampling-worker weights history --count 5")
@options.dataset
@options.preset
@click.option("--count", type=Whole(1, 10_000), default=20, show_default=True, help="Most changes to print.")
@options.as_json
def history(dataset: str | None, preset: str | None, count: int, *, as_json: bool) -> None:
    """Show who changed the weights, when and why, the newest first: all changes, or those of one dataset or preset.

    Each change is in points: hundredths of the whole. A plain SET by other programs leaves no trace here.
    """
    from worker.cli.weights.history import show_history

    show_history(dataset, preset, count, as_json=as_json)


@weights.command(cls=Verb, example="sampling-worker weights rollback")
@click.argument("version", metavar="[VERSION]", required=False)
@options.dataset
@options.preset
@options.reason
@options.wait
@options.timeout
@options.as_json
def rollback(
    version: str | None,
    dataset: str | None,
    preset: str | None,
    reason: str,
    *,
    wait: bool,
    timeout: float,
    as_json: bool,
) -> None:
    """Undo the last change of the weights, or go back to a VERSION of the history.

    Each further rollback goes one change further back; it never toggles. What was undone comes back by its VERSION.
    Every rollback is a change in the history, too; one to a VERSION can be undone.
    """
    from worker.cli.weights.history import roll_back_weights
    from worker.cli.weights.store import Storing

    storing = Storing(None, reason, wait_s=timeout if wait else None, as_json=as_json)
    roll_back_weights(version, dataset, preset, storing)


@weights.command(cls=Verb, example="sampling-worker weights preview voice=0.9 music=0.1 --size 10000")
@options.weights
@options.dataset
@options.temperature
@click.option(
    "--size", type=Whole(1, 10**12), default=10_000, show_default=True, help="How many chunk ids would be drawn."
)
@options.as_json
def preview(
    weights: tuple[str, ...], dataset: str | None, temperature: float | None, size: int, *, as_json: bool
) -> None:
    """Show what would be drawn under some weights, or under those in force; nothing is stored.

    You are warned of categories without READY chunks, and of those whose chunks would be heard more than 16 times each.
    """
    from worker.cli.weights.preview import preview_weights

    preview_weights(weights, dataset, temperature, size, as_json=as_json)


weights.add_command(preset)
