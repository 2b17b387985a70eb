"""Changes of weights in Redis, each in one step with its entry in the history; and that history."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import redis.exceptions

from worker.adapters.redis.client import Client, redis_errors, redis_refusals
from worker.adapters.redis.replies import closing_if_misread, text_of
from worker.adapters.redis.script_texts import read_script
from worker.core.keys import Keys
from worker.core.weights.changes import PlannedChange, StoredWeights, plan_return
from worker.core.weights.history import Change, read_change
from worker.core.weights.in_force import ABSENT, WRONG_TYPE, is_weights_name, preset_of
from worker.core.weights.temporary import Return, read_return
from worker.core.weights.values import Weights, default_weights
from worker.core.wire import shown
from worker.errors import RefusedError

if TYPE_CHECKING:
    from worker.adapters.redis.light_client import LightClient

HISTORY_MAXLEN: Final = 10_000
"""About this many changes stay in the history."""
_PAGE = 100
_FIELDS_NAMED = 3
_FOUND = 6  # words of a reply about what is stored; the id of the history's entry follows
_CHANGE: Final = read_script("weights_change.lua")
_RETURNS: Final = read_script("returns_read.lua")
NEVER_FOUND: Final = b"-"
"""No key has this mark: a script that is given it only reads."""

Decide = Callable[[StoredWeights], PlannedChange | None]


class RedisWeightsWriter:
    """Changes weights, and reads their history.

    Attributes:
        has_asked: Whether Redis was ever asked to make a change. After an error it may have made it.
    """

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
            often: Sends what `expire_temporary` asks each time.
        """
        self._client = client
        self._often = often or client
        self._keys = keys
        self._defaults = defaults
        self.has_asked = False

    async def change(self, name: str | None, decide: Decide) -> Change | None:
        """Change the weights of one key, add it to the history and notify workers, in one step.

        Args:
            name: A dataset, a preset (see `worker.core.weights.in_force.preset_name`), or None for the global weights.
            decide: Plans the change by what is stored. It is called again if that has changed meanwhile.

        Returns:
            The change as the history has it; None if `decide` planned nothing.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        found = await self.look(name)
        while (step := decide(found)) is not None:
            expected, record = (step.found.mark, step.found.return_text), step.record
            words = (
                step.verb,
                step.value,
                step.return_text,
                HISTORY_MAXLEN,
                *(word for pair in record.items() for word in pair),
            )
            self.has_asked = True
            found, entry_id = await self._call(name, *expected, *words)
            if entry_id is not None:
                return read_change(entry_id, {field: text_of(value) for field, value in record.items()})
        return None

    async def look(self, name: str | None) -> StoredWeights:
        """Read all that is stored about one weights key.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        found, _ = await self._call(name, NEVER_FOUND, "")
        return found

    async def history(self, before: str = "") -> AsyncIterator[Change]:
        """Yield the changes in the history, the newest first.

        Args:
            before: Id of an entry: only what is older; empty: all.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        newest = f"({before}" if before else "+"
        while True:
            with redis_errors(f"reading the history of weights in {self._keys.history}"):
                page: Any = await self._client.execute_command(
                    "XREVRANGE", self._keys.history, newest, "-", "COUNT", _PAGE
                )
                async with closing_if_misread(self._client):
                    changes = [_change(*entry) for entry in page]
            for change in changes:
                yield change
            if len(page) < _PAGE:
                return
            newest = f"({text_of(page[-1][0])}"

    async def history_after(self, entry_id: str, count: int) -> list[Change]:
        """Return changes that came after an entry of the history, the oldest first.

        Args:
            entry_id: The entry's id; it need not exist.
            count: At most this many.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        with redis_errors(f"reading the history of weights in {self._keys.history}"):
            page: Any = await self._client.execute_command(
                "XRANGE", self._keys.history, f"({entry_id}", "+", "COUNT", count
            )
            async with closing_if_misread(self._client):
                return [_change(*entry) for entry in page]

    async def expire_temporary(self) -> str:
        """End temporary weights whose time is over; if several workers try at once, one of them succeeds.

        Returns:
            A sentence that names fields of the returns that cannot be read; empty if all can be.

        Raises:
            RefusedError: Redis refuses to end one of them; the others are ended.
            RedisError: Redis did not answer.
        """
        with redis_refusals(f"reading {self._keys.returns}"):
            if await self._has_no_returns():
                return ""
            reply: Any = await self._often.execute_command("EVAL", _RETURNS, 1, self._keys.returns)
            async with closing_if_misread(self._often):
                now_ms, words = int(reply[0]), reply[1]
                if words is None:
                    return f"{self._keys.returns} holds no hash; accepted: once it is deleted (DEL)"
                returns = {name: read_return(text) for name, text in zip(words[0::2], words[1::2], strict=True)}
        problems: list[RefusedError] = []
        for name, found in returns.items():
            if found is not None and found.due_ms <= now_ms and _is_name(name):
                try:
                    await self.change(text_of(name) or None, plan_return)
                except RefusedError as error:
                    problems.append(error)  # one key that is wrong does not keep the others waiting
        if problems:
            raise problems[0]
        unreadable = [name for name, found in returns.items() if found is None or not _is_name(name)]
        return self._refuse_returns(unreadable) if unreadable else ""

    async def _has_no_returns(self) -> bool:
        """Return whether there is nothing to read, which every worker asks each second, and which needs no script."""
        if self._often is self._client:
            return False  # who asks once needs no other command before the script
        try:
            found: Any = await self._often.execute_command("HGETALL", self._keys.returns)
        except redis.exceptions.ResponseError:
            return False  # the script says what is wrong
        if found == []:
            return True
        async with closing_if_misread(self._often):
            if not isinstance(found, list) or any(not isinstance(word, bytes) for word in found):
                raise TypeError("HGETALL says fields and values")
        return False

    def _refuse_returns(self, fields: Sequence[bytes]) -> str:
        """Write the sentence that names fields which hold no return."""
        named = ", ".join(map(shown, fields[:_FIELDS_NAMED]))
        more = f" and {len(fields) - _FIELDS_NAMED} more" if len(fields) > _FIELDS_NAMED else ""
        return (
            f"field {named}{more} of {self._keys.returns} holds no return of temporary weights; "
            "accepted: once it is removed (HDEL), or the weights are set again"
        )

    async def pending(self, name: str | None) -> Return | None:
        """Read what temporary weights will give way to; None if there are none. A reader's rights are enough.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        with redis_errors(f"reading the returns of weights in {self._keys.returns}"):
            text: Any = await self._client.hget(self._keys.returns, name or "")
            async with closing_if_misread(self._client):
                return None if text is None else read_return(text)

    async def presets(self) -> list[str]:
        """List the presets that were stored through this project's writers.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        with redis_errors(f"listing the presets in {self._keys.presets}"):
            async with closing_if_misread(self._client):  # redis-py makes a set of the reply
                names: Any = await self._client.smembers(self._keys.presets)
                return sorted(text_of(name) for name in names)

    async def _call(self, name: str | None, *words: str | bytes | int) -> tuple[StoredWeights, str | None]:
        """Run the script; return what is stored, and the id of the history's entry if the change was made."""
        keys = self._keys
        names = (keys.weights(name), keys.weights(), keys.history, keys.returns, keys.presets)
        with redis_refusals(f"a change of {names[0]}, with its history, returns and presets"):
            reply: Any = await self._client.execute_command(
                "EVAL", _CHANGE, len(names), *names, name or "", preset_of(name), *words
            )
            async with closing_if_misread(self._client):
                own, shared = (reply[1], value_of(*reply[1:3])), (reply[3], value_of(*reply[3:5]))
                found = StoredWeights(name, int(reply[0]), *own, *shared, reply[5], self._defaults())
                return found, text_of(reply[6]) if len(reply) > _FOUND else None


def _change(entry_id: bytes, words: Sequence[bytes]) -> Change:
    """Read an entry of the history, field by field as it stands there."""
    texts = [text_of(word) for word in words]
    return read_change(text_of(entry_id), dict(zip(texts[0::2], texts[1::2], strict=True)))


def value_of(mark: bytes, value: bytes) -> bytes | None:
    """Read a key's value as the script writes it: empty if the key is absent or of a wrong type."""
    return None if mark in (ABSENT, WRONG_TYPE) else value


def _is_name(field: bytes) -> bool:
    """Whether a field of the returns names a weights key."""
    return not field or is_weights_name(text_of(field))
