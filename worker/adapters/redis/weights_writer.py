"""Changes of weights in Redis, each in one step with its note in the history, and that history."""

from collections.abc import AsyncIterator, Callable, Sequence
from importlib.resources import files
from typing import Any, Final

from worker.adapters.redis.client import Client, redis_errors, redis_refusals
from worker.adapters.redis.replies import closing_if_misread
from worker.adapters.redis.weights import reading
from worker.core.keys import Keys
from worker.core.weights.changes import PlannedChange, StoredWeights, plan_return
from worker.core.weights.history import Change, read_change
from worker.core.weights.in_force import is_weights_name, preset_of
from worker.core.weights.temporary import Return, read_return
from worker.core.weights.values import Weights, default_weights
from worker.core.wire import shown
from worker.errors import RefusedError

_HISTORY_MAXLEN = 10_000
_PAGE = 100
_FIELDS_NAMED = 3
_FOUND = 6  # words of a reply that says what was found; the history's entry comes after
_CHANGE: Final = files("worker.adapters.redis").joinpath("scripts", "weights_change.lua").read_text()
_RETURNS: Final = files("worker.adapters.redis").joinpath("scripts", "returns_read.lua").read_text()
_NEVER_FOUND: Final = b"-"  # no mark is this: the script only tells what stands there

Decide = Callable[[StoredWeights], PlannedChange | None]


class RedisWeightsWriter:
    """Change weights, and read what was changed."""

    def __init__(self, client: Client, keys: Keys, *, defaults: Callable[[], Weights] = default_weights) -> None:
        """Take a connection, the names in Redis, and what tells the weights that hold where nobody set any."""
        self._client = client
        self._keys = keys
        self._defaults = defaults

    async def change(self, name: str | None, decide: Decide) -> Change | None:
        """Change the weights of one key, note it in the history and ring the bell, in one step.

        Args:
            name: A dataset, a preset (see `worker.core.weights.in_force.preset_name`), or None for the global weights.
            decide: Plans the change by what stands there; asked again where that changed meanwhile.

        Returns:
            The change as the history has it; None: it was decided to do nothing.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        found = await self.look(name)
        while (step := decide(found)) is not None:
            fences, record = (step.found.mark, step.found.return_text), step.record
            words = (
                step.verb,
                step.value,
                step.return_text,
                _HISTORY_MAXLEN,
                *(word for pair in record.items() for word in pair),
            )
            found, entry_id = await self._call(name, *fences, *words)
            if entry_id is not None:
                return read_change(entry_id, {field: _text(value) for field, value in record.items()})
        return None

    async def look(self, name: str | None) -> StoredWeights:
        """Tell what stands there about one weights key.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        found, _ = await self._call(name, _NEVER_FOUND, "")
        return found

    async def history(self) -> AsyncIterator[Change]:
        """Yield all changes that the history remembers, the newest first.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        newest = "+"
        while True:
            with redis_errors(f"reading the history of weights in {self._keys.history}"):
                page: Any = await self._client.execute_command(
                    "XREVRANGE", self._keys.history, newest, "-", "COUNT", _PAGE
                )
            for entry_id, words in page:
                texts = [_text(word) for word in words]
                yield read_change(_text(entry_id), dict(zip(texts[0::2], texts[1::2], strict=True)))
            if len(page) < _PAGE:
                return
            newest = f"({_text(page[-1][0])}"

    async def give_back(self) -> str:
        """Make every return that is due; where several workers try at once, one of them does.

        Returns:
            What stands there and is no return, in a sentence; empty where all can be read.

        Raises:
            RefusedError: Redis refuses to make one; the others are made.
            RedisError: Redis did not answer.
        """
        with redis_refusals(f"reading {self._keys.returns}"):
            reply: Any = await self._client.execute_command("EVAL", _RETURNS, 1, self._keys.returns)
            async with closing_if_misread(self._client):
                now_ms, words = int(reply[0]), reply[1]
                if words is None:
                    return f"{self._keys.returns} holds no hash; accepted: once it is deleted (DEL)"
                returns = {name: read_return(text) for name, text in zip(words[0::2], words[1::2], strict=True)}
        problems: list[RefusedError] = []
        for name, found in returns.items():
            if found is not None and found.due_ms <= now_ms and _is_name(name):
                try:
                    await self.change(_text(name) or None, plan_return)
                except RefusedError as error:
                    problems.append(error)  # what is wrong with one key keeps no other waiting
        if problems:
            raise problems[0]
        unreadable = [name for name, found in returns.items() if found is None or not _is_name(name)]
        return self._refuse_returns(unreadable) if unreadable else ""

    def _refuse_returns(self, fields: Sequence[bytes]) -> str:
        """Say which fields are no returns."""
        named = ", ".join(map(shown, fields[:_FIELDS_NAMED]))
        more = f" and {len(fields) - _FIELDS_NAMED} more" if len(fields) > _FIELDS_NAMED else ""
        return (
            f"field {named}{more} of {self._keys.returns} holds no return of temporary weights; "
            "accepted: once it is removed (HDEL), or the weights are set again"
        )

    async def pending(self, name: str | None) -> Return | None:
        """Tell the return of temporary weights that is to come; with the rights of a reader.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        with redis_errors(f"reading the returns of weights in {self._keys.returns}"):
            text: Any = await self._client.hget(self._keys.returns, name or "")
        return None if text is None else read_return(text)

    async def presets(self) -> list[str]:
        """List the presets that were stored through this project's writers.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        with redis_errors(f"listing the presets in {self._keys.presets}"):
            names: Any = await self._client.smembers(self._keys.presets)
        return sorted(_text(name) for name in names)

    async def _call(self, name: str | None, *words: str | bytes | int) -> tuple[StoredWeights, str | None]:
        """Run the script; tell what stands there, and the history's entry where it did what it was told."""
        keys = self._keys
        names = (keys.weights(name), keys.weights(), keys.history, keys.returns, keys.presets)
        with redis_refusals(f"a change of {names[0]} (its history, returns and presets are of it)"):
            reply: Any = await self._client.execute_command(
                "EVAL", _CHANGE, len(names), *names, name or "", preset_of(name), *words
            )
            async with closing_if_misread(self._client):
                own, shared = reading(reply[1], reply[2]), reading(reply[3], reply[4])
                found = StoredWeights(
                    name, int(reply[0]), own.mark, own.value, shared.mark, shared.value, reply[5], self._defaults()
                )
                return found, _text(reply[6]) if len(reply) > _FOUND else None


def _is_name(field: bytes) -> bool:
    """Tell whether a field of the returns names a weights key."""
    return not field or is_weights_name(_text(field))


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode(errors="replace")
