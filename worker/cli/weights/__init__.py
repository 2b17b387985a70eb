"""`weights`: look at the weights, and change them while training runs."""

import typer

from worker.cli.help import Group
from worker.cli.weights import history, preset, preview, show, store, watch

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
app.command(epilog="Example: sampling-worker weights show --dataset podcasts")(show.show)
app.command("set", epilog="Example: sampling-worker weights set voice=0.7 music=0.2 documentary=0.1 --for 2h --wait")(
    store.set_
)
app.command(epilog="Example: sampling-worker weights remove --dataset podcasts")(store.remove)
app.command(epilog="Example: sampling-worker weights watch")(watch.watch)
app.command(epilog="Example: sampling-worker weights history --count 5")(history.history)
app.command(epilog="Example: sampling-worker weights rollback")(history.rollback)
app.command(epilog="Example: sampling-worker weights preview voice=0.9 music=0.1 --size 10000")(preview.preview)
app.add_typer(
    preset.app,
    cls=Group,
    name="preset",
    help="Keep weights under a name: for single requests (preset=NAME), or to apply them.",
    epilog="Example: sampling-worker weights preset save night voice=0.2 music=0.8",
)
