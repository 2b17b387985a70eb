"""One look at Redis: everything that the view is made of, as far as it can be read."""

import time
from collections import deque
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from worker.adapters.redis.client import Client
from worker.adapters.redis.fields import Fields, given, read_fields
from worker.adapters.redis.presence import read_backlog
from worker.adapters.redis.stats import RedisStats
from worker.adapters.redis.weights_writer import RedisWeightsWriter
from worker.core.keys import Keys
from worker.core.stats import Counts
from worker.core.stats.heard import heard_field
from worker.core.weights.history import Change
from worker.core.weights.temporary import Return, read_return
from worker.core.workers.states import WorkerState, read_workers
from worker.errors import GroupMissingError, RedisError, RedisLoginError, RedisUnreachableError
from worker.live.history import HistoryTail, Setter
from worker.live.pace import Pace
from worker.live.rarely import Rarely
from worker.live.rules import RuleFields, Rules, counts_due, with_heard
from worker.live.weights_keys import States, WeightsKeys
from worker.ports import Backlog

_RATE_S: Final = 5.0
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Totals:
    """Counts over all datasets at one moment (monotonic, s)."""

    at_s: float
    requests: int
    errors: int
    chunks: int


@dataclass(slots=True)
class Reading:
    """What is known of Redis; what could not be read stays as it was.

    Attributes:
        at_s: When it was read, in seconds of a monotonic clock.
        at_ms: The same as Unix time in ms.
        documents: The states of live workers.
        workers: The same, typed; without unreadable ones.
        before: The weights keys before the counts were read.
        after: The same after it.
        counts: The counts; None before the first reading.
        has_new_counts: Whether this look has read them.
        counts_every_s: How often they are read.
        backlog: What waits; None: there is no group, or it is not known.
        changes: The changes of weights since the last look.
        returns: Weights name -> the return to come.
        rules: Weights name -> the rule that moves the weights; None: there is none.
        problems: What could not be read -> why.
    """

    at_s: float = 0.0
    at_ms: int = 0
    documents: Sequence[dict[str, Any]] = ()
    workers: Sequence[WorkerState] = ()
    before: States = field(default_factory=dict)
    after: States = field(default_factory=dict)
    counts: Counts | None = None
    has_new_counts: bool = False
    counts_every_s: float = 1.0
    backlog: Backlog | None = None
    changes: Sequence[Change] = ()
    returns: dict[str | None, Return | None] = field(default_factory=dict)
    rules: Rules = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)


class Reader:
    """Reads everything in one go, what is dear more rarely.

    Attributes:
        reading: What was found.
        history: The changes of weights.
        rarely: Presets and sessions.
        counting: When counts are read again; with many categories they are dear.
        counting_s: How many seconds of this thread the last reading of counts took.
    """

    def __init__(self, client: Client, keys: Keys) -> None:
        """Read later.

        Args:
            client: A connection.
            keys: Names in Redis.
        """
        self._client = client
        self._keys = keys
        self._stats = RedisStats(client, keys)
        self._writer = RedisWeightsWriter(client, keys)
        self._weights = WeightsKeys(client, keys)
        self._rules = RuleFields()
        self._scan = Pace(2.0)
        self.counting, self.counting_s = Pace(0.9), 0.0
        self._worker_keys: Sequence[bytes] = ()
        self._totals: deque[Totals] = deque()
        self.history = HistoryTail(self._writer)
        self.rarely = Rarely(client, keys)
        self.reading = Reading()

    def close(self) -> None:
        """Close the connection of its own."""
        self._weights.close()

    async def read(self, names: Sequence[str | None]) -> Reading:
        """Look at Redis once.

        Args:
            names: The datasets that are watched; None stands for the global weights.

        Raises:
            RedisUnreachableError: Redis does not answer.
            RedisLoginError: It refuses the login.
            RedisError: It refuses the weights, and has never shown them: there is nothing to see without them.
        """
        found = self.reading
        found.documents = await self._part("workers", self._states(), found.documents)
        found.workers = read_workers(found.documents)
        weights = self._weights.read(names)
        found.before = await (self._part("weights", weights, found.before) if found.before else weights)
        found.has_new_counts = self.counting.is_due
        if found.has_new_counts:
            found.counts = await self._part("counts", self._counts(), found.counts)
            found.has_new_counts = "counts" not in found.problems
            found.after = await self._part("weights", self._weights.read(names), found.before)
        found.counts_every_s = max(1.0, self.counting.pause_s)
        found.backlog = await self._part("backlog", self._backlog(), None)
        found.changes = await self._part("history", self.history.read(), ())
        await self._read_fields(list(dict.fromkeys([None, *names])))
        if self.rarely.are_presets_due(found.changes):
            await self._part("presets", self.rarely.read_presets(found.workers), None)
        if self.rarely.are_sessions_due:
            await self._part("sessions", self.rarely.read_sessions(found.workers), None)
        found.at_s, found.at_ms = time.monotonic(), time.time_ns() // 1_000_000
        return found

    async def setter(self, name: str | None, version: str) -> Setter | None:
        """Return who put a version of some weights in force, when and why; None if that is not known.

        Raises:
            RedisUnreachableError: Redis does not answer.
            RedisLoginError: It refuses the login.
        """
        return await self._part("who set the weights", self.history.setter(name, version), None)

    def rates(self) -> dict[str, float | None]:
        """Return how many requests, chunks and errors were settled a second, lately; None: not known yet."""
        names = ("requests", "chunks", "errors")
        if len(self._totals) < 2:  # noqa: PLR2004 - a rate needs two
            return {f"{name}_per_s": None for name in names}
        first, last = self._totals[0], self._totals[-1]
        length_s = max(last.at_s - first.at_s, 1e-3)
        return {f"{name}_per_s": round((getattr(last, name) - getattr(first, name)) / length_s, 1) for name in names}

    async def _part(self, name: str, reading: Awaitable[_T], otherwise: _T) -> _T:
        """Read one part; if Redis refuses it, the others are read all the same, and the view says so.

        Raises:
            RedisUnreachableError: Redis does not answer.
            RedisLoginError: It refuses the login.
        """
        try:
            found = await reading
        except (RedisUnreachableError, RedisLoginError):
            raise
        except GroupMissingError:
            return otherwise  # no worker has served here yet
        except RedisError as error:
            self.reading.problems[name] = str(error)
            return otherwise
        self.reading.problems.pop(name, None)
        return found

    async def _states(self) -> list[dict[str, Any]]:
        """Read the states of workers; their keys are listed now and then, as that scans all keys."""
        if self._scan.is_due:
            with self._scan.timed():
                self._worker_keys = await self._stats.worker_keys()
        states = await self._stats.states(self._worker_keys)
        if len(states) < len(self._worker_keys):
            self._scan.hurry()
        return states

    async def _counts(self) -> Counts:
        began = time.thread_time()
        counts = await self._stats.read()
        self._add_totals(counts)
        self.counting_s = time.thread_time() - began
        return counts

    def _add_totals(self, counts: Counts) -> None:
        now = time.monotonic()
        totals = Totals(now, sum(counts.requests.values()), sum(counts.errors.values()), counts.chunks)
        if self._totals and totals.requests < self._totals[-1].requests:
            self._totals.clear()  # somebody has cleared the counts
        while len(self._totals) > 1 and self._totals[1].at_s <= now - _RATE_S:
            self._totals.popleft()
        self._totals.append(totals)

    async def _backlog(self) -> Backlog:
        return await read_backlog(self._client, self._keys)

    async def _read_fields(self, names: Sequence[str | None]) -> None:
        """Read returns and rules in one round trip, and in another what was heard, where rules go by that.

        Raises:
            RedisUnreachableError: Redis does not answer.
            RedisLoginError: It refuses the login.
        """
        found, keys, datasets = self.reading, self._keys, [name or "" for name in names]
        wanted = {keys.returns: datasets, keys.adjust: datasets, keys.adjust_state: datasets}
        returns, *rules = await read_fields(self._client, wanted)
        found.returns = await self._part("returns", _returns(names, returns), found.returns)
        found.rules = await self._part("rules", self._observe_rules(names, rules), found.rules)

    async def _observe_rules(self, names: Sequence[str | None], fields: Sequence[Fields | RedisError]) -> Rules:
        rules = self._rules.observe(names, *map(given, fields))
        counts = counts_due(rules)
        if not counts:
            return rules
        heard = [heard_field(unit, name) for name, unit in counts]
        [found] = await read_fields(self._client, {self._keys.heard: heard})
        return with_heard(rules, dict(zip(counts, given(found), strict=True)))


async def _returns(names: Sequence[str | None], texts: Fields | RedisError) -> dict[str | None, Return | None]:
    found = zip(names, given(texts), strict=True)
    return {name: None if text is None else read_return(text) for name, text in found}
