"""What `weights import --as-schedule` does: phases that were made elsewhere become the points of a schedule."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from worker.adapters.mix_file import read_mix
from worker.cli.adjust.orders import Wanted, set_rule
from worker.cli.adjust.preview import preview_rule
from worker.cli.context import check_dataset
from worker.cli.output import complain
from worker.cli.weights.imported import Wanted as Taken
from worker.cli.weights.imported import find_ready_here, left_out_text, read_map, until_note
from worker.core.adjust.mixes import Phase, phases_of, schedule_of
from worker.core.adjust.sources import Placed, add_up, place_sources
from worker.errors import WeightsError

_SHADOW = "shadow"
_ROWS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduling:
    """How a schedule is set, by the options of the same names.

    Attributes:
        mode: The mode; None: shadow, which moves nothing.
        between: What is between two points; None: the weights of the first.
        floor: Words such as `0.01` or `voice=0.1`.
        ceiling: Likewise.
        most_change: A number, or `none`; None: no limit.
    """

    mode: str | None
    between: str | None
    floor: Sequence[str]
    ceiling: Sequence[str]
    most_change: str | None


def import_schedule(taken: Taken, dataset: str | None, how: Scheduling, *, dry_run: bool, as_json: bool) -> None:
    """Set the rule `schedule` out of a file, and print what came of it.

    Args:
        taken: What is taken out of the file; all its phases are.
        dataset: Whose weights the rule moves; None: the global ones.
        how: How it is set.
        dry_run: Whether only to print the steps to come.
        as_json: Whether to print JSON.

    Raises:
        SettingsError: The options do not go together.
        WeightsError: The file is no mix, or names what the library has not.
        AdjustError: The rule is not accepted.
    """
    check_dataset(dataset)
    phases = phases_of(read_mix(taken.file))
    weights = _weights_of(phases, read_map(taken.mapped))
    words = [f"{name}={json.dumps(value)}" for name, value in schedule_of(phases, weights).items()]
    if how.between is not None:
        words.append(f"between={how.between}")
    if phases[-1].until is not None:
        complain(until_note(phases[-1], phases[-1].until))
    rule = Wanted("schedule", words, how.mode or _SHADOW, how.floor, how.ceiling, most_change=how.most_change)
    if dry_run:
        preview_rule(rule, dataset, _ROWS, as_json=as_json)
    else:
        set_rule(rule, dataset, as_json=as_json)


def _weights_of(phases: Sequence[Phase], mapped: Mapping[str, str]) -> list[Mapping[str, float]]:
    """Find the categories of all sources, and add them up by phase; say what is left out."""
    ready = asyncio.run(find_ready_here())
    sources = [source for phase in phases for source in phase.sources]
    placed = iter(place_sources(sources, mapped, ready.known))
    return [_of_phase(phase, list(islice(placed, len(phase.sources)))) for phase in phases]


def _of_phase(phase: Phase, placed: Sequence[Placed]) -> Mapping[str, float]:
    where = f"phase {phase.name}: " if phase.name else ""
    if text := left_out_text(placed):
        complain(f"{where}{text}")
    try:
        return add_up(placed)
    except WeightsError as error:
        raise WeightsError(f"{where}{error}") from None
