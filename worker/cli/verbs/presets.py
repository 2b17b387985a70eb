"""`weights preset`: save, list, show, apply and remove weights by name."""

import click

from worker.cli import options
from worker.cli.help import Group, Verb


@click.group(cls=Group, example="sampling-worker weights preset save night voice=0.2 music=0.8")
def preset() -> None:
    """Save weights under a name: for single requests (preset=NAME), or to apply them."""


@preset.command(cls=Verb, example="sampling-worker weights preset save night voice=0.2 music=0.8")
@options.preset_name
@options.weights
@options.dataset
@options.temperature
@options.reason
@options.as_json
def save(
    name: str,
    weights: tuple[str, ...],
    dataset: str | None,
    temperature: float | None,
    reason: str,
    *,
    as_json: bool,
) -> None:
    """Save weights under a name, for requests with preset=NAME; without weights, those in force now."""
    from worker.cli.weights.preset import save_preset
    from worker.cli.weights.store import Storing

    save_preset(name, weights, temperature, Storing(dataset, reason, as_json=as_json))


@preset.command("list", cls=Verb, example="sampling-worker weights preset list")
@options.as_json
def list_(*, as_json: bool) -> None:
    """List the presets: those that are built in, and those that were saved."""
    from worker.cli.weights.preset import list_presets

    list_presets(as_json=as_json)


@preset.command(cls=Verb, example="sampling-worker weights preset show balanced")
@options.preset_name
@options.as_json
def show(name: str, *, as_json: bool) -> None:
    """Show the weights of a preset."""
    from worker.cli.weights.preset import show_preset

    show_preset(name, as_json=as_json)


@preset.command(cls=Verb, example="sampling-worker weights preset apply voice-heavy --for 30m")
@options.preset_name
@options.dataset
@options.reason
@options.lasts
@options.if_version
@options.wait
@options.timeout
@options.as_json
def apply(
    name: str,
    dataset: str | None,
    reason: str,
    *,
    lasts: str | None,
    if_version: str | None,
    wait: bool,
    timeout: float | None,
    as_json: bool,
) -> None:
    """Set the weights to those of a preset as it is now: later changes of the preset do not follow."""
    from worker.cli.weights.preset import apply_preset
    from worker.cli.weights.store import Storing

    apply_preset(name, Storing(dataset, reason, lasts, if_version, options.wait_s(wait=wait, timeout=timeout), as_json))


@preset.command(cls=Verb, example="sampling-worker weights preset remove night")
@options.preset_name
@options.reason
@options.as_json
def remove(name: str, reason: str, *, as_json: bool) -> None:
    """Remove a preset: requests that name it get unknown_preset."""
    from worker.cli.weights.preset import remove_preset
    from worker.cli.weights.store import Storing

    remove_preset(name, Storing(None, reason, as_json=as_json))
