"""The options and arguments that several verbs have."""

import click

from worker.cli.numbers import LONGEST_S, Decimal

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
dataset = click.option("--dataset", metavar="NAME", help="A dataset's own weights, not the global ones.")
preset = click.option("--preset", metavar="NAME", help="A saved preset, not the global weights.")
preset_name = click.argument("name", metavar="NAME")
session_name = click.argument("name", metavar="SESSION")
with_checks = click.option("--all", "with_checks", is_flag=True, help="Also show what `check` has drawn.")
weights = click.argument("weights", metavar="[CATEGORY=WEIGHT]...", nargs=-1)
temperature = click.option(
    "--temperature",
    type=Decimal(0, 1000),
    help="Raise each weight to this power: 0 makes all alike, 1 changes nothing.",
)
reason = click.option("--reason", metavar="TEXT", default="", help="Why, for the history.")
if_version = click.option(
    "--if-version", metavar="VERSION", help="Store only if this version is in force; otherwise status 1."
)
lasts = click.option("--for", "lasts", metavar="DURATION", help="90s, 30m, 2h or 1d; then the previous weights return.")
wait = click.option("--wait", is_flag=True, help="Wait until all live workers have applied them; otherwise status 1.")
timeout = click.option(
    "--timeout",
    type=Decimal(0.1, LONGEST_S),
    metavar="SECONDS",
    default=15.0,  # longer than a worker that was killed is listed
    show_default=True,
    help="Longest wait, in seconds.",
)
