"""What a client does to weights, in the step that the command line takes."""

import json
from collections.abc import Callable
from dataclasses import dataclass

from worker.adapters.redis.client import Client
from worker.adapters.redis.weights_writer import RedisWeightsWriter
from worker.client.weights import Preset, Values, Wanted, WeightsChange, WeightsInForce, check_text, plain_pairs
from worker.core.keys import NAME_PATTERN, Keys
from worker.core.weights.changes import StoredWeights, WantedChange
from worker.core.weights.documents import change_document
from worker.core.weights.history import Change
from worker.core.weights.left_out import unweighted
from worker.core.weights.presets import BUILT_IN_PRESETS, own_preset_name
from worker.core.weights.values import check_values, parse_weights
from worker.core.wording import plural
from worker.core.workers.mix import Mix, look_at_mix
from worker.core.workers.ready import ready_of
from worker.errors import WeightsError
from worker.settings.environment import user
from worker.weights.change import Applied, change_weights, roll_back
from worker.weights.in_use import live_workers, make_survey
from worker.weights.presets import all_presets
from worker.weights.step import Made, Place, Work, make_change

_MS = 1000

Make = Callable[[StoredWeights], str | None]


@dataclass(frozen=True, slots=True)
class WeightsWork:
    """Looks at weights and changes them, over one connection.

    Attributes:
        client: The connection.
        keys: Names in Redis.
    """

    client: Client
    keys: Keys

    async def show(self, dataset: str | None) -> WeightsInForce:
        """Find out what is in force."""
        survey = await make_survey(self.client, self.keys, None, name_of(dataset, None))
        use, change = survey.use, survey.change
        mix = Mix(None, ()) if use.shares is None else look_at_mix(use.shares, survey.ready)
        return WeightsInForce(
            dataset=use.name,
            weights=None if use.shares is None else dict(use.shares),
            version=use.version,
            source=use.source,
            workers=use.workers,
            others={other.version: other.workers for other in survey.uses[1:]},
            who=None if change is None else change.who,
            reason=None if change is None else change.reason,
            set_at_ms=None if change is None else change.at_ms,
            until_ms=None if survey.pending is None else survey.pending.due_ms,
            problem=survey.problem,
            left_out=mix.left_out,
            unweighted=tuple(unweighted(use.shares or {}, survey.ready.categories or ())),
            warnings=mix.warnings,
        )

    async def set(self, weights: Values, dataset: str | None, wanted: Wanted) -> WeightsChange:
        """Store weights."""
        text = weights_text(weights)
        return await self._change(lambda _: text, dataset, wanted)

    async def update(self, weights: Values, dataset: str | None, wanted: Wanted) -> WeightsChange:
        """Store some weights; categories that are not named keep what they weigh."""
        named = check_values(plain_pairs(weights))

        def merged(found: StoredWeights) -> str:
            if found.problem is not None:
                raise WeightsError(f"what the key holds is refused, so that nothing can be kept of it: {found.problem}")
            return weights_text({**found.values, **named})

        return await self._change(merged, dataset, wanted)

    async def remove(self, dataset: str | None, wanted: Wanted) -> WeightsChange:
        """Remove weights."""

        def nothing(found: StoredWeights) -> None:
            if found.value is None and wanted.preset is not None:
                raise WeightsError(f"preset {wanted.preset!r} is not stored; accepted: one that presets() has")

        return await self._change(nothing, dataset, wanted)

    async def roll_back(self, version: str | None, dataset: str | None, wanted: Wanted) -> WeightsChange:
        """Undo the last change, or go back to a version."""
        name = name_of(dataset, wanted.preset)
        order = WantedChange(None, who_of(wanted), wanted.reason)

        async def work(writer: RedisWeightsWriter) -> Change:
            return await roll_back(writer, name, order, version=version, if_version=wanted.if_version)

        return await self._make(work, name, wanted)

    async def history(self, dataset: str | None, preset: str | None, count: int) -> list[WeightsChange]:
        """Read the newest changes."""
        name = name_of(dataset, preset)
        found: list[WeightsChange] = []
        async for change in RedisWeightsWriter(self.client, self.keys).history():
            if name in {None, change.name} and len(found) < count:
                found.append(WeightsChange(**change_document(change)))
            if len(found) >= count:
                break
        return found

    async def presets(self) -> dict[str, Preset]:
        """List all presets."""
        ready = ready_of(await live_workers(self.client, self.keys)).known
        return {
            name: Preset(
                name=name,
                is_built_in=name in BUILT_IN_PRESETS,
                weights=None if weights is None else dict(weights.shares),
                version=None if weights is None else weights.version,
            )
            for name, weights in await all_presets(self.client, self.keys, ready)
        }

    async def _change(self, make: Make, dataset: str | None, wanted: Wanted) -> WeightsChange:
        """Store what `make` makes of what is stored; None: the key is removed."""
        name, who = name_of(dataset, wanted.preset), who_of(wanted)
        lasts_ms, lasts = None, ""
        if wanted.for_s is not None:
            lasts_ms, lasts = round(wanted.for_s * _MS), f"{wanted.for_s:g}s"

        def order(found: StoredWeights) -> WantedChange:
            return WantedChange(make(found), who, wanted.reason, lasts_ms, lasts)

        async def work(writer: RedisWeightsWriter) -> Change:
            return await change_weights(writer, name, order, if_version=wanted.if_version)

        return await self._make(work, name, wanted)

    async def _make(self, work: Work, name: str | None, wanted: Wanted) -> WeightsChange:
        return change_of(await make_change(Place(self.client, self.keys), name, work, wanted.wait_s), wanted.wait_s)


def name_of(dataset: str | None, preset: str | None) -> str | None:
    """Return the weights name that arguments mean.

    Raises:
        TypeError: One of them is no text.
        WeightsError: The name is not accepted, or both are given.
    """
    if check_text("preset", preset) is not None:
        if dataset is not None:
            raise WeightsError("dataset and preset exclude each other; accepted: one of them")
        return own_preset_name(str(preset))
    if check_text("dataset", dataset) is not None and not NAME_PATTERN.fullmatch(str(dataset)):
        raise WeightsError(f"dataset {dataset!r} is not accepted; accepted: {NAME_PATTERN.pattern}")
    return dataset


def who_of(wanted: Wanted) -> str:
    """Return who wants a change: as given, or who runs this process."""
    return user() if wanted.who is None else wanted.who


def weights_text(weights: Values) -> str:
    """Write weights as their key holds them.

    Raises:
        WeightsError: Workers would refuse them, or all are zero.
    """
    values = check_values(plain_pairs(weights))
    if not any(values.values()):
        wanted = "at least one above zero, or remove_weights() to end those that are set"
        raise WeightsError(f"all weights are zero; accepted: {wanted}")
    text = json.dumps(values)
    parse_weights(text.encode(), "redis")
    return text


def change_of(made: Made, wait_s: float | None) -> WeightsChange:
    """Return what came of a change as a plain value.

    Args:
        made: What came of it.
        wait_s: How long was waited for the workers at most; None: not at all.
    """
    told = change_document(made.change)
    if made.applied is not None:
        told |= {
            "applied_by": made.applied.applied,
            "missing": made.applied.missing,
            "unasked": made.applied.unasked,
            "waited_ms": round(made.applied.took_s * _MS, 1),
        }
    warnings = made.mix.warnings if made.applied is None else _doubts(made.mix, made.applied, wait_s or 0.0)
    return WeightsChange(**told, left_out=made.mix.left_out, warnings=warnings)


def _doubts(mix: Mix, applied: Applied, wait_s: float) -> tuple[str, ...]:
    """Return warnings: what cannot be drawn, and which workers have not applied a change."""
    holders = len(applied.applied) + len(applied.missing)
    if not holders + len(applied.unasked):
        return ("the weights are stored, but no worker is alive, so that none has applied them",)
    if not applied.missing:
        return mix.warnings
    late = f"applied by {len(applied.applied)} of {plural(holders, 'worker')} within {wait_s:g} s"
    return (*mix.warnings, f"{late}; not by {', '.join(applied.missing)}")
