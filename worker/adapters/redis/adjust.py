"""Rules that move the weights, in Redis: all that is stored about one changes in one step of `adjust_step.lua`."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from worker.adapters.redis.client import Client, redis_refusals
from worker.adapters.redis.feedback import read_reports
from worker.adapters.redis.fields import given, read_fields
from worker.adapters.redis.replies import closing_if_misread, text_of
from worker.adapters.redis.script_texts import read_script
from worker.adapters.redis.weights import RedisWeights
from worker.adapters.redis.weights_writer import HISTORY_MAXLEN, NEVER_FOUND, value_of
from worker.core.adjust.step import Found, PlannedStep
from worker.core.keys import NAME_PATTERN, Keys
from worker.core.stats.counts import read_count
from worker.core.stats.fields import CHUNKS, split
from worker.core.stats.heard import UNITS, heard_field, heard_growth, read_field
from worker.core.weights.authors import BEFORE_ALL
from worker.core.weights.changes import StoredWeights
from worker.core.weights.history import sort_key
from worker.core.weights.in_force import mark_of
from worker.core.weights.values import Weights, default_weights
from worker.core.wire.feedback import RefusedReport, Report

if TYPE_CHECKING:
    from worker.adapters.redis.light_client import LightClient

_ONLY_KNOWN: Final = b"known"  # a mark that nothing has: the script only reads, of bounds those that are named
_STEP: Final = read_script("adjust_step.lua")
_FOUND: Final = 10  # parts of a reply about what is stored; a word that the step is made follows
_MOST_LOOKED_AT: Final = 100
_PAGE: Final = 1000
Decide = Callable[[Found], PlannedStep]


class RedisAdjust:
    """Reads rules, and makes their steps."""

    def __init__(
        self,
        client: Client,
        keys: Keys,
        *,
        defaults: Callable[[], Weights] = default_weights,
        often: "LightClient | None" = None,
    ) -> None:
        """Connect later.

        Args:
            client: Sends the commands.
            keys: Names in Redis.
            defaults: Returns the weights of a key that holds none.
            often: Asks whether there is any rule.
        """
        self._client = client
        self._often = often or client
        self._keys = keys
        self._defaults = defaults
        self._weights = RedisWeights(client, keys)

    async def names(self) -> list[str | None]:
        """List the datasets that a rule is set for, or that something is left of one; None is the global one.

        Fields that no dataset can have are left out. Whoever may write there can invent datasets. So those that have
        bounds come first, then those that have a state: what other programs wrote stands in no rule's way.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        keys = self._keys
        places = (keys.bounds, keys.adjust_state, keys.adjust)
        with redis_refusals(f"looking for {', '.join(places)}"):
            # Every worker asks each second, and mostly nobody has set a rule: one command says so.
            there: Any = await self._often.execute_command("EXISTS", *places)
            async with closing_if_misread(self._often):
                if type(there) is not int:
                    raise TypeError("EXISTS says how many")
            if there == 0:
                return []
        found = [await self._fields(key) for key in places]
        bounded = [read_field(field)[1] or "" for field in found[0]]
        names = dict.fromkeys([*sorted(bounded), *sorted(found[1]), *sorted(found[2])])
        return [name or None for name in names if not name or NAME_PATTERN.fullmatch(name)]

    async def look(self, name: str | None, categories: Collection[str] = ()) -> Found:
        """Read all that is stored about the rule of one dataset, at one moment.

        Args:
            name: The dataset; None: the global weights.
            categories: Those whose chunks heard are read, too.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        units = (*UNITS, *(f"{CHUNKS}:{category}" for category in categories))
        found, _ = await self._call(name, units, NEVER_FOUND, "", "", "")
        return found

    async def look_at(self, name: str | None, units: Collection[str]) -> Found:
        """Read all that is stored about the rule of one dataset but bounds that are not named, at one moment.

        Args:
            name: The dataset; None: the global weights.
            units: Those whose counts and bounds are read beside `UNITS`, such as `chunks:<category>`.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        found, _ = await self._call(name, tuple({*UNITS, *units}), _ONLY_KNOWN, "", "", "")
        return found

    async def peek(self, name: str | None, categories: Collection[str] = ()) -> Found:
        """Read what is stored about the rule of one dataset, one key after another. A reader's rights are enough.

        Args:
            name: The dataset; None: the global weights.
            categories: Those whose chunks heard are read, too, with the bounds of these counts and of no others.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        keys, field = self._keys, name or ""
        units = (*UNITS, *(f"{CHUNKS}:{category}" for category in categories))
        own, shared = await self._weights.read([name, None])
        now_ms = await self._weights.now_ms()
        wanted = {key: [field] for key in (keys.adjust, keys.adjust_state, keys.returns)}
        wanted[keys.heard] = wanted[keys.bounds] = [heard_field(unit, name) for unit in units]
        *texts, heard, bounds = map(given, await read_fields(self._client, wanted))
        settings, state, stands = (text or b"" for [text] in texts)
        held = StoredWeights(name, now_ms, own.mark, own.value, shared.mark, shared.value, stands, self._defaults())
        counts, places = (
            {unit: _number(text) for unit, text in zip(units, texts_of, strict=True) if text}
            for texts_of in (heard, bounds)
        )
        return Found(held, settings, state, counts, places)

    def close(self) -> None:
        """Close the connection that `peek` reads weights over; it is opened again when it is needed."""
        self._weights.close()

    async def make(self, planned: PlannedStep) -> bool:
        """Make a step.

        Returns:
            Whether it was made: nothing that is stored has changed since it was planned.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        _, is_made = await self._attempt(planned)
        return is_made

    async def change(self, name: str | None, decide: Decide) -> PlannedStep:
        """Make a step that a person wants.

        Args:
            name: Whose rule; None: that of the global weights.
            decide: Plans the step by what is stored. It is called again if that has changed meanwhile.

        Returns:
            The step that was made.

        Raises:
            AdjustError: `decide` raises it.
            RedisError: Redis did not answer, or refused.
        """
        found = await self.look(name)
        while True:
            planned = decide(found)
            found, is_made = await self._attempt(planned)
            if is_made:
                return planned

    async def served(self, name: str | None) -> Mapping[str, int]:
        """Read what was heard of a dataset ever, by the stats hash: unit, or `chunks:<category>` -> count.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        key, counts = self._keys.stats, dict[str, int]()
        fields = [field for field in await self._fields(key) if split(field)[1] == (name or "")]
        for start in range(0, len(fields), _PAGE):
            part = fields[start : start + _PAGE]
            [texts] = map(given, await read_fields(self._client, {key: part}))
            read = zip(part, (read_count(text_of(text or b"")) for text in texts), strict=True)
            counts |= {field: count for field, count in read if count is not None}
        return {read_field(field)[0]: count for field, count in heard_growth(counts, {name}).items()}

    async def reports(self, cursor: str) -> tuple[Sequence[Report | RefusedReport], str]:
        """Read a page of reports of losses after a cursor; see `worker.adapters.redis.feedback.read_reports`."""
        return await read_reports(self._client, self._keys, cursor)

    async def author(self, found: Found) -> tuple[str, int]:
        """Find who stored the weights that a dataset's key holds, and when, by the newest entries of the history.

        Returns:
            Who, "" if the history does not know; and when, Unix time in ms, which is now if nobody is known.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        for one in await self._weights.authorships(BEFORE_ALL, most=_MOST_LOOKED_AT):
            if one.name == found.name and one.mark:
                is_it = one.mark == found.weights.mark
                return (one.who, sort_key(one.entry)[0]) if is_it else ("", found.now_ms)
        return "", found.now_ms

    async def _fields(self, key: str) -> Sequence[str]:
        with redis_refusals(f"reading {key}"):
            names: Any = await self._client.execute_command("HKEYS", key)
            async with closing_if_misread(self._client):
                return [text_of(name) for name in names]

    async def _attempt(self, planned: PlannedStep) -> tuple[Found, bool]:
        """Run the script with a step; return what is stored if it is not made."""
        found, change = planned.found, planned.change
        record = {} if change is None else change.record
        return await self._call(
            found.name,
            UNITS,
            *(mark_of(found.settings or None), mark_of(found.state or None)),
            *(found.weights.mark, found.weights.return_text),
            more=(
                *_written(planned.settings),
                *_written(planned.state),
                *(("KEEP", "") if change is None else (change.verb, change.value)),
                "DEL" if planned.restarts else "KEEP",
                *_fields_of(found.name, planned.bounds),
                *_fields_of(found.name, planned.heard),
                HISTORY_MAXLEN,
                *(word for pair in record.items() for word in pair),
            ),
        )

    async def _call(
        self, name: str | None, units: Sequence[str], *marks: str | bytes, more: Sequence[str | bytes | int] = ()
    ) -> tuple[Found, bool]:
        """Run the script; return what is stored, and whether the step was made."""
        keys = self._keys
        hashes = (keys.adjust, keys.adjust_state, keys.heard, keys.bounds)
        names = (*hashes, keys.weights(name), keys.weights(), keys.history, keys.returns)
        counts: Sequence[str | int] = (len(units), *(heard_field(unit, name) for unit in units))
        with redis_refusals("a step of a rule, with its weights, history and returns"):
            reply: Any = await self._client.execute_command(
                "EVAL", _STEP, len(names), *names, name or "", *marks, *counts, *more
            )
            async with closing_if_misread(self._client):
                return _read_found(name, units, reply, self._defaults()), len(reply) > _FOUND


def _read_found(name: str | None, units: Sequence[str], reply: Any, defaults: Weights) -> Found:
    own, shared = (reply[3], value_of(*reply[3:5])), (reply[5], value_of(*reply[5:7]))
    weights = StoredWeights(name, int(reply[0]), *own, *shared, reply[7], defaults)
    heard = {unit: _number(text) for unit, text in zip(units, reply[8], strict=True) if text}
    bounds = zip(reply[9][0::2], reply[9][1::2], strict=True)
    places = {read_field(text_of(field))[0]: _number(at) for field, at in bounds}
    return Found(weights, reply[1], reply[2], heard, places)


def _number(text: bytes) -> float:
    """Read a count; what is no number was written by another program, and counts as 0."""
    try:
        return max(0.0, min(float(text), 1e18))
    except ValueError:
        return 0.0


def _fields_of(name: str | None, counts: Mapping[str, float]) -> list[str | int]:
    """Write counts as the script takes them: how many, then each with its field."""
    pairs = [(heard_field(unit, name), f"{at:.17g}") for unit, at in counts.items()]
    return [len(pairs), *(word for pair in pairs for word in pair)]


def _written(text: str | None) -> tuple[str, str]:
    return ("KEEP", "") if text is None else ("SET", text) if text else ("DEL", "")
