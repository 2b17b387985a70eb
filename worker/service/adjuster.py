"""The loop that makes the steps of rules that move the weights.

Every worker looks at all rules once a second, and at once at a rule that a batch waits for. A worker that finds a step
due tries to make it. The atomic step lets one of them succeed; the others find its outcome with their next look. So
nobody holds a lease: if a worker dies at any point, the step is either made, or another worker makes it within a
second.

What is due, and what a step stores, is decided in `worker.core.adjust.driver`.
"""

import asyncio
import time
import traceback
from collections.abc import Collection
from typing import Final

from worker.core.adjust.driver import (
    MadeStep,
    plan_begin,
    plan_end,
    plan_pause,
    plan_step,
    what_is_due,
)
from worker.core.adjust.inputs import Evidence, Library, make_inputs, needs_served
from worker.core.adjust.rule import DRAWN
from worker.core.adjust.rules.points import time_text
from worker.core.adjust.settings import Settings
from worker.core.adjust.state import State
from worker.core.adjust.step import MOST_RULES, Found
from worker.core.events import AdjustFailed, AdjustPaused, AdjustRefused
from worker.core.stats.fields import CHUNKS
from worker.errors import AdjustError, RedisError, RefusedError
from worker.logs.emit import RateLimited, emit
from worker.ports.adjust import AdjustStore
from worker.service.availability import Availability
from worker.service.feedback_log import FeedbackLog
from worker.service.report_reader import HEAVY, ReportReader, call
from worker.service.rule_reader import RuleReader
from worker.service.snapshots import CurrentSnapshots
from worker.ticks import tick_within, wait_until

NAME: Final = "rules"
_MS_AN_HOUR: Final = 3_600_000
_MOST_IN_A_ROW: Final = 100
_LONGEST_LOOK_S: Final = 0.25  # so that Redis is not kept busy by what nobody can use
_ALL: Final = "*"  # no dataset has this name


class Adjuster:
    """Makes the steps that are due."""

    def __init__(
        self, store: AdjustStore, current: CurrentSnapshots, availability: Availability, *, every_s: float = 1.0
    ) -> None:
        """Configure the loop.

        Args:
            store: Where rules are.
            current: The snapshots that it takes the catalog from.
            availability: Is told whether Redis answers.
            every_s: Pause between two looks, in seconds.
        """
        self._store = store
        self._current = current
        self._availability = availability
        self._every_s = every_s
        self._rules = RuleReader(store)
        self._place = 0
        self._resting: dict[str | None, tuple[tuple[bytes, ...], int]] = {}
        self._woken = asyncio.Event()
        self._waited_for: set[str | None] = set()
        self._feedback = FeedbackLog()
        self._reports = ReportReader(store, self._feedback)
        self._refused = RateLimited(interval_s=60.0, burst=1)
        self._failed = RateLimited(interval_s=60.0, burst=1)

    def wake(self, names: Collection[str | None]) -> None:
        """Look at once at the rules of some datasets: batches wait for their steps."""
        self._waited_for.update(names)
        self._woken.set()

    async def run(self) -> None:
        """Make the steps that are due, until cancelled."""
        look_at = time.monotonic()
        while True:
            self._woken = asyncio.Event()
            try:
                await self._look_at_waited_for()
                if time.monotonic() >= look_at:
                    look_at = tick_within(self._every_s)
                    await self._look()
            except RedisError as error:
                if not isinstance(error, RefusedError):
                    await self._availability.failed(NAME, str(error))
                    continue
                self._refuse_all(str(error))  # Redis answers, so the worker goes on serving
            self._availability.succeeded(NAME)
            await wait_until(self._woken, look_at)

    async def _look_at_waited_for(self) -> None:
        """Look at the rules that batches wait for. Other rules may be many, and nothing waits for them."""
        names, self._waited_for = self._waited_for, set()
        for name in names:
            await self._look_at(name, anew=True)

    async def _look(self) -> None:
        """Look at every rule once; where that takes long, the next look goes on.

        Strangers may have written thousands of bounds, and each look at a rule goes through all of them.
        """
        names = await self._store.names()
        if len(names) > MOST_RULES:
            self._refuse_all(f"there are rules for {len(names):,} datasets; accepted: at most {MOST_RULES}")
        self._rules.keep(names[:MOST_RULES])
        self._resting = {name: self._resting[name] for name in names[:MOST_RULES] if name in self._resting}
        until = time.monotonic() + _LONGEST_LOOK_S
        for name in (*names[self._place : MOST_RULES], *names[: min(self._place, MOST_RULES)]):
            await self._look_at_waited_for()
            await self._look_at(name)
            self._place += 1
            if time.monotonic() > until:
                break
        self._place %= max(1, min(len(names), MOST_RULES))

    async def _look_at(self, name: str | None, *, anew: bool = False) -> None:
        """Look at one rule."""
        try:
            await self._keep_up(name, anew=anew)
        except RefusedError as error:
            self._refuse(name, str(error))

    async def _keep_up(self, name: str | None, *, anew: bool) -> None:
        """Do all that is due for one rule. If that fails, nothing waits for the rule, and the other rules go on.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        steps = 0
        try:
            while await self._advance(name, anew=anew or steps > 0) and steps < _MOST_IN_A_ROW:
                steps += 1
        except RedisError:
            raise
        except AdjustError as error:
            self._refuse(name, str(error))
            await self._remove_bounds(name)
        except Exception as error:  # noqa: BLE001 - one rule's bug stops neither the other rules nor the draws
            self._log_failure(name, error)
            await self._remove_bounds(name)

    async def _remove_bounds(self, name: str | None) -> None:
        """Let batches wait no more for the steps of a rule that makes none."""
        found = await self._store.look(name)
        if found.bounds:
            await self._store.make(plan_end(found))

    async def _advance(self, name: str | None, *, anew: bool) -> bool:
        """Do what is due for one rule; return whether something more may be due at once.

        Raises:
            AdjustError: What is stored about it is not valid.
            RedisError: Redis did not answer, or refused.
        """
        found, settings, state = await self._rules.read(name, anew=anew)
        due = what_is_due(settings, state, found)
        if due == "end":
            return not await self._store.make(plan_end(found))
        if settings is None or due == "nothing":
            return False
        if state is None:
            served = await self._store.served(name) if needs_served(settings, None) else {}
            await self._store.make(plan_begin(settings, found, served))
            return True
        if due == "pause":
            return await self._pause(settings, state, found)
        return await self._step(settings, state, found)

    async def _pause(self, settings: Settings, state: State, found: Found) -> bool:
        """Pause a rule, because a person changed the weights."""
        who, at_ms = await self._store.author(found)
        why = f"{who or 'somebody'} changed the weights at {time_text(at_ms / 1000)}"
        if await self._store.make(plan_pause(state, found, why)):
            emit(AdjustPaused(dataset=found.name, rule=settings.rule, reason=why))
            return False
        return True

    async def _step(self, settings: Settings, state: State, found: Found) -> bool:
        """Make the next step of a rule. Where nothing comes of it, a shadow looks again once its interval is over."""
        library = self._library()
        if library is None or self._is_resting(found):
            return False
        if DRAWN in settings.units and state.mode == "on":
            drawn = (f"{CHUNKS}:{category}" for category in library.ready)
            again = await self._store.look_at(found.name, {*found.bounds, *drawn})
            if (again.settings, again.state, again.weights.mark) != (found.settings, found.state, found.weights.mark):
                return True
            found = again
        evidence = await self._evidence(settings, state, found)
        is_heavy = evidence.losses is not None and evidence.losses.size > HEAVY
        made = await call(_plan, settings, state, found, library, evidence, is_heavy=is_heavy)
        if made is None and needs_served(settings, state):
            self._resting[found.name] = _stored(found), found.now_ms + round(settings.interval_s * 1000)
        return made is not None and await self._make(made, evidence)

    def _is_resting(self, found: Found) -> bool:
        """Return whether a shadow has just counted all that was served in vain, and nothing else has changed."""
        stored, until_ms = self._resting.get(found.name, ((), 0))
        return found.now_ms < until_ms and stored == _stored(found)

    async def _evidence(self, settings: Settings, state: State, found: Found) -> Evidence:
        """Read what else a rule goes by: one that learns, by all reports of losses since its last step."""
        served = await self._store.served(found.name) if needs_served(settings, state) else {}
        if not settings.moves_by.learns:
            return Evidence(served)
        return (await self._reports.read(state, found))._replace(served=served)

    async def _make(self, made: MadeStep, evidence: Evidence) -> bool:
        """Make a step, and log its outcome."""
        if await self._store.make(made.planned):
            for event in made.events:
                emit(event)
            if (losses := evidence.losses) is not None:
                weights = made.planned.found.weights.in_force.weights
                await call(lambda: losses.outvoted, is_heavy=losses.size > HEAVY)  # the losses keep it
                self._feedback.gathered(made.planned.found.name, weights.version, losses)
        return True

    def _library(self) -> Library | None:
        """Return what is READY; None while the catalog is not known."""
        catalog = self._current.catalog
        if catalog is None:
            return None
        view = catalog.view
        if view.durations is None:
            return Library(view.ready)
        hours = (view.durations.totals_ms / _MS_AN_HOUR).tolist()
        return Library(view.ready, dict(zip(view.categories, hours, strict=True)))

    def _refuse(self, name: str | None, message: str) -> None:
        self._emit_refused(name, message, key=name or "")

    def _refuse_all(self, message: str) -> None:
        self._emit_refused(None, message, key=_ALL)

    def _emit_refused(self, name: str | None, message: str, *, key: str) -> None:
        self._refused.emit(
            lambda suppressed: AdjustRefused(dataset=name, message=message, suppressed=suppressed), key=key
        )

    def _log_failure(self, name: str | None, error: Exception) -> None:
        kind = type(error).__name__
        self._failed.emit(
            lambda suppressed: AdjustFailed(
                dataset=name,
                error=kind,
                message=str(error),
                traceback="".join(traceback.format_exception(error)),
                suppressed=suppressed,
            ),
            key=f"{name or ''} {kind}",
        )


def _stored(found: Found) -> tuple[bytes, ...]:
    return found.settings, found.state, found.weights.mark


def _plan(settings: Settings, state: State, found: Found, library: Library, evidence: Evidence) -> MadeStep | None:
    """Plan the next step of a rule."""
    return plan_step(settings, state, found, make_inputs(settings, state, found, library, evidence), evidence)
