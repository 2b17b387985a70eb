"""`catalog quarantine`, `release` and `who`."""

import click

from worker.cli import options
from worker.cli.help import Verb
from worker.cli.numbers import Whole

_names = click.argument("names", metavar="[ID|PATH]...", nargs=-1)
_who = click.option("--who", metavar="NAME", help="Who does it; the user of this machine if not given.")


@click.command(cls=Verb, example="sampling-worker catalog quarantine 4711 /audio/a.wav --reason 'wrong speaker'")
@_names
@click.option("--reason", metavar="TEXT", help="Why, for those who look later.")
@_who
@click.option("--list", "lists", is_flag=True, help="List what is taken out: who, when and why.")
@click.option("--all", "with_released", is_flag=True, help="With --list: also what was put back.")
@options.as_json
def quarantine(
    names: tuple[str, ...], *, reason: str | None, who: str | None, lists: bool, with_released: bool, as_json: bool
) -> None:
    """Take chunks out of every training at once, until they are released.

    ID is a chunk's id, PATH all chunks of a file; write ./4711 for a file of such a name. Within a second no
    worker draws them. Imports and scans bring none of them back. Names that no chunk has are listed, and the status is
    then 1; all others are taken out.
    """
    if lists:
        options.refuse({"names": names, "--reason": reason, "--who": who}, "is not for --list")
        from worker.cli.quarantined import list_quarantined

        list_quarantined(with_released=with_released, as_json=as_json)
        return
    options.refuse({"--all": with_released}, "is for --list, which is not given")
    _check_named(names)
    if not (reason or "").strip():
        raise click.UsageError("--reason is missing; accepted: --reason TEXT, which says why")
    from worker.cli.quarantined import quarantine as take_out

    take_out(names, str(reason), who, as_json=as_json)


@click.command(cls=Verb, example="sampling-worker catalog release 4711")
@_names
@_who
@options.as_json
def release(names: tuple[str, ...], *, who: str | None, as_json: bool) -> None:
    """Put chunks back to the status that they had before `catalog quarantine`.

    Names that nothing has are listed, and those that are not in quarantine; the status is then 1.
    """
    _check_named(names)
    from worker.cli.quarantined import release as put_back

    put_back(names, who, as_json=as_json)


@click.command(cls=Verb, example="sampling-worker catalog who 4711")
@click.argument("chunk", metavar="ID")
@click.option(
    "--count", type=Whole(1, 1_000_000), default=20, show_default=True, help="Show the newest results, at most."
)
@options.as_json
def who(chunk: str, *, count: int, as_json: bool) -> None:
    """Show which sessions drew a chunk, and when, as far back as Redis keeps results.

    ID is a chunk's id, also of one that is no longer in the library. Each result that is kept is looked at, in the
    shared stream and in every reply stream. A client removes results that it has read, so look at once. Logs cannot
    tell: their lines hold counts, and no ids.
    """
    from worker.cli.who import show_who

    show_who(chunk, count, as_json=as_json)


def _check_named(names: tuple[str, ...]) -> None:
    """Refuse to do it to nothing.

    Raises:
        click.UsageError: No chunk is named.
    """
    if not names:
        raise click.UsageError("it is not said which chunks: accepted are ids and paths")
