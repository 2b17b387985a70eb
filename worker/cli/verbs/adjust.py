"""`adjust`: rules that move the weights by themselves."""

import click

from worker.cli import options
from worker.cli.help import WEIGHTS, Group, Verb
from worker.cli.numbers import Decimal, Whole

_mode = click.Choice(["shadow", "on", "off"])


@click.group(cls=Group, panel=WEIGHTS, example="sampling-worker adjust set cooldown over=1e6 --mode on")
def adjust() -> None:
    """Let rules move the weights, within limits; watch what they do, and stop them."""


@adjust.command(cls=Verb, example="sampling-worker adjust show")
@options.dataset
@options.as_json
def show(dataset: str | None, *, as_json: bool) -> None:
    """Show the rules that are set, how far they are, and their weights; status 1 if one is refused."""
    from worker.cli.adjust.show import show_rules

    show_rules(dataset, as_json=as_json)


@adjust.command("set", cls=Verb, example="sampling-worker adjust set cooldown over=1e6 from=5 --mode on --floor 0.01")
@click.argument("rule", metavar="RULE")
@click.argument("parameters", metavar="[PARAMETER=VALUE]...", nargs=-1)
@options.dataset
@click.option(
    "--mode",
    type=_mode,
    default="shadow",
    show_default=True,
    help="on moves the weights; shadow says what it would do; off waits for `adjust resume`.",
)
@options.floor
@options.ceiling
@options.most_change
@click.option("--strength", type=Decimal(0, 1), help="How much of the prior is mixed into each step.")
@click.option("--interval", metavar="DURATION", help="Shortest time between steps, such as 30s.")
@click.option("--warm-up", type=Decimal(0, 1e9), help="Before the first move: reports, or seconds without reports.")
@click.option(
    "--prior", multiple=True, metavar="CATEGORY=WEIGHT", help="What the rule is anchored to, not the weights in force."
)
@options.as_json
def set_(
    rule: str,
    parameters: tuple[str, ...],
    dataset: str | None,
    *,
    mode: str,
    floor: tuple[str, ...],
    ceiling: tuple[str, ...],
    most_change: str | None,
    strength: float | None,
    interval: str | None,
    warm_up: float | None,
    prior: tuple[str, ...],
    as_json: bool,
) -> None:
    """Set the rule that moves the weights; it begins anew, from the weights in force.

    A change of the weights by a person pauses it, until `adjust resume`. In mode shadow nothing changes: `adjust show`
    and the log say what the rule would do.
    """
    from worker.cli.adjust.orders import Wanted, set_rule

    wanted = Wanted(rule, parameters, mode, floor, ceiling, prior, most_change, strength, interval, warm_up)
    set_rule(wanted, dataset, as_json=as_json)


@adjust.command(cls=Verb, example='sampling-worker adjust preview schedule "points=0 voice=1; 1e6 music=1"')
@click.argument("rule", metavar="[RULE]", required=False)
@click.argument("parameters", metavar="[PARAMETER=VALUE]...", nargs=-1)
@options.dataset
@click.option("--count", type=Whole(2, 10_000), default=20, show_default=True, help="Most steps to print as text.")
@options.as_json
def preview(rule: str | None, parameters: tuple[str, ...], dataset: str | None, *, count: int, as_json: bool) -> None:
    """Show the coming steps of the rule that is set, or of another one as if it were set now; nothing is stored."""
    from worker.cli.adjust.orders import Wanted
    from worker.cli.adjust.preview import preview_rule

    wanted = None if rule is None else Wanted(rule, parameters, "on")
    preview_rule(wanted, dataset, count, as_json=as_json)


@adjust.command(cls=Verb, example="sampling-worker adjust off")
@options.dataset
@options.as_json
def off(dataset: str | None, *, as_json: bool) -> None:
    """Remove the rule; the weights stay as they are."""
    from worker.cli.adjust.orders import remove_rule

    remove_rule(dataset, as_json=as_json)


@adjust.command(cls=Verb, example="sampling-worker adjust freeze --dataset podcasts")
@options.dataset
@options.as_json
def freeze(dataset: str | None, *, as_json: bool) -> None:
    """Stop the rule where it is; the weights stay, and `adjust resume` lets it go on."""
    from worker.cli.adjust.orders import freeze_rule

    freeze_rule(dataset, as_json=as_json)


@adjust.command(cls=Verb, example="sampling-worker adjust resume --mode on")
@options.dataset
@click.option("--mode", type=click.Choice(["shadow", "on"]), help="The mode to go on in; the one before if not given.")
@options.as_json
def resume(dataset: str | None, mode: str | None, *, as_json: bool) -> None:
    """Let a rule go on that is frozen, or paused by a person's change, from the weights in force.

    With --mode it goes on in another mode than before.
    """
    from worker.cli.adjust.orders import resume_rule

    resume_rule(dataset, mode, as_json=as_json)


@adjust.command(cls=Verb, example="sampling-worker adjust rollback")
@options.dataset
@options.as_json
def rollback(dataset: str | None, *, as_json: bool) -> None:
    """Remove the rule, and go back to the weights before it began or went on from a person's change."""
    from worker.cli.adjust.orders import roll_back_rule

    roll_back_rule(dataset, as_json=as_json)


@adjust.command(cls=Verb, example="sampling-worker adjust history --count 5")
@options.dataset
@click.option("--count", type=Whole(1, 10_000), default=20, show_default=True, help="Most steps to print.")
@options.as_json
def history(dataset: str | None, count: int, *, as_json: bool) -> None:
    """Show the changes of weights that rules have made, and why, the newest first."""
    from worker.cli.adjust.history import show_steps

    show_steps(dataset, count, as_json=as_json)
