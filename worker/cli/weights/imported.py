"""What `weights import` does: weights that were made elsewhere, stored by the step of `weights set`."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from worker.adapters.mix_file import STDIN, read_mix
from worker.adapters.redis.weights_writer import RedisWeightsWriter
from worker.cli.context import check_dataset, open_redis
from worker.cli.output import complain
from worker.cli.printing import print_json, print_table, print_text
from worker.cli.typed_weights import weights_json
from worker.cli.weights.store import Storing, because, check_storing, store
from worker.cli.words import Share
from worker.core.adjust.mixes import Phase, Until, phases_of
from worker.core.adjust.sources import Placed, add_up, place_sources
from worker.core.weights.left_out import named
from worker.core.weights.values import Weights, parse_weights
from worker.core.workers.mix import look_at_mix
from worker.core.workers.ready import Ready
from worker.errors import SettingsError, WeightsError
from worker.weights.change import look_at_version
from worker.weights.in_use import try_to_find_ready

_NAMED = 20


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is taken out of a file, by the options of the same names.

    Attributes:
        file: The file; `-` is standard input.
        phase: Name of a phase; None: the only one.
        mapped: `theirs=ours`, a source there and our category; nothing behind the sign leaves it out.
    """

    file: Path
    phase: str | None
    mapped: Sequence[str]

    @property
    def name(self) -> str:
        """Return what the history calls the file."""
        return "standard input" if str(self.file) == STDIN else self.file.name


def import_weights(wanted: Wanted, storing: Storing, *, dry_run: bool) -> None:
    """Store weights out of a file, and print what came of it.

    Args:
        wanted: What is taken out of it.
        storing: Whose, and how.
        dry_run: Whether only to print what would be stored.

    Raises:
        SettingsError: The options do not go together.
        WeightsError: The file is no mix, or names what the library has not.
    """
    check_dataset(storing.name)
    phase = _choose(phases_of(read_mix(wanted.file)), wanted.phase)
    if dry_run:
        check_storing(storing)
    ready = asyncio.run(_ready(storing, dry_run=dry_run))
    placed = place_sources(phase.sources, read_map(wanted.mapped), ready.known)
    value = weights_json(add_up(placed))
    for note in _notes(phase, placed):
        complain(note)
    if dry_run:
        _print_dry(phase, placed, value, ready, as_json=storing.as_json)
        return
    done = f"import {wanted.name}" + (f", phase {phase.name}" if wanted.phase is not None else "")
    store(lambda _: value, replace(storing, reason=because(done, storing.reason)))


def _choose(phases: Sequence[Phase], name: str | None) -> Phase:
    """Choose one phase: that of a name, or the only one."""
    names = [phase.name for phase in phases if phase.name]
    listed = named(names, _NAMED) if names else ""
    if name is None and len(phases) == 1:
        return phases[0]
    if name is None:
        told = f"the file has {len(phases)} phases, and an import stores the weights of one"
        raise WeightsError(f"{told}; accepted: --phase with one of {listed}, or --as-schedule")
    if not names:
        raise WeightsError(f"the file has no phases; accepted: without --phase {name}")
    found = next((phase for phase in phases if phase.name == name), None)
    if found is None:
        raise WeightsError(f"the file has no phase {name!r}; accepted: --phase with one of {listed}")
    return found


def read_map(texts: Sequence[str]) -> Mapping[str, str]:
    """Read `theirs=ours`, each of theirs once."""
    found: dict[str, str] = {}
    for text in texts:
        theirs, equals, ours = text.rpartition("=")
        if not equals or not theirs or theirs in found:
            what = "names it twice" if theirs in found else "is not accepted"
            raise SettingsError(f"--map {text!r} {what}; accepted: --map THEIRS=OURS, each source once")
        found[theirs] = ours
    return found


async def _ready(storing: Storing, *, dry_run: bool) -> Ready:
    """Find out what is READY; where nothing is stored, see whether it could be.

    Raises:
        StaleError: Another version is in force than is asked for.
    """
    ready = await find_ready_here()
    if dry_run and storing.if_version is not None:
        async with open_redis() as opened:
            writer = RedisWeightsWriter(opened.client, opened.keys, defaults=lambda: ready.defaults)
            await look_at_version(writer, storing.name, storing.if_version)
    return ready


async def find_ready_here() -> Ready:
    """Find out which categories have READY chunks, as far as that is known."""
    async with open_redis() as opened:
        return await try_to_find_ready(opened.client, opened.keys, opened.settings)


def _notes(phase: Phase, placed: Sequence[Placed]) -> list[str]:
    """Return sentences about what is not kept of the file."""
    notes = [text] if (text := left_out_text(placed)) else []
    return notes if phase.until is None else [*notes, until_note(phase, phase.until)]


def left_out_text(placed: Sequence[Placed]) -> str:
    """Write which sources of a phase are left out, and how much they weigh; empty if none is."""
    left_out = [one.source for one in placed if not one.category and one.source.weight]
    if not left_out:
        return ""
    part = sum(source.weight for source in left_out) / sum(one.source.weight for one in placed)
    labels = named([source.label for source in left_out], _NAMED)
    return f"left out, as --map says: {labels}; their {part:.1%} go to the others"


def until_note(phase: Phase, until: Until) -> str:
    """Write that the end of a phase is not kept."""
    ends = f"{until.amount:,.15g} {until.unit}"
    return f"phase {phase.name} would end at {ends}: these weights stay until somebody changes them"


def _print_dry(phase: Phase, placed: Sequence[Placed], value: str, ready: Ready, *, as_json: bool) -> None:
    """Print what would be stored."""
    weights = parse_weights(value.encode(), "redis")
    assert weights is not None  # noqa: S101 - something weighs something
    mix = look_at_mix(weights.shares, ready)
    if as_json:
        print_json({**_document(phase, placed, weights), **mix.document})
        return
    labels: dict[str, list[str]] = {}
    for source, category in placed:
        labels.setdefault(category, []).append(source.label)
    rows = [(name, Share(share), named(labels[name])) for name, share in weights.shares.items()]
    print_table(f"weights {weights.version}, not stored", ("category", "weight", "sources"), rows)
    for sentence in mix.warnings:
        print_text(sentence, "waits")


def _document(phase: Phase, placed: Sequence[Placed], weights: Weights) -> dict[str, Any]:
    sources = [
        {"source": source.label, "weight": source.weight, "category": category or None} for source, category in placed
    ]
    return {
        "phase": phase.name or None,
        "weights": dict(weights.shares),
        "version": weights.version,
        "sources": sources,
    }
