"""Mixtures in the stats hash: written beside the counts that name them, and folded once nothing is drawn from them.

Theory. A count of chunks is compared with what its mixture (weights x catalog) makes one expect. So counts are kept by
mixture, and the mixture's shares stand in the same hash. Each change of weights or catalog makes another mixture, and
without an end the hash would grow for ever. Folding ends it:

- Every now and then a worker looks at all mixtures. One whose counts are what they were at its last look is idle.
- An idle mixture's counts are replaced by sums that need no shares: observed, expected and variance (`stats.fold`).
- One script does it, and only if the counts are still those that the sums were made of. So no count is lost or doubled,
  however many workers fold at once, or draw from the mixture again meanwhile.
- A worker writes a mixture before it counts under it, and again after: it may have been folded in between.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import redis.exceptions

from worker.adapters.redis.client import Client, redis_errors, redis_refusals
from worker.adapters.redis.connection import DirectConnection
from worker.adapters.redis.replies import closing_if_misread, text_of
from worker.adapters.redis.script_texts import read_script
from worker.core.keys import Keys
from worker.core.mixture import Mixture
from worker.core.stats import MIXTURE, read_count, read_shares
from worker.core.stats.folding import KINDS as FOLDED_KINDS
from worker.core.stats.folding import fold

_LOOK: Final = read_script("stats_mixtures.lua")
_FOLD: Final = read_script("stats_fold.lua")
_START: Final = f"{MIXTURE}:"
_DESCRIBE_EVERY_S = 10.0
_AT_ONCE = 64  # mixtures: they are of the same categories, mostly, so that together they grow no more fields than one

Drawn = Mapping[str, str]
"""The counts of one mixture: field of the stats hash -> value."""


class MixtureTexts:
    """Writes mixtures beside the counts that name them, now and then again: somebody may have cleared them."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._described: dict[str, float] = {}

    async def describe(
        self, connection: DirectConnection, mixtures: Mapping[str, Mixture]
    ) -> Sequence[tuple[str, Mixture]]:
        """Write and return the mixtures that this worker has not written for a while.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        now = time.monotonic()
        self._described = {name: at for name, at in self._described.items() if at > now - _DESCRIBE_EVERY_S}
        missing = [(name, mixture) for name, mixture in mixtures.items() if name not in self._described]
        await self.write(connection, missing)
        self._described |= dict.fromkeys([name for name, _ in missing], now)
        return missing

    async def write(self, connection: DirectConnection, mixtures: Sequence[tuple[str, Mixture]]) -> None:
        """Write the mixtures that are missing.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        for name, mixture in mixtures:
            with redis_errors("HSETNX of a mixture"):
                try:
                    await connection.call("HSETNX", self._keys.stats, name, mixture.text)
                except redis.exceptions.ResponseError as error:
                    if "WRONGTYPE" not in str(error):  # settling will report that nothing can be counted
                        raise


class RedisFolding:
    """Folds the mixtures whose counts stood still since its last look."""

    def __init__(self, client: Client, keys: Keys) -> None:
        self._client = client
        self._keys = keys
        self._seen: Mapping[str, Drawn] = {}

    async def fold(self) -> int:
        """Fold the mixtures that stood still; if several workers try at once, one of them succeeds.

        Returns:
            How many mixtures were folded.

        Raises:
            RefusedError: Redis refuses, and will again: a right is missing, or another type stands there.
            RedisError: Redis did not answer.
        """
        with redis_refusals(f"folding counts in {self._keys.stats}"):
            found = await self._look()
            still = [version for version, drawn in found.items() if self._seen.get(version) == drawn]
            self._seen = found
            gone = 0
            for start in range(0, len(still), _AT_ONCE):
                gone += await self._fold({version: found[version] for version in still[start : start + _AT_ONCE]})
            return gone

    async def _look(self) -> dict[str, Drawn]:
        """Read which mixtures there are, and the counts of each."""
        reply: Any = await self._client.execute_command("EVAL", _LOOK, 1, self._keys.stats, _START, *FOLDED_KINDS)
        async with closing_if_misread(self._client):
            texts = {text_of(version): [text_of(word) for word in words] for version, words in reply}
            return {version: dict(zip(words[0::2], words[1::2], strict=True)) for version, words in texts.items()}

    async def _fold(self, mixtures: Mapping[str, Drawn]) -> int:
        """Fold some mixtures; those that cannot be read stay, and `stats` reports them."""
        growth: dict[str, int] = {}
        folded: dict[str, Drawn] = {}
        for version, drawn in mixtures.items():
            counts = {name: read_count(text) for name, text in drawn.items()}
            shares = read_shares(await self._mixture(version)) if drawn else {}
            known = {name: count for name, count in counts.items() if count is not None}
            if len(known) < len(counts) or (drawn and not shares):
                continue
            folded[version] = drawn
            for name, amount in fold(known, shares).items():
                growth[name] = growth.get(name, 0) + amount
        return len(folded) if folded and await self._call(folded, growth) else 0

    async def _mixture(self, version: str) -> str:
        text: Any = await self._client.hget(self._keys.stats, f"{_START}{version}")
        async with closing_if_misread(self._client):
            return "" if text is None else text_of(text)

    async def _call(self, folded: Mapping[str, Drawn], growth: Mapping[str, int]) -> bool:
        counts: Sequence[str] = [word for drawn in folded.values() for pair in drawn.items() for word in pair]
        grown = [word for pair in growth.items() for word in pair]
        lengths = (len(FOLDED_KINDS), len(folded), len(counts) // 2)
        words = (self._keys.stats, _START, *lengths, *FOLDED_KINDS, *folded, *counts, *grown)
        reply: Any = await self._client.execute_command("EVAL", _FOLD, 1, *words)
        async with closing_if_misread(self._client):
            return bool(int(reply))
