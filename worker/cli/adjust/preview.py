"""What `adjust preview` does."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

from worker.adapters.redis.adjust import RedisAdjust
from worker.cli.adjust.orders import Wanted, write_presets
from worker.cli.adjust.show import Shown, open_rules, read_shown
from worker.cli.context import Opened, check_dataset, open_redis
from worker.cli.printing import print_json, print_table, print_text, shares_text
from worker.cli.words import counted, number_text, span_text
from worker.core.adjust.inputs import Evidence, Library, make_inputs, needs_served
from worker.core.adjust.orders import place_text, plan_set
from worker.core.adjust.preview import Row, preview
from worker.core.adjust.rule import AMOUNTS, TIME_MS
from worker.core.adjust.rules.points import time_text
from worker.core.adjust.settings import Settings, read_settings
from worker.core.adjust.state import State
from worker.core.stats.fields import MS
from worker.core.wording import did_you_mean
from worker.errors import AdjustError
from worker.settings.servers import read_server_settings
from worker.weights.in_use import find_ready, live_workers, unit_of
from worker.weights.sizes import read_sizes

_MS_AN_HOUR: Final = AMOUNTS["hours"][1]
_NOTES: Final[Mapping[str, str]] = {
    "shadow": "the rule is a shadow: it says this, and moves nothing",
    "frozen": "the rule is frozen: this comes once `adjust resume` lets it go on",
    "paused": "the rule is paused: this comes once `adjust resume` lets it go on",
}


class Ahead(NamedTuple):
    """A rule, played ahead.

    Attributes:
        settings: The rule.
        began_ms: When it began, Unix time in ms; if it has not, now.
        rows: Its steps.
        problem: Why READY chunks are not known; empty: they are.
        note: What has to be said of the rule's mode; empty: nothing.
    """

    settings: Settings
    began_ms: int
    rows: Sequence[Row]
    problem: str
    note: str


def preview_rule(wanted: Wanted | None, dataset: str | None, count: int, *, as_json: bool) -> None:
    """Print the steps that are to come.

    Args:
        wanted: A rule, as if it were set now; None: the rule that is set.
        dataset: Whose; None: that of the global weights.
        count: Most steps to print as text; evenly chosen ones if there are more.
        as_json: Whether to print JSON, of all steps.

    Raises:
        AdjustError: There is no rule, it is not accepted, or it cannot be foreseen.
    """
    check_dataset(dataset)

    async def work() -> Ahead:
        async with open_redis() as opened, open_rules(opened) as rules:
            return await _play(opened, rules, wanted, dataset)

    ahead = asyncio.run(work())
    if as_json:
        print_json([_document(row) for row in ahead.rows])
        return
    rows = [ahead.rows[place] for place in _chosen(len(ahead.rows), count)]
    title = f"{place_text(dataset)}: rule {ahead.settings.rule}, {_counted_text(len(rows), len(ahead.rows))}"
    cells = [(_place_text(row, ahead.began_ms), shares_text(row.shares), _why(row)) for row in rows]
    print_table(title, ("from", "weights", "why"), cells)
    if ahead.note:
        print_text(ahead.note, "waits")
    if any(row.after_s for row in ahead.rows):
        print_text("steps that are held back go on in time: where counts come sooner, the weights are on their way")
    if ahead.problem:
        print_text(f"which chunks are READY is not known: {ahead.problem}", "waits")
    else:
        print_text("as far as it is known: with the library and the limits as they are now")


async def _play(opened: Opened, rules: RedisAdjust, wanted: Wanted | None, dataset: str | None) -> Ahead:
    """Read what is stored, and play a rule ahead."""
    workers = await live_workers(opened.client, opened.keys)
    told = await find_ready(workers, opened.settings)
    ready = told.categories or {}
    shown = read_shown(await rules.peek(dataset, ready.keys()))
    if wanted is not None:
        document = await write_presets(opened, {**wanted.document, "mode": "on"})
        text = (plan_set(shown.found, document, "").settings or "").encode()
        shown = Shown(replace(shown.found, settings=text, state=b"", heard={}), read_settings(text), None)
    found, settings = shown.found, shown.settings
    if settings is None or shown.problem:
        near = "" if dataset is None else did_you_mean(dataset, [name for name in await rules.names() if name])
        nothing = f"no rule is set for {place_text(dataset)}; accepted: a rule's name{near}"
        raise AdjustError(shown.problem or nothing)
    if settings.moves_by.learns:
        raise AdjustError(f"rule {settings.rule} goes by losses, which nobody can foresee; accepted: another rule")
    state = shown.state or State(settings.rule_mark, before=found.value, began_ms=found.now_ms)
    served = await rules.served(dataset) if needs_served(settings, shown.state) and shown.state else {}
    has_hours = (unit_of(workers) or opened.settings.weight_unit) == "seconds"
    library = Library(ready, await _hours(settings) if has_hours else None)
    inputs = make_inputs(settings, state, found, library, Evidence(served))
    rest_s = state.stepped_ms / 1000 + settings.interval_s - found.now_ms / 1000
    rows = list(preview(settings, inputs, state.memory, rest_s=max(0.0, rest_s)))
    return Ahead(settings, state.began_ms, rows, told.problem, _NOTES.get(shown.phase, "") if wanted is None else "")


async def _hours(settings: Settings) -> Mapping[str, float]:
    """Read the hours of categories from PostgreSQL, for a rule that goes by them.

    Other rules ask only whether hours are known.

    Raises:
        SettingsError: There is no DATABASE_URL.
        PostgresError: PostgreSQL did not answer, or refused.
        WeightsError: No category has hours.
    """
    if settings.parameters.get("by") != "hours":
        return {}
    return (await read_sizes(read_server_settings(need=["database"]), "hours")).sizes


def _chosen(count: int, most: int) -> Sequence[int]:
    """Choose rows evenly, with the first and the last, up to a number."""
    if count <= most:
        return range(count)
    return sorted({round(place * (count - 1) / max(1, most - 1)) for place in range(most)})


def _counted_text(shown: int, count: int) -> str:
    return counted(count, "step") if shown == count else f"{shown:,} of {counted(count, 'step')}"


def _place_text(row: Row, began_ms: int) -> str:
    later = f", {span_text(row.after_s)} later" if row.after_s else ""
    return f"{_position_text(row, began_ms)}{later}"


def _position_text(row: Row, began_ms: int) -> str:
    """Write where a step is."""
    if not row.unit:
        return "now"
    if row.unit == TIME_MS:
        return time_text((began_ms + row.position) / 1000)
    if row.unit == MS:
        return f"{number_text(row.position / _MS_AN_HOUR)} hours"
    return f"{row.position:,.0f} {row.unit}"


def _why(row: Row) -> str:
    return f"{row.evidence} (held by {'; '.join(row.held_by)})" if row.held_by else row.evidence


def _document(row: Row) -> Mapping[str, Any]:
    """Lay out a step as JSON."""
    return {
        "unit": row.unit or None,
        "position": row.position,
        "after_s": row.after_s,
        "weights": row.shares,
        "evidence": row.evidence,
        "held_by": list(row.held_by),
    }
